"""What a file holds beside the one picture that is read: frames, pages, gain maps."""

from __future__ import annotations

import io
import re

from PIL import Image

_WALKED = ("GIF", "TIFF")
"""Formats whose pictures are counted by walking through the file."""

_COUNTED = ("PNG", "WEBP", "AVIF", "HEIF")
"""Formats that say at once how many pictures they hold."""

_GAIN_MAP = (b"urn:iso:std:iso:ts:21496:-1", b"hdrgm:Version", b"HDRGainMap")
"""What a photo with an HDR gain map holds: ISO 21496-1's name, Google's and Apple's property."""

_GAIN_MAP_XMP = re.compile(
    rb"""\s(?:hdrgm|HDRGainMap|apdi):[\w.]+\s*=\s*("[^"]*"|'[^']*')"""
    rb"|<(hdrgm|HDRGainMap|apdi):(\w+)\b[^>]*(?:/>|>.*?</\2:\3>)"
    rb"|<(\w*Container):Directory\b.*?</\4:Directory>",
    re.DOTALL,
)
"""Properties of XMP that tell of a gain map and of where in the file it lies."""


def remarks_on(picture: Image.Image, data: bytes) -> tuple[str, ...]:
    """Return what is to be said of a file's further pictures, a sentence's part each.

    Args:
        picture: As it was opened, not yet decoded.
        data: The file's bytes.
    """
    found = []
    kind, count = picture.format or "", _count(picture, data)
    if count > 1:
        what, which = _names(kind)
        found.append(
            f"it has {count} {what}: only the first is taken, and the {which} are not in the result"
        )
    gains = kind in ("JPEG", "MPO", "HEIF") and any(mark in data for mark in _GAIN_MAP)
    if gains:
        found.append("its HDR gain map is not in the result, which shows as an ordinary photo")
    elif kind == "MPO":
        found.append("it holds a second picture, which is not in the result")
    return tuple(found)


def _count(picture: Image.Image, data: bytes) -> int:
    """Return how many pictures a file holds, as far as it can be walked through."""
    try:
        if picture.format in _COUNTED:
            return int(getattr(picture, "n_frames", 1))
        if picture.format in _WALKED and data:
            with Image.open(io.BytesIO(data), formats=[picture.format]) as other:
                return int(getattr(other, "n_frames", 1))
    except Exception:  # what is damaged behind the first picture keeps nobody from reading that
        return 1
    return 1


def _names(kind: str) -> tuple[str, str]:
    if kind == "TIFF":
        return "pages", "other pages"
    return ("pictures", "others") if kind == "HEIF" else ("frames", "other frames")


def without_gain_map(xmp: bytes) -> bytes:
    """Return an XMP packet without what it says of a gain map, which is not written."""
    return _GAIN_MAP_XMP.sub(b"", xmp)
