"""Is a difference between two settings more than chance? Paired bootstrap over images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """The mean difference between two settings over the same images, first minus second.

    Attributes:
        mean: In units of the metric.
        low: Lower end of the 95 % confidence interval; −∞ where fewer than 2 images say nothing.
        high: Upper end; ∞ where fewer than 2 images say nothing.
        n: Number of images.
    """

    mean: float
    low: float
    high: float
    n: int

    def __neg__(self) -> Difference:
        """Return the second minus the first."""
        return Difference(-self.mean, -self.high, -self.low, self.n)

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """`higher`, `lower` or `no difference shown`, of the first against the second."""
        if not self.shown:
            return "no difference shown"
        return "higher" if self.mean > 0 else "lower"


@lru_cache(maxsize=4)
def _resampling(n: int, resamples: int, seed: int) -> NDArray[np.float32]:
    """Return how often each image is drawn in each resample, float32 (resamples, n).

    Drawing n of n with replacement is a multinomial count; kept, for every comparison over n
    images uses the same draws.
    """
    rng = np.random.default_rng([seed, 0xB007])
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float32)


def paired_bootstrap(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Difference:
    """Return the mean of first − second over images with its percentile bootstrap interval.

    The images are drawn n of n with replacement `resamples` times; the interval spans the central
    share `confidence` of the means so found (Efron and Tibshirani 1993, chapter 13). Paired: both
    settings filled the same holes of the same images, so what makes an image hard cancels.

    Args:
        first: float (n,), one value per image, finite.
        second: float (n,), of the same images in the same order.
        seed: Seed of the resampling.
        resamples: Number of resamples.
        confidence: Share of the resampled means inside the interval, between 0 and 1.

    Raises:
        ValueError: if the two are not of one length, or empty.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise ValueError(f"expected two equally long rows, not {first.shape} and {second.shape}")
    difference = np.asarray(first, np.float64) - second
    mean, n = float(difference.mean()), len(difference)
    if n < 2:
        return Difference(mean, -np.inf, np.inf, n)
    # Centred, so that float32 rounds the spread and not the mean.
    means = _resampling(n, resamples, seed) @ (difference - mean).astype(np.float32) / n
    tail = (1 - confidence) / 2
    low, high = np.quantile(means.astype(np.float64), [tail, 1 - tail]) + mean
    return Difference(mean, float(low), float(high), n)
