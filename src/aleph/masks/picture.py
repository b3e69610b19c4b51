"""What a mask's picture means: a sheet of black and white, labels, a layer, a photo with holes.

People draw masks with many programs. Each picture is read in the one sensible way that there is
for it; where there are two, it is refused with what was seen in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.arrays import Pixels
from aleph.errors import EmptyMaskError, InputError, MaskWarning, warn
from aleph.masks.numbers import missing_numbers
from aleph.photo.photo import Photo

_FLAT = 64
"""Colours that a drawing may have; a photograph, or a drawing in a JPEG, has more."""

_SAMPLE = 1 << 20
"""Pixels that are looked at to tell the one from the other."""

_NEAR = 40
"""Difference in any channel up to which a colour counts as another one."""

_NEARLY_ALL = 0.97
"""Share of a drawing that its few colours make up; soft edges are the rest."""

_MOSTLY = 0.8
"""Share of strokes that their own colour makes up where JPEG has mixed it into their rims."""

_MARK_SHARE = 0.01
"""Share of pixels from which on a colour is there on purpose."""

_GREY = 24
"""Difference between channels up to which a colour counts as grey: what JPEG makes of greys."""

_OPAQUE = 128
"""Alpha from which on a pixel counts as visible."""

_FAINT = 16
"""Alpha from which on the strongest pixel of a layer is a stroke: brushes may be translucent."""

_HOW = "draw what is missing white on black, or name its colour by --mask-color"


@dataclass(frozen=True, eq=False)
class _Colours:
    """The colours of a picture's visible pixels.

    Attributes:
        pixels: uint8 (N, 3).
        distinct: The different ones among them, uint8 (K, 3); None if they are more than `_FLAT`.
    """

    pixels: Pixels
    distinct: Pixels | None

    def share_near(self, *colours: Pixels | tuple[int, int, int]) -> list[float]:
        """Return what share of the pixels is near each of some colours."""
        return [float(_near(self.pixels, colour).mean()) for colour in colours]

    @property
    def median(self) -> Pixels:
        """The colour in the middle, channel by channel."""
        return np.asarray(np.median(self.pixels, axis=0), np.uint8)

    def is_one(self, share: float = _NEARLY_ALL) -> bool:
        """Return whether at least a share of them is of one colour."""
        return self.share_near(self.median)[0] >= share


_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def missing_in(mask: Photo, photo: Photo | None) -> NDArray[np.uint8]:
    """Return how missing each pixel of a mask's picture is: uint8 (H, W), 255 = wholly.

    Args:
        mask: The picture.
        photo: The damaged photo, if it is known: a mask may be a copy of it.

    Raises:
        InputError: if there is no sensible way to read it, or more than one, with what was seen.

    Warns:
        MaskWarning: if it is read in a way that should be said.
    """
    alpha = mask.alpha
    if alpha is not None and (alpha < _OPAQUE).any():
        return _missing_layer(mask.pixels, alpha, photo)
    _refuse_copy(mask.pixels, photo)
    spread = int(np.ptp(mask.pixels, axis=2).max())
    if spread == 0 and mask.space != "CMYK":
        return missing_numbers(mask.samples[:, :, 0], lossy=mask.metadata.lossy)
    if spread <= _GREY:  # what JPEG or a profile makes of greys
        grey = np.asarray(Image.fromarray(mask.pixels).convert("L"), np.uint8)
        return missing_numbers(grey, lossy=True)
    return _missing_coloured(mask.pixels)


def _missing_coloured(pixels: Pixels) -> NDArray[np.uint8]:
    """Read an opaque picture that has colours: strokes of a colour on black, or none of ours."""
    colours = _colours(pixels.reshape(-1, 3))
    black, white = colours.share_near(_BLACK, _WHITE)
    if black >= _MARK_SHARE:
        rest = _colours(colours.pixels[~_near(colours.pixels, _BLACK)])
        if rest.is_one(_MOSTLY):
            nearer = _distance(pixels, rest.median) < _distance(pixels, _BLACK)
            return _mask_of(np.asarray(nearer))
        if colours.distinct is not None:
            count = sum(max(colour) > _NEAR for colour in colours.distinct.tolist())
            _say(f"the mask is drawn in {count} colours on black: all of them are missing")
            return _mask_of((pixels > _NEAR).any(axis=2))
    if colours.distinct is None:
        raise InputError(
            "the mask is a picture of many colours, not black and white: if the damage is painted "
            "over in one colour, name it by --mask-color; else draw it white on black"
        )
    named = ", ".join("#" + bytes(colour).hex() for colour in colours.distinct[:4].tolist())
    on = "white and no black" if white >= _MARK_SHARE else "neither black nor white"
    raise InputError(f"the mask has {on} but the colours {named}: {_HOW}")


def _missing_layer(
    pixels: Pixels, alpha: NDArray[np.uint8], photo: Photo | None
) -> NDArray[np.uint8]:
    """Read a picture that is transparent in places: painted strokes, or a sheet with holes."""
    strongest = int(alpha.max())
    if strongest < _FAINT:
        raise EmptyMaskError("the mask is wholly transparent: nothing is painted on it")
    if strongest < _OPAQUE:  # painted with a translucent brush: taken for what it is half-way
        alpha = np.rint(alpha * (255 / strongest)).astype(np.uint8)
    seen, erased = alpha >= _OPAQUE, _mask_of(alpha < 255)
    share = float(seen.mean())
    if _is_copy(pixels, photo, seen):
        return erased
    solid = alpha >= 250  # a brush's soft rim may have any colour
    colours = _colours(pixels[solid if solid.any() else seen])
    black, white = colours.share_near(_BLACK, _WHITE)
    if colours.is_one() and share <= 0.5:
        return alpha
    if colours.is_one():
        _say(
            "the mask is of one colour and transparent in places: what is transparent is missing; "
            "if what is painted is missing, use --invert-mask"
        )
        return erased
    if black + white >= _NEARLY_ALL and min(black, white) >= _MARK_SHARE:
        _say("the mask is black, white and transparent: what is white is missing")
        return _mask_of(seen & (pixels.min(axis=2) >= 128))
    if colours.distinct is not None and share <= 0.5:
        _say("the mask is painted in several colours on nothing: all that is painted is missing")
        return alpha
    if share > 0.5:
        return erased
    raise InputError(
        f"the mask is transparent for the most part ({1 - share:.0%}) and has many colours: it is "
        f"neither strokes on nothing nor a photo with its damage erased; {_HOW}"
    )


def _say(sentence: str) -> None:
    warn(sentence, MaskWarning)


def _mask_of(missing: NDArray[np.bool_] | np.bool_) -> NDArray[np.uint8]:
    return np.asarray(missing, np.uint8) * np.uint8(255)


def _colours(pixels: Pixels) -> _Colours:
    """Return colours with the different ones among them, if these are few."""
    step = max(1, len(pixels) // _SAMPLE)
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    values = np.unique(packed[::step])
    if len(values) <= _FLAT:
        values = np.unique(packed)
    few = None
    if len(values) <= _FLAT:
        few = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1).astype(np.uint8)
    return _Colours(pixels[::step], few)


def _distance(pixels: Pixels, colour: Pixels | tuple[int, int, int]) -> NDArray[np.int16]:
    """Return the largest difference from a colour in any channel; shape without the last axis."""
    difference = np.abs(pixels.astype(np.int16) - np.asarray(colour, np.int16))
    return np.asarray(difference.max(axis=-1), np.int16)


def _near(pixels: Pixels, colour: Pixels | tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray(_distance(pixels, colour) <= _NEAR)


def _is_copy(pixels: Pixels, photo: Photo | None, where: NDArray[np.bool_]) -> bool:
    """Return whether the pixels are those of the photo, some of them perhaps painted over."""
    if photo is None or photo.shape != where.shape or not where.any():
        return False
    step = max(1, int(where.sum()) // _SAMPLE)
    own, other = pixels[where][::step], photo.pixels[where][::step]
    lively = float(other.astype(np.float32).std(axis=0).max()) > 8
    return lively and float(np.median(_distance(own, other))) <= 12


def _refuse_copy(pixels: Pixels, photo: Photo | None) -> None:
    """Refuse an opaque copy of the photo: its brightness is no mask."""
    if photo is None or not _is_copy(pixels, photo, np.ones(pixels.shape[:2], bool)):
        return
    if float(((pixels > 32) & (pixels < 224)).mean()) < 0.2:
        return  # black and white itself, as a scan of a drawing and its mask may be
    raise InputError(
        "the mask is a copy of the photo: if the damage is painted over in it in one colour, name "
        "that by --mask-color; if it was erased, save the copy with its transparency, as PNG"
    )
