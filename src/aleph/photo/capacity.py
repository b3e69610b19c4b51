"""Capacity: how many pixels the bytes of a file can stand for, by how its format packs them."""

from __future__ import annotations

import struct

from PIL import Image

_DEFLATE = 1032
"""Bytes that deflate makes of one, at most (RFC 1951: 258 of two bits)."""

_PACKED = {
    "PNG": _DEFLATE,
    "GIF": 2800,  # LZW: strings of up to 4096, at 12 bits each
    "JPEG": 2048,  # a bit for each block of 64 at least, three channels
    "MPO": 2048,
}
"""Bytes of pixels in a byte of a file, at most."""

_TIFF_PACKED = {
    "raw": 1,
    "packbits": 64,
    "tiff_lzw": 2800,
    "tiff_deflate": _DEFLATE,
    "tiff_adobe_deflate": _DEFLATE,
    "jpeg": 2048,
}

_UNBOUNDED = frozenset(("WEBP", "AVIF", "HEIF", "JXL", "JPEG2000"))
"""Formats in which a few bytes can stand for any number of equal pixels."""

_PLAIN = 256
"""Bytes in a byte of the other formats, which pack runs of equal ones at most."""

_BITS = {"1": 1, "L": 8, "P": 8, "LA": 16, "RGB": 24, "RGBA": 32, "CMYK": 32, "I;16": 16}

_LOSSY_WEBP = 2048
"""Pixels in a byte of a lossy WebP, at most: the modes of 256 of them take three bits (RFC 6386,
11.2, whose probabilities are fixed in a picture), and this allows for one."""

_LOSSLESS_WEBP = 32768
"""Pixels in a byte of a lossless WebP of more than one colour, at most: a copy of 4096, of which
each stands for eight of a picture of two colours, takes ten bits; libwebp comes to 25,300."""

_FRAME_SHARE = 16
"""How many times the area of its largest frame the canvas of an animation may have."""


def capacity(picture: Image.Image, data: bytes) -> int | None:
    """Return how many pixels a file can stand for; None if there is no telling.

    Args:
        picture: As PIL opened it, not yet decoded.
        data: The file's bytes.
    """
    kind = picture.format or ""
    if kind == "WEBP":
        return _of_webp(data)
    if kind == "TIFF":
        packed = _TIFF_PACKED.get(str(picture.info.get("compression")))
    elif kind in _UNBOUNDED:
        packed = None
    else:
        packed = _PACKED.get(kind, _PLAIN)
    return None if packed is None else len(data) * packed * 8 // _bits(picture, data)


def _bits(picture: Image.Image, data: bytes) -> int:
    """Return the bits of a pixel, at least."""
    if picture.format == "PNG" and len(data) > 25:
        depth, kind = data[24], data[25]
        return max(1, depth) * {2: 3, 4: 2, 6: 4}.get(kind, 1)
    if picture.format in ("BMP", "DIB", "TIFF") and picture.mode in ("L", "P"):
        return 1  # two or sixteen colours are packed into bits
    return _BITS.get(picture.mode, 8)


def _of_webp(data: bytes) -> int | None:
    """Return what a picture can hold, or what the frames of an animation can cover.

    The canvas of an animation says any size at no cost, and so does a lossless picture of one
    colour, in which there is nothing to fill.
    """
    largest, at = 0, 12
    while at + 24 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        if data[at : at + 4] == b"VP8 ":
            return len(data) * _LOSSY_WEBP
        if data[at : at + 4] == b"VP8L":
            return len(data) * _LOSSLESS_WEBP
        if data[at : at + 4] == b"ANMF":
            width = int.from_bytes(data[at + 14 : at + 17], "little") + 1
            height = int.from_bytes(data[at + 17 : at + 20], "little") + 1
            largest = max(largest, width * height)
        at += 8 + size + size % 2
    return _FRAME_SHARE * largest if largest else None
