"""Lines of all kinds as soft masks: random walks, trees of cracks, folds, curves, cells.

A mask is float32 (side, side) in [0, 1], the share of each pixel that the line covers. Points are
float64 (n, 2), x then y, in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.float32]
Points = NDArray[np.float64]

_SHIFT = 4
"""Binary digits of OpenCV's fixed-point coordinates."""


def clouds(side: int, cells: int, rng: np.random.Generator, fall: float = 0.6) -> Mask:
    """Sum smooth noise over octaves: mean 0, deviation 1, float32 (side, side).

    Args:
        side: Side in pixels.
        cells: Cells of the coarsest octave along a side.
        rng: Source of the randomness.
        fall: Amplitude of an octave over that of the one before it.
    """
    total = np.zeros((side, side), np.float32)
    weight, count = 1.0, max(2, cells)
    while count <= side:
        grid = rng.standard_normal((count, count), np.float32)
        total += weight * np.asarray(cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC))
        weight, count = weight * fall, count * 2
        if weight < 0.03:
            break
    return np.asarray((total - total.mean()) / max(float(total.std()), 1e-6), np.float32)


def draw(mask: Mask, points: Points, width: float, value: float = 1.0) -> None:
    """Draw a smooth-edged line into a mask, in place.

    Args:
        mask: What to draw into; the greater value stays.
        points: The line's corners.
        width: Its width in pixels; below one it is fainter instead.
        value: How much of a pixel the line covers.
    """
    if len(points) < 2:
        return
    canvas = np.zeros(mask.shape, np.uint8)
    thickness = max(1, round(width))
    strength = 255 * value * min(1.0, width)
    corners = np.clip(np.rint(points * 2**_SHIFT), -(2**24), 2**24).astype(np.int32)
    cv2.polylines(canvas, [corners], False, strength, thickness, cv2.LINE_AA, _SHIFT)
    np.maximum(mask, canvas * np.float32(1 / 255), out=mask)


def walk(
    start: tuple[float, float],
    turn: float,
    length: float,
    wobble: float,
    rng: np.random.Generator,
    step: float = 3.0,
) -> Points:
    """Return a random walk whose direction drifts.

    Args:
        start: Where it begins.
        turn: Its first direction in radians.
        length: Its length in pixels.
        wobble: Deviation of the change of direction a step, in radians.
        rng: Source of the randomness.
        step: Pixels per step.
    """
    count = max(2, int(length / step))
    turns = turn + np.cumsum(rng.normal(0, 0.35 * wobble, count))
    turns += rng.normal(0, 1.2 * wobble, count)  # corners besides the drift
    moves = step * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return np.asarray(np.concatenate([[start], start + np.cumsum(moves, axis=0)]))


def draw_tapered(mask: Mask, points: Points, width: float, end: float, value: float = 1.0) -> None:
    """Draw a line whose width goes from `width` to `end`, in up to five parts."""
    parts = int(np.clip(len(points) // 4, 1, 5))
    cuts = np.linspace(0, len(points) - 1, parts + 1).astype(int)
    for i in range(parts):
        share = (i + 0.5) / parts
        draw(mask, points[cuts[i] : cuts[i + 1] + 1], width + share * (end - width), value)


def tree(
    mask: Mask,
    start: tuple[float, float],
    turn: float,
    length: float,
    width: float,
    rng: np.random.Generator,
    wobble: float = 0.25,
    depth: int = 3,
) -> None:
    """Draw a line that branches like a crack: each branch thinner and shorter, in place."""
    points = walk(start, turn, length, wobble, rng)
    draw_tapered(mask, points, width, width * rng.uniform(0.2, 0.8))
    if depth == 0 or length < 8:
        return
    for _ in range(int(rng.poisson(0.6 + 0.02 * length)) if depth else 0):
        place = int(rng.integers(1, len(points)))
        heading = points[place] - points[place - 1]
        side = rng.choice([-1, 1]) * rng.uniform(0.3, 1.4)
        away = float(np.arctan2(heading[1], heading[0]) + side)
        x, y = points[place]
        shorter = length * rng.uniform(0.15, 0.6)
        thinner = max(0.5, width * rng.uniform(0.4, 0.9))
        tree(mask, (float(x), float(y)), away, shorter, thinner, rng, wobble, depth - 1)


def bent(
    start: Points, end: Points, bend: float, wobble: float, rng: np.random.Generator
) -> Points:
    """Return a nearly straight line between two points, bent and shaky.

    Args:
        start: First point (2,).
        end: Last point (2,).
        bend: Deviation of its middle from a straight line, in pixels.
        wobble: Deviation of the shaking, in pixels.
        rng: Source of the randomness.
    """
    length = float(np.hypot(*(end - start)))
    count = max(3, int(length / 4))
    share = np.linspace(0, 1, count)
    normal = np.array([start[1] - end[1], end[0] - start[0]]) / max(length, 1e-6)
    shaking = np.cumsum(rng.normal(0, 1, count))
    shaking -= share * shaking[-1]
    away = bend * 4 * share * (1 - share) + wobble * shaking / max(1.0, float(np.std(shaking)))
    return np.asarray(start + share[:, None] * (end - start) + away[:, None] * normal)


def across(side: int, rng: np.random.Generator) -> tuple[Points, Points]:
    """Return two points beyond opposite edges: a line between them crosses the picture."""
    place = rng.uniform(0.05, 0.95, 2) * side
    turn = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.1)
    if rng.random() < 0.4:
        turn = rng.uniform(0, np.pi)
    away = 1.5 * side * np.array([np.cos(turn), np.sin(turn)])
    return place - away, place + away


def curve(side: int, size: float, knots: int, rng: np.random.Generator) -> Points:
    """Return a smooth curve through random points within `size` pixels of a random place."""
    middle = rng.uniform(0, side, 2)
    points = middle + rng.normal(0, size / 2, (max(knots, 4), 2))
    share = np.linspace(0, 1, 12)[:, None]
    # Catmull-Rom splines pass through their points (Catmull and Rom 1974).
    parts = []
    for a, b, c, d in zip(points, points[1:], points[2:], points[3:], strict=False):
        cubic = -a + 3 * b - 3 * c + d
        square = 2 * a - 5 * b + 4 * c - d
        parts.append(0.5 * (2 * b + (c - a) * share + square * share**2 + cubic * share**3))
    return np.concatenate(parts)


def cells(side: int, count: int, width: float, rng: np.random.Generator) -> Mask:
    """Return the borders of random cells: the net of fine cracks of an old emulsion.

    Args:
        side: Side in pixels.
        count: Cells.
        width: Width of the borders in pixels.
        rng: Source of the randomness.
    """
    small = side // 2
    place = np.arange(small, dtype=np.float32)
    shake = rng.uniform(0, 0.35) * small / np.sqrt(count)
    columns = place + shake * clouds(small, 8, rng)
    rows = place[:, None] + shake * clouds(small, 8, rng)
    points = rng.uniform(0, small, (count, 2)).astype(np.float32)
    nearest = np.full((small, small), 1e9, np.float32)
    second = nearest.copy()
    for x, y in points:
        away = (columns - x) ** 2 + (rows - y) ** 2
        np.minimum(second, np.maximum(nearest, away), out=second)
        np.minimum(nearest, away, out=nearest)
    gap = np.asarray(cv2.resize(np.sqrt(second) - np.sqrt(nearest), (side, side)))
    return np.asarray(np.clip((width - 2 * gap) / 1.5 + 0.5, 0, 1), np.float32)
