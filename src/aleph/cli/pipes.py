"""Pipes: `-` reads a picture from standard input and writes one to standard output."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aleph.errors import InputError, OutputError, PhotoWarning, warn

if TYPE_CHECKING:
    from aleph.masks.read import MaskSource
    from aleph.photo.limits import Limits
    from aleph.photo.photo import PhotoLike

_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def is_piped(path: Path | str) -> bool:
    """Return whether a path stands for standard output."""
    return str(path) in _OUTPUT


def is_stream(path: Path) -> bool:
    """Return whether a path is written to and not replaced: standard output, a named pipe."""
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        return is_piped(path) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return is_piped(path)


def read_piped(image: str, mask: str | None, limits: Limits) -> tuple[PhotoLike, MaskSource | None]:
    """Return an image and a mask, either of which may come from standard input.

    Raises:
        InputError: if both do, or what comes from there is no picture.

    Warns:
        PhotoWarning: if the image's file holds more than is read, or less than it should.
    """
    if image in _INPUT and mask in _INPUT:
        raise InputError("image and mask cannot both come from standard input: give one as a file")
    if image in _INPUT:
        from aleph.photo.photo import decode_photo

        label = "the image from standard input"
        photo = decode_photo(_standard_input(label), label, limits)
        for remark in photo.remarks:
            warn(f"{label}: {remark}", PhotoWarning)
        return photo, mask
    if mask is not None and mask in _INPUT:
        from aleph.photo.photo import decode_values

        label = "the mask from standard input"
        return image, decode_values(_standard_input(label), label, limits)
    return image, mask


def _standard_input(label: str) -> bytes:
    from aleph.photo.opening import read_stream

    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(f"{label} is missing: pipe it in, as in 'cat photo.png | aleph inpaint -'")
    return read_stream(sys.stdin.buffer, label)


def check_stream(path: Path, as_json: bool, candidates: int) -> None:
    """Refuse what cannot be written to a stream.

    Raises:
        OutputError: if there would be several pictures, or a report among them.
        InputError: if standard output is a terminal.
    """
    if candidates > 1:
        raise OutputError(f"'{path}' takes one picture: name a file for {candidates} candidates")
    if is_piped(path) and as_json:
        raise OutputError("--json and -o - both write to standard output: name a file for one")
    if is_piped(path) and sys.stdout.isatty():
        raise InputError("standard output is a terminal: pipe it on, or name a file by --out")


def write_to_stream(data: bytes, path: Path) -> None:
    """Write a picture's file to standard output or a named pipe.

    Raises:
        OutputError: if it cannot be written.
    """
    if is_piped(path):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        handle = os.open(path, os.O_WRONLY)
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror}") from None
