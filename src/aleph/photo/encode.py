"""Encoding: a filled photo as a file of the format that its name asks for.

What the format can hold is kept: bits, alpha, colour space, profile, orientation, metadata, and of
a JPEG its own quantisation. What it cannot hold is converted (16 bits to 8, CMYK and profiles to
sRGB, black or white to grey), but for transparency, which is refused.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.arrays import Pixels
from aleph.errors import OutputError
from aleph.files import check_writable, replacing
from aleph.photo.chatter import listening, one_line
from aleph.photo.colour import BANDS, Space, from_srgb
from aleph.photo.exif import with_orientation
from aleph.photo.metadata import Metadata, save_options, tiff_tags
from aleph.photo.photo import Photo, PhotoLike, Samples, read_photo, stored, to_bytes
from aleph.photo.pixels import format_of
from aleph.photo.png16 import encode_deep_png
from aleph.photo.previews import renewed
from aleph.photo.tiff import encode_tiff

_HOLDS = {
    "PNG": {"1", "16 bits", "alpha", "profile", "orientation"},
    "TIFF": {"1", "16 bits", "alpha", "profile", "orientation", "CMYK"},
    "JPEG": {"profile", "orientation", "CMYK"},
    "WEBP": {"alpha", "profile", "orientation"},
    "AVIF": {"alpha", "profile", "orientation"},
    "HEIF": {"alpha", "profile", "orientation"},
    "JXL": {"alpha"},
}
"""What a format can hold beside 8-bit grey and RGB in sRGB; any other format, nothing."""

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def encode_photo(photo: Photo, image: Pixels, hole: NDArray[np.bool_], suffix: str) -> bytes:
    """Encode a photo with its hole filled.

    Known pixels keep the file's own samples; the fill is converted into the photo's own colours.

    Args:
        photo: The photo that was filled.
        image: The fill, uint8 sRGB (H, W, 3), upright; used only in the hole, unless the format
            cannot hold the photo's colours.
        hole: Boolean (H, W), True = missing.
        suffix: Ending that names the format: `.jpg`, `.png`, `.tif`, `.webp`, `.avif`, …

    Raises:
        OutputError: if there is no such format, or it cannot hold the photo.
    """
    kind = _format_for(photo, suffix)
    fitting = _fit(photo.filled(image, hole), image, _HOLDS.get(kind, set()))
    samples, orientation = fitting.samples, fitting.metadata.orientation
    if "orientation" in _HOLDS.get(kind, set()):
        samples = stored(samples, orientation)
    try:
        with listening():
            fitting = replace(fitting, metadata=_true_metadata(fitting, kind))
            return _encode(np.ascontiguousarray(samples), fitting, kind)
    except Exception as error:  # encoders raise whatever they stumble over
        said = one_line(error) or type(error).__name__
        raise OutputError(f"the photo cannot be written as {kind}: {said}") from None


def _true_metadata(photo: Photo, kind: str) -> Metadata:
    """Return the metadata with an EXIF thumbnail that shows the photo as it is now."""
    metadata = photo.metadata
    if not metadata.exif:
        return metadata
    if "orientation" in _HOLDS.get(kind, set()):
        shown = stored(photo.pixels, metadata.orientation)
        return replace(metadata, exif=renewed(metadata.exif, shown))
    upright = with_orientation(metadata.exif, 1)
    return replace(metadata, exif=renewed(upright, photo.pixels), orientation=1)


def copied(source: PhotoLike, suffix: str) -> bytes:
    """Return a photo's file as it is; encoded anew if another format is asked for.

    Args:
        source: The photo's file, or a photo.
        suffix: Ending that names the format.

    Raises:
        InputError: if the photo cannot be read.
        OutputError: if there is no such format, or it cannot hold the photo.
    """
    photo = read_photo(source)
    if isinstance(source, str | os.PathLike) and Path(source).suffix.lower() == suffix.lower():
        return Path(source).read_bytes()
    return encode_photo(photo, photo.pixels, np.zeros(photo.shape, bool), suffix)


def copy_photo(source: PhotoLike, path: str | os.PathLike[str]) -> None:
    """Write a photo unchanged: `copied` in a file.

    Raises:
        InputError: if the photo cannot be read.
        OutputError: if it cannot be written there.
    """
    check_writable(path)
    data = copied(source, Path(path).suffix)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_photo(
    photo: Photo, image: Pixels, hole: NDArray[np.bool_], path: str | os.PathLike[str]
) -> None:
    """Write a photo with its hole filled; whole or not at all.

    Args:
        photo: As for `encode_photo`.
        image: As for `encode_photo`.
        hole: As for `encode_photo`.
        path: The ending names the format.

    Raises:
        OutputError: as `encode_photo`, or if the place cannot be written.
    """
    check_photo_path(photo, path)
    data = encode_photo(photo, image, hole, Path(path).suffix)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def check_photo_path(photo: Photo, path: str | os.PathLike[str]) -> None:
    """Refuse a path that the photo cannot be written to.

    Raises:
        OutputError: with what is wrong.
    """
    try:
        _format_for(photo, Path(path).suffix)
    except OutputError as error:
        raise OutputError(f"cannot write '{path}': {error}") from None
    check_writable(path)


def _format_for(photo: Photo, suffix: str) -> str:
    kind = format_of(suffix)
    alpha = None if "alpha" in _HOLDS.get(kind, set()) else photo.alpha
    if alpha is not None and (alpha < 255).any():
        raise OutputError(
            f"'{suffix}' holds no transparency, which the photo has; use .png, .tif, .webp or .avif"
        )
    return kind


def _fit(photo: Photo, image: Pixels, holds: set[str]) -> Photo:
    """Convert what the format cannot hold."""
    space, profile = photo.space, photo.metadata.profile
    if photo.alpha is not None and "alpha" not in holds:  # opaque, as was checked
        photo = replace(photo, samples=photo.samples[:, :, : BANDS[space]])
    if "16 bits" not in holds:
        photo = replace(photo, samples=to_bytes(photo.samples))
    if (profile and "profile" not in holds) or (space == "CMYK" and "CMYK" not in holds):
        return _in_srgb(photo, image)
    if space == "1" and "1" not in holds:
        return replace(photo, space="L")
    return photo


def _in_srgb(photo: Photo, image: Pixels) -> Photo:
    space: Space = "L" if photo.space in ("1", "L") else "RGB"
    colours = from_srgb(image, space, None)
    if photo.alpha is not None:
        colours = np.concatenate([colours, photo.alpha[:, :, None]], axis=2)
    return Photo(colours, space, replace(photo.metadata, profile=None))


def _encode(samples: Samples, photo: Photo, kind: str) -> bytes:
    if kind == "TIFF":
        return encode_tiff(samples, photo.space, BANDS[photo.space], tiff_tags(photo.metadata))
    if samples.dtype == np.uint16:
        model = _save(Image.new("L", (1, 1)), "PNG", save_options(photo.metadata, "PNG"))
        return encode_deep_png(np.asarray(samples, np.uint16), model)
    options = save_options(photo.metadata, kind) | _quality(photo, kind)
    return _save(_picture(samples, photo.space), kind, options)


def _picture(samples: Samples, space: Space) -> Image.Image:
    height, width, channels = samples.shape
    mode = "CMYK" if space == "CMYK" else _MODES[channels]
    picture = Image.frombytes(mode, (width, height), samples.tobytes())
    return picture.convert("1", dither=Image.Dither.NONE) if space == "1" else picture


def _quality(photo: Photo, kind: str) -> dict[str, Any]:
    """Return how a format is to compress: as the photo's own file where it is of that format."""
    metadata = photo.metadata
    own = metadata.encoding if metadata.format == kind else {}
    if kind == "WEBP":
        lossless = {"lossless": True, "exact": True}  # exact: colours under full transparency too
        return {"quality": 95, "exact": True} if metadata.lossy else lossless
    if kind == "AVIF":
        return {"quality": 95, "subsampling": "4:4:4"}
    if kind == "HEIF":
        return {"quality": 95, "chroma": 444}
    if kind == "JXL":
        return {"quality": 95} if metadata.lossy else {"lossless": True}
    if kind == "JPEG":
        return own or {"quality": 95}
    return {}


def _save(picture: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
