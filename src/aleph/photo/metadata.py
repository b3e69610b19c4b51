"""Metadata: what a file holds besides its pixels; read, and turned into PIL's save options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling
from PIL.PngImagePlugin import PngImageFile, PngInfo
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from aleph.photo.exif import with_orientation
from aleph.photo.pages import without_gain_map
from aleph.photo.previews import holds_preview, without_previews

_EXIF_HEADER = b"Exif\0\0"

_SEGMENT = 65_000
"""Bytes that one segment of a JPEG holds, a little less; EXIF and XMP have one each."""

_XMP_TEXT = "XML:com.adobe.xmp"

_SUB_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)

_DESCRIPTIVE = (
    *(270, 271, 272, 274, 305, 306, 315, 316, 33432),  # description, camera, …, copyright
    *(40091, 40092, 40093, 40094, 40095),  # the same in Windows' words
    *_SUB_DIRECTORIES,
)
"""The tags of a TIFF that tell of the photo; all others tell how its pixels are stored."""

_UPRIGHT = ("HEIF", "JXL")
"""Formats that are turned upright while they are decoded, whatever their EXIF data say."""

_INTEROPERABILITY = 40965
"""A tag of the EXIF directory that points into the old file."""


@dataclass(frozen=True)
class Metadata:
    """What a file says beside its pixels; nothing, for a picture that comes from no file.

    Attributes:
        format: PIL's name of the file's format.
        lossy: Whether its compression had lost something already.
        orientation: EXIF orientation of the stored pixels, 1 to 8.
        profile: ICC profile.
        exif: EXIF data, beginning with `Exif`.
        xmp: XMP packet.
        dpi: Resolution in pixels per inch, across and down.
        comment: Comment of a JPEG.
        text: Texts of a PNG by keyword.
        encoding: PIL's options that make a file of the same format in the same way.
    """

    format: str = ""
    lossy: bool = False
    orientation: int = 1
    profile: bytes | None = None
    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    comment: bytes = b""
    text: dict[str, str] = field(default_factory=dict)
    encoding: dict[str, Any] = field(default_factory=dict)


def read_exif(picture: Image.Image) -> tuple[int, bytes]:
    """Return the orientation, 1 to 8, and the EXIF data.

    Of data that cannot be understood, and so might not be written either, the orientation is kept.
    To be called before a TIFF is decoded: PIL turns it upright then and forgets how it lay.
    """
    orientation = 1
    try:
        exif = picture.getexif()
        lies = exif.get(ExifTags.Base.Orientation, 1)
        orientation = lies if lies in range(1, 9) else 1
        raw: bytes = picture.info.get("exif", b"")
        if picture.format == "TIFF":
            raw = _described(exif)
        elif not raw and len(exif):
            raw = exif.tobytes()
        if raw and not raw.startswith(_EXIF_HEADER):
            raw = _EXIF_HEADER + raw
        tiff_tags(Metadata(exif=raw)).tobytes()
        if picture.format in _UPRIGHT:
            return 1, with_orientation(raw, 1) if raw else b""
    except Exception:  # PIL raises whatever it stumbles over
        orientation = 1 if picture.format in _UPRIGHT else orientation
        return orientation, _orientation_exif(orientation)
    return orientation, raw


def read_metadata(
    picture: Image.Image, data: bytes, orientation: int = 1, exif: bytes = b""
) -> Metadata:
    """Return what the file of a decoded picture says.

    Args:
        picture: A decoded picture.
        data: The file's bytes, or nothing where there is no file.
        orientation: As `read_exif` returned it.
        exif: As `read_exif` returned it.
    """
    jpeg = isinstance(picture, JpegImageFile)
    kind = "JPEG" if jpeg else picture.format or ""  # an MPO is a JPEG with more behind it
    info = picture.info
    text = picture.text if isinstance(picture, PngImageFile) else {}
    return Metadata(
        format=kind,
        lossy=kind in ("JPEG", "AVIF", "HEIF") or (kind == "WEBP" and _is_lossy_webp(data)),
        orientation=orientation,
        profile=_bytes(info.get("icc_profile")) or None,
        exif=exif,
        xmp=without_gain_map(without_previews(_bytes(info.get("xmp") or info.get(_XMP_TEXT)))),
        dpi=_dpi(info.get("dpi")),
        comment=_bytes(info.get("comment")) if jpeg else b"",
        text=_texts(text),
        encoding=_encoding(picture),
    )


def _texts(text: dict[str, Any]) -> dict[str, str]:
    """Return the texts of a PNG, but for those that hold pictures or are kept otherwise."""
    kept = {str(k): str(v) for k, v in text.items() if k != _XMP_TEXT}
    return {k: v for k, v in kept.items() if not holds_preview(v)}


def _encoding(picture: Image.Image) -> dict[str, Any]:
    if isinstance(picture, JpegImageFile):
        return {
            "qtables": picture.quantization,
            "subsampling": get_sampling(picture),
            "progressive": bool(picture.info.get("progressive")),
        }
    return {}


def _is_lossy_webp(data: bytes) -> bool:
    """Return whether the first frame of a WebP file is lossy (RFC 9649, section 2.3)."""
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8 "
        at += 8 + size + size % 2
    return False


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else b""


def _dpi(value: Any) -> tuple[float, float] | None:  # noqa: ANN401 - whatever a file said
    try:
        across, down = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _described(exif: Image.Exif) -> bytes:
    """Return the descriptive part of a TIFF's tags as EXIF data; nothing if there is none."""
    kept = Image.Exif()
    for tag, value in _descriptive(exif).items():
        kept[tag] = value
    return kept.tobytes() if len(kept) else b""


def _descriptive(exif: Image.Exif) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for tag in _DESCRIPTIVE:
        if tag in _SUB_DIRECTORIES:
            entries = {k: v for k, v in exif.get_ifd(tag).items() if k != _INTEROPERABILITY}
            if entries:
                found[tag] = entries
        elif tag in exif:
            found[tag] = exif[tag]
    return found


def tiff_tags(metadata: Metadata) -> ImageFileDirectory_v2:
    """Return what a TIFF says beside its pixels as its tags."""
    tags = ImageFileDirectory_v2(prefix=b"II")
    if metadata.exif:
        exif = Image.Exif()
        exif.load(metadata.exif)
        for tag, value in _descriptive(exif).items():
            tags[tag] = value
    if metadata.xmp:
        tags[700] = metadata.xmp
    if metadata.profile:
        tags[34675] = metadata.profile
    if metadata.dpi:
        tags[282], tags[283] = (IFDRational(round(value * 1000), 1000) for value in metadata.dpi)
        tags[296] = 2  # per inch
    return tags


def save_options(metadata: Metadata, kind: str) -> dict[str, Any]:
    """Return PIL's options that write the metadata into a file of format `kind`, but of a TIFF.

    A format gets what it can hold; a JPEG no EXIF or XMP longer than one of its segments.
    """
    exif, xmp = metadata.exif, metadata.xmp
    if kind == "JPEG":
        exif = exif if len(exif) < _SEGMENT else _orientation_exif(metadata.orientation)
        xmp = xmp if len(xmp) < _SEGMENT else b""
    options: dict[str, Any] = {}
    if kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF"):
        options = {"icc_profile": metadata.profile, "exif": exif, "xmp": xmp}
    if kind == "JXL":
        options = {"exif": exif, "xmp": xmp}
    if kind in ("JPEG", "PNG", "BMP"):
        options["dpi"] = metadata.dpi
    if kind == "JPEG":
        options["comment"] = metadata.comment
    if kind == "PNG":
        options["pnginfo"] = _png_info(metadata)
    return {name: value for name, value in options.items() if value}


def _orientation_exif(orientation: int) -> bytes:
    """Return EXIF data that hold the orientation alone; none if the pixels are upright."""
    if orientation == 1:
        return b""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


def _png_info(metadata: Metadata) -> PngInfo:
    info = PngInfo()
    for keyword, text in metadata.text.items():
        info.add_itxt(keyword, text) if not text.isascii() else info.add_text(keyword, text)
    if metadata.xmp:
        info.add_itxt(_XMP_TEXT, metadata.xmp.decode("utf-8", "replace"))
    return info
