"""Pictures of 16 bits per channel with more than one channel, which PIL cannot hold.

OpenCV decodes them; a PNG is written here around the chunks that PIL writes of its metadata.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from aleph.errors import InputError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels → colour type (PNG, section 11.2.1)."""


def decode_deep(picture: Image.Image, data: bytes) -> NDArray[np.uint16] | None:
    """Decode a PNG or TIFF of 16 bits per channel and two channels or more.

    Args:
        picture: The file as PIL opened it.
        data: The file's bytes.

    Returns:
        uint16 (H, W, C): grey and alpha, RGB, or RGB and alpha; a TIFF is upright, a PNG as it is
        stored. None if the file is none of these.

    Raises:
        InputError: if it is one that cannot be decoded.
    """
    if picture.format == "PNG":
        depth, colour_type = data[24:26] if len(data) > 25 else (8, 0)
        if depth != 16 or colour_type == 0:
            return None
        _check_chunks(data)
        samples = _decode(data)
        return samples[:, :, [0, 3]] if colour_type == 4 else samples
    if isinstance(picture, TiffImageFile) and data:
        bits = picture.tag_v2.get(258, (8,))
        if len(bits) < 2 or max(bits) <= 8:
            return None
        if picture.tag_v2.get(262) != 2:
            raise InputError(
                "a TIFF of 16 bits per channel must be grey or RGB: convert it to one of these"
            )
        return _decode(data)
    return None


def _check_chunks(data: bytes) -> None:
    """Refuse a PNG with a chunk that goes beyond its end: OpenCV takes memory for all of it."""
    at = len(_PNG_SIGNATURE)
    while at + 8 <= len(data):
        at += int.from_bytes(data[at : at + 4], "big") + 12
        if at > len(data):
            raise InputError("it is cut short: a part of it goes beyond its end")


def _decode(data: bytes) -> NDArray[np.uint16]:
    """Decode into uint16 RGB or RGBA."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
        raise InputError("its 16-bit pixels cannot be decoded: save it again as PNG or TIFF")
    order = [2, 1, 0, 3][: decoded.shape[2]]
    return np.ascontiguousarray(decoded[:, :, order], np.uint16)


def encode_deep_png(samples: NDArray[np.uint16], model: bytes) -> bytes:
    """Encode a PNG of 16 bits per channel.

    Args:
        samples: uint16 (H, W, C), C from 1 to 4.
        model: A PNG whose chunks, but those of its pixels, are taken over.
    """
    height, width, channels = samples.shape
    rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.full((height, rows.shape[1] + 1), 2, np.uint8)  # filter 2: minus the row above
    filtered[:, 1:] = rows
    filtered[1:, 1:] -= rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR_TYPES[channels], 0, 0, 0)
    own = {b"IHDR": header, b"IDAT": zlib.compress(filtered.tobytes())}
    chunks = (_chunk(name, own.get(name, content)) for name, content in _chunks(model))
    return _PNG_SIGNATURE + b"".join(chunks)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG_SIGNATURE)
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += size + 12


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
