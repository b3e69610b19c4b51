"""Grain: the fine noise that an enlarged frame lacks, measured beside the hole and added to it.

The detail that enlarging by a factor cannot restore is y − up(down(y)). It is measured in blocks of
known pixels, of which the smoothest are used: they show grain alone, the others also edges and
texture of the scene. Blocks far smoother than the hole's rim say nothing of it: a portrait may have
been cut out, its ground painted in one tone. Where little is known even the smoothest may show
edges; these are few strong values among many weak ones, where those of grain are spread about
normally. New grain is spot noise with random phases (Galerne et al. 2011, Random Phase Textures,
doi:10.1109/TIP.2010.2052822, section III): white noise convolved with a block has the block's
spectrum and the covariance of its colours.
"""

from __future__ import annotations

import cv2
import numpy as np

from aleph.arrays import Floats, Hole, Pixels

MOST_SCALE = 8.0
"""Size in pixels of the coarsest detail that counts as grain."""

_BLOCK = 32
"""Side of a block in pixels."""

_LOOKED_AT = 400
"""Largest number of blocks that are measured."""

_SMOOTHEST = 0.25
"""Share of the blocks that count as smooth."""

_RIM_BLOCK, _RIM = 8, 16
"""Side of the blocks that are measured beside the hole, and their distance from it, at most."""

_FLATTER = 0.25
"""Typical detail of a block, over that beside the hole, below which it is not used."""

_SPOTS = 6
"""Largest number of blocks that the grain is made of."""

_HEAVIEST_TAILS = 5.0
"""Largest kurtosis of grain: film grain and the noise of sensors and of JPEG files have 3 to 4.5,
hair, cloth and edges 5.5 and more."""

_LEAST = 0.4
"""Standard deviation in grey levels below which it is no grain but rounding (which has 0.29)."""

_CLIPPED = (4.0, 251.0)
"""Blocks whose mean lies outside are clipped to black or white, so they show no grain."""


def measure_grain(pixels: Pixels, hole: Hole, scale: float) -> list[Floats]:
    """Measure the grain that an enlargement by `scale` lacks.

    Args:
        pixels: The surroundings of a hole, uint8 (H, W, 3).
        hole: Boolean (H, W).
        scale: Pixels across one pixel of the frame that is enlarged.

    Returns:
        Blocks of grain ("spots"), float32 (32, 32, 3) each, in grey levels, of mean 0; none if
        there is no grain, or no known part is large enough to measure it.
    """
    scale = min(scale, MOST_SCALE)
    if scale <= 1.0:
        return []
    height, width = hole.shape
    step = max(_BLOCK // 2, int(np.sqrt(height * width / (4 * _LOOKED_AT))))
    blocks = _blocks(pixels, hole, scale, _BLOCK, step)
    least = _FLATTER * _beside(pixels, hole, scale) if blocks else 0.0
    usable = [spot for spot in blocks if _typical(spot) >= least]
    usable.sort(key=lambda spot: float(np.square(spot).mean()))
    smooth = usable[: max(1, round(_SMOOTHEST * len(usable)))] if usable else []
    # The smoothest of all may be out of focus or saturated in one colour: take those in the middle.
    middle = [spot for spot in smooth[len(smooth) // 4 :] if _kurtosis(spot) <= _HEAVIEST_TAILS]
    spots = middle[:: max(1, len(middle) // _SPOTS)][:_SPOTS]
    return spots if spots and _deviation(spots) >= _LEAST else []


def without_grain(pixels: Pixels, spots: list[Floats]) -> Pixels:
    """Remove the grain by a bilateral filter, which keeps edges (Tomasi and Manduchi 1998).

    A blend continues the known pixels into the hole: single grains would become blots there.

    Args:
        pixels: uint8 (H, W, 3), wholly known.
        spots: The grain as `measure_grain` returned it.
    """
    strength = 4.0 * _deviation(spots)
    return cv2.bilateralFilter(pixels, 9, strength, 3.0).astype(np.uint8)


def make_grain(spots: list[Floats], shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Draw grain of the measured spectrum and covariance, float32 (H, W, 3) in grey levels."""
    grain = np.zeros((*shape, 3), np.float32)
    for spot in spots:
        white = rng.standard_normal(shape, np.float32)
        weight = spot / np.float32(_BLOCK * np.sqrt(len(spots)))
        for colour in range(3):
            grain[:, :, colour] += cv2.filter2D(
                white, cv2.CV_32F, weight[:, :, colour], borderType=cv2.BORDER_REFLECT
            )
    return grain


def grain_share(hole: Hole, scale: float) -> Floats:
    """Return how much of the grain a pixel gets, float32 (H, W): 0 beside known pixels, 1 far away.

    It rises over about a quarter of the width of a frame's pixel, at least over one pixel.
    """
    distance = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    reach = max(1.0, min(scale, MOST_SCALE) / 4)
    return np.asarray(1.0 - np.exp(-np.square(distance / reach)), np.float32)


def _blocks(pixels: Pixels, hole: Hole, scale: float, side: int, step: int) -> list[Floats]:
    """Return the lost detail of blocks without missing or clipped pixels, `step` pixels apart."""
    border = int(np.ceil(2 * scale))
    whole = side + 2 * border
    lost = [
        _lost(pixels[y : y + whole, x : x + whole], scale, border)
        for y, x in _places(hole, whole, step)
    ]
    return [spot for mean, spot in lost if _CLIPPED[0] < mean < _CLIPPED[1]]


def _places(hole: Hole, side: int, step: int) -> list[tuple[int, int]]:
    """Return the corners (row, column) of squares without missing pixels, evenly spread."""
    height, width = hole.shape
    if min(height, width) < side:
        return []
    missing = cv2.integral(hole.astype(np.uint8))
    rows, columns = np.arange(0, height - side + 1, step), np.arange(0, width - side + 1, step)
    top, left = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    inside = (
        missing[top + side, left + side]
        - missing[top, left + side]
        - missing[top + side, left]
        + missing[top, left]
    )
    known = np.flatnonzero(inside == 0)
    chosen = known[:: max(1, -(-len(known) // _LOOKED_AT))]
    return [(int(top[i]), int(left[i])) for i in chosen]


def _beside(pixels: Pixels, hole: Hole, scale: float) -> float:
    """Return the typical lost detail of small blocks beside the hole; 0 where there are none."""
    reach = 2 * (_RIM + _RIM_BLOCK + int(np.ceil(2 * scale))) + 1
    near = cv2.dilate(hole.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    blocks = _blocks(pixels, hole | ~near, scale, _RIM_BLOCK, _RIM_BLOCK // 2)
    return float(np.median([_typical(spot) for spot in blocks])) if blocks else 0.0


def _lost(patch: Pixels, scale: float, border: int) -> tuple[float, Floats]:
    """Return the mean of a patch, and the detail in its middle that enlarging cannot restore."""
    values = patch.astype(np.float32)
    side = len(values)
    small = max(1, round(side / scale))
    shrunk = cv2.resize(values, (small, small), interpolation=cv2.INTER_AREA)
    rough = values - cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_CUBIC)
    spot = rough[border:-border, border:-border]
    spot = spot - spot.mean(axis=(0, 1))
    return float(values.mean()), spot.astype(np.float32)


def _typical(spot: Floats) -> float:
    """Return the median of the detail's sizes: an edge in a flat block does not change it."""
    return float(np.median(np.abs(spot)))


def _kurtosis(spot: Floats) -> float:
    """Return the fourth moment over the squared second: 3 if normally distributed, 0 of nothing."""
    square = np.square(spot.astype(np.float64))
    return float(np.square(square).mean() / max(float(square.mean()) ** 2, 1e-12))


def _deviation(spots: list[Floats]) -> float:
    return float(np.sqrt(np.mean([np.square(spot).mean() for spot in spots])))
