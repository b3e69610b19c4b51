"""Generated masks, known by their names: the same on every machine."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole
from aleph.config import check_whole
from aleph.errors import InputError, unknown_name


def _center(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Mark the central half of width and height (32×32 of 64×64)."""
    height, width = shape
    hole = np.zeros(shape, bool)
    top, left = height // 4, width // 4
    hole[top : top + max(height // 2, 1), left : left + max(width // 2, 1)] = True
    return hole


def _half(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Mark the left, right, upper or lower half."""
    height, width = shape
    hole = np.zeros(shape, bool)
    side = int(rng.integers(4))
    if side < 2:
        hole[:, : width // 2] = True
        return hole if side == 0 else hole[:, ::-1].copy()
    hole[: height // 2] = True
    return hole if side == 2 else hole[::-1].copy()


def _random(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Mark 80 % of the pixels, drawn independently of their place."""
    return _darkest(rng.random(shape), 0.80)


def _pattern(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Mark 25 % of the pixels, in blobs of arbitrary shape: a smooth random field, thresholded."""
    scale = max(shape) / 16
    field = np.asarray(cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), scale), np.float64)
    return _darkest(field, 0.25)


def _darkest(field: NDArray[np.float64], share: float) -> Hole:
    """Mark the given share of the pixels, those with the lowest values."""
    count = round(share * field.size)
    hole = np.zeros(field.size, bool)
    hole[np.argpartition(field.ravel(), max(count - 1, 0))[:count]] = True
    return hole.reshape(field.shape)


def _strokes(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Mark 3 to 6 winding brush strokes, 3 to 9 % of the side wide."""
    height, width = shape
    side = max(shape)
    canvas = np.zeros(shape, np.uint8)
    for _ in range(int(rng.integers(3, 7))):
        point = rng.random(2) * (width, height)
        angle = rng.random() * 2 * np.pi
        thickness = max(1, round(side * (0.03 + 0.06 * rng.random())))
        for _ in range(int(rng.integers(3, 9))):
            angle += rng.normal(0, 0.6)
            step = side * (0.06 + 0.12 * rng.random())
            end = point + step * np.array([np.cos(angle), np.sin(angle)])
            begin_xy, end_xy = tuple(map(round, point)), tuple(map(round, end))
            cv2.line(canvas, begin_xy, end_xy, 1, thickness)
            point = end
    return canvas.astype(bool)


NAMED_MASKS: dict[str, Callable[[tuple[int, int], np.random.Generator], Hole]] = {
    "center": _center,
    "half": _half,
    "random": _random,
    "pattern": _pattern,
    "strokes": _strokes,
}
"""The masks of Yeh et al. 2017, section 4 (center, half, random 80 %, pattern 25 %), and brush
strokes."""


def named_hole(name: str, shape: tuple[int, int], seed: int = 0) -> Hole:
    """Generate a named mask; the same name, shape and seed give the same hole on every machine.

    Raises:
        InputError: if the name is unknown, or the seed is negative.
    """
    if name not in NAMED_MASKS:
        raise InputError(unknown_name("mask", name, NAMED_MASKS))
    check_whole("seed", seed, 0, 2**63 - 1)
    rng = np.random.default_rng([seed, *name.encode()])
    hole = NAMED_MASKS[name](shape, rng)
    while not hole.any() or hole.all():  # strokes can miss a small picture
        if min(shape) < 4:
            raise InputError(f"a {shape[1]}×{shape[0]} image is too small for the mask '{name}'")
        hole = NAMED_MASKS[name](shape, rng)
    return hole
