"""Small pictures of a photo in its own metadata: they must not show what was there before the fill.

An EXIF thumbnail is drawn anew in its place; whatever else looks like a picture is blanked.
"""

from __future__ import annotations

import io
import itertools
import re
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.photo.exif import Thumbnail, find_thumbnail

_JPEG_BEGINS = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
_JPEG_ENDS = b"\xff\xd9"

_IN_XMP = re.compile(
    rb"<(\w+):Thumbnails\b.*?</\1:Thumbnails>"
    rb"|<(\w+):(image|Data)>\s*/9j/.*?</\2:\3>"
    rb"""|\s\w+:(?:image|Data)\s*=\s*("\s*/9j/[^"]*"|'\s*/9j/[^']*')""",
    re.DOTALL,
)
"""Thumbnails and other JPEGs (`/9j/`, in base 64) in an XMP packet."""


def renewed(exif: bytes, stored: NDArray[np.uint8]) -> bytes:
    """Return EXIF data whose thumbnail shows the photo as it is now; all other previews are blank.

    Args:
        exif: EXIF data, beginning with `Exif`.
        stored: The photo as it will be stored, uint8 sRGB (H, W, 3).
    """
    body = bytearray(exif)
    try:
        place = find_thumbnail(exif)
    except (struct.error, OverflowError):
        place = None
    _blank_pictures(body)
    if place is not None:
        body[place.start : place.end] = bytes(place.end - place.start)
        drawn = _drawn(stored, exif[place.start : place.end]) if place.jpeg else b""
        _write(body, place, drawn)
    return bytes(body)


def without_previews(xmp: bytes) -> bytes:
    """Return an XMP packet without the thumbnails in it."""
    return _IN_XMP.sub(b"", xmp)


def holds_preview(text: str) -> bool:
    """Return whether a text of a PNG is a block of metadata in hexadecimal that holds a picture."""
    return text.startswith("\n") and "ffd8ff" in "".join(text.split()).lower()


def _blank_pictures(body: bytearray) -> None:
    """Overwrite every JPEG in the data with zeros."""
    places = [match.start() for match in _JPEG_BEGINS.finditer(bytes(body))]
    for at, limit in itertools.pairwise([*places, len(body)]):
        end = body.rfind(_JPEG_ENDS, at, limit)
        end = limit if end < 0 else end + len(_JPEG_ENDS)
        body[at:end] = bytes(end - at)


def _drawn(stored: NDArray[np.uint8], old: bytes) -> bytes:
    """Return a JPEG as large as an old one, of no more bytes; nothing if that cannot be."""
    try:
        with Image.open(io.BytesIO(old), formats=["JPEG"]) as picture:
            size = picture.size
    except Exception:  # what cannot be opened shows nothing
        return b""
    if max(size) > 4 * max(stored.shape[:2]):
        return b""
    small = Image.fromarray(stored).resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    for quality in (90, 75, 60, 45, 30, 15):
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality)
        if len(buffer.getvalue()) <= len(old):
            return buffer.getvalue()
    return b""


def _write(body: bytearray, place: Thumbnail, thumbnail: bytes) -> None:
    """Put a thumbnail where the old one was, or cut its directory off if there is none."""
    if thumbnail:
        body[place.start : place.start + len(thumbnail)] = thumbnail
        struct.pack_into(f"{place.order}I", body, place.length, len(thumbnail))
    else:
        struct.pack_into(f"{place.order}I", body, place.link, 0)
