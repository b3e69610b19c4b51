"""What clients send: checked by its header, kept in a private folder, decoded once."""

from __future__ import annotations

import io
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from PIL import Image

from aleph.errors import InputError
from aleph.files import temporary_folder
from aleph.photo.chatter import listening
from aleph.photo.limits import Limits
from aleph.photo.photo import Photo, decode_photo
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

_PIECE = 1 << 20
"""Bytes copied at once."""


class TooManyPixels(InputError):  # noqa: N818
    """A picture above the limit."""


def _formats() -> list[str]:
    """Return Pillow's names of the formats that are taken, as far as it was built with them."""
    Image.init()
    return [name for name in READABLE if name in Image.OPEN]


def check_picture(stream: BinaryIO, what: str, pixels: int) -> PictureFormat:
    """Read a picture's header, decoding nothing, and return the format to answer in.

    Args:
        stream: The file.
        what: `image` or `mask`, for the sentence.
        pixels: Largest width × height allowed.

    Raises:
        TooManyPixels: if it has more.
        InputError: if it is no picture in a format that is taken.
    """
    try:
        with listening(), Image.open(stream, formats=_formats()) as picture:
            (width, height), name = picture.size, picture.format or ""
    except Exception:  # decoders raise whatever they stumble over
        known = ", ".join(sorted({*READABLE} - {"MPO"}))
        raise InputError(f"the {what} is not a picture in a known format ({known})") from None
    check_pixels(what, width, height, pixels)
    return READABLE[name]


def check_pixels(what: str, width: int, height: int, pixels: int) -> None:
    """Refuse a picture with more pixels than are allowed.

    Raises:
        TooManyPixels: with how many it has.
    """
    if width * height > pixels:
        raise TooManyPixels(
            f"the {what} has {width}×{height} pixels; at most {pixels:,} are allowed"
        )


def read_image(data: bytes, pixels: int) -> Photo:
    """Decode a photo that was sent, in one of the formats that are taken.

    Raises:
        TooManyPixels: if it has more than `pixels`; nothing was decoded then.
        InputError: if it cannot be used.
    """
    check_picture(io.BytesIO(data), "image", pixels)
    return decode_photo(data, "the image", Limits(pixels / 1e6))


def read_mask(data: bytes, pixels: int) -> Image.Image:
    """Decode a mask that was sent; otherwise as `read_image`."""
    stream = io.BytesIO(data)
    stream.name = "upload"
    check_picture(stream, "mask", pixels)
    stream.seek(0)
    return open_picture(stream, "mask", Limits(pixels / 1e6))


@dataclass(frozen=True)
class Upload:
    """A photo and its mask in a folder that only we can read.

    Attributes:
        folder: Removed by `close`.
        format: What to answer in.
        pixels: Largest width × height of either.
    """

    folder: Path
    format: PictureFormat
    pixels: int

    def image(self) -> Photo:
        """Decode the photo.

        Raises:
            InputError: if it cannot be used.
        """
        return read_image((self.folder / "image").read_bytes(), self.pixels)

    def mask(self) -> Image.Image:
        """Decode the mask.

        Raises:
            InputError: if it cannot be used.
        """
        return read_mask((self.folder / "mask").read_bytes(), self.pixels)

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
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(temporary_folder())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def keep(self, image: BinaryIO, mask: BinaryIO) -> Upload:
        """Check the headers of a photo and its mask and copy both into a new folder.

        Neither is decoded, and no more than a piece of either is in memory.

        Raises:
            TooManyPixels: if one is too large.
            InputError: if one is no picture in a format that is taken.
        """
        form = check_picture(image, "image", self._pixels)
        check_picture(mask, "mask", self._pixels)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        upload = Upload(folder, form, self._pixels)
        try:
            for name, stream in (("image", image), ("mask", mask)):
                stream.seek(0)
                with (folder / name).open("wb") as target:
                    shutil.copyfileobj(stream, target, _PIECE)
        except OSError as error:
            upload.close()
            raise InputError(f"the server cannot store the upload: {error.strerror}") from None
        return upload
