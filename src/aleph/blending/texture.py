"""Texture: what lies around a hole, continued into it by patches of itself.

PatchMatch (Barnes et al. 2009, doi:10.1145/1531326.1531330) by the library PyPatchMatch: every
patch of the hole is made like some patch of the surroundings, coarse sizes first, so that edges
and patterns go on. It cannot be told where to start, so a hole that is too large for it is filled
at a reduced size, and `DetailSource` brings the finer detail of the surroundings back.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from aleph.arrays import Floats, Hole, Pixels

VARIANTS = 8
"""Different fills that there are of a hole: PatchMatch sees the picture turned or mirrored."""

_SEED = 0
"""Of the library, which has one for the whole process: it is never another, so that threads do not
disturb each other."""

_BLOCK = 8
"""Side in pixels of the blocks whose detail comes from one place; they overlap by half."""

_PLACES = 1 << 14
"""Places of the surroundings that detail is taken from, at most."""

_NUMBERS = 12
"""Principal components by which blocks are compared."""


_LEAST = 64
"""Side in pixels up to which a picture is mirrored: of smaller ones the library shrinks what is
known away, and leaves their holes as they were."""


def texture_available() -> bool:
    """Return whether PatchMatch can be used: whether its library is there for this machine."""
    try:
        import patchmatch
    except ImportError:
        return False
    return bool(patchmatch.patchmatch_available)


def continue_texture(
    pixels: Pixels, hole: Hole, barred: Hole, radius: int = 3, variant: int = 0
) -> Pixels:
    """Fill a hole by PatchMatch.

    Args:
        pixels: uint8 (H, W, 3); its values in the hole and where it is barred are not looked at.
        hole: Boolean (H, W), True = to be filled.
        barred: Boolean (H, W), True = neither filled nor continued from nor copied.
        radius: Of the compared patches: they are 2 radius + 1 pixels wide.
        variant: Which of the fills, modulo `VARIANTS`; each is the same whenever it is made.

    Returns:
        New uint8 (H, W, 3), equal to `pixels` outside the hole; where nothing can be copied, in
        the hole too.
    """
    import patchmatch

    hole = hole & ~barred
    if not hole.any() or not _has_source(hole | barred, radius):
        return np.array(pixels)
    patchmatch.set_random_seed(_SEED)
    height, width = hole.shape
    around = [(0, max(0, _LEAST - length)) for length in hole.shape]
    large, missing, unusable = (
        _turned(np.pad(values, [*around, *[(0, 0)] * (values.ndim - 2)], "symmetric"), variant)
        for values in (pixels, hole, barred)
    )
    filled = patchmatch.inpaint(
        large,
        missing,
        global_mask=unusable if unusable.any() else None,
        patch_size=radius,
    )
    continued = _turned_back(filled, variant)[:height, :width]
    return np.where(hole[:, :, None], continued, pixels)


def _has_source(unusable: Hole, radius: int) -> bool:
    """Return whether a whole patch can be copied from anywhere."""
    side = 2 * radius + 1
    if min(unusable.shape) < side:
        return False
    reach = cv2.dilate(unusable.astype(np.uint8), np.ones((side, side), np.uint8))
    return not bool(reach[radius : -radius or None, radius : -radius or None].all())


def _turned(values: NDArray[Any], variant: int) -> NDArray[Any]:
    """Turn by quarters and mirror (H, W, …)."""
    turned = np.rot90(values, variant % 4)
    return np.ascontiguousarray(turned[:, ::-1] if variant % 8 >= 4 else turned)


def _turned_back(values: NDArray[Any], variant: int) -> NDArray[Any]:
    values = values[:, ::-1] if variant % 8 >= 4 else values
    return np.ascontiguousarray(np.rot90(values, -(variant % 4)))


class DetailSource:
    """Fine detail of the surroundings, given to an enlarged fill that looks like them.

    Each block of the hole takes the detail of that block of the surroundings which is most like
    it without its detail (the contextual residuals of Yi et al. 2020, arXiv 2005.09704, found by
    likeness in place of attention); half-overlapping blocks are faded into each other.

    Args:
        low: float32 (h, w, 3), the surroundings without their detail.
        detail: float32 (h, w, 3), what they have beside.
        usable: Boolean (h, w), where detail may be taken from.
        rng: Chooses the blocks that are looked at.
    """

    def __init__(self, low: Floats, detail: Floats, usable: Hole, rng: np.random.Generator) -> None:
        self.detail, self.places = detail, _places(~usable, 2 * _BLOCK, rng)
        if len(self.places):
            known = _blocks(low, self.places)
            self.mean = known.mean(axis=0)
            _, vectors = np.linalg.eigh(np.cov(known - self.mean, rowvar=False, bias=True))
            self.axes = vectors[:, -_NUMBERS:]
            self.tree = cKDTree((known - self.mean) @ self.axes)

    def __call__(self, guess: Floats, hole: Hole) -> Floats:
        """Return the detail that suits a fill.

        Args:
            guess: float32 (H, W, 3), the picture without its detail.
            hole: Boolean (H, W), where detail is lacking.

        Returns:
            float32 (H, W, 3), 0 outside the hole, and everywhere if no block can be used.
        """
        side = 2 * _BLOCK
        border = ((side, side), (side, side))
        padded = np.pad(hole, border)
        found = np.zeros((*padded.shape, 3), np.float32)
        if len(self.places) and hole.any():
            targets = _touched(padded)
            looks = _blocks(np.pad(guess, (*border, (0, 0)), "edge"), targets)
            _, index = self.tree.query((looks - self.mean) @ self.axes, eps=0.5)
            ramp = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
            window = np.outer(ramp, ramp).astype(np.float32)[:, :, None]
            for (y, x), (v, u) in zip(targets.tolist(), self.places[index].tolist(), strict=True):
                found[y : y + side, x : x + side] += (
                    window * self.detail[v : v + side, u : u + side]
                )
        return np.asarray(found[side:-side, side:-side] * hole[:, :, None], np.float32)


def _places(unusable: Hole, side: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose corners (n, 2) of squares that are wholly usable."""
    if min(unusable.shape) < side:
        return np.zeros((0, 2), np.intp)
    missing = cv2.integral(unusable.astype(np.uint8))
    inside = (
        missing[side:, side:]
        - missing[:-side, side:]
        - missing[side:, :-side]
        + missing[:-side, :-side]
    )
    places = np.argwhere(inside == 0)
    if len(places) > _PLACES:
        places = places[np.sort(rng.choice(len(places), _PLACES, replace=False))]
    return np.asarray(places, np.intp)


def _touched(padded: Hole) -> NDArray[np.intp]:
    """Return the corners (n, 2) of the overlapping blocks that hold missing pixels."""
    height, width = padded.shape
    missing = cv2.integral(padded.astype(np.uint8))
    rows = np.arange(0, height - 2 * _BLOCK + 1, _BLOCK)
    columns = np.arange(0, width - 2 * _BLOCK + 1, _BLOCK)
    top, left = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    low, right = top + 2 * _BLOCK, left + 2 * _BLOCK
    count = missing[low, right] - missing[top, right] - missing[low, left] + missing[top, left]
    return np.asarray(np.stack([top, left], axis=1)[count > 0], np.intp)


def _blocks(picture: Floats, places: NDArray[np.intp]) -> Floats:
    """Return what squares of the picture look like at half its size, float32 (n, numbers)."""
    smooth = cv2.blur(picture, (2, 2), anchor=(0, 0))
    steps = np.arange(0, 2 * _BLOCK, 2)
    rows = places[:, 0, None, None] + steps[:, None]
    columns = places[:, 1, None, None] + steps
    return np.asarray(smooth[rows, columns].reshape(len(places), -1), np.float32)
