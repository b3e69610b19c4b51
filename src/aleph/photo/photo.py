"""Photos: what users give as an image, read so that it can be written back as it was.

A photo keeps its file's own samples. Models get them as upright sRGB; a fill is converted back and
put into the samples of the hole alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.arrays import Hole, Pixels
from aleph.errors import InputError
from aleph.photo.colour import BANDS, Space, from_srgb, to_srgb
from aleph.photo.cut_jpeg import is_jpeg, mended_jpeg, missing_rows
from aleph.photo.limits import Limits
from aleph.photo.metadata import Metadata, read_exif, read_metadata
from aleph.photo.opening import decoding, opened, read_file
from aleph.photo.pages import remarks_on
from aleph.photo.pixels import ImageLike, read_image, upright
from aleph.photo.png16 import decode_deep

Samples = NDArray[np.uint8 | np.uint16]
"""A photo's own values, uint8 or uint16 (H, W, C): its colours, then its alpha if it has one."""

_READ_AS = {
    "PA": "RGBA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "La": "LA",
    "YCbCr": "RGB",
}
"""Modes that are read as another one, of the same colours."""

_NUMBERS = ("F", "I")
"""Modes of fractions and of whole numbers of 32 bits."""

_SPACES: dict[str, Space] = {
    "1": "1",
    "L": "L",
    "LA": "L",
    "RGB": "RGB",
    "RGBA": "RGB",
    "CMYK": "CMYK",
}


OPAQUE_FROM = 128
"""Alpha from which on a pixel's colours count as seen."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo, upright.

    Attributes:
        samples: The file's own values, uint8 or uint16 (H, W, C): the colours of `space`, then
            alpha if there is one. Black or white is 0 or 255.
        space: Colour space.
        metadata: What the file holds besides the samples.
        missing: Pixels that the file itself lacks, because it is cut short; None if it is whole.
        remarks: What the file holds and the photo does not, each as a part of a sentence, for a
            warning.
        origin: Column and row at which the file's own picture begins, if it was extended.
    """

    samples: Samples
    space: Space
    metadata: Metadata
    missing: Hole | None = None
    remarks: tuple[str, ...] = ()
    origin: tuple[int, int] = (0, 0)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.samples.shape[0], self.samples.shape[1]

    @cached_property
    def pixels(self) -> Pixels:
        """The photo as the models see it: uint8 sRGB (H, W, 3)."""
        colours = to_bytes(self.samples[:, :, : BANDS[self.space]])
        return to_srgb(colours, self.space, self.metadata.profile)

    @property
    def alpha(self) -> NDArray[np.uint8] | None:
        """Alpha, uint8 (H, W), 255 = opaque; None if there is none."""
        if self.samples.shape[2] == BANDS[self.space]:
            return None
        return to_bytes(self.samples[:, :, -1])

    @property
    def unseen(self) -> Hole | None:
        """Where the photo is transparent, so that its colours there say nothing; boolean (H, W).

        None if that is nowhere, or everywhere: then there is nothing else to go by.
        """
        alpha = self.alpha
        if alpha is None:
            return None
        for transparent in (alpha < OPAQUE_FROM, alpha == 0):
            if not transparent.all():
                return np.asarray(transparent) if transparent.any() else None
        return None

    def filled(self, image: Pixels, hole: NDArray[np.bool_]) -> Photo:
        """Return the photo with the hole's colours taken from `image`, alpha left as it is.

        Args:
            image: uint8 sRGB (H, W, 3), upright.
            hole: Boolean (H, W), True = missing.
        """
        fill = from_srgb(image, self.space, self.metadata.profile)
        if self.metadata.profile and self.space == "RGB" and _is_grey(self.samples[~hole]):
            fill[:] = fill[:, :, 1:2]  # a profile's rounding shall not colour it
        samples = self.samples.copy()
        scale = 257 if samples.dtype == np.uint16 else 1
        samples[hole, : BANDS[self.space]] = fill[hole].astype(samples.dtype) * scale
        return replace(self, samples=samples)

    def opaque(self, hole: NDArray[np.bool_]) -> Photo:
        """Return the photo with the hole opaque."""
        samples = self.samples.copy()
        samples[hole, BANDS[self.space] :] = np.iinfo(samples.dtype).max
        return replace(self, samples=samples)


PhotoLike = Photo | ImageLike
"""What users may give as a photo: a path, a PIL image, a uint8 array (H, W, 3) or (H, W)."""


def to_bytes(samples: Samples) -> NDArray[np.uint8]:
    """Return samples with 8 bits each: 0 to 65535 is rounded to 0 to 255."""
    if samples.dtype == np.uint8:
        return np.asarray(samples, np.uint8)
    return ((samples.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def read_photo(source: PhotoLike, what: str = "image", limits: Limits | None = None) -> Photo:
    """Read any photo that users may give; what is given is never changed.

    Of a file with several pictures the first is read. A palette is read as the colours that it
    stands for. Files keep all their bits; of a PIL image there are those that PIL has kept. A JPEG
    that is cut short is read as far as it goes.

    Args:
        source: A path, a PIL image, a uint8 array (H, W, 3) or (H, W), or a photo, which is
            returned as it is.
        what: What errors call it.
        limits: How large it may be.

    Raises:
        InputError: if it cannot be read, or is neither grey, RGB nor CMYK of 8 or 16 bits.
    """
    if isinstance(source, Photo):
        return source
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        label = f"{what} '{name}'"
        return decode_photo(read_file(name, label), label, limits, name)
    if isinstance(source, Image.Image):
        with decoding(f"the {what}"):
            return _decode(source, b"")
    pixels = read_image(source)
    if np.ndim(source) == 2:
        return Photo(pixels[:, :, :1], "L", Metadata())
    return Photo(pixels, "RGB", Metadata())


def read_values(
    source: str | os.PathLike[str] | Image.Image, what: str, limits: Limits | None = None
) -> Photo | NDArray[Any]:
    """Read a picture whose pixels may be fractions or numbers of 32 bits, which no photo has.

    Args:
        source: A path or a PIL image.
        what: What errors call it.
        limits: How large it may be.

    Returns:
        The numbers, float32 or int32 (H, W), upright; a photo if the pixels are colours.

    Raises:
        InputError: as `read_photo`.
    """
    if isinstance(source, Image.Image):
        return np.array(upright(source)) if source.mode in _NUMBERS else read_photo(source, what)
    name = os.fspath(source)
    label = f"{what} '{name}'"
    return decode_values(read_file(name, label), label, limits, name)


def decode_values(
    data: bytes, label: str, limits: Limits | None = None, name: str = ""
) -> Photo | NDArray[Any]:
    """Read a picture from the bytes of its file, as `read_values`."""
    with decoding(label), opened(data, label, limits, name) as picture:
        if picture.mode in _NUMBERS:
            picture.load()
            return np.array(upright(picture))
    return decode_photo(data, label, limits, name)


def decode_photo(
    data: bytes, label: str = "the image", limits: Limits | None = None, name: str = ""
) -> Photo:
    """Read a photo from the bytes of its file.

    Args:
        data: The file's bytes.
        label: What errors call it.
        limits: How large it may be.
        name: The file's name, where it has one.

    Raises:
        InputError: as `read_photo`.
    """
    with decoding(label):
        with opened(data, label, limits, name) as picture:
            remarks = remarks_on(picture, data)
            try:
                return replace(_decode(picture, data), remarks=remarks)
            except OSError as error:
                if not is_jpeg(data) or "truncated" not in str(error):
                    raise
        with opened(mended_jpeg(data), label, limits, name) as picture:
            in_passes = bool(picture.info.get("progressive"))
            decoded = _decode(picture, data)
            return _cut_short(decoded, missing_rows(data), in_passes, label, remarks)


def _cut_short(
    photo: Photo, rows: NDArray[np.bool_], in_passes: bool, label: str, remarks: tuple[str, ...]
) -> Photo:
    """Return what there is of a JPEG that is cut short; `rows` are missing, as it is stored.

    One that is stored in passes, from coarse to fine, lacks detail where it is cut.
    """
    if not rows.any():
        remark = "its end is cut off, but nothing of it is missing"
        detail = "; some of its fine detail may be" if in_passes else ""
        return replace(photo, remarks=(*remarks, remark + detail))
    if rows.all():
        raise InputError(f"{label} is cut short: nothing of the picture is left in it")
    lying = stored(photo.samples, photo.metadata.orientation).shape
    hole = np.broadcast_to(rows[:, None], lying[:2])
    missing = np.ascontiguousarray(turned(hole, photo.metadata.orientation))
    said = f"it is cut short: the {rows.mean():.0%} of it that is missing is filled too"
    return replace(photo, missing=missing, remarks=(*remarks, said))


def _decode(picture: Image.Image, data: bytes) -> Photo:
    orientation, exif = read_exif(picture)
    picture.load()
    metadata = read_metadata(picture, data, orientation, exif)
    deep = decode_deep(picture, data)
    if deep is not None:
        samples: Samples = deep
        space: Space = "RGB" if deep.shape[2] > 2 else "L"
    else:
        samples, space = _samples(picture)
    if picture.format != "TIFF":  # PIL and OpenCV turn that one upright themselves
        samples = turned(samples, orientation)
    return Photo(np.ascontiguousarray(samples), space, metadata)


def _samples(picture: Image.Image) -> tuple[Samples, Space]:
    """Return the samples as they are stored, and their colour space."""
    if picture.mode.startswith("I;16"):
        return np.array(picture).astype(np.uint16)[:, :, None], "L"
    mode = _READ_AS.get(picture.mode, picture.mode)
    if mode == "P":
        mode = "RGBA" if picture.has_transparency_data else "RGB"
    elif "transparency" in picture.info and mode in ("1", "L", "RGB"):
        mode = "RGBA" if mode == "RGB" else "LA"
    if mode not in _SPACES:
        raise InputError(
            f"pictures of mode {mode} are not read: save it anew as grey, RGB or CMYK with 8 or 16 "
            "bits per channel"
        )
    array = np.array(picture.convert(mode))
    samples = array.astype(np.uint8) * np.uint8(255) if mode == "1" else array
    samples = samples if samples.ndim == 3 else samples[:, :, None]
    if picture.mode in ("P", "PA") and _is_grey(samples):
        return samples[:, :, [0, *range(3, samples.shape[2])]], "L"
    return samples, _SPACES[mode]


def _is_grey(samples: Samples) -> bool:
    return bool((samples[..., :2] == samples[..., 1:3]).all())


_Turned = TypeVar("_Turned", bound=NDArray[Any])


def turned(samples: _Turned, orientation: int) -> _Turned:
    """Turn stored samples upright, by their EXIF orientation (EXIF 2.32, section 4.6.4)."""
    upright: Any = samples
    if orientation >= 5:
        upright = upright.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        upright = upright[::-1]
    if orientation in (2, 3, 6, 7):
        upright = upright[:, ::-1]
    return cast(_Turned, upright)


def stored(samples: _Turned, orientation: int) -> _Turned:
    """Turn upright samples back to how they are stored: `turned` the other way round."""
    return turned(samples, {6: 8, 8: 6}.get(orientation, orientation))
