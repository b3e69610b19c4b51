"""A small fully convolutional network that detects where aligned frames lie in a picture.

For each cell of a coarse grid it predicts the probability that a frame is centred there, and that
frame's offset, side and angle (objects as points: Zhou et al. 2019, arXiv 1904.07850, section 3;
the angle as cosine and sine). Blocks are residual with batch normalisation (He et al. 2016, arXiv
1512.03385); most layers run at a stride of 16, where their receptive field covers whole frames at
low cost.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 8
"""Pixels per cell of the output."""

MULTIPLE = 16
"""Height and width of the input must be multiples of this."""

CHANNELS = 6
"""Of the output: logit; offset of the centre (x, y) from the cell's, in cells; natural logarithm
of the side over the resolution; cosine and sine of the angle, not yet normalised."""

_RARE = -4.0
"""Initial bias of the logit: few cells hold a frame (Lin et al. 2017, arXiv 1708.02002, 4.1)."""


class _Convolution(nn.Module):
    """Convolution of 3×3 and batch normalisation."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def fuse(self) -> None:
        """Fold the normalisation into the convolution, for inference."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.convolution = nn.utils.fuse_conv_bn_eval(self.convolution, self.norm)
            self.norm = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.convolution(x))
        return out


class _Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Convolution(channels, channels)
        self.second = _Convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class _Down(nn.Module):
    """Halves height and width, then applies `depth` residual blocks."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        self.down = _Convolution(inputs, outputs, 2)
        self.blocks = nn.Sequential(*(_Residual(outputs) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(functional.relu(self.down(x)))
        return out


class DetectorNetwork(nn.Module):
    """Picture and hole (N, 4, H, W) → (N, `CHANNELS`, H / 8, W / 8).

    Args:
        width: Channels at half the input's size, doubling downwards.
        maximum: Bound of the channels.
    """

    def __init__(self, width: int, maximum: int) -> None:
        super().__init__()
        channels = [min(width * 2**level, maximum) for level in range(4)]
        self.fine = nn.Sequential(
            _Down(4, channels[0], 0),
            _Down(channels[0], channels[1], 1),
            _Down(channels[1], channels[2], 1),
        )
        self.coarse = _Down(channels[2], channels[3], 3)
        self.lateral = nn.Conv2d(channels[3], channels[2], 1)
        self.joined = _Residual(channels[2])
        self.head = nn.Conv2d(channels[2], CHANNELS, 1)
        self.head.weight.data.mul_(0.1)
        self.head.bias = nn.Parameter(torch.tensor([_RARE, 0.0, 0.0, 0.0, 1.0, 0.0]))  # upright

    def fuse(self) -> None:
        """Fold every batch normalisation into the convolution before it, in place."""
        for module in self.modules():
            if isinstance(module, _Convolution):
                module.fuse()

    def forward(self, image: Tensor) -> Tensor:
        """Return the predictions for pictures.

        Args:
            image: (N, 4, H, W), H and W multiples of 16: the picture in [−1, 1], 0 in the hole,
                and the hole, 1 = missing.
        """
        fine = self.fine(image)
        coarse = self.lateral(self.coarse(fine))
        coarse = functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        out: Tensor = self.head(self.joined(functional.relu(fine + coarse)))
        return out


def decode(output: Tensor, resolution: int) -> tuple[Tensor, Tensor]:
    """Turn the network's output into scores and frames.

    Args:
        output: (N, 6, h, w) as of `Detector`.
        resolution: Side in pixels of the frames that the network was trained on.

    Returns:
        Scores (N, h, w) in [0, 1], and frames (N, h, w, 4): x and y of the centre and side in
        pixels of the input (its left upper corner is 0, 0), angle in degrees clockwise.
    """
    height, width = output.shape[2:]
    logit, across, down, size, cosine, sine = output.float().unbind(1)
    column = torch.arange(width, device=output.device) + 0.5
    row = torch.arange(height, device=output.device)[:, None] + 0.5
    frames = [
        (column + across) * STRIDE,
        (row + down) * STRIDE,
        size.clamp(-3.0, 3.0).exp() * resolution,
        torch.atan2(sine, cosine) * (180 / math.pi),
    ]
    return logit.sigmoid(), torch.stack(frames, dim=-1)
