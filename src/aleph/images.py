"""Pictures: files, PIL images and uint8 arrays here, float32 tensors in [−1, 1] there.

This is the only module that converts between them.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from aleph.errors import InputError, OutputError

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
"""uint8 array of shape (H, W, 3), RGB."""

ImageLike = Pixels | Image.Image | str | os.PathLike[str]
"""What users may give as an image: uint8 array (H, W, 3) or (H, W), PIL image, or path."""


def open_picture(source: str | os.PathLike[str] | BinaryIO, what: str = "image") -> Image.Image:
    """Open and fully decode a picture, turned upright by its EXIF orientation.

    Raises:
        InputError: if the file is missing, not a picture, damaged, or absurdly large.
    """
    name = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "(bytes)")
    with decoding(f"{what} '{name}'"), Image.open(source) as picture:
        picture.load()
        return upright(picture)


@contextlib.contextmanager
def decoding(label: str) -> Iterator[None]:
    """Turn whatever goes wrong while a picture is opened and decoded into one sentence.

    Args:
        label: What the sentence calls the picture, as `image 'a.png'`.

    Raises:
        InputError: in place of the many errors that PIL and the file system know.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{label} does not exist") from None
    except IsADirectoryError:
        raise InputError(f"{label} is a folder, not a picture") from None
    except PermissionError:
        raise InputError(f"{label} may not be read: permission denied") from None
    except UnidentifiedImageError:
        raise InputError(f"{label} is not a picture in a known format") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{label} is too large: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError, struct.error) as error:
        raise InputError(f"{label} is damaged and cannot be decoded: {error}") from None


def upright(picture: Image.Image) -> Image.Image:
    """Return a copy turned as its EXIF orientation says; damaged EXIF data turn nothing."""
    try:
        return ImageOps.exif_transpose(picture)
    except (struct.error, SyntaxError, ValueError, TypeError, KeyError):
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
        try:
            return np.array(upright(image).convert("RGB"))
        except OSError as error:
            raise InputError(f"the image is damaged and cannot be decoded: {error}") from None
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


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Convert uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [−1, 1], `channels_last`."""
    import torch

    tensor = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float()
    return (tensor / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Convert (N, 3, H, W) in [−1, 1] to uint8 (N, H, W, 3): clipped, rounded to nearest.

    `to_pixels(to_tensor(x))` is x.
    """
    return np.rint(to_levels(images)).clip(0, 255).astype(np.uint8)


def to_levels(images: Tensor) -> NDArray[np.float32]:
    """Convert (N, 3, H, W) in [−1, 1] to float32 (N, H, W, 3) in 0 to 255, neither cut nor rounded.

    What is blended must not lose a fraction before the blending has added its own.
    """
    levels = (images.detach().float() + 1.0).mul(127.5).permute(0, 2, 3, 1)
    return np.asarray(levels.contiguous().cpu().numpy(), np.float32)


def centre_square(picture: Image.Image, resolution: int) -> Pixels:
    """Cut the central square out of a picture and scale it to (resolution, resolution, 3).

    The filter is Lanczos, which in PIL is widened when shrinking, so that nothing aliases.
    """
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = picture.convert("RGB").crop((left, top, left + side, top + side))
    if side != resolution:
        square = square.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return np.array(square)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, of the same ending, that replaces it on success.

    Whatever goes wrong, `path` holds either what it held before or the whole new file.

    Raises:
        OutputError: if the folder does not exist or cannot be written.
    """
    target = Path(path)
    check_writable(target)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix,
                                        dir=target.parent)  # fmt: skip
    except OSError as error:
        raise OutputError(f"cannot write '{target}': {error.strerror}") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        # mkstemp makes private files; a result has the mode that any new file would have.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write '{target}': {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path whose folder is missing or cannot be written, or that is a folder itself.

    Raises:
        OutputError: with what is wrong.
    """
    target = Path(path)
    if os.path.isdir(target):  # noqa: PTH112 - unlike Path.is_dir, false for a name too long
        raise OutputError(f"cannot write '{target}': it is a folder; name a file in it")
    if len(os.fsencode(target.name)) > 200:
        raise OutputError(f"cannot write '{target.name[:40]}…': the name is too long")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write '{target}': the folder '{target.parent}' does not exist")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"cannot write '{target}': '{target.parent}' is not writable")


def _holds_colours(format_name: str) -> bool:
    """Return whether a picture of this format can hold any colours."""
    if format_name not in Image.SAVE:
        return False
    try:
        Image.new("RGB", (8, 8)).save(io.BytesIO(), format_name)
    except (OSError, ValueError):
        return False
    return True


def format_of(suffix: str) -> str:
    """Return PIL's name of the format that an ending names: `.jpg` is `JPEG`.

    Raises:
        OutputError: if the ending names no format that can be written and hold colours.
    """
    name = Image.registered_extensions().get(suffix.lower())
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
