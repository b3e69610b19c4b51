"""Where a latent search starts: codes of the prior, or of the encoder's posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aleph.config import Prior


@dataclass(frozen=True, eq=False)
class Anchor:
    """The Gaussian N(μ, σ²) from which the latent term measures the distance of each start's code.

    Attributes:
        mean: μ, float32 (N, K, latent_dim) for N images with K starts each, or a number.
        deviation: σ, of the same shape or a number, above 0.
    """

    mean: Tensor | float = 0.0
    deviation: Tensor | float = 1.0

    def flat(self) -> Anchor:
        """Return it with images and starts as one dimension: (N · K, latent_dim)."""
        mean, deviation = (
            value.flatten(0, 1) if isinstance(value, Tensor) else value
            for value in (self.mean, self.deviation)
        )
        return Anchor(mean, deviation)


def random_starts(prior: Prior, latent_dim: int, starts: int, seeds: Sequence[int]) -> Tensor:
    """Draw z ~ prior for every image from its own seed, the same on every machine.

    Returns:
        float32 (len(seeds), starts, latent_dim). More starts of a seed extend fewer.
    """
    codes = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 0x57A7])
        shape = (starts, latent_dim)
        codes.append(
            rng.uniform(-1, 1, shape) if prior == "uniform" else rng.standard_normal(shape)
        )
    return torch.from_numpy(np.stack(codes).astype(np.float32))


def posterior_starts(mean: Tensor, deviation: Tensor, starts: int, seeds: Sequence[int]) -> Anchor:
    """Take the posterior's mean as the first start of every image and samples as the others.

    The latent term of each start is centred on that start: a search that is drawn to a sample of
    the posterior, instead of to its mean, ends near a sample of what the posterior and the known
    pixels allow together (randomise-then-optimise, Bardsley et al. 2014, doi:10.1137/140964023).
    So the candidates of an image stay different.

    Args:
        mean: μ of the posterior, float32 (N, latent_dim).
        deviation: σ, of the same shape.
        starts: K, starts per image.
        seeds: One per image, of its samples.

    Returns:
        The starts, as anchors of shape (N, K, latent_dim). More starts of a seed extend fewer.
    """
    noise = random_starts("normal", mean.shape[1], starts, seeds).to(mean.device)
    noise[:, 0] = 0.0
    spread = deviation[:, None].expand(noise.shape)
    return Anchor(mean[:, None] + spread * noise, spread)
