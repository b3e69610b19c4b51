"""Masks: what users give (nonzero = missing) → the hole (boolean, True = missing).

This is the only module that thresholds, and the home of the named masks of the protocol.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from aleph.arrays import Hole
from aleph.config import check_whole
from aleph.errors import InputError, MaskWarning, PhotoWarning, shown, unknown_name, warn
from aleph.masks.named import NAMED_MASKS, named_hole
from aleph.photo.limits import Limits
from aleph.photo.photo import Photo, PhotoLike, read_photo

MaskSource = NDArray[Any] | Image.Image | str | os.PathLike[str]
"""A boolean or uint8 array (H, W), a PIL image, a path, `alpha`, or the name of a mask."""

FILE_THRESHOLD = 128
"""Grey values of a picture used as a mask from here up are missing: feathered and JPEG-compressed
edges are cut half-way."""

ALPHA = "alpha"
"""The mask that a photo's own alpha channel is: transparent = missing."""

TOLERANCE = 40
"""How far each channel may be from the colour that marks damage: JPEG moves colours about."""

LOSSY_RIM = 4
"""Pixels beside a painted colour that JPEG tints with it (on a portrait at quality 75, strokes of 4
and 12 pixels: 4 leave tinted pixels of 3 % of the strokes' area at most, 2 leave up to 21 %)."""

_MOST = 0.9
"""Larger shares of missing pixels look like a mask the other way round."""


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask with what is to be done to it.

    Attributes:
        source: What marks the missing pixels: an array (H, W) of the photo's size, nonzero =
            missing; a picture of the photo's aspect, light (128 and up) = missing; `alpha`: the
            photo's transparent pixels; or `center`, `half`, `random`, `pattern`, `strokes`.
        color: A colour painted over the damage, as `#ff00ff`, `red` or (255, 0, 255): the pixels
            of that colour are missing. It is looked for in `source`, a picture, or in the photo
            itself where there is none.
        tolerance: Largest difference from `color` in any channel, 0 to 255.
        invert: Whether the marked pixels are the known ones.
        grow: Pixels of the photo by which the hole is widened on all sides; by default 0, but 4
            for a colour painted on a lossy picture.

    Raises:
        InputError: if an option is out of range, or nothing says what is missing.
    """

    source: MaskSource | None = None
    color: str | tuple[int, int, int] | None = None
    tolerance: int = TOLERANCE
    invert: bool = False
    grow: int | None = None

    def __post_init__(self) -> None:
        check_whole("tolerance", self.tolerance, 0, 255)
        if self.grow is not None:
            check_whole("grow", self.grow, 0, 10_000)
        if self.color is not None:
            _rgb(self.color)
            if isinstance(self.source, str) and self.source in (ALPHA, *NAMED_MASKS):
                raise InputError(
                    f"the mask '{self.source}' holds no colours: give it or a mask colour, not both"
                )
        elif self.source is None:
            raise InputError(
                "nothing says what is missing: give a mask, or the colour painted over the damage"
            )


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
    photo = read_photo(image, limits=limits)
    if photo is not image:
        for remark in photo.remarks:
            warn(f"{_named(image)}: {remark}", PhotoWarning)
    hole = read_hole(mask, photo.shape, seed, photo, limits)
    source = mask.source if isinstance(mask, Mask) else mask
    by_alpha = isinstance(source, str) and source == ALPHA
    return (photo.opaque(hole) if by_alpha else photo), hole


def read_hole(
    mask: MaskLike,
    shape: tuple[int, int],
    seed: int = 0,
    photo: Photo | None = None,
    limits: Limits | None = None,
) -> Hole:
    """Return any mask that users may give as a new hole of `shape` (H, W).

    Arrays are missing where nonzero; pictures, scaled to the shape, where their grey value is 128
    or more; a name of `NAMED_MASKS` is generated for the shape.

    Args:
        mask: The mask.
        shape: Height and width of the photo.
        seed: Seed of a named mask.
        photo: The photo, for masks that lie in itself: its alpha, or a colour painted over it.
            What its file lacks is missing, whatever the mask says.
        limits: How large the mask may be.

    Raises:
        InputError: if it cannot be read, has another size, or has no missing or no known pixel.

    Warns:
        MaskWarning: if more than nine tenths are missing.
    """
    options = mask if isinstance(mask, Mask) else Mask(mask)
    marked = _marked_picture(options, photo, limits)
    if marked is not None:
        hole = _fitted(_missingness(options, marked), shape) >= FILE_THRESHOLD
    elif isinstance(options.source, str):
        hole = named_hole(options.source, shape, seed)
    else:
        hole = _array_hole(np.asarray(options.source), shape)
    hole = ~hole if options.invert else hole
    hole = _widened(hole, _widening(options, marked))
    if photo is not None and photo.missing is not None:
        hole = hole | photo.missing
    check_hole(hole)
    _warn_of_most(hole, options.invert)
    return hole


def _named(image: PhotoLike) -> str:
    return f"image '{os.fspath(image)}'" if isinstance(image, str | os.PathLike) else "the image"


def _marked_picture(mask: Mask, photo: Photo | None, limits: Limits | None) -> Photo | None:
    """Return the picture that shows what is missing; None if an array or a name says it."""
    source = mask.source
    if source is None or (isinstance(source, str) and source == ALPHA):
        if photo is None:
            raise InputError("a mask that lies in the photo itself needs the photo")
        return photo
    if isinstance(source, str) and source in NAMED_MASKS:
        return None
    pictured = isinstance(source, str | os.PathLike | Image.Image) or mask.color is not None
    return _read_mask(source, limits) if pictured else None


def _missingness(mask: Mask, marked: Photo) -> NDArray[np.uint8]:
    """Return how missing each pixel of a picture is: uint8 (H, W), 255 = wholly."""
    if mask.color is not None:
        distance = np.abs(marked.pixels.astype(np.int16) - np.array(_rgb(mask.color))).max(axis=2)
        return np.where(distance <= mask.tolerance, 255, 0).astype(np.uint8)
    if isinstance(mask.source, str) and mask.source == ALPHA:
        if marked.alpha is None:
            raise InputError("the mask 'alpha' needs a photo with an alpha channel; this has none")
        return np.asarray(255 - marked.alpha, np.uint8)
    return np.asarray(Image.fromarray(marked.pixels).convert("L"), np.uint8)


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


def _read_mask(mask: MaskSource, limits: Limits | None) -> Photo:
    """Read a mask's picture; a bare word that is no file was probably meant as a name."""
    looks_like_name = isinstance(mask, str) and mask.replace("-", "").isalnum()
    if looks_like_name and not os.path.exists(str(mask)):  # noqa: PTH110 - any PathLike
        raise InputError(
            unknown_name("mask", str(mask), [*NAMED_MASKS, ALPHA]) + ", and no such file"
        )
    return read_photo(mask, "mask", limits)


def _fitted(field: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a mask to the photo's size; their aspects may differ by a pixel's rounding."""
    if field.shape == shape:
        return field
    (height, width), (rows, columns) = shape, field.shape
    if abs(columns * height - rows * width) > max(height, width, rows, columns):
        raise InputError(
            f"{_sizes(field.shape, shape)}; they must have the same size, or at least the same "
            "proportions"
        )
    how = cv2.INTER_AREA if rows > height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(field, (width, height), interpolation=how), np.uint8)


def _sizes(mask: tuple[int, ...], image: tuple[int, ...]) -> str:
    return f"the mask is {mask[1]}×{mask[0]} pixels but the image {image[1]}×{image[0]}"


def _widened(hole: Hole, pixels: int) -> Hole:
    """Widen a hole by a number of pixels, measured as the crow flies."""
    if pixels == 0 or not hole.any():
        return hole
    known = (~hole).astype(np.uint8)
    distance = cv2.distanceTransform(known, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= pixels + 1e-3)


def _warn_of_most(hole: Hole, inverted: bool) -> None:
    share = float(hole.mean())
    if share > _MOST:
        switch = "leave out" if inverted else "use"
        warn(
            f"{share:.0%} of the image is marked as missing; if the mask is the wrong way round, "
            f"{switch} --invert-mask (in Python: Mask(…, invert=True))",
            MaskWarning,
        )


def check_hole(hole: Hole) -> None:
    """Refuse a hole that leaves nothing to do or nothing to go by.

    Raises:
        InputError: if no pixel is missing, or none is known.
    """
    if not hole.any():
        raise InputError("the mask marks no pixel as missing: there is nothing to fill")
    if hole.all():
        raise InputError("the mask marks every pixel as missing: there is nothing to go by")


def _array_hole(mask: NDArray[Any], shape: tuple[int, int]) -> Hole:
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[:, :, 0]
    if mask.ndim != 2:
        raise InputError(f"the mask must have shape (height, width), not {mask.shape}")
    if np.issubdtype(mask.dtype, np.floating):
        if not np.isfinite(mask).all():
            raise InputError("the mask holds NaN or infinite values; nonzero means missing")
        raise InputError("the mask must be a boolean or uint8 array, nonzero = missing")
    if mask.shape != shape:
        raise InputError(f"{_sizes(mask.shape, shape)}; they must have the same size")
    return np.array(mask != 0)
