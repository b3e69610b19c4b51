"""Random holes for training: one per image, of several kinds."""

from __future__ import annotations

from collections.abc import Callable

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
