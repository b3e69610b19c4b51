"""Files: written to a temporary file, then renamed, so that nothing is ever half written."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from aleph.errors import OutputError

ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".avif"),
    *(".bmp", ".gif", ".jp2", ".ppm", ".pgm", ".tga", ".heic", ".heif", ".hif", ".jxl"),
)
"""Files of a folder that are taken for photos; all others are left alone."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, of the same ending, that replaces it on success.

    Whatever goes wrong, `path` holds either what it held before or the whole new file.

    Raises:
        OutputError: if the folder does not exist or cannot be written.
    """
    target = Path(path)
    check_writable(target)
    # Of a length of its own: the target's name may be as long as the file system allows.
    temporary = target.with_name(f".aleph-{secrets.token_hex(8)}{target.suffix[-32:]}")
    try:
        # Not by tempfile: its files are private. This one has the mode of any new file, which the
        # system makes of 0666 and the process's umask.
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        mode = os.fstat(handle).st_mode
        os.close(handle)
    except OSError as error:
        raise OutputError(f"cannot write '{target}': {error.strerror}") from None
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)  # a library may have put a private file in its place
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
    if len(os.fsencode(target.name)) > _longest_name(target.parent):
        raise OutputError(f"cannot write '{target.name[:40]}…': the name is too long")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write '{target}': the folder '{target.parent}' does not exist")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"cannot write '{target}': '{target.parent}' is not writable")


def _longest_name(folder: Path) -> int:
    """Return how many bytes the name of a file in a folder may have."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # no such folder, or no such question
        return 255


def pictures_below(folder: Path) -> Iterator[Path]:
    """Yield the pictures below a folder, as paths from there; hidden ones are left out."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix.lower() in ENDINGS and not hidden and path.is_file():
            yield name
