"""Extending: a photo on a wider canvas, what is new being missing (outpainting)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from aleph.arrays import Hole
from aleph.errors import InputError, shown
from aleph.photo.colour import BANDS
from aleph.photo.photo import Photo

ExtendLike = str | Mapping[str, "str | float"]
"""`left=200,top=10%`, or the same as a mapping: pixels, or a share of the photo's side with %."""

SIDES = ("left", "top", "right", "bottom")

_MOST = 1.0
"""How far a photo may be extended at each side, in its own sides."""


@dataclass(frozen=True)
class Extension:
    """By how many pixels a photo is extended at each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def size(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of the wider canvas of a photo of a shape."""
        return shape[0] + self.top + self.bottom, shape[1] + self.left + self.right

    def photo(self, photo: Photo) -> Photo:
        """Return the photo on the wider canvas, opaque in its new part."""
        height, width, channels = photo.samples.shape
        samples = np.zeros((*self.size(photo.shape), channels), photo.samples.dtype)
        samples[:, :, BANDS[photo.space] :] = np.iinfo(samples.dtype).max
        samples[self.top : self.top + height, self.left : self.left + width] = photo.samples
        return replace(photo, samples=samples, missing=None, origin=(self.left, self.top))

    def hole(self, hole: Hole) -> Hole:
        """Return the hole on the wider canvas, with its new part."""
        height, width = hole.shape
        wide = np.ones(self.size((height, width)), bool)
        wide[self.top : self.top + height, self.left : self.left + width] = hole
        return wide


def read_extension(extend: ExtendLike, shape: tuple[int, int]) -> Extension:
    """Read how far a photo of a shape (H, W) is to be extended.

    Raises:
        InputError: if it cannot be understood, is nothing, or more than the photo's own side.
    """
    amounts: dict[str, int] = {}
    for side, amount in _pairs(extend):
        if side not in SIDES or side in amounts:
            raise InputError(
                f"a photo is extended at left, top, right or bottom, once each, as left=200,top=10%"
                f": {shown(side)} is not one of them"
            )
        length = shape[1] if side in ("left", "right") else shape[0]
        amounts[side] = _pixels(amount, side, length)
    if not any(amounts.values()):
        raise InputError("an extension says how far, as left=200,top=10%")
    return Extension(**amounts)


def _pairs(extend: ExtendLike) -> list[tuple[str, str | float]]:
    if isinstance(extend, Mapping):
        return [(str(side), amount) for side, amount in extend.items()]
    words = [word.partition("=") for word in str(extend).split(",") if word.strip()]
    return [(side.strip().lower(), amount.strip()) for side, _, amount in words]


def _pixels(amount: str | float, side: str, length: int) -> int:
    """Return pixels, of a number of them or a share of a length."""
    word = str(amount).strip()
    try:
        number = float(word.removesuffix("%"))
    except ValueError:
        number = float("nan")
    pixels = number * length / 100 if word.endswith("%") else number
    if not (math.isfinite(pixels) and 0 <= pixels <= _MOST * length):
        raise InputError(
            f"{side}={shown(amount)} is not from 0 to the photo's own {length} pixels or 100%"
        )
    return math.ceil(pixels - 1e-6)
