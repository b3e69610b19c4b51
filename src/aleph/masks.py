"""Masks: what users give (nonzero = missing) → the hole (boolean, True = missing).

This is the only module that thresholds, and the home of the named masks of the protocol.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.errors import InputError, unknown_name
from aleph.images import open_picture, upright

Hole = NDArray[np.bool_]
"""Boolean array (H, W), True = missing."""

MaskLike = NDArray[Any] | Image.Image | str | os.PathLike[str]
"""What users may give as a mask: boolean or uint8 array (H, W), PIL image, path, or a name."""

FILE_THRESHOLD = 128
"""Grey values of a picture used as a mask from here up are missing: feathered and JPEG-compressed
edges are cut half-way."""


def read_hole(mask: MaskLike, shape: tuple[int, int], seed: int = 0) -> Hole:
    """Return any mask that users may give as a new hole of `shape` (H, W).

    Arrays are missing where nonzero; pictures where their grey value is 128 or more; a name of
    `NAMED_MASKS` is generated for the shape.

    Raises:
        InputError: if it cannot be read, has another size, or has no missing or no known pixel.
    """
    if isinstance(mask, str) and mask in NAMED_MASKS:
        hole = named_hole(mask, shape, seed)
    elif isinstance(mask, str | os.PathLike):
        hole = _picture_hole(_open_mask(mask))
    elif isinstance(mask, Image.Image):
        hole = _picture_hole(mask)
    else:
        hole = _array_hole(np.asarray(mask))
    if hole.shape != shape:
        raise InputError(
            f"the mask is {hole.shape[1]}×{hole.shape[0]} pixels but the image "
            f"{shape[1]}×{shape[0]}; they must have the same size"
        )
    check_hole(hole)
    return hole


def _open_mask(mask: str | os.PathLike[str]) -> Image.Image:
    """Open a mask's file; a bare word that is no file was probably meant as a name."""
    looks_like_name = isinstance(mask, str) and mask.replace("-", "").isalnum()
    if looks_like_name and not os.path.exists(mask):  # noqa: PTH110 - any PathLike
        raise InputError(unknown_name("mask", str(mask), NAMED_MASKS) + ", and no such file")
    return open_picture(mask, "mask")


def check_hole(hole: Hole) -> None:
    """Refuse a hole that leaves nothing to do or nothing to go by.

    Raises:
        InputError: if no pixel is missing, or none is known.
    """
    if not hole.any():
        raise InputError("the mask marks no pixel as missing: there is nothing to fill")
    if hole.all():
        raise InputError("the mask marks every pixel as missing: there is nothing to go by")


def _picture_hole(picture: Image.Image) -> Hole:
    try:
        picture.load()
    except OSError as error:
        raise InputError(f"the mask is damaged and cannot be decoded: {error}") from None
    picture = upright(picture)
    grey = picture.convert("LA") if "A" in picture.getbands() else picture.convert("L")
    return np.asarray(grey.getchannel(0)) >= FILE_THRESHOLD


def _array_hole(mask: NDArray[Any]) -> Hole:
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[:, :, 0]
    if mask.ndim != 2:
        raise InputError(f"the mask must have shape (height, width), not {mask.shape}")
    if np.issubdtype(mask.dtype, np.floating):
        if not np.isfinite(mask).all():
            raise InputError("the mask holds NaN or infinite values; nonzero means missing")
        raise InputError("the mask must be a boolean or uint8 array, nonzero = missing")
    return np.array(mask != 0)


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
    """Mark 80 % of the pixels, each drawn alike."""
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
"""The masks of the protocol (Yeh et al. 2017, section 4: center, half, random 80 %, pattern 25 %)
and brush strokes."""


def named_hole(name: str, shape: tuple[int, int], seed: int = 0) -> Hole:
    """Generate a named mask; the same name, shape and seed give the same hole on every machine.

    Raises:
        InputError: if the name is unknown.
    """
    if name not in NAMED_MASKS:
        raise InputError(unknown_name("mask", name, NAMED_MASKS))
    rng = np.random.default_rng([seed, *name.encode()])
    hole = NAMED_MASKS[name](shape, rng)
    while not hole.any() or hole.all():  # strokes can leave a small picture
        if min(shape) < 4:
            raise InputError(f"a {shape[1]}×{shape[0]} image is too small for the mask '{name}'")
        hole = NAMED_MASKS[name](shape, rng)
    return hole
