"""A discriminator of places: is this place of a picture original, or was it filled?

It judges every place twice, by its surroundings of some twenty pixels and of some hundred (Isola et
al. 2017, arXiv 1611.07004, section 3.2.2; two scales as in Wang et al. 2018, arXiv 1711.11585,
section 3.2): grain and edges show in the first, whether two eyes belong together in the second. It
is shown where the hole is, and only places in holes count (as in Zeng et al. 2022, arXiv
2104.01431, section 3.3): its verdict is about the fill alone, however small that is. Beside the
picture it is shown its fine detail, made stronger: of a picture alone it hardly learnt in hundreds
of steps that the fill of a thin crack is smoother than what lies beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from aleph.training.losses import fine_detail, shares, weighted_mean

_SLOPE = 0.2

_WIDTH = 32
"""Channels at the full size; two and four times as many below."""

_FINE, _STRONGER = 5, 8.0
"""Side in pixels of the square whose mean is taken off for the fine detail, and its factor."""


class PatchCritic(nn.Module):
    """Pictures and holes → logits of places of 4×4 and of 16×16 pixels, above 0 for originals."""

    def __init__(self) -> None:
        super().__init__()
        width = _WIDTH
        self.near = nn.Sequential(
            *_layer(7, width, 3, 1),
            *_layer(width, 2 * width, 4, 2),
            *_layer(2 * width, 4 * width, 4, 2),
            *_layer(4 * width, 4 * width, 3, 1),
        )
        self.far = nn.Sequential(
            *_layer(4 * width, 4 * width, 4, 2),
            *_layer(4 * width, 4 * width, 4, 2),
            *_layer(4 * width, 4 * width, 3, 1),
        )
        self.verdicts = nn.ModuleList(nn.Conv2d(4 * width, 1, 3, padding=1) for _ in range(2))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, _SLOPE, nonlinearity="leaky_relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor, hole: Tensor) -> list[Tensor]:
        """Judge every place.

        Args:
            image: (N, 3, H, W) in [−1, 1], H and W multiples of 16.
            hole: Boolean (N, 1, H, W).

        Returns:
            Logits (N, 1, H / 4, W / 4) and (N, 1, H / 16, W / 16).
        """
        return self.judged(self.features(image, hole))

    def features(self, image: Tensor, hole: Tensor) -> list[Tensor]:
        """Return what every layer sees, from fine to coarse, each (N, C, h, w).

        Args:
            image: As for the verdict.
            hole: As for the verdict.
        """
        detail = _STRONGER * fine_detail(image, _FINE)
        seen, found = torch.cat([image, detail, hole.to(image.dtype)], dim=1), []
        for layer in (*self.near, *self.far):
            seen = layer(seen)
            if isinstance(layer, nn.LeakyReLU):
                found.append(seen)
        return found

    def judged(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the logits of `forward` for what `features` has returned."""
        places = (features[len(self.near) // 2 - 1], features[-1])
        return [judge(seen) for judge, seen in zip(self.verdicts, places, strict=True)]


def _layer(inputs: int, outputs: int, size: int, stride: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, size, stride, padding=1), nn.LeakyReLU(_SLOPE)


def critic_loss(real: Sequence[Tensor], made: Sequence[Tensor], hole: Tensor) -> Tensor:
    """−log P(original) of the originals and −log P(filled) of the fills, where the holes are.

    Args:
        real: Logits of the originals, at every scale.
        made: Logits of the filled pictures.
        hole: Boolean (N, 1, H, W).

    Returns:
        Shape (N,), the mean over the scales.
    """
    losses = [
        _mean(functional.softplus(-original) + functional.softplus(fill), hole)
        for original, fill in zip(real, made, strict=True)
    ]
    return torch.stack(losses).mean(dim=0)


def fill_verdict(made: Sequence[Tensor], hole: Tensor) -> Tensor:
    """How sure the critic is that the fill is one, mean over the places filled, shape (N,)."""
    return torch.stack([_mean(functional.softplus(-fill), hole) for fill in made]).mean(dim=0)


def _mean(values: Tensor, hole: Tensor) -> Tensor:
    """Mean over places (N, 1, h, w), each weighted by the share of it that was filled; (N,)."""
    return weighted_mean(values.float(), shares(hole, values))
