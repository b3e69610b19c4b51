"""Truncated JPEG files: the rows that they still hold are read, and the missing rows are found.

With an end marker appended, libjpeg decodes a truncated file and leaves the missing part grey. Two
different ends give two pictures, which differ from the first missing row on. A progressive file
holds the picture in several scans of increasing detail: there the missing rows are those at the
bottom that are wholly grey.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_END = b"\xff\xd9"
_OTHER_END = bytes((0x55, 0xAA)) * 64 + _END
_GREY = 128
"""What libjpeg makes of blocks that are missing, in every channel."""


def is_jpeg(data: bytes) -> bool:
    """Return whether a file begins as a JPEG does."""
    return data.startswith(b"\xff\xd8\xff")


def mended_jpeg(data: bytes) -> bytes:
    """Return a file that is cut short with an end to it, so that libjpeg decodes it."""
    return data.rstrip(b"\xff") + _END


def missing_rows(data: bytes) -> NDArray[np.bool_]:
    """Return which rows of a JPEG that is cut short are missing, as it is stored.

    Args:
        data: The file's bytes.

    Returns:
        Boolean (H,), True = missing; all False if but the end marker is missing.

    Raises:
        OSError: or any other error of PIL, if it is more than cut short.
    """
    rows, progressive = _decoded(mended_jpeg(data))
    if progressive:
        grey = (rows == _GREY).all(axis=1)
        return np.logical_and.accumulate(grey[::-1])[::-1]
    others, _ = _decoded(data.rstrip(b"\xff") + _OTHER_END)
    return np.logical_or.accumulate((rows != others).any(axis=1))


def _decoded(data: bytes) -> tuple[NDArray[np.uint8], bool]:
    """Return the pixels as uint8 (H, W · channels), and whether the file is progressive."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
        pixels = np.asarray(picture)
        return pixels.reshape(len(pixels), -1), bool(picture.info.get("progressive"))
