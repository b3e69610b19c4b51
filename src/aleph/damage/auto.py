"""The mask `auto`: damage that is found, within a box if one is given, joined with a mask."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np

from aleph.arrays import Hole
from aleph.damage.find import marked, read_probability
from aleph.damage.rim import rim_scale, shows_damage
from aleph.errors import EmptyMaskError, InputError, MaskWarning, NothingFoundError, shown, warn
from aleph.masks.named import NAMED_MASKS
from aleph.masks.read import (
    AUTO,
    NOTHING_MISSING,
    Mask,
    MaskLike,
    check_hole,
    check_seen,
    is_auto,
    read_damaged,
    read_hole,
    read_with_remarks,
    widened,
)
from aleph.photo.extend import ExtendLike, read_extension
from aleph.photo.limits import Limits
from aleph.photo.photo import Photo, PhotoLike, read_photo

_RIM, _WIDE_RIM = 2, 4
"""Pixels by which thin damage that was found is widened, and wide damage (docs/damage.md)."""

_WIDENED = 320
"""Pixels of a photo's shorter side from which on wide damage is widened by more."""

_NARROW = (
    "the pixels beside the mask look like damage, and what is filled is made to fit them: if the "
    "mask is a little too narrow, --grow {0} widens it (in Python: Mask(…, grow={0}))"
)

_SYNTAX = f"{AUTO}, {AUTO}:left,top,right,bottom, or either with +MASK"


@dataclass(frozen=True)
class AutoMask:
    """What a user says with `auto`.

    Attributes:
        box: Left, top, right and bottom in pixels of the photo; damage outside is left alone. None
            for the whole photo.
        joined: A mask of another kind that is joined with what is found; None for none.
    """

    box: tuple[int, int, int, int] | None = None
    joined: str | None = None


def read_auto(mask: MaskLike) -> AutoMask | None:
    """Read `auto`, `auto:left,top,right,bottom`, and either followed by `+MASK`.

    Returns:
        None for any other mask.

    Raises:
        InputError: if it begins like one of these and is none.
    """
    source = mask.source if isinstance(mask, Mask) else mask
    if not isinstance(source, str) or not is_auto(source):
        return None
    head, plus, joined = source.partition("+")
    number = r"\s*(-?\d+)\s*"
    found = re.fullmatch(f"{AUTO}(?::{number},{number},{number},{number})?", head)
    if found is None or (plus and not joined):
        raise InputError(f"the mask {shown(source)} cannot be read: give {_SYNTAX}")
    if found[1] is None:
        return AutoMask(None, joined or None)
    left, top, right, bottom = (int(found[i]) for i in range(1, 5))
    if left >= right or top >= bottom:
        raise InputError(f"the box of the mask {shown(source)} is empty: give {_SYNTAX}")
    return AutoMask((left, top, right, bottom), joined or None)


def with_rim(found: Hole) -> Hole:
    """Widen what was found in a photo, for the rim of damage is soft.

    Thin damage is widened by 2 pixels. In photos of 320 pixels or more on the shorter side, wide
    damage, that reaches deeper than 4 pixels, is widened by 4: torn paper frays, and JPEG files
    have specks beside it. In photos of more than 1.1 megapixels these distances grow with the
    sides: scanned at more pixels, the same rim is as many times as wide.

    Args:
        found: Boolean (H, W), True = damaged.
    """
    thin, wide = _rims(found)
    rim = widened(found, thin)
    if min(found.shape) < _WIDENED or not found.any():
        return rim
    cores = ~widened(~found, wide)
    return np.asarray(rim | widened(cores, 2 * wide))


def _rims(found: Hole) -> tuple[int, int]:
    """Return by how many pixels thin and wide damage is widened in a photo of this size."""
    scale = rim_scale(found.shape)
    return math.floor(scale * _RIM + 0.5), math.floor(scale * _WIDE_RIM + 0.5)


def read_damaged_photo(
    image: PhotoLike,
    mask: MaskLike | None,
    seed: int = 0,
    limits: Limits | None = None,
    extend: ExtendLike | None = None,
) -> tuple[Photo, Hole]:
    """Read a photo and its hole, for any mask that users may give, `auto` as well.

    A mask that does not cover the rim of the damage is used as it is, with a warning.

    Args:
        image: The photo.
        mask: The mask; None if nothing but what `extend` adds is missing.
        seed: Seed of a named mask.
        limits: How large photo and mask may be.
        extend: By how much the photo is widened; what is new is missing.

    Raises:
        NothingFoundError: if the mask is `auto` alone and no damage is found.
        InputError: as `aleph.masks.read.read_damaged`, or if the extension cannot be understood.

    Warns:
        MaskWarning: if the rim of the hole looks like damage.
    """
    if extend is None:
        if mask is None:
            raise InputError(NOTHING_MISSING)
        return _read_damaged(image, mask, seed, limits)
    try:
        if mask is None:
            raise NothingFoundError(NOTHING_MISSING)
        photo, hole = _read_damaged(image, mask, seed, limits)
    except (NothingFoundError, EmptyMaskError):
        told = mask is not None  # what is to be said of the photo was said already
        photo = read_photo(image, limits=limits) if told else read_with_remarks(image, limits)
        hole = np.zeros(photo.shape, bool) if photo.missing is None else photo.missing
    extension = read_extension(extend, photo.shape)
    height, width = extension.size(photo.shape)
    (limits or Limits()).check_size(width, height, "the widened photo")
    return extension.photo(photo), extension.hole(hole)


def _read_damaged(
    image: PhotoLike, mask: MaskLike, seed: int, limits: Limits | None
) -> tuple[Photo, Hole]:
    auto = read_auto(mask)
    if auto is None:
        photo, hole = read_damaged(image, mask, seed, limits)
        _warn_of_rim(photo, hole, mask)
        return photo, hole
    options = mask if isinstance(mask, Mask) else Mask(mask)
    if options.invert and auto.joined is None:
        raise InputError("the mask 'auto' cannot be inverted: all that is intact would be filled")
    photo = read_with_remarks(image, limits)
    hole = _found(photo, auto, options)
    if auto.joined is not None:
        hole |= read_hole(replace(options, source=auto.joined), photo.shape, seed, photo, limits)
    if photo.missing is not None:
        hole |= photo.missing
    if not hole.any() and auto.joined is None:
        where = "there" if auto.box else "in the photo"
        raise NothingFoundError(f"no damage was found {where}; a higher --sensitivity finds more")
    check_hole(hole)
    check_seen(photo.unseen, hole)
    return photo, hole


def _warn_of_rim(photo: Photo, hole: Hole, mask: MaskLike) -> None:
    """Warn where a mask seems to have missed the rim of the damage."""
    source = mask.source if isinstance(mask, Mask) else mask
    generated = isinstance(source, str) and source in NAMED_MASKS
    if not generated and shows_damage(photo.pixels, hole):
        warn(_NARROW.format(_rims(hole)[0]), MaskWarning)


def _found(photo: Photo, auto: AutoMask, options: Mask) -> Hole:
    """Return the damage of a photo, widened, within the box."""
    found = marked(read_probability(photo), options.sensitivity)
    hole = with_rim(found) if options.grow is None else widened(found, options.grow)
    if auto.box is None:
        return hole
    left, top, right, bottom = auto.box
    within = np.zeros_like(hole)
    within[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    if not within.any():
        height, width = hole.shape
        raise InputError(
            f"the box {left},{top},{right},{bottom} lies outside the {width}×{height} photo"
        )
    return np.asarray(hole & within)
