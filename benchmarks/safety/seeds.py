"""Small sound files of every kind that aleph reads: what mutants are made of."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from aleph.photo.formats import register_plugins

SHAPE = (24, 32)
"""Height and width of every one of them."""

_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a hdrgm:Version="1.0">caption</a></x:xmpmeta>'


@dataclass(frozen=True)
class Seed:
    """A sound file.

    Attributes:
        name: What it is.
        suffix: Its ending.
        data: Its bytes.
    """

    name: str
    suffix: str
    data: bytes


def pictures() -> list[Seed]:
    """Return the files, the same on every machine with the same decoders."""
    register_plugins()
    return [*_plain(), *_described(), *_several(), *_deep()]


def _picture(mode: str, seed: int = 0) -> Image.Image:
    height, width = SHAPE
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height // 4, width // 4, 4), np.uint8).repeat(4, 0).repeat(4, 1)
    pixels += rng.integers(0, 9, pixels.shape, np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[:, :, 0].astype(np.uint16) * np.uint16(257))
    if mode in ("I", "F"):
        return Image.fromarray(pixels[:, :, 0].astype(np.int32 if mode == "I" else np.float32))
    picture = Image.fromarray(pixels)
    return picture if mode == "RGBA" else picture.convert("RGB").convert(mode)


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


_MODES: dict[str, tuple[str, tuple[str, ...]]] = {
    "PNG": (".png", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    "JPEG": (".jpg", ("L", "RGB", "CMYK")),
    "TIFF": (".tif", ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")),
    "WEBP": (".webp", ("RGB", "RGBA")),
    "GIF": (".gif", ("L", "P")),
    "AVIF": (".avif", ("RGB", "RGBA")),
    "HEIF": (".heic", ("RGB",)),
    "JXL": (".jxl", ("L", "RGB", "RGBA")),
    "BMP": (".bmp", ("L", "P", "RGB")),
    "PPM": (".ppm", ("L", "RGB")),
    "TGA": (".tga", ("L", "RGB", "RGBA")),
    "JPEG2000": (".jp2", ("L", "RGB")),
    "ICO": (".ico", ("RGBA",)),
    "PCX": (".pcx", ("P", "RGB")),
    "SGI": (".sgi", ("RGB",)),
    "DDS": (".dds", ("RGBA",)),
}


def _plain() -> Iterator[Seed]:
    for kind, (suffix, modes) in _MODES.items():
        if kind in Image.SAVE:
            for mode in modes:
                yield Seed(f"{kind} {mode}", suffix, _saved(_picture(mode), kind))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        data = _saved(_picture("RGB"), "TIFF", compression=compression)
        yield Seed(f"TIFF {compression}", ".tif", data)
    yield Seed("TIFF group4", ".tif", _saved(_picture("1"), "TIFF", compression="group4"))
    yield Seed("JPEG progressive", ".jpg", _saved(_picture("RGB"), "JPEG", progressive=True))
    yield Seed("WEBP lossless", ".webp", _saved(_picture("RGBA"), "WEBP", lossless=True))


def _described() -> Iterator[Seed]:
    thumbnail = _saved(_picture("RGB").resize((8, 6)), "JPEG")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x927C] = 6, "a camera", thumbnail
    exif.get_ifd(0x8769)[0x9003] = "2001:02:03 04:05:06"
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngInfo()
    text.add_text("Title", "a portrait")
    text.add_text("Zipped", "x" * 200, zip=True)
    text.add_itxt("XML:com.adobe.xmp", _XMP.decode(), zip=True)
    for kind, suffix in (("PNG", ".png"), ("JPEG", ".jpg"), ("TIFF", ".tif"), ("WEBP", ".webp")):
        options: dict[str, Any] = {"exif": exif, "icc_profile": profile, "dpi": (300, 300)}
        if kind == "PNG":
            options["pnginfo"] = text
        elif kind != "TIFF":
            options["xmp"] = _XMP
        yield Seed(f"{kind} described", suffix, _saved(_picture("RGB"), kind, **options))
    transparent = _picture("P")
    yield Seed("PNG transparency", ".png", _saved(transparent, "PNG", transparency=bytes(range(9))))
    data = _saved(_picture("RGB"), "PNG", transparency=(1, 2, 3))
    yield Seed("PNG transparent colour", ".png", data)


def _several() -> Iterator[Seed]:
    more = [_picture("RGB", seed) for seed in (1, 2)]
    kinds = {"PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "TIFF": ".tif", "AVIF": ".avif"}
    for kind, suffix in kinds.items():
        data = _saved(_picture("RGB"), kind, save_all=True, append_images=more)
        yield Seed(f"{kind} of three", suffix, data)
    yield Seed("MPO", ".jpg", _saved(_picture("RGB"), "MPO", save_all=True, append_images=more))


def _deep() -> Iterator[Seed]:
    rng = np.random.default_rng(5)
    for channels in (3, 4):
        samples = rng.integers(0, 65536, (*SHAPE, channels), np.uint16)
        for suffix in (".png", ".tif"):
            data = cv2.imencode(suffix, samples)[1].tobytes()
            yield Seed(f"{suffix[1:].upper()} of 16 bits, {channels} channels", suffix, data)
