"""Texture of a set of fills against that of the originals, without any downloaded network.

PSNR rewards the mean of all plausible fills, which is blurred. The texture distance compares the
statistics of frequency bands in the *set* of fills with those in the *set* of originals, never a
fill with its own original: a plausible fill that differs from the original is not penalised, blur
is.

Features are energies in the bands of an oriented pyramid, the statistics that texture synthesis
matches (Heeger and Bergen 1995, doi:10.1145/218380.218446; Portilla and Simoncelli 2000,
doi:10.1023/A:1026553619983); sets of them are compared by the Fréchet distance between Gaussians,
as in the Fréchet Inception Distance (Heusel et al. 2017, arXiv 1706.08500, eq. 6), here without the
Inception network.
"""

from __future__ import annotations

import cv2
import numpy as np

from aleph.arrays import Doubles, Hole, Pixels

SCALES = 3
"""Octaves that are compared, from the finest; coarser ones hardly fit into a hole."""

_FLOOR = 0.5
"""Grey levels added to every energy before its logarithm: less is rounding, not texture."""

_ANGLES = np.deg2rad([0.0, 45.0, 90.0, 135.0])

_PER_SCALE = len(_ANGLES) + 2

FEATURES = SCALES * _PER_SCALE
"""Length of a feature vector."""

_SHARPNESS = len(_ANGLES)
"""Index of the finest band's energy in a feature vector."""


def texture_features(image: Pixels, hole: Hole) -> Doubles:
    """Return the texture of one image inside its hole.

    For each of `SCALES` octaves of the luminance Y, at full resolution: the logarithm of the mean
    |∂Y/∂θ| in 4 directions; the logarithm of the energy (root mean square) of the band-pass
    G(σ)Y − G(2σ)Y; and the logarithm of its root mean square over its mean absolute value, which
    tells sparse edges (large) from noise (1.25). Means are over the hole's pixels, grey levels
    are of 255, and 0.5 is added to every energy. Filters reach over the rim, so a seam counts.

    Args:
        image: uint8 (H, W, 3), filled or original.
        hole: Boolean (H, W), at least one True.

    Returns:
        float64 (`FEATURES`,), finite.
    """
    luminance: Doubles = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    features: list[float] = []
    smooth = luminance
    for octave in range(SCALES):
        smoother = np.asarray(cv2.GaussianBlur(luminance, (0, 0), 2.0**octave), np.float64)
        features += _slopes(smooth, hole)
        features += _band(smooth - smoother, hole)
        smooth = smoother
    return np.array(features)


def _slopes(smooth: Doubles, hole: Hole) -> list[float]:
    """Return log mean |derivative| in each direction; Scharr's kernel, scaled to a derivative."""
    dx = cv2.Scharr(smooth, cv2.CV_64F, 1, 0)[hole] / 32
    dy = cv2.Scharr(smooth, cv2.CV_64F, 0, 1)[hole] / 32
    means = [np.abs(np.cos(a) * dx + np.sin(a) * dy).mean() for a in _ANGLES]
    return [float(np.log(mean + _FLOOR)) for mean in means]


def _band(band: Doubles, hole: Hole) -> list[float]:
    """Return the log energy of a band, and how sparse it is."""
    values = band[hole]
    energy = float(np.sqrt(np.mean(values**2))) + _FLOOR
    size = float(np.abs(values).mean()) + _FLOOR
    return [float(np.log(energy)), float(np.log(energy / size))]


def frechet_distance(first: Doubles, second: Doubles) -> float:
    """Return the squared Fréchet distance between the Gaussians fitted to two sets of vectors.

    d² = |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½) (Dowson and Landau 1982; Heusel et al. 2017, eq. 6).
    The trace of the root is the sum of the roots of the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, which is
    symmetric, so that nothing complex appears.

    Args:
        first: float (n, d), n ≥ 2. Biased upwards where n is not far above d.
        second: float (m, d), m ≥ 2.

    Returns:
        d² ≥ 0, in squared units of the vectors; 0 for equal sets.
    """
    offset = first.mean(0) - second.mean(0)
    cov_1, cov_2 = (np.atleast_2d(np.cov(s, rowvar=False)) for s in (first, second))
    values, vectors = np.linalg.eigh(cov_1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_2 @ root), 0, None)).sum()
    distance = offset @ offset + np.trace(cov_1) + np.trace(cov_2) - 2 * cross
    return max(0.0, float(distance))


def texture_distance(originals: Doubles, fills: Doubles) -> float | None:
    """Return how far the texture of a set of fills is from that of a set of originals.

    `frechet_distance` of `texture_features`, each feature divided by its standard deviation over
    the originals: 1 is about one standard deviation of the originals in one feature. Blur, noise,
    seams and too little variety all raise it. Compare only values of the same images and masks.

    Args:
        originals: float (n, `FEATURES`).
        fills: float (m, `FEATURES`).

    Returns:
        The distance, 0 for equal sets; None where a set has fewer than 2 images.
    """
    if min(len(originals), len(fills)) < 2:
        return None
    # A feature that hardly varies must not blow up what is only rounding.
    scale = np.maximum(originals.std(0), 0.01)
    return frechet_distance(originals / scale, fills / scale)


def sharpness(originals: Doubles, fills: Doubles) -> float:
    """Return the energy of the finest band in the fills over that in the originals.

    The geometric mean over images of the ratio of the root mean squares of Y − G(1)Y in the hole.
    1 is as sharp as the originals, below is blurred, above is noisy or harsh. A seam counts as
    sharp: where one is likely, use `texture_distance`.

    Args:
        originals: float (n, `FEATURES`), of the same images as `fills`.
        fills: float (n, `FEATURES`).
    """
    return float(np.exp(np.mean(fills[:, _SHARPNESS] - originals[:, _SHARPNESS])))
