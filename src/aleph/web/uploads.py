"""What clients send: checked, and kept in a private folder under names of our own."""

from __future__ import annotations

import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image, UnidentifiedImageError

from aleph.errors import InputError
from aleph.photo.pixels import open_picture
from aleph.web.schemas import PictureFormat

READABLE: dict[str, PictureFormat] = {
    "PNG": "png",
    "JPEG": "jpg",
    "MPO": "jpg",
    "WEBP": "webp",
    "TIFF": "tif",
    "AVIF": "avif",
    "BMP": "bmp",
    "GIF": "png",
    "PPM": "png",
}
"""Formats that are taken, and what each is written back as. Pillow knows more; some of them start
programs or read other files."""


class TooManyPixels(InputError):  # noqa: N818
    """A picture above the limit."""


def inspect_picture(data: bytes, what: str, pixels: int) -> PictureFormat:
    """Decode a picture fully and return the format to answer in.

    Args:
        data: The file.
        what: `image` or `mask`, for the sentence.
        pixels: Largest width × height allowed; checked before anything is decoded.

    Raises:
        TooManyPixels: if it has more.
        InputError: if it is no picture in a known format, or damaged.
    """
    stream = io.BytesIO(data)
    stream.name = "upload"
    Image.init()
    formats = [name for name in READABLE if name in Image.OPEN]
    try:
        with Image.open(stream, formats=formats) as picture:
            (width, height), name = picture.size, picture.format or ""
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        known = ", ".join(sorted({*READABLE} - {"MPO"}))
        raise InputError(f"the {what} is not a picture in a known format ({known})") from None
    except Image.DecompressionBombError:
        raise TooManyPixels(f"the {what} has too many pixels") from None
    if width * height > pixels:
        raise TooManyPixels(
            f"the {what} has {width}×{height} pixels; at most {pixels:,} are allowed"
        )
    stream.seek(0)
    open_picture(stream, what)
    return READABLE[name]


@dataclass(frozen=True)
class Upload:
    """A picture and its mask in a folder that only we can read.

    Attributes:
        folder: Removed by `close`.
        format: What to answer in.
    """

    folder: Path
    format: PictureFormat

    @property
    def image(self) -> Path:
        """The picture's file."""
        return self.folder / f"image.{self.format}"

    @property
    def mask(self) -> Path:
        """The mask's file."""
        return self.folder / "mask"

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Uploads:
    """A context with a private folder that uploads are kept in.

    Args:
        pixels: Largest width × height of a picture.
    """

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="aleph-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def keep(self, image: bytes, mask: bytes) -> Upload:
        """Check a picture and its mask and write them into a new folder.

        Raises:
            TooManyPixels: if one is too large.
            InputError: if one cannot be used.
        """
        form = inspect_picture(image, "image", self._pixels)
        inspect_picture(mask, "mask", self._pixels)
        upload = Upload(Path(tempfile.mkdtemp(dir=self._folder.name)), form)
        upload.image.write_bytes(image)
        upload.mask.write_bytes(mask)
        return upload
