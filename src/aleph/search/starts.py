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

Estimate = tuple[Tensor, Tensor]
"""Mean and deviation of the posteriors of N codes, (N, latent_dim) each."""

Encode = Callable[[Tensor, Tensor], Estimate]
"""Damaged images (N, 3, H, W) in [−1, 1] and holes, boolean (N, 1, H, W) → their estimate."""


@dataclass(frozen=True, eq=False)
class Anchor:
    """The Gaussian N(μ, σ²) from which the latent term measures the distance of each start's code.

    Attributes:
        mean: μ, float32 (N, K, latent_dim) for N images with K starts each, or a number.
        deviation: σ, of the same shape or a number, above 0.
    """

    mean: Tensor | float = 0.0
    deviation: Tensor | float = 1.0

    def beside(self, other: Anchor) -> Anchor:
        """Return it with the starts of another after its own; both of tensors."""
        values = ((self.mean, other.mean), (self.deviation, other.deviation))
        return Anchor(*(torch.cat(pair, dim=1) for pair in values))  # type: ignore[arg-type]

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


def encode_views(
    encode: Encode,
    generate: Callable[[Tensor], Tensor],
    image: Tensor,
    hole: Tensor,
    *,
    twice: bool,
    mirrored: bool,
) -> list[Estimate]:
    """Estimate the codes of damaged images and of their mirror images.

    The two estimates of an image err in different ways: the mean of what they generate errs less
    than either.

    With `twice`, holes are filled with what the estimates give (the mean of both views), and the
    filled images are encoded as whole ones. An encoder that is unsure answers with the mean of many
    codes, and the image of a mean need not agree with the known pixels; the code of the filled
    image is that of one object again. Holes that are nowhere deep keep the first estimate: the
    search starts no better from the second.

    Args:
        encode: The encoder.
        generate: The generator, z (N, latent_dim) → (N, 3, H, W).
        image: (N, 3, H, W) in [−1, 1]; its values in the hole are ignored.
        hole: Boolean (N, 1, H, W), True = missing.
        twice: Whether to estimate twice.
        mirrored: Whether an image and its mirror image are equally likely for the model.

    Returns:
        The estimate of the images and, if `mirrored`, that of their mirror images: the mean of the
        last posterior and the deviation of the first, which is how unsure the encoder is of the
        damaged image.
    """
    views = 2 if mirrored else 1
    damaged = ((image, hole), (image.flip(3), hole.flip(3)))
    estimates = [encode(*view) for view in damaged[:views]]
    if not twice:
        return estimates
    deep = torch.tensor([_depth(one) > _DEEP for one in hole[:, 0]], device=hole.device)
    if not deep.any():
        return estimates
    image, hole = image[deep], hole[deep]
    fill = generate(estimates[0][0][deep])
    if mirrored:
        fill = (fill + generate(estimates[1][0][deep]).flip(3)) / 2
    whole, nothing = torch.where(hole, fill, image), torch.zeros_like(hole)
    again = []
    for view, (mean, deviation) in zip((whole, whole.flip(3)), estimates, strict=False):
        second = mean.clone()
        second[deep] = encode(view, nothing)[0]
        again.append((second, deviation))
    return again


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
