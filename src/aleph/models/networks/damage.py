"""A small U-Net that says of every pixel how likely it is damaged.

Encoder and decoder are residual convolutions at five scales (Ronneberger et al. 2015, arXiv
1505.04597; He et al. 2016, arXiv 1512.03385). The picture comes in with each 2×2 block of pixels as
twelve channels, and goes out with four logits for each block (Shi et al. 2016, arXiv 1609.05158):
every pixel is seen and judged, yet nothing is computed at full size. Most of the depth lies at an
eighth and a sixteenth of the size, where it is cheap and sees far: what is around it says whether a
thin bright line is a mast or a scratch. There is no normalisation, which would take a third of the
time; each residual branch starts small instead (Zhang et al. 2019, arXiv 1901.09321).

A photo is looked at several times, from small to large, and each look is told what the one before
it found, as in a cascade (Felzenszwalb et al. 2010, doi 10.1109/CVPR.2010.5539906): the coarse look
sees what a wide patch is, the fine one where a thin crack runs, and the network learns whom to
believe.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MULTIPLE = 32
"""Height and width of the input must be multiples of this."""

_BLOCKS = (0, 2, 3, 3, 2)
"""Residual blocks of the encoder at a half, a quarter, … a thirty-second of the size."""

_RARE = -3.0
"""First bias of the logit: few pixels are damaged (Lin et al. 2017, arXiv 1708.02002, 4.1)."""

_SMALL = 0.2
"""What a residual branch's last weights start as, over those of He et al. 2015."""


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution with weights for what a rectifier lets through (He et al. 2015)."""
    made = nn.Conv2d(inputs, outputs, size, stride, size // 2)
    nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
    nn.init.zeros_(made.bias)  # type: ignore[arg-type]
    return made


class _Residual(nn.Module):
    """Two convolutions whose result is added to what they got."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)
        self.second.weight.data.mul_(_SMALL)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.first(x), inplace=True)
        return functional.relu(x + self.second(inner), inplace=True)


class _Down(nn.Module):
    """Goes to the next scale, then looks `depth` residual blocks deep."""

    def __init__(self, inputs: int, outputs: int, depth: int, stride: int) -> None:
        super().__init__()
        self.down = _convolution(inputs, outputs, 3, stride)
        self.blocks = nn.Sequential(*(_Residual(outputs) for _ in range(depth)))

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        inner = self.down(x)
        if beside is not None:
            inner = inner + beside
        out: Tensor = self.blocks(functional.relu(inner, inplace=True))
        return out


class _Up(nn.Module):
    """Adds what a coarser scale has seen to a finer one."""

    def __init__(self, coarse: int, fine: int, sharp: bool) -> None:
        super().__init__()
        self.sharp = sharp
        self.lateral = _convolution(coarse, 4 * fine if sharp else fine, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        raised = self.lateral(coarse)
        if self.sharp:  # four values of its own for each cell
            raised = functional.pixel_shuffle(raised, 2)
        else:
            raised = functional.interpolate(raised, scale_factor=2.0, mode="nearest")
        return functional.relu(fine + raised, inplace=True)


def _cells(values: Tensor) -> Tensor:
    """Make each 2×2 block of pixels one cell: (N, C, H, W) → (N, 4C, H/2, W/2)."""
    return functional.pixel_unshuffle(values, 2).contiguous(memory_format=torch.channels_last)


class DamageNetwork(nn.Module):
    """Picture (N, 3, H, W) → logit (N, 1, H, W), positive where damaged.

    Args:
        width: Channels at half the input's size, doubling downwards.
        maximum: Bound of the channels.
    """

    def __init__(self, width: int, maximum: int) -> None:
        super().__init__()
        channels = [min(width * 2**level, maximum) for level in range(len(_BLOCKS))]
        inputs = [12, *channels]
        self.down = nn.ModuleList(
            _Down(inputs[level], channels[level], depth, 1 if level == 0 else 2)
            for level, depth in enumerate(_BLOCKS)
        )
        self.coarser = nn.Conv2d(4, channels[0], 3, 1, 1, bias=False)
        nn.init.zeros_(self.coarser.weight)
        self.up = nn.ModuleList(
            _Up(channels[level + 1], channels[level], sharp=level == 0)
            for level in range(len(_BLOCKS) - 1)
        )
        self.joined = nn.ModuleList(
            _Residual(channels[level]) for level in range(1, len(_BLOCKS) - 1)
        )
        self.last = _convolution(channels[0], channels[0])
        self.head = nn.Conv2d(channels[0], 4, 3, 1, 1)
        self.head.weight.data.mul_(0.1)
        nn.init.constant_(self.head.bias, _RARE)  # type: ignore[arg-type]

    def forward(self, image: Tensor, coarser: Tensor | None = None) -> Tensor:
        """Look at pictures.

        Args:
            image: (N, 3, H, W) in [−1, 1], H and W multiples of 32.
            coarser: (N, 1, H, W) in [−1, 1], what a look at half the size found: 1 where it is sure
                of damage, −1 where of none. None for the first look.
        """
        beside = None if coarser is None else self.coarser(_cells(coarser))
        x = self.down[0](_cells(image), beside)
        scales = [x]
        for down in self.down[1:]:
            x = down(x)
            scales.append(x)
        for level in range(len(self.up) - 1, -1, -1):
            x = self.up[level](x, scales[level])
            if level:
                x = self.joined[level - 1](x)
        x = functional.relu(self.last(x), inplace=True)
        logit: Tensor = functional.pixel_shuffle(self.head(x), 2)
        return logit
