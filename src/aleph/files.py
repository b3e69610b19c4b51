"""Files: written to a temporary file, then renamed, so that nothing is ever half written."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from aleph.errors import OutputError

_CHUNK = 1 << 20

ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".avif"),
    *(".bmp", ".gif", ".jp2", ".ppm", ".pgm", ".tga", ".heic", ".heif", ".hif", ".jxl"),
)
"""Files of a folder that are taken for photos; all others are left alone."""


_TEMPORARY = ".aleph-"
_owner: ContextVar[str] = ContextVar("owner", default="")


@contextlib.contextmanager
def owning_temporaries(owner: str) -> Iterator[None]:
    """Let the temporary files that are made within bear a mark, by which they can be found.

    A process that is killed leaves its temporary file behind; `remove_temporaries` removes it.

    Args:
        owner: The mark: letters and digits.
    """
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)


def remove_temporaries(folder: str | os.PathLike[str], owner: str) -> None:
    """Remove what killed processes have left in a folder under a mark; other files stay."""
    with contextlib.suppress(OSError):
        for path in Path(folder).glob(f"{_TEMPORARY}{owner}-*"):
            path.unlink(missing_ok=True)


_unremoved: set[Path] = set()
"""Temporary files and folders of this process that may be there."""


@contextlib.contextmanager
def _removing(path: Path) -> Iterator[None]:
    """Remove a file or folder in the end, if it is there."""
    _unremoved.add(path)
    try:
        yield
    finally:
        _remove(path)
        _unremoved.discard(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_own_temporaries() -> None:
    """Remove what this process would leave behind when a signal ends it now.

    A signal may come between any two lines, also where a `finally` has just begun.
    """
    while _unremoved:
        with contextlib.suppress(OSError):
            _remove(_unremoved.pop())


@contextlib.contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a private folder that is removed in the end.

    Args:
        parent: Where; in the system's folder of temporary files if None.

    Raises:
        OSError: if it cannot be made.
    """
    # Not by tempfile: a signal between the making and the guard would leave its folder behind.
    mark = secrets.token_hex(8)
    if parent is None:
        folder = Path(tempfile.gettempdir()) / f"aleph-{mark}"
    else:
        folder = parent / f"{_TEMPORARY}{mark}"
    with _removing(folder):
        folder.mkdir(mode=0o700)
        yield folder


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
    mark = "-".join(filter(None, [_owner.get(), secrets.token_hex(8)]))
    temporary = target.with_name(f"{_TEMPORARY}{mark}{target.suffix[-32:]}")
    try:
        with _removing(temporary):
            # Not by tempfile: its files are private. This one has the mode of any new file, which
            # the system makes of 0666 and the process's umask.
            handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            mode = os.fstat(handle).st_mode
            os.close(handle)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.chmod(mode)  # a library may have put a private file in its place
            temporary.replace(target)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write '{target}': {error.strerror}") from None


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


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, if it is not there.

    Raises:
        OutputError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder '{folder}': {error.strerror}") from None


def check_apart(outputs: Sequence[Path], inputs: Sequence[object]) -> None:
    """Refuse outputs that are inputs too, under whatever name, and two outputs in one place.

    Args:
        outputs: What is to be written.
        inputs: What is read; what is no path of a file or folder does not count.

    Raises:
        OutputError: naming the first.
    """
    read = [str(one) for one in inputs if isinstance(one, str | os.PathLike)]
    for output in outputs:
        if any(_is_same(output, one) for one in read):
            raise OutputError(
                f"cannot write '{output}': it is read, and would be lost; name another place"
            )
    places = [output.resolve() for output in outputs]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise OutputError(f"cannot write '{outputs[number]}' twice: name another place")


def check_outside(folder: Path, inputs: Sequence[str | os.PathLike[str]]) -> None:
    """Refuse to write into a folder that is read: what is written would be read the next time.

    Raises:
        OutputError: naming the folder that is read.
    """
    for one in map(Path, inputs):
        if one.is_dir() and folder.resolve().is_relative_to(one.resolve()):
            raise OutputError(f"the results cannot go into '{one}': name a folder outside it")


def _is_same(one: Path, other: str) -> bool:
    """Return whether two names lead to one file or folder that is there."""
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - the other may be no path at all
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def working_alone(folder: Path) -> Iterator[None]:
    """Keep a folder for this process while it writes there; it is free when the process ends.

    Where the system has no such locks (Windows, some network disks) nothing is kept.

    Raises:
        OutputError: if another process keeps it.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(handle)
            raise OutputError(
                f"another aleph is writing into '{folder}': wait for it, or name another folder"
            ) from None
    try:
        yield
    finally:
        os.close(handle)


def replace_folder(fresh: Path, target: Path, aside: Path) -> None:
    """Put a folder in the place of another one, which is then in the place of `fresh` or `aside`.

    On Linux both change places at once; elsewhere `target` is missing for a moment.

    Raises:
        OSError: if it cannot be done; `target` is then what it was.
    """
    if not target.exists():
        fresh.rename(target)
        return
    if _exchanged(fresh, target):
        return
    try:
        target.rename(aside)
        fresh.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise


def _exchanged(one: Path, other: Path) -> bool:
    """Let two paths change places (`renameat2`, RENAME_EXCHANGE); return whether they did."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    here = -100  # AT_FDCWD: relative to the working folder
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), 2) == 0


def _longest_name(folder: Path) -> int:
    """Return how many bytes the name of a file in a folder may have."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # no such folder, or no such question
        return 255


@dataclass(frozen=True)
class FileState:
    """A file as it was.

    Attributes:
        sha256: Digest of its bytes.
        size: Their number.
        modified: When it was written last, in nanoseconds.
    """

    sha256: str
    size: int
    modified: int


def file_state(path: Path, before: FileState | None = None) -> FileState:
    """Return the state of a file.

    Args:
        path: The file.
        before: What it was; where size and time are still the same, its digest is believed.

    Raises:
        OSError: if it cannot be read.
    """
    stat = path.stat()
    if before and (before.size, before.modified) == (stat.st_size, stat.st_mtime_ns):
        return before
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return FileState(digest.hexdigest(), stat.st_size, stat.st_mtime_ns)
