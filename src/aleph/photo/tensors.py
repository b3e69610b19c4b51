"""The conversion between uint8 arrays and float32 tensors in [−1, 1]; the only place for it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aleph.arrays import rounded


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Convert uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [−1, 1], `channels_last`."""
    tensor = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float()
    return (tensor / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Convert (N, 3, H, W) in [−1, 1] to uint8 (N, H, W, 3): clipped, rounded to nearest.

    `to_pixels(to_tensor(x))` is x; NaN is black.
    """
    return rounded(to_levels(images.detach().nan_to_num(-1.0)))


def to_levels(images: Tensor) -> NDArray[np.float32]:
    """Convert (N, 3, H, W) in [−1, 1] to float32 (N, H, W, 3) in 0 to 255, neither cut nor rounded.

    Blending needs the fractions: it rounds once, after it has added the residual.
    """
    levels = (images.detach().float() + 1.0).mul(127.5).permute(0, 2, 3, 1)
    return np.asarray(levels.contiguous().cpu().numpy(), np.float32)


def from_levels(levels: NDArray[np.float32]) -> Tensor:
    """Convert float32 (N, H, W, 3) in 0 to 255 to float32 (N, 3, H, W) in [−1, 1].

    It undoes `to_levels`.
    """
    return torch.from_numpy(levels).permute(0, 3, 1, 2) / 127.5 - 1.0
