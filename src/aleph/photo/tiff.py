"""TIFF: PIL writes neither 16 bits of colour nor, where it compresses, a photo's EXIF data."""

from __future__ import annotations

import io
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from aleph.photo.colour import Space

_PHOTOMETRIC: dict[Space, int] = {"1": 1, "L": 1, "RGB": 2, "CMYK": 5}


def encode_tiff(
    samples: NDArray[np.uint8 | np.uint16],
    space: Space,
    colours: int,
    tags: ImageFileDirectory_v2,
) -> bytes:
    """Encode a TIFF (revision 6.0): deflated, in one strip.

    Args:
        samples: uint8 or uint16 (H, W, C), the colours and then perhaps alpha; 16-bit grey with
            alpha becomes RGB with alpha, because hardly a program reads the former.
        space: Their colour space; black or white is written as one bit.
        colours: Channels that are no alpha.
        tags: What it says beside its pixels; those of the pixels are added.
    """
    if samples.dtype == np.uint16 and samples.shape[2] == 2:
        return encode_tiff(samples[:, :, [0, 0, 0, 1]], "RGB", 3, tags)
    height, width, channels = samples.shape
    strip = zlib.compress(_packed(samples) if space == "1" else _differences(samples))
    tags[256], tags[257], tags[277], tags[278] = width, height, channels, height
    tags[258] = (1,) if space == "1" else (8 * samples.itemsize,) * channels
    tags[259], tags[317] = 8, 1 if space == "1" else 2  # deflate, horizontal differences
    tags[262] = _PHOTOMETRIC[space]
    tags[273], tags[279] = 0, len(strip)  # PIL adds the strip's place
    if channels > colours:
        tags[338] = 2  # alpha, not multiplied in
    file = io.BytesIO()
    tags.save(file)
    return file.getvalue() + strip


def _packed(samples: NDArray[np.uint8 | np.uint16]) -> bytes:
    return np.packbits(samples[:, :, 0] > 0, axis=1).tobytes()


def _differences(samples: NDArray[np.uint8 | np.uint16]) -> bytes:
    differences = samples.astype(samples.dtype.newbyteorder("<"))
    differences[:, 1:] -= samples[:, :-1]
    return differences.tobytes()
