"""Opening picture files: every file is read, recognised, checked against limits and opened here."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from aleph.errors import AlephError, InputError
from aleph.photo.capacity import capacity
from aleph.photo.chatter import listening, one_line
from aleph.photo.formats import known_kind, readable, refuse_foreign, refuse_raw, unreadable
from aleph.photo.jxl import jxl_size
from aleph.photo.limits import Limits, check_file_size, check_plausible

_log = logging.getLogger("aleph.photo")

_MOST_SCANS = 1000
"""Scans that a progressive JPEG may have; cameras and programs make about ten. Each costs as much
time as a whole picture."""

_STREAM_BYTES = 1 << 29
"""Bytes that are read from what has no size: a pipe, a device."""


@contextlib.contextmanager
def decoding(label: str) -> Iterator[None]:
    """Turn whatever goes wrong while a picture is opened and decoded into one sentence.

    Decoders' warnings about a picture that they do read go into the debug log.

    Args:
        label: What the sentence calls the picture, as `image 'a.png'`.

    Raises:
        InputError: in place of the many errors that decoders know.
    """
    heard: list[str] = []
    failed: Exception | None = None
    try:
        with listening() as heard:
            yield
    except AlephError:
        _note(label, heard)
        raise
    except MemoryError:
        raise InputError(f"{label} needs more memory than there is") from None
    except Exception as error:  # decoders raise whatever they stumble over
        failed = error
    if failed is None:
        _note(label, heard)
    else:
        _log.debug("%s: %s: %s", label, type(failed).__name__, one_line(failed, 1000))
        raise InputError(
            f"{label} is damaged and cannot be decoded: {_reason(failed, heard)}; if a program "
            "still shows it, save it anew from there"
        ) from None


def _note(label: str, heard: list[str]) -> None:
    for line in dict.fromkeys(heard):
        _log.debug("%s: %s", label, line)


def _reason(error: Exception, heard: list[str]) -> str:
    """Return what went wrong, in the decoder's own words if they say anything."""
    said = one_line(error)
    if not said or "object at 0x" in said or isinstance(error, AssertionError | IndexError):
        said = f"its data make no sense ({type(error).__name__})"
    return f"{said} ({heard[0]})" if heard and heard[0] not in said else said


def read_file(path: str | os.PathLike[str], label: str) -> bytes:
    """Return the bytes of a file; its name may be given in any of Unicode's forms.

    Raises:
        InputError: if it is not there, may not be read, is a folder, or is too large.
    """
    try:
        with _as_stored(Path(path)).open("rb") as file:
            return _read(file, label)
    except FileNotFoundError:
        raise InputError(f"{label} does not exist") from None
    except IsADirectoryError:
        raise InputError(f"{label} is a folder, not a picture") from None
    except PermissionError:
        raise InputError(f"{label} may not be read: permission denied") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{label} cannot be read: {reason}") from None


def _as_stored(path: Path) -> Path:
    """Return the path of a file whose name looks the same, where there is none of this very name.

    Macs store accents apart from their letters, and what is typed has them in one.
    """
    if os.path.lexists(path) or str(path).isascii() or not path.parent.is_dir():
        return path
    wanted = unicodedata.normalize("NFC", path.name)
    alike = [p for p in path.parent.iterdir() if unicodedata.normalize("NFC", p.name) == wanted]
    return alike[0] if len(alike) == 1 else path


def _read(file: BinaryIO, label: str) -> bytes:
    state = os.fstat(file.fileno())
    if stat.S_ISREG(state.st_mode):
        check_file_size(state.st_size, label)
        return file.read()
    return read_stream(file, label)


def read_stream(file: BinaryIO, label: str) -> bytes:
    """Return all that a pipe or device gives.

    Raises:
        InputError: if it gives more than a picture should have, or nothing.
    """
    data = file.read(_STREAM_BYTES + 1)
    if len(data) > _STREAM_BYTES:
        raise InputError(f"{label} gives more than {_STREAM_BYTES >> 20} MiB: save it as a file")
    if not data:
        raise InputError(f"{label} gave no data")
    return data


@contextlib.contextmanager
def opened(
    data: bytes, label: str, limits: Limits | None = None, name: str = ""
) -> Iterator[Image.Image]:
    """Open a picture's file; what its header declares is checked before anything is decoded.

    To be used within `decoding`.

    Args:
        data: The file's bytes.
        label: What errors call it.
        limits: How large it may be.
        name: The file's name, where it has one.

    Raises:
        InputError: if it is no picture, in a format that is not read, or too large.
    """
    limits = limits or Limits()
    refuse_foreign(data, label, name)
    _check_jpeg_scans(data, label)
    size = jxl_size(data)  # before opening: the plug-in decodes then
    if size is not None:
        limits.check_size(*size, label)
    try:
        picture = Image.open(io.BytesIO(data), formats=readable())
    except UnidentifiedImageError:
        raise unreadable(data, label, name) from None
    except Exception:
        if known_kind(data) is None:
            raise
        raise unreadable(
            data, label, name
        ) from None  # the plug-in's message means nothing to users
    with picture:
        held = capacity(picture, data)
        if held is not None:
            check_plausible(*picture.size, held, len(data), label)
        limits.check_size(*picture.size, label)
        refuse_raw(picture, label)
        yield picture


def _check_jpeg_scans(data: bytes, label: str) -> None:
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > _MOST_SCANS:
        raise InputError(f"{label} is damaged: a JPEG of more than {_MOST_SCANS} scans is a trap")
