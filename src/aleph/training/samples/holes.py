"""Random holes for training: one per image, of several kinds."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole
from aleph.masks.named import NAMED_MASKS

Draw = Callable[[tuple[int, int], np.random.Generator], Hole]


def _none(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    return np.zeros(shape, bool)


def _rectangle(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Mark a rectangle of 1/5 to 7/10 of each side, anywhere, over the border too."""
    hole = np.zeros(shape, bool)
    size = rng.uniform(0.2, 0.7, 2) * shape
    corner = rng.uniform(-0.1, 1.1, 2) * (np.array(shape) - size)
    (top, left), (bottom, right) = np.rint(corner).astype(int), np.rint(corner + size).astype(int)
    hole[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return hole


def _scattered(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Mark 20 to 90 % of the pixels, each alike."""
    return rng.random(shape) < rng.uniform(0.2, 0.9)


def _blocks(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Mark 10 to 60 % of the cells of an 8×8 grid."""
    cells = rng.random((8, 8)) < rng.uniform(0.1, 0.6)
    return np.kron(cells, np.ones((shape[0] // 8, shape[1] // 8), bool)).astype(bool)


KINDS: dict[str, tuple[float, Draw]] = {
    "none": (0.05, _none),
    "rectangle": (0.20, _rectangle),
    "center": (0.20, NAMED_MASKS["center"]),
    "half": (0.20, NAMED_MASKS["half"]),
    "scattered": (0.10, _scattered),
    "blocks": (0.05, _blocks),
    "pattern": (0.08, NAMED_MASKS["pattern"]),
    "strokes": (0.12, NAMED_MASKS["strokes"]),
}
"""Share and drawing of every kind of hole."""


def draw_holes(count: int, resolution: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw one hole per image: boolean (count, resolution, resolution), True = missing.

    A hole may be empty, so that undamaged images are encoded too, but never full.
    """
    shares = [share for share, _ in KINDS.values()]
    draws = [draw for _, draw in KINDS.values()]
    shape = (resolution, resolution)
    holes = [draws[kind](shape, rng) for kind in rng.choice(len(draws), count, p=shares)]
    return np.stack([np.zeros(shape, bool) if hole.all() else hole for hole in holes])


def draw_small_hole(side: int, rng: np.random.Generator) -> Hole:
    """Draw a hole of which every pixel is near a known one: boolean (side, side), never empty.

    It consists of winding strokes of 1 to 14 pixels, of discs, or of single pixels.
    """
    kind = rng.random()
    if kind < 0.08:
        return np.asarray(rng.random((side, side)) < rng.uniform(0.1, 0.6))
    canvas = np.zeros((side, side), np.uint8)
    if kind < 0.3:
        for _ in range(int(rng.integers(1, 8))):
            x, y = rng.integers(0, side, 2).tolist()
            cv2.circle(canvas, (x, y), int(rng.integers(1, 15)), 1, -1)
        return canvas.astype(bool)
    for _ in range(int(rng.integers(1, 7))):
        points = [rng.uniform(0, side, 2)]
        turn, thickness = rng.uniform(0, 2 * np.pi), int(rng.integers(1, 15))
        for _ in range(int(rng.integers(2, 9))):
            turn += rng.normal(0, 0.6)
            step = side * rng.uniform(0.06, 0.2) * np.array([np.cos(turn), np.sin(turn)])
            points.append(points[-1] + step)
        cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, 1, thickness)
    if not canvas.any():
        canvas[side // 2, side // 2] = 1
    return canvas.astype(bool)
