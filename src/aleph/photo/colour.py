"""Colour: a photo's own colours → the sRGB that the models know, and back.

A profile is used only if it fits the photo's colour space and can be inverted, so that a fill is
always converted back by the inverse of what the photo was converted by.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFilter

from aleph.arrays import Pixels

Space = Literal["1", "L", "RGB", "CMYK"]
"""A colour space, by PIL's names: black or white, grey, RGB, CMYK."""

BANDS: dict[Space, int] = {"1": 1, "L": 1, "RGB": 3, "CMYK": 4}
"""Colour channels of each space, alpha not counted."""

_DOTS = 2.0
"""Pixels over which the dots of a black and white photo are averaged to its greys."""

_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}

_Transforms = tuple[ImageCms.ImageCmsTransform, ImageCms.ImageCmsTransform]


def to_srgb(colours: NDArray[np.uint8], space: Space, profile: bytes | None) -> Pixels:
    """Convert a photo's colours to sRGB.

    Args:
        colours: uint8 (H, W, C), C as `BANDS` says; black or white is 0 or 255.
        space: Their colour space.
        profile: Their ICC profile; without one, or with one that cannot be used, grey and RGB are
            taken for sRGB and CMYK for ideal inks.

    Returns:
        uint8 (H, W, 3).
    """
    picture = Image.fromarray(colours[:, :, 0] if colours.shape[2] == 1 else colours, _mode(space))
    transforms = _transforms(profile, _mode(space))
    if transforms is None:
        return np.array(picture.convert("RGB"))
    return np.array(_applied(picture, transforms[0]))


def from_srgb(pixels: Pixels, space: Space, profile: bytes | None) -> NDArray[np.uint8]:
    """Convert sRGB to a photo's colours; `to_srgb` the other way round.

    Args:
        pixels: uint8 (H, W, 3).
        space: The colour space to convert to; black or white is dithered (Floyd–Steinberg).
        profile: The ICC profile to convert to.

    Returns:
        uint8 (H, W, C), C as `BANDS` says.
    """
    mode = _mode(space)
    picture = Image.fromarray(pixels)
    transforms = _transforms(profile, mode)
    own = picture.convert(mode) if transforms is None else _applied(picture, transforms[1])
    if space == "1":
        own = own.filter(ImageFilter.GaussianBlur(_DOTS)).convert("1").convert("L")
    colours = np.array(own)
    return colours if colours.ndim == 3 else colours[:, :, None]


def _mode(space: Space) -> str:
    return "L" if space == "1" else space


def _applied(picture: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    turned = ImageCms.applyTransform(picture, transform)
    assert turned is not None  # None is for transforms in place
    return turned


@lru_cache(maxsize=8)
def _transforms(profile: bytes | None, mode: str) -> _Transforms | None:
    """Return the transforms from a profile to sRGB and back; None if it cannot be used."""
    if not profile:
        return None
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if own.profile.xcolor_space.strip() != _PROFILE_SPACES[mode]:
            return None
        there = ImageCms.buildTransform(own, srgb, mode, "RGB", intent, flags)
        back = ImageCms.buildTransform(srgb, own, "RGB", mode, intent, flags)
        _applied(_applied(Image.new(mode, (2, 2)), there), back)
    except Exception:  # PIL raises whatever it stumbles over in a damaged profile
        return None
    return there, back
