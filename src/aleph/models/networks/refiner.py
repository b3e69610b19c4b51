"""The refiner: gives a guess the detail that the known pixels ask for, at any size.

A U-Net (Ronneberger et al. 2015, arXiv 1505.04597) of residual blocks without normalisation, fully
convolutional. It sees pixels in fours (2×2 pixels are one place of four times the channels; Shi et
al. 2016, arXiv 1609.05158), for a processor is quickest with many channels and few places.

What it corrects is the guess G(ẑ) with the residual y − G(ẑ) of the known pixels continued into the
hole (`aleph.models.networks.extension`). Fresh, it changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from aleph.models.networks.extension import extend_residual

_SLOPE = 0.2

_INPUTS = 8
"""The start (3), the guess (3), the hole, and how much the known pixels say of a place."""

_STRIDE = 8
"""Both sides of what the network sees are multiples of it."""


def _conv(inputs: int, outputs: int, dilation: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
    nn.init.kaiming_normal_(layer.weight, _SLOPE, nonlinearity="leaky_relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class _Residual(nn.Module):
    """x + conv(act(conv(act(x)))); the second convolution may look further."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = _conv(channels, channels, dilation)
        self.second.weight.data.mul_(0.2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(functional.leaky_relu(x, _SLOPE))
        y = self.second(functional.leaky_relu(y, _SLOPE, inplace=True))
        return torch.add(x, y)


class Refiner(nn.Module):
    """Known pixels, hole and guess → the fill.

    Args:
        width: Channels at half the size; 1.2 and 1.4 times as many at a quarter and an eighth.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half, quarter, eighth = width, width * 6 // 5, width * 7 // 5
        self.stem = _conv(4 * _INPUTS, half)
        self.fine = _Residual(half)
        self.down = nn.Conv2d(half, quarter, 2, stride=2)
        self.middle = _Residual(quarter)
        self.deeper = nn.Conv2d(quarter, eighth, 2, stride=2)
        self.coarse = _Residual(eighth, dilation=2)
        self.up = nn.Conv2d(eighth, quarter, 1)
        self.joined = _Residual(quarter)
        self.higher = nn.Conv2d(quarter, half, 1)
        self.finer = nn.Sequential(_Residual(half), _Residual(half))
        self.head = nn.Conv2d(half, 12, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor, hole: Tensor, guess: Tensor, kappa: Tensor | float) -> Tensor:
        """Refine the guesses of a batch.

        Args:
            image: float32 (N, 3, H, W) in [−1, 1]; its values in the hole are not looked at.
            hole: Boolean (N, 1, H, W), True = missing.
            guess: G(ẑ), float32 (N, 3, H, W), about [−1, 1].
            kappa: κ per pixel, how fast the known residual is forgotten, a number or (N, 1, 1, 1):
                `aleph.blending.blend.FORGETTING` over the side of the frame in pixels.

        Returns:
            The fill, float32 (N, 3, H, W), about [−1, 1]; `image` where the hole is not.
        """
        start, reach = begin(image, hole, guess, kappa)
        return torch.where(hole, start + self.correction(start, hole, guess, reach), image)

    def correction(self, start: Tensor, hole: Tensor, guess: Tensor, reach: Tensor) -> Tensor:
        """Return what is added to the start, float32 (N, 3, H, W)."""
        height, width = start.shape[2:]
        seen = torch.cat([start, guess, hole.to(start.dtype), reach], dim=1)
        beyond = (0, -width % _STRIDE, 0, -height % _STRIDE)
        if any(beyond):
            seen = functional.pad(seen, beyond, "replicate")
        seen = functional.pixel_unshuffle(seen.to(self.stem.weight.dtype), 2)
        change = self._tower(seen.contiguous(memory_format=torch.channels_last))
        return functional.pixel_shuffle(change, 2)[:, :, :height, :width].float()

    def _tower(self, seen: Tensor) -> Tensor:
        fine = self.fine(self.stem(seen))
        middle = self.middle(self.down(fine))
        coarse = self.coarse(self.deeper(middle))
        middle = self.joined(middle + _doubled(self.up(coarse)))
        fine = self.finer(fine + _doubled(self.higher(middle)))
        return self.head(functional.leaky_relu(fine, _SLOPE))  # type: ignore[no-any-return]


def begin(
    image: Tensor, hole: Tensor, guess: Tensor, kappa: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Return what is refined, and how much the known pixels say of every place.

    Args:
        image: As for `Refiner`.
        hole: As for `Refiner`.
        guess: As for `Refiner`.
        kappa: As for `Refiner`.

    Returns:
        The guess with the residual continued, float32 (N, 3, H, W); and the same continuation of a
        residual of 1, float32 (N, 1, H, W): 1 at known pixels, 0 far away from them.
    """
    guess = guess.float()
    known = torch.where(hole, guess, image.float())
    residual = torch.cat([known - guess, torch.ones_like(guess[:, :1])], dim=1)
    with torch.autocast(guess.device.type, enabled=False):
        extended = extend_residual(residual, hole, kappa)
    return guess + extended[:, :3], extended[:, 3:]


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
