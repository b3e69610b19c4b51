"""Damage that looks like other damage of the same photo, and what looks like the rest of it.

The network judges each place by itself, and does not know what the bare paper of this very print
looks like. Where some wide damage is sure, its colours and its roughness say more: by Bayes' rule
the odds that a pixel is damaged are multiplied by how much more frequent its colour and roughness
are in that damage than in what is surely intact. A print has one kind of paper, so a patch that was
half found is found whole; and light ground that is like the rest of the ground is left alone.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from aleph.arrays import Hole, Pixels

_PIXELS = 250_000
"""A photo is compared with itself at no more pixels than this: what is wide in a large one is wide
in a small one too."""

_SURE, _INTACT, _MARKED = 230, 25, 102
"""Probabilities, of 255: of damage that is sure at least, of what is surely intact at most, and of
what may be wide damage at least."""

_CORE, _WIDE = 5, 7
"""Sides in pixels of the squares that wide damage is made of: what is sure, and what may be."""

_RIM = 5
"""Pixels by which a patch that is found anew is taken to be wider."""

_LEAST = 0.003
"""Share of a photo that sure, wide damage covers, at least: less may be a mistake, which would be
made all over the photo."""

_BINS, _ROUGH = 24, 4
"""Bins of lightness, of each of both colour axes (CIELAB), and of roughness."""

_SMOOTH = (1.2, 1.2, 1.2, 0.5)
"""Deviation in bins of the blur of both histograms."""

_RARE = 2e-4
"""Share of the pixels that is added to every bin: what was hardly seen says nothing."""

_MOST = 4.0
"""Logarithm of the largest factor of the odds."""

_STEPS = 32
"""Steps of the logarithm, each way, that are told apart."""

_ROUNDS = 4
"""How often the damage is compared with itself: more changes nothing."""

_ROWS = 512
"""Rows that are weighed at a time: an index takes eight bytes a pixel."""


def weighed_by_likeness(image: Pixels, found: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Weigh what was found by whether it looks like the sure damage of this photo.

    Args:
        image: uint8 sRGB (H, W, 3).
        found: uint8 (H, W), how likely each pixel is damaged, 255 = certainly.

    Returns:
        The same, a new array; `found` itself where too little is sure.
    """
    height, width = found.shape
    scale = min(1.0, (_PIXELS / found.size) ** 0.5)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    shown, seen = (
        np.asarray(cv2.resize(values, small, interpolation=cv2.INTER_AREA), np.uint8)
        for values in (image, found)
    )
    table = _odds_table()
    steps = _steps(shown, seen, table)
    if steps is None:
        return found
    steps, weighed = np.asarray(cv2.resize(steps, (width, height)), np.uint8), np.empty_like(found)
    for first in range(0, height, _ROWS):
        rows = slice(first, first + _ROWS)
        weighed[rows] = table[steps[rows], found[rows]]
    return weighed


def _steps(
    image: Pixels, found: NDArray[np.uint8], table: NDArray[np.uint8]
) -> NDArray[np.uint8] | None:
    """Return the row of the table of odds for each pixel.

    What was found anew looks like damage too, so that is asked again (expectation maximisation,
    Dempster et al. 1977).

    Returns:
        uint8 (H, W); None where too little damage is sure.
    """
    bins, wide = _bins(image), _wide(found)
    steps, weighed = None, found
    for _ in range(_ROUNDS):
        factors = _factors(bins, weighed)
        if factors is None:
            break
        evidence = np.asarray(cv2.blur(factors[bins], (3, 3)), np.float32)
        # A crack is as thin as its edges are, so its colours are those of what is beside it too.
        evidence[(evidence < 0) & ~wide] = 0
        steps = np.rint(evidence * (_STEPS / _MOST) + _STEPS).astype(np.uint8)
        weighed = table[steps, found]
    return None if steps is None else _with_rims(steps, found, weighed)


def _with_rims(
    steps: NDArray[np.uint8], found: NDArray[np.uint8], weighed: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Let patches that are found anew reach a little farther: the colours of a rim are mixed."""
    anew = ((weighed > 127) & (found <= 127)).astype(np.uint8)
    patches = cv2.morphologyEx(anew, cv2.MORPH_OPEN, np.ones((_WIDE, _WIDE), np.uint8)) > 0
    reach = 2 * _RIM + 1
    near = cv2.dilate(np.where(patches, steps, np.uint8(0)), np.ones((reach, reach), np.uint8))
    return np.maximum(steps, np.asarray(near, np.uint8))


def _factors(bins: NDArray[np.int32], found: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return the logarithm of the factor of the odds in each bin: float32 (bins,).

    Returns:
        None where too little damage is sure, or nothing is intact.
    """
    core = cv2.erode((found >= _SURE).astype(np.uint8), np.ones((_CORE, _CORE), np.uint8)) > 0
    intact = found <= _INTACT
    if core.mean() < _LEAST or not intact.any():
        return None
    damaged, whole = (_histogram(bins[region]) for region in (core, intact))
    factors = np.log((damaged + _RARE) / (whole + _RARE)).clip(-_MOST, _MOST)
    return np.asarray(factors, np.float32)


def _bins(image: Pixels) -> NDArray[np.int32]:
    """Return the bin of each pixel's colour and roughness: int32 (H, W)."""
    lightness, *axes = cv2.split(cv2.cvtColor(cv2.blur(image, (3, 3)), cv2.COLOR_RGB2LAB))
    levels = np.arange(256)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.blur(grey, (5, 5))
    deviation = np.sqrt(np.maximum(cv2.blur(grey * grey, (5, 5)) - mean * mean, 0))
    bins: NDArray[np.int32] = (levels * _BINS // 256).astype(np.int32)[lightness]
    tints = ((levels - 128) // 4 + _BINS // 2).clip(0, _BINS - 1).astype(np.int32)
    for axis in axes:
        bins = bins * _BINS + tints[axis]
    rough = (np.log2(deviation + 1) / 1.5).clip(0, _ROUGH - 1).astype(np.int32)
    return np.asarray(bins * _ROUGH + rough, np.int32)


def _histogram(bins: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the share of the pixels in each bin: float32 (bins,)."""
    shape = (_BINS, _BINS, _BINS, _ROUGH)
    counts = np.bincount(bins, minlength=int(np.prod(shape))).reshape(shape)
    shares = (counts / len(bins)).astype(np.float32)
    return np.asarray(ndimage.gaussian_filter(shares, _SMOOTH), np.float32).ravel()


def _wide(found: NDArray[np.uint8]) -> Hole:
    """Mark what belongs to wide damage, or lies beside it."""
    core = cv2.erode((found >= _MARKED).astype(np.uint8), np.ones((_WIDE, _WIDE), np.uint8))
    reach = 2 * _WIDE - 1
    return np.asarray(cv2.dilate(core, np.ones((reach, reach), np.uint8)), bool)


def _odds_table() -> NDArray[np.uint8]:
    """Return what a probability becomes: uint8 (2 · `_STEPS` + 1, 256), a step in each row."""
    levels = (np.arange(256) / 255).clip(1 / 511, 1 - 1 / 511)  # nothing is certain
    logarithms = np.linspace(-_MOST, _MOST, 2 * _STEPS + 1)[:, None]
    table: NDArray[np.uint8] = np.rint(255 * with_odds(levels, logarithms)).astype(np.uint8)
    return table


def with_odds(
    probability: NDArray[np.float64], logarithm: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return what probabilities become when the odds are multiplied by a factor.

    Args:
        probability: From 0 to 1, any shape.
        logarithm: Natural logarithm of the factor.
    """
    return np.asarray(probability / (probability + (1 - probability) * np.exp(-logarithm)))
