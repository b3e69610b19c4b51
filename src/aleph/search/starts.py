"""Where a latent search starts: codes of the prior, or of the encoder's posterior."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from aleph.config import Prior

_DEEP = 1 / 8
"""Depth of a hole in sides of the frame from which on the second estimate is the better start."""

Encode = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Damaged images (N, 3, H, W) in [−1, 1] and holes, boolean (N, 1, H, W) → mean and deviation of
their codes' posteriors, (N, latent_dim) each."""


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


def encode_twice(
    encode: Encode,
    generate: Callable[[Tensor], Tensor],
    image: Tensor,
    hole: Tensor,
    mirrored: bool = False,
) -> tuple[Tensor, Tensor]:
    """Encode damaged images, fill their holes with what that gives, and encode them as whole.

    An encoder that is unsure answers with the mean of many codes, and the image of a mean need not
    agree with the known pixels. The code of the filled image is that of one object again. Where the
    model knows mirror images as well, the fill is the mean of what it makes of the image and of its
    mirror image, which errs less than either. Holes that are nowhere deep keep the first estimate:
    the search starts no better from the second.

    Args:
        encode: The encoder.
        generate: The generator, z (N, latent_dim) → (N, 3, H, W).
        image: (N, 3, H, W) in [−1, 1]; its values in the hole are ignored.
        hole: Boolean (N, 1, H, W), True = missing.
        mirrored: Whether an image and its mirror image are equally likely for the model.

    Returns:
        The mean of the second posterior and the deviation of the first, (N, latent_dim) each: how
        unsure the encoder is of the damaged image.
    """
    mean, deviation = encode(image, hole)
    deep = torch.tensor([_depth(one) > _DEEP for one in hole[:, 0]], device=hole.device)
    if not deep.any():
        return mean, deviation
    image, hole = image[deep], hole[deep]
    fill = generate(mean[deep])
    if mirrored:
        turned = generate(encode(image.flip(3), hole.flip(3))[0])
        fill = (fill + turned.flip(3)) / 2
    whole = torch.where(hole, fill, image)
    again = mean.clone()
    again[deep] = encode(whole, torch.zeros_like(hole))[0]
    return again, deviation


def _depth(hole: Tensor) -> float:
    """Return how far the farthest missing pixel of (H, W) is from a known one, in sides."""
    missing = hole.cpu().numpy().astype(np.uint8)
    return float(cv2.distanceTransform(missing, cv2.DIST_L2, 5).max()) / len(missing)


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
