"""LaMa's network beside aleph: a feed-forward inpainting network (Suvorov et al. 2022, WACV).

Its weights are random, for its time alone is asked for: 51 million of them, as `spandrel` builds
them (`pip install 'aleph-inpainting[lama]'`).
"""

from __future__ import annotations

import importlib
import importlib.util

import torch
from torch import nn

from aleph.arrays import Hole, Pixels
from aleph.photo.tensors import to_tensor

LAMA = "lama"
"""What the network is called in tables."""


def lama_available() -> bool:
    """Return whether the library that knows the network is installed."""
    return importlib.util.find_spec("spandrel") is not None


def lama_network() -> nn.Module:
    """Return the network, with random weights."""
    network: nn.Module = importlib.import_module("spandrel.architectures.LaMa").LaMa(
        in_nc=4, out_nc=3
    )
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def lama_fill(network: nn.Module, images: list[Pixels], holes: list[Hole]) -> None:
    """Run the network on one image after the other, at their own size."""
    for image, hole in zip(images, holes, strict=True):
        missing = torch.from_numpy(hole)[None, None].float()
        network((to_tensor(image[None]) + 1) / 2, missing)
