"""Formats: which are read, and what is said of a file in another one."""

from __future__ import annotations

import contextlib
import importlib
import struct
from functools import cache
from pathlib import Path

from PIL import Image

from aleph.errors import InputError

READ = (
    *("PNG", "JPEG", "MPO", "TIFF", "WEBP", "AVIF", "BMP", "DIB", "GIF", "PPM", "JPEG2000"),
    *("TGA", "PSD", "DDS", "ICO", "PCX", "SGI", "QOI", "HEIF", "JXL"),
)
"""Formats that are read, by PIL's names. PIL knows more; some of them start programs (EPS) or read
other files."""

_PLUGINS = {"HEIF": "pillow_heif.HeifImagePlugin", "JXL": "pillow_jxl.JpegXLImagePlugin"}
"""Modules of the extra `formats` that teach PIL a format when they are imported."""

PLUGIN_ENDINGS = frozenset((".heic", ".heif", ".hif", ".jxl"))
"""Endings of the formats that need one of them."""

INSTALL = "install what knows it (pip install 'aleph-inpainting[formats]')"

RAW_ENDINGS = frozenset(
    {
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".k25"),
        *(".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2"),
        *(".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    }
)
"""Endings of the raw files of cameras."""

_RAW = (
    "is the raw file of a camera ({}): develop it in a raw converter (such as darktable or "
    "RawTherapee), save it as a TIFF, PNG or JPEG, and give that"
)
_CONVERT = "is {}, which is not read: convert it to PNG, TIFF or JPEG"
_VIDEO = "is a video: save the picture that is meant as PNG, TIFF or JPEG"

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"hevc"), "HEIF"),
    b"crx ": "CR3",
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
"""Kinds of files of ISO's base media format (ISO 14496-12, section 4.3); any other is a video."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"FUJIFILMCCD-RAW", _RAW.format("Fujifilm RAF")),
    (0, b"IIRO", _RAW.format("Olympus ORF")),
    (0, b"IIRS", _RAW.format("Olympus ORF")),
    (0, b"MMOR", _RAW.format("Olympus ORF")),
    (0, b"IIU\0", _RAW.format("Panasonic RW2")),
    (0, b"FOVb", _RAW.format("Sigma X3F")),
    (0, b"\0MRM", _RAW.format("Minolta MRW")),
    (6, b"HEAPCCDR", _RAW.format("Canon CRW")),
    (8, b"CR\x02", _RAW.format("Canon CR2")),
    (0, b"%PDF", "is a PDF document: save the page that is meant as PNG, TIFF or JPEG"),
    (0, b"%!PS", _CONVERT.format("a PostScript document (EPS)")),
    (0, b"\xc5\xd0\xd3\xc6", _CONVERT.format("a PostScript document (EPS)")),
    (0, b"AT&TFORM", _CONVERT.format("a DjVu document")),
    (128, b"DICM", _CONVERT.format("a medical picture (DICOM)")),
    (0, b"SIMPLE  =", _CONVERT.format("an astronomical picture (FITS)")),
    (0, b"gimp xcf", _CONVERT.format("a project of GIMP (XCF)")),
    (0, b"v/1\x01", _CONVERT.format("an OpenEXR picture")),
    (0, b"#?R", _CONVERT.format("a Radiance HDR picture")),
    (0, b"II\xbc", _CONVERT.format("a JPEG XR picture")),
    (0, b"8BPB", _CONVERT.format("a large Photoshop document (PSB)")),
    (0, b"\x1aE\xdf\xa3", _VIDEO),
    (0, b"PK\x03\x04", "is a zip archive, or a document that is one: unpack the picture in it"),
    (0, b"<svg", _CONVERT.format("a vector drawing (SVG)")),
    (0, b"<!DOCTYPE html", "is a web page, not a picture"),
    (0, b"<html", "is a web page, not a picture"),
)
"""Where a kind of file has which bytes, and what is said of it."""

_DNG_VERSION, _SUB_DIRECTORIES, _SUBFILE, _PHOTOMETRIC = 50706, 330, 254, 262
_SENSOR = (32803, 34892)
"""Photometric interpretations of what a sensor saw: colour filter array, linear raw."""


@cache
def register_plugins() -> None:
    """Teach PIL every format that it is to read here and for which something is installed."""
    Image.init()
    for module in _PLUGINS.values():
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    if "HEIF" not in Image.OPEN:
        with contextlib.suppress(ImportError):
            importlib.import_module("pillow_heif").register_heif_opener()


def readable() -> list[str]:
    """Return the formats that are read here and now, by PIL's names."""
    register_plugins()
    return [name for name in READ if name in Image.OPEN]


def refuse_foreign(data: bytes, label: str, name: str = "") -> None:
    """Refuse the file of a format that is known but not read, by its name and with what to do.

    Args:
        data: The file's bytes.
        label: What the sentence calls it.
        name: The file's name; it tells raw files from other TIFFs.

    Raises:
        InputError: if it is one.
    """
    said = _foreign(data)
    ending = Path(name).suffix.lower()
    if said is None and data[:4] in (b"II*\0", b"MM\0*") and ending in RAW_ENDINGS:
        said = _RAW.format(ending[1:].upper())
    if said is not None:
        raise InputError(f"{label} {said}")


def refuse_raw(picture: Image.Image, label: str) -> None:
    """Refuse a raw file that is a TIFF: what PIL would read is a small preview.

    Args:
        picture: As PIL opened it.
        label: What the sentence calls it.

    Raises:
        InputError: if it is one.
    """
    tags = getattr(picture, "tag_v2", {})
    small = tags.get(_SUBFILE) == 1 and _SUB_DIRECTORIES in tags
    if _DNG_VERSION in tags or small or tags.get(_PHOTOMETRIC) in _SENSOR:
        raise InputError(f"{label} {_RAW.format('DNG' if _DNG_VERSION in tags else 'a TIFF')}")


def unreadable(data: bytes, label: str, name: str = "") -> InputError:
    """Return what is said of a file that PIL does not know.

    Args:
        data: The file's bytes.
        label: What the sentence calls it.
        name: The file's name; it tells raw files.
    """
    if not data:
        return InputError(f"{label} is not a picture: it is empty")
    kind = known_kind(data)
    if kind == "HEIF" and "HEIF" not in Image.OPEN:
        return _missing(label, "a HEIC picture, as phones save them")
    if kind == "JXL" and "JXL" not in Image.OPEN:
        return _missing(label, "a JPEG XL picture")
    if kind is not None:
        return InputError(
            f"{label} is {_SHOWN.get(kind, kind)}, but damaged, and cannot be decoded; if a "
            "program still shows it, convert it to JPEG, PNG or TIFF there"
        )
    ending = Path(name).suffix.lower()
    if ending in RAW_ENDINGS:
        return InputError(f"{label} {_RAW.format(ending[1:].upper())}")
    return InputError(
        f"{label} is not a picture in a known format: convert it to PNG, TIFF or JPEG"
    )


_SHOWN = {"HEIF": "a HEIC picture", "JXL": "a JPEG XL picture", "AVIF": "an AVIF picture"}


def _missing(label: str, what: str) -> InputError:
    return InputError(f"{label} is {what}: {INSTALL}, or convert it to JPEG, PNG or TIFF")


def _foreign(data: bytes) -> str | None:
    for at, signature, said in _SIGNATURES:
        if data[at : at + len(signature)] == signature:
            return said
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<?xml") and b"<svg" in head:
        return _CONVERT.format("a vector drawing (SVG)")
    if data[4:8] == b"ftyp":
        kind = known_kind(data)
        if kind == "CR3":
            return _RAW.format("Canon CR3")
        if kind is None:
            return _VIDEO
    return None


def known_kind(data: bytes) -> str | None:
    """Return the format whose signature a file has, of those that PIL knows or could learn."""
    if data[4:8] == b"ftyp":
        (size,) = struct.unpack(">I", data[:4])
        brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(size, 256), 4))]
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
        return "JXL"
    return None
