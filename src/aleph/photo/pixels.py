"""Converting picture files and PIL images to uint8 arrays, and back."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from aleph.arrays import Pixels
from aleph.errors import InputError, OutputError
from aleph.files import check_writable, replacing
from aleph.photo.chatter import listening
from aleph.photo.formats import INSTALL, PLUGIN_ENDINGS, register_plugins
from aleph.photo.limits import Limits
from aleph.photo.opening import decoding, opened, read_file

ImageLike = Pixels | Image.Image | str | os.PathLike[str]
"""What users may give as an image: uint8 array (H, W, 3) or (H, W), PIL image, or path."""


def open_picture(
    source: str | os.PathLike[str] | BinaryIO, what: str = "image", limits: Limits | None = None
) -> Image.Image:
    """Open and fully decode a picture, turned upright by its EXIF orientation.

    Raises:
        InputError: if the file is missing, not a picture, damaged, or too large.
    """
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        data = read_file(source, f"{what} '{name}'")
    else:
        name = getattr(source, "name", "(bytes)")
        data = source.read()
    label = f"{what} '{name}'"
    with decoding(label), opened(data, label, limits, str(name)) as picture:
        picture.load()
        return upright(picture)


def upright(picture: Image.Image) -> Image.Image:
    """Return a copy turned as its EXIF orientation says; damaged EXIF data turn nothing."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # PIL raises whatever it stumbles over in such data
        return picture.copy()


def read_image(image: ImageLike) -> Pixels:
    """Return any image that users may give as a new uint8 array (H, W, 3).

    Raises:
        InputError: if it cannot be read, has another shape or dtype, or is empty.
    """
    if isinstance(image, str | os.PathLike):
        image = open_picture(image)
    if isinstance(image, Image.Image):
        if image.mode == "F" or image.mode.startswith("I"):
            raise InputError(f"the image has mode {image.mode}; give one with 8 bits per channel")
        with decoding("the image"):
            return np.array(upright(image).convert("RGB"))
    array: NDArray[Any] = np.asarray(image)
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        raise InputError("the image holds NaN or infinite values; give uint8 values from 0 to 255")
    if array.dtype != np.uint8:
        raise InputError(f"the image must be a uint8 array with values 0 to 255, not {array.dtype}")
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise InputError(f"the image must have shape (height, width, 3), not {array.shape}")
    return np.array(array)


def centre_square(picture: Image.Image, resolution: int) -> Pixels:
    """Cut the central square out of a picture and scale it to (resolution, resolution, 3).

    The filter is Lanczos, which in PIL is widened when shrinking, so that nothing aliases.
    """
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    with listening():  # PIL's `crop` refuses squares of more pixels than its own limit
        square = picture.convert("RGB").crop((left, top, left + side, top + side))
    if side != resolution:
        square = square.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return np.array(square)


def _holds_colours(format_name: str) -> bool:
    """Return whether a picture of this format can hold any colours."""
    if format_name not in Image.SAVE:
        return False
    try:
        Image.new("RGB", (16, 16)).save(io.BytesIO(), format_name)
    except Exception:  # each encoder has its own way to refuse
        return False
    return True


def format_of(suffix: str) -> str:
    """Return PIL's name of the format that an ending names: `.jpg` is `JPEG`.

    Raises:
        OutputError: if the ending names no format that can be written and hold colours.
    """
    register_plugins()
    name = Image.registered_extensions().get(suffix.lower())
    if name is None and suffix.lower() in PLUGIN_ENDINGS:
        raise OutputError(f"'{suffix}' cannot be written: {INSTALL}, or use .jpg or .png")
    if name is None or not _holds_colours(name):
        raise OutputError(f"no picture format is called '{suffix}'; use .png")
    return name


def check_image_path(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no picture can be written to.

    Raises:
        OutputError: if the ending names no known format or the folder cannot be written.
    """
    try:
        format_of(Path(path).suffix)
    except OutputError as error:
        raise OutputError(f"cannot write '{path}': {error}") from None
    check_writable(path)


def encode_image(pixels: Pixels, suffix: str) -> bytes:
    """Return a picture as the bytes of a file in the format that the suffix names (`.png`).

    Raises:
        OutputError: if it names no known format.
    """
    format_name = format_of(suffix)
    options: dict[str, Any] = {"quality": 95} if format_name in ("JPEG", "WEBP", "AVIF") else {}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format_name, **options)
    return buffer.getvalue()


def write_image(pixels: Pixels, path: str | os.PathLike[str]) -> None:
    """Write a picture in the format that the ending names; whole or not at all.

    Raises:
        OutputError: if the ending names no known format or the place cannot be written.
    """
    check_image_path(path)
    data = encode_image(pixels, Path(path).suffix)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
