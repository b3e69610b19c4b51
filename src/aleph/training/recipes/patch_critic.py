"""A discriminator of patches: is this place of a picture original, or was it filled?

It judges every place by its surroundings of some twenty pixels (Isola et al. 2017, arXiv
1611.07004, section 3.2.2), and only places in holes count (as in Zeng et al. 2022, arXiv
2104.01431, section 3.3): its verdict is about the fill alone, however small that is.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.2

STRIDE = 4
"""Pixels across a place that is judged."""


class PatchCritic(nn.Module):
    """Pictures (N, 3, H, W) → logits (N, 1, H / 4, W / 4), above 0 for originals."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(4 * width, 1, 3, padding=1),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, _SLOPE, nonlinearity="leaky_relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Judge every place."""
        logit: Tensor = self.layers(image)
        return logit


def filled_share(hole: Tensor) -> Tensor:
    """Return how much of every place was filled, (N, 1, H / 4, W / 4), of holes (N, 1, H, W)."""
    return functional.avg_pool2d(hole.float(), STRIDE)


def critic_loss(real: Tensor, made: Tensor, share: Tensor) -> Tensor:
    """−log P(original) of the originals and −log P(filled) of the fills, where the holes were.

    Args:
        real: Logits of the originals.
        made: Logits of the filled pictures.
        share: What `filled_share` says of the holes.

    Returns:
        Shape (N,).
    """
    return _mean(functional.softplus(-real) + functional.softplus(made), share)


def fill_verdict(made: Tensor, share: Tensor) -> Tensor:
    """How sure the critic is that the fill is one, mean over the places filled, shape (N,)."""
    return _mean(functional.softplus(-made), share)


def _mean(values: Tensor, share: Tensor) -> Tensor:
    """Mean over places under a weight, (N,)."""
    return (share * values).sum(dim=(1, 2, 3)) / share.sum(dim=(1, 2, 3)).clamp(min=1e-6)
