"""Whether the pixels beside a hole still belong to the damage: the mask is then too narrow.

What lies beside a hole counts most in the search and in the blending. Beside a mask that is a pixel
too narrow there is damage, which differs from what lies a little farther away by more than that
differs from what lies farther away still. Beside a hole that covers the damage, or that lies
anywhere in an intact photo, one difference is like the other (docs/damage.md).
"""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np

from aleph.arrays import Doubles, Floats, Hole, Pixels
from aleph.damage.tiles import LARGE

_STEP = 3.0
"""Pixels from the rim to the next place that is looked at, and from there to the last; more in
large photos, as what `auto` finds is widened by more there."""

_SUSPICIOUS, _LEVELS = 1.6, 5.0
"""The first difference over the second, and the first minus the second in levels, from which on
both together say that there is damage."""

_NOTHING = 2.0
"""Levels added to the second difference: in a plain part of a photo it is next to nothing."""

_ENOUGH, _PLENTY = 100, 50_000
"""Pixels of rim below which nothing is said, and from which on no more are looked at."""

_TILE, _MARGIN = 1024, 10


def rim_scale(size: tuple[int, ...]) -> float:
    """Return how many times as wide the rim of damage is in a photo of this height and width.

    Scanned at more pixels the same rim is wider: beyond 1.1 megapixels it grows with the sides.
    """
    return max(1.0, math.sqrt(math.prod(size) / LARGE))


def shows_damage(pixels: Pixels, hole: Hole) -> bool:
    """Return whether the rim of a hole looks like damage that the mask has missed.

    Args:
        pixels: uint8 (H, W, 3).
        hole: Boolean (H, W), True = missing.
    """
    total, count, step = np.zeros(2), 0, _STEP * rim_scale(hole.shape)
    rows, columns = (np.flatnonzero(hole.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return False
    for top in range(rows[0], rows[-1] + 1, _TILE):
        for left in range(columns[0], columns[-1] + 1, _TILE):
            sums, looked_at = _differences(pixels, hole, top, left, step)
            total, count = total + sums, count + looked_at
        if count > _PLENTY:
            break
    if count < _ENOUGH:
        return False
    near, far = total / count
    return bool(near > _SUSPICIOUS * (far + _NOTHING) and near - far > _LEVELS)


def _differences(
    pixels: Pixels, hole: Hole, top: int, left: int, step: float
) -> tuple[Doubles, int]:
    """Sum the differences across the rim in one tile, from one place to the next, `step` pixels on.

    Returns:
        Sums, in levels, of the differences from the rim to the next place and from there to the
        last, and the number of places at the rim.
    """
    margin = _MARGIN + math.ceil(2 * step)
    above, before = max(0, top - margin), max(0, left - margin)
    part = (slice(above, top + _TILE + margin), slice(before, left + _TILE + margin))
    known = (~hole[part]).astype(np.uint8)
    if known.all():
        return np.zeros(2), 0
    away = np.asarray(cv2.distanceTransform(known, cv2.DIST_L2, 5), np.float32)
    smooth = cv2.GaussianBlur(away, (0, 0), 1.0)
    inside = np.zeros(away.shape, bool)
    inside[top - above : top - above + _TILE, left - before : left - before + _TILE] = True
    y, x = np.nonzero((away > 0) & (away <= 1.5) & inside)
    outwards = np.stack(
        [cv2.Sobel(smooth, cv2.CV_32F, *order)[y, x] for order in ((1, 0), (0, 1))], axis=1
    )
    outwards = outwards / np.maximum(np.hypot(*outwards.T), 1e-6)[:, None]
    colours: list[Floats] = []
    there = np.ones(len(y), bool)
    picture = pixels[part].astype(np.float32)
    for steps in range(3):
        place = np.stack([x, y], axis=1) + np.float32(steps * step) * outwards
        across, down = place.astype(np.float32).T[:, None]
        there &= (_at(away, across, down) > 0.7 * steps * step) & _within(place, away.shape)
        colours.append(_at(picture, across, down))
    both = [np.abs(a - b)[there].mean(axis=1).sum() for a, b in itertools.pairwise(colours)]
    return np.array(both, np.float64), int(there.sum())


def _at(values: Floats, across: Floats, down: Floats) -> Floats:
    """Read values between pixels: float32 (n,) or (n, C)."""
    if across.size == 0:
        return np.zeros((0, *values.shape[2:]), np.float32)
    # In rows of a bounded length: OpenCV's largest side is 32767.
    parts = [
        cv2.remap(
            values,
            across[:, first : first + 30_000],
            down[:, first : first + 30_000],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )[0]
        for first in range(0, across.shape[1], 30_000)
    ]
    return np.concatenate(parts)


def _within(place: Floats, shape: tuple[int, ...]) -> Hole:
    height, width = shape[:2]
    x, y = place.T
    return np.asarray((x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1))
