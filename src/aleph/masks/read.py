"""Masks: what users give (nonzero = missing) → the hole (boolean, True = missing).

This is the only module that thresholds masks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from aleph.arrays import Hole
from aleph.config import SENSITIVITY, check_share, check_whole
from aleph.errors import (
    EmptyMaskError,
    InputError,
    MaskWarning,
    PhotoWarning,
    shown,
    unknown_name,
    warn,
)
from aleph.masks.named import NAMED_MASKS, named_hole
from aleph.masks.numbers import missing_numbers, read_array
from aleph.masks.picture import missing_in
from aleph.photo.limits import Limits
from aleph.photo.opening import read_file
from aleph.photo.photo import Photo, PhotoLike, read_photo, read_values, stored, turned

MaskSource = NDArray[Any] | Image.Image | Photo | str | os.PathLike[str]
"""An array (H, W), a picture, its path, `alpha`, or the name of a mask."""

FILE_THRESHOLD = 128
"""Grey values of a picture used as a mask from here up are missing: feathered and JPEG-compressed
edges are cut half-way."""

ALPHA = "alpha"
"""Name of the mask that is read from the photo's own alpha channel: transparent = missing."""

AUTO = "auto"
"""The mask that `aleph.damage` finds; it may have a box and another mask joined to it."""

TOLERANCE = 40
"""Largest difference of each channel from the colour that marks damage: JPEG changes colours."""

LOSSY_RIM = 4
"""Pixels beside a painted colour that JPEG tints with it (on a portrait at quality 75, strokes of 4
and 12 pixels: 4 leave tinted pixels of 3 % of the strokes' area at most, 2 leave up to 21 %)."""

_MOST, _NEARLY_ALL = 0.75, 0.9
"""Share of missing pixels above which a mask is probably inverted: of one that is taken as it is,
and of one that was inverted or widened already, or is drawn at random."""


NOTHING_MISSING = "nothing says what is missing: give a mask, or the colour painted over the damage"


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask and how it is to be read.

    Attributes:
        source: What marks the missing pixels: an array (H, W) of the photo's size, nonzero =
            missing; a picture of the photo's aspect: light (128 and up) on dark, 0 and 1, labels,
            strokes painted on nothing, or a copy of the photo with its damage erased; `alpha`: the
            photo's transparent pixels; `auto`: the damage that is found, `auto:l,t,r,b` within a
            box, `auto+MASK` joined with another mask; or `center`, `half`, `random`, `pattern`,
            `strokes`.
        color: A colour painted over the damage, as `#ff00ff`, `red` or (255, 0, 255): the pixels
            of that colour in the picture `source`, or without one in the photo itself, are missing.
        tolerance: Largest difference from `color` in any channel, 0 to 255.
        invert: Whether the marked pixels are the known ones.
        grow: Pixels of the photo by which the hole is widened on all sides; by default 0, but 4
            for a colour painted on a lossy picture, and 2 for damage that is found (4 where it is
            wide, `aleph.damage.auto.with_rim`).
        sensitivity: How readily damage is found, from 0 to 1 (`aleph.find_damage`).

    Raises:
        InputError: if an option is out of range, or nothing says what is missing.
    """

    source: MaskSource | None = None
    color: str | tuple[int, int, int] | None = None
    tolerance: int = TOLERANCE
    invert: bool = False
    grow: int | None = None
    sensitivity: float = SENSITIVITY

    def __post_init__(self) -> None:
        check_whole("tolerance", self.tolerance, 0, 255)
        check_share("sensitivity", self.sensitivity)
        if self.grow is not None:
            check_whole("grow", self.grow, 0, 10_000)
        if self.color is not None:
            _rgb(self.color)
            if isinstance(self.source, str) and (
                self.source in (ALPHA, *NAMED_MASKS) or is_auto(self.source)
            ):
                raise InputError(
                    f"the mask '{self.source}' holds no colours: give it or a mask colour, not both"
                )
        elif self.source is None:
            raise InputError(NOTHING_MISSING)


def is_auto(source: str) -> bool:
    """Return whether a mask asks for damage to be found."""
    return source == AUTO or source.startswith((f"{AUTO}:", f"{AUTO}+"))


MaskLike = Mask | MaskSource
"""What users may give as a mask."""


def read_damaged(
    image: PhotoLike, mask: MaskLike, seed: int = 0, limits: Limits | None = None
) -> tuple[Photo, Hole]:
    """Read a damaged photo and its hole.

    Where the alpha channel is the mask, the photo returned is opaque in the hole, so that the fill
    will be seen. What the photo's file itself lacks belongs to the hole.

    Raises:
        InputError: as `read_photo` and `read_hole`.

    Warns:
        PhotoWarning: if the file holds more than is read, or less than it should.
        MaskWarning: as `read_hole`.
    """
    photo = read_with_remarks(image, limits)
    hole = read_hole(mask, photo.shape, seed, photo, limits)
    source = mask.source if isinstance(mask, Mask) else mask
    by_alpha = isinstance(source, str) and source == ALPHA
    photo = photo.opaque(hole) if by_alpha else photo
    check_seen(photo.unseen, hole)
    return photo, hole


def check_seen(unseen: Hole | None, hole: Hole) -> None:
    """Refuse a photo of which nothing is seen outside the hole; say what of a fill will not be.

    Raises:
        InputError: if all that is not in the hole is transparent.

    Warns:
        MaskWarning: if some of the hole is transparent.
    """
    if unseen is None:
        return
    if (hole | unseen).all():
        raise InputError("all outside the mask is transparent: there is nothing to go by")
    share = float(unseen[hole].mean())
    if share > 0:
        warn(
            f"{share:.0%} of the hole is transparent in the photo and stays so, so that its fill "
            "cannot be seen; --mask alpha fills all that is transparent and makes it opaque",
            MaskWarning,
        )


def read_with_remarks(image: PhotoLike, limits: Limits | None = None) -> Photo:
    """Read a photo, and say what is to be said of its file.

    Raises:
        InputError: as `read_photo`.

    Warns:
        PhotoWarning: if the file holds more than is read, or less than it should.
    """
    photo = read_photo(image, limits=limits)
    if photo is not image:
        for remark in photo.remarks:
            warn(f"{_named(image)}: {remark}", PhotoWarning)
    return photo


def read_hole(
    mask: MaskLike,
    shape: tuple[int, int],
    seed: int = 0,
    photo: Photo | None = None,
    limits: Limits | None = None,
) -> Hole:
    """Return any mask that users may give as a new hole of `shape` (H, W).

    Arrays are missing where nonzero, those of fractions from half-way up; pictures, scaled to the
    shape, where they are light, or as `missing_in` reads them; a name of `NAMED_MASKS` is generated
    for the shape. A mask that lies as the photo is stored is turned as the photo is seen.

    Args:
        mask: The mask.
        shape: Height and width of the photo.
        seed: Seed of a named mask.
        photo: The photo, for masks that are part of it: its alpha, or a colour painted over it.
            What its file lacks is missing, whatever the mask says.
        limits: How large the mask may be.

    Raises:
        EmptyMaskError: if no pixel is missing.
        InputError: if it cannot be read, has another size, or has no known pixel.

    Warns:
        MaskWarning: if more than three quarters are missing, or as `missing_in`.
    """
    options = _with_array(mask if isinstance(mask, Mask) else Mask(mask))
    marked = _marked(options, photo, limits)
    lies = photo.metadata.orientation if photo else 1
    if isinstance(marked, Photo):
        if marked is not photo:
            _check_whole_mask(marked)
        field = _upright(_missingness(options, marked, photo), shape, marked, lies)
        hole = _fitted(field, shape) >= FILE_THRESHOLD
    elif marked is not None:
        field = missing_numbers(marked)
        hole = _fitted(_upright(field, shape, None, lies), shape) >= FILE_THRESHOLD
    elif isinstance(options.source, str):
        hole = named_hole(options.source, shape, seed)
    else:
        hole = _array_hole(np.asarray(options.source), shape, lies)
    hole = ~hole if options.invert else hole
    hole = widened(hole, _widening(options, marked if isinstance(marked, Photo) else None))
    if photo is not None and photo.missing is not None:
        hole = hole | photo.missing
    check_hole(hole)
    _warn_of_most(hole, options)
    return hole


def _named(image: PhotoLike) -> str:
    return f"image '{os.fspath(image)}'" if isinstance(image, str | os.PathLike) else "the image"


def _with_array(mask: Mask) -> Mask:
    """Return a mask with the array that its file holds, if it is one of numpy's."""
    source = mask.source
    if not isinstance(source, str | os.PathLike) or Path(source).suffix.lower() != ".npy":
        return mask
    label = f"mask '{os.fspath(source)}'"
    return replace(mask, source=read_array(read_file(source, label), label))


def _check_whole_mask(mask: Photo) -> None:
    """Refuse a mask's file that is cut short; say if it holds more than is read."""
    if mask.missing is not None:
        raise InputError("the mask's file is cut short: save it anew, or draw it again")
    for remark in mask.remarks:
        warn(f"the mask: {remark.partition(', and')[0]}", MaskWarning)


def _marked(mask: Mask, photo: Photo | None, limits: Limits | None) -> Photo | NDArray[Any] | None:
    """Return the picture that shows what is missing; None if an array or a name says it.

    A picture whose pixels are fractions or large numbers is returned as these.
    """
    source = mask.source
    if source is None or (isinstance(source, str) and source == ALPHA):
        if photo is None:
            raise InputError("a mask that lies in the photo itself needs the photo")
        return photo
    if isinstance(source, str) and source in NAMED_MASKS:
        return None
    if isinstance(source, Photo):
        return source
    if isinstance(source, str | os.PathLike):
        return _read_mask(source, limits)
    if isinstance(source, Image.Image):
        return read_values(source, "mask", limits)
    array = np.asarray(source)
    if mask.color is not None:
        return read_photo(array, "mask", limits)
    coloured = array.ndim == 3 and array.shape[2] in (3, 4) and bool(np.ptp(array, axis=2).any())
    if array.dtype == np.uint8 and coloured:
        return read_photo(Image.fromarray(array), "mask", limits)
    return None


def _missingness(mask: Mask, marked: Photo, photo: Photo | None) -> NDArray[np.uint8]:
    """Return how strongly a picture marks each pixel as missing: uint8 (H, W), 255 = wholly."""
    if mask.color is not None:
        distance = np.abs(marked.pixels.astype(np.int16) - np.array(_rgb(mask.color))).max(axis=2)
        painted = distance <= mask.tolerance
        if marked.alpha is not None:
            painted &= marked.alpha >= FILE_THRESHOLD  # the colours of what is unseen mean nothing
        return np.asarray(painted, np.uint8) * np.uint8(255)
    if isinstance(mask.source, str) and mask.source == ALPHA:
        if marked.alpha is None:
            raise InputError("the mask 'alpha' needs a photo with an alpha channel; this has none")
        # A soft eraser leaves a rim of every alpha: all of it is erased, or a ring would stay.
        return np.where(marked.alpha < 255, 255, 0).astype(np.uint8)
    return missing_in(marked, photo)


def _widening(mask: Mask, marked: Photo | None) -> int:
    if mask.grow is not None:
        return mask.grow
    tinted = mask.color is not None and marked is not None and marked.metadata.lossy
    return LOSSY_RIM if tinted else 0


def _rgb(color: str | tuple[int, int, int]) -> tuple[int, int, int]:
    try:
        values = ImageColor.getrgb(color)[:3] if isinstance(color, str) else tuple(color)
    except (ValueError, TypeError):
        values = ()
    if len(values) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in values):
        raise InputError(f"{shown(color)} is no colour: give one as #ff00ff or by name")
    return values[0], values[1], values[2]


def _read_mask(mask: str | os.PathLike[str], limits: Limits | None) -> Photo | NDArray[Any]:
    """Read a mask's picture; a word that is no file is refused as an unknown name of a mask."""
    looks_like_name = isinstance(mask, str) and mask.replace("-", "").isalnum()
    if looks_like_name and not os.path.exists(str(mask)):  # noqa: PTH110 - any PathLike
        raise InputError(
            unknown_name("mask", str(mask), [*NAMED_MASKS, ALPHA, AUTO]) + ", and no such file"
        )
    return read_values(mask, "mask", limits)


def _upright(
    field: NDArray[Any], shape: tuple[int, int], mask: Photo | None, lies: int
) -> NDArray[Any]:
    """Return a mask turned as the photo is seen, where its proportions tell how it was stored.

    Some programs draw on a photo as it is stored, without heed of its orientation, and some copy
    the orientation to a mask that is upright already.

    Args:
        field: The mask (H, W), turned by its own orientation.
        shape: Height and width of the photo as it is seen.
        mask: The mask's picture, if it is one.
        lies: The photo's own orientation, 1 to 8.
    """
    ways = [field]
    if mask is not None and mask.metadata.orientation != 1:
        ways.append(stored(field, mask.metadata.orientation))
    if lies != 1:
        ways.append(turned(field, lies))
    fitting = (way for way in ways if _has_proportions(way.shape, shape))
    return np.ascontiguousarray(next(fitting, field))


def _has_proportions(mask: tuple[int, ...], shape: tuple[int, int]) -> bool:
    """Return whether a mask has a photo's proportions, but for a pixel's rounding."""
    (height, width), (rows, columns) = shape, mask[:2]
    return abs(columns * height - rows * width) <= max(height, width, rows, columns)


def _fitted(field: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a mask to the photo's size; their aspect ratios may differ by rounding to pixels."""
    if field.shape == shape:
        return field
    (height, width), rows = shape, field.shape[0]
    if not _has_proportions(field.shape, shape):
        raise InputError(
            f"{_sizes(field.shape, shape)}; they must have the same size, or at least the same "
            "proportions"
        )
    how = cv2.INTER_AREA if rows > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(field, (width, height), interpolation=how), np.uint8)


def _sizes(mask: tuple[int, ...], image: tuple[int, ...]) -> str:
    return f"the mask is {mask[1]}×{mask[0]} pixels but the image {image[1]}×{image[0]}"


def widened(hole: Hole, pixels: int) -> Hole:
    """Widen a hole by a number of pixels, in Euclidean distance."""
    if pixels == 0 or not hole.any():
        return hole
    known = (~hole).astype(np.uint8)
    distance = cv2.distanceTransform(known, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= pixels + 1e-3)


def _warn_of_most(hole: Hole, mask: Mask) -> None:
    share = float(hole.mean())
    named = isinstance(mask.source, str) and mask.source in NAMED_MASKS
    if share > (_NEARLY_ALL if mask.invert or mask.grow or named else _MOST):
        switch = "leave out" if mask.invert else "use"
        warn(
            f"{share:.0%} of the image is marked as missing; if the mask is the wrong way round, "
            f"{switch} --invert-mask (in Python: Mask(…, invert=True))",
            MaskWarning,
        )


def check_hole(hole: Hole) -> None:
    """Refuse a hole without a missing pixel, or without a known one.

    Raises:
        EmptyMaskError: if no pixel is missing.
        InputError: if none is known.
    """
    if not hole.any():
        raise EmptyMaskError("the mask marks no pixel as missing: there is nothing to fill")
    if hole.all():
        raise InputError("the mask marks every pixel as missing: there is nothing to go by")


def _array_hole(mask: NDArray[Any], shape: tuple[int, int], lies: int) -> Hole:
    """Read an array: nonzero is missing; fractions are read as a picture's."""
    plane = _plane(mask)
    plane = _upright(plane, shape, None, lies) if plane.shape != shape else plane
    if plane.shape != shape:
        raise InputError(f"{_sizes(plane.shape, shape)}; they must have the same size")
    if np.issubdtype(plane.dtype, np.floating):
        return missing_numbers(plane) >= FILE_THRESHOLD
    return np.array(plane != 0)


def _plane(mask: NDArray[Any]) -> NDArray[Any]:
    """Return an array's only plane: (H, W) of (H, W, 1), (1, H, W), or of channels that agree."""
    if mask.dtype.kind not in "biuf":
        raise InputError(
            f"the mask must be an array of numbers, nonzero = missing, not {mask.dtype}"
        )
    plane = mask
    while plane.ndim > 2 and 1 in (plane.shape[0], plane.shape[-1]):
        plane = plane[0] if plane.shape[0] == 1 else plane[..., 0]
    for channels in (np.moveaxis(plane, -1, 0), plane):
        if plane.ndim == 3 and len(channels) in (3, 4) and (channels == channels[:1]).all():
            plane = channels[0]
    if plane.ndim != 2:
        raise InputError(f"the mask must have shape (height, width), not {mask.shape}")
    return plane
