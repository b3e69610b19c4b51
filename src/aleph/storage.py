"""Folders of files, on this machine or in an object store (`s3://`, `gs://`, `az://`, …)."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from aleph.errors import InputError, MissingDependencyError, OutputError
from aleph.files import (
    FileState,
    file_state,
    make_folder,
    remove_temporaries,
    temporary_folder,
)

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_LOCAL = re.compile(r"(file|local)://", re.IGNORECASE)

_QUESTIONS = 32
"""Questions that a store is asked at the same time."""

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class Room(Protocol):
    """Where the result of a photo is written.

    Attributes:
        path: A path of this machine for the result; its folder is there.
    """

    path: Path

    def deliver(self, paths: Sequence[Path]) -> dict[str, FileState]:
        """Return what was written, by its names below the folder; each is there whole.

        Raises:
            OutputError: if it cannot be stored.
        """


class Folder(Protocol):
    """Files by names: relative to the folder, with `/` between folders in it. Picklable."""

    def names(self) -> Iterator[str]:
        """Yield the names of all files below, in no order; hidden ones are left out."""

    def is_there(self) -> bool:
        """Return whether there is such a folder."""

    def exists(self, name: str) -> bool:
        """Return whether there is such a file."""

    def state(self, name: str, before: FileState | None = None) -> FileState:
        """Return the state of a file, as `aleph.files.file_state`."""

    def asked_together(self, names: Iterable[str]) -> contextlib.AbstractContextManager[None]:
        """Ask about files together: within, the first `exists` or `state` of each is answered."""

    def shown(self, name: str = "") -> str:
        """Return the path of a file as messages show it."""

    def fetched(self, name: str) -> contextlib.AbstractContextManager[Path]:
        """Give a path of this machine at which a file can be read."""

    def room(self, name: str) -> contextlib.AbstractContextManager[Room]:
        """Give a place to write the result `name` to."""

    def clean(self, name: str, owner: str) -> None:
        """Remove the temporary files of an owner beside a file (`aleph.files`)."""

    def holds(self, other: Folder) -> bool:
        """Return whether another folder lies in this one, or is the same."""


def is_url(place: object) -> bool:
    """Return whether a place is an address and no path of this machine."""
    return isinstance(place, str) and _URL.match(place) is not None


def open_folder(place: str | os.PathLike[str]) -> Folder:
    """Return the folder at a path, or at an address that fsspec knows.

    Raises:
        MissingDependencyError: if a package for the address is not installed.
        InputError: if the address cannot be used.
    """
    if not is_url(place):
        return LocalFolder(Path(place))
    address = os.fspath(place)
    local = _LOCAL.match(address)
    return LocalFolder(Path(address[local.end() :])) if local else Store(address)


def open_file(place: str | os.PathLike[str]) -> tuple[Folder, str]:
    """Return the folder of a file, and the file's name in it."""
    if is_url(place):
        parent, _, name = os.fspath(place).rpartition("/")
        return open_folder(parent), name
    path = Path(place)
    return LocalFolder(path.parent), path.name


class LocalFolder:
    """A folder that this machine sees.

    Args:
        root: Its path; it need not be there yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> Iterator[str]:
        """Yield the names of all files below; a folder is never listed whole."""
        waiting = [""]
        while waiting:
            below = waiting.pop()
            with contextlib.suppress(PermissionError), os.scandir(self.root / below) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{below}{entry.name}/")
                    elif entry.is_file():
                        yield f"{below}{entry.name}"

    def is_there(self) -> bool:
        """Return whether there is such a folder."""
        return self.root.is_dir()

    def exists(self, name: str) -> bool:
        """Return whether there is such a file."""
        return os.path.exists(self.root / name)  # noqa: PTH110 - false for a name too long

    def state(self, name: str, before: FileState | None = None) -> FileState:
        """Return the state of a file."""
        return file_state(self.root / name, before)

    @contextlib.contextmanager
    def asked_together(self, names: Iterable[str]) -> Iterator[None]:
        """Do nothing: a disk answers at once."""
        yield

    def shown(self, name: str = "") -> str:
        """Return the path of a file."""
        return str(self.root / name)

    @contextlib.contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """Give the path of a file."""
        yield self.root / name

    @contextlib.contextmanager
    def room(self, name: str) -> Iterator[Room]:
        """Make the folder of a file and give its path."""
        path = self.root / name
        make_folder(path.parent)
        yield _LocalRoom(self.root, path)

    def clean(self, name: str, owner: str) -> None:
        """Remove the temporary files of an owner beside a file."""
        remove_temporaries((self.root / name).parent, owner)

    def holds(self, other: Folder) -> bool:
        """Return whether another folder lies in this one, links followed."""
        return isinstance(other, LocalFolder) and other.root.resolve().is_relative_to(
            self.root.resolve()
        )


class _LocalRoom:
    def __init__(self, root: Path, path: Path) -> None:
        self._root, self.path = root, path

    def deliver(self, paths: Sequence[Path]) -> dict[str, FileState]:
        """Return what was written."""
        return {path.relative_to(self._root).as_posix(): file_state(path) for path in paths}


class Store:
    """A folder of an object store, through fsspec (extra `cloud`).

    Credentials and endpoints are those of the store's own package: its environment variables, its
    configuration files, or fsspec's (`~/.config/fsspec`).

    Args:
        address: As `s3://bucket/folder`.

    Raises:
        MissingDependencyError: if fsspec or the store's package is not installed.
        InputError: if there is no such kind of store.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._files, self._root = _opened(self.address)
        self._answers: dict[str, dict[str, Any] | None] = {}

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.address,)

    def names(self) -> Iterator[str]:
        """Yield the names of all files below; the store is asked for one folder at a time."""
        with _explained(f"cannot list '{self.address}'", InputError):
            for folder, folders, files in self._files.walk(self._root):
                folders[:] = [name for name in folders if not name.startswith(".")]
                below = PurePosixPath(folder.strip("/")).relative_to(self._root.strip("/"))
                for name in files:
                    if not name.startswith("."):
                        yield (below / name).as_posix()

    def is_there(self) -> bool:
        """Return whether there is such a folder, or anything below it."""
        with _explained(f"cannot reach '{self.address}'", InputError):
            return bool(self._files.isdir(self._root))

    def exists(self, name: str) -> bool:
        """Return whether there is such a file."""
        with _explained(f"cannot reach '{self.shown(name)}'", InputError):
            facts = self._facts(name)
        return facts is not None and facts["type"] == "file"

    def state(self, name: str, before: FileState | None = None) -> FileState:
        """Return the state of a file; it is read only where size or time have changed."""
        size, modified = self._size_and_time(name)
        if before and (before.size, before.modified) == (size, modified):
            return before
        with self.fetched(name) as path:
            return FileState(file_state(path).sha256, size, modified)

    @contextlib.contextmanager
    def asked_together(self, names: Iterable[str]) -> Iterator[None]:
        """Ask about files together: a store takes tens of milliseconds for an answer."""
        with ThreadPoolExecutor(_QUESTIONS) as pool:
            asked = {name: pool.submit(self._ask, name) for name in names}
        # What failed here fails again where it is asked for, and is explained there.
        self._answers = {
            name: answer.result() for name, answer in asked.items() if not answer.exception()
        }
        try:
            yield
        finally:
            self._answers = {}

    def shown(self, name: str = "") -> str:
        """Return the address of a file."""
        return f"{self.address}/{name}" if name else self.address

    @contextlib.contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """Copy a file to this machine, for as long as it is needed."""
        with temporary_folder() as scratch:
            path = scratch / PurePosixPath(name).name
            with _explained(f"cannot read '{self.shown(name)}'", InputError):
                self._files.get_file(self._path(name), str(path))
            yield path

    @contextlib.contextmanager
    def room(self, name: str) -> Iterator[Room]:
        """Give a path on this machine; what is delivered from there is sent to the store."""
        with temporary_folder() as scratch:
            yield _StoreRoom(self, name, scratch)

    def clean(self, name: str, owner: str) -> None:
        """Do nothing: a store shows no file before it is whole."""

    def holds(self, other: Folder) -> bool:
        """Return whether another folder lies in this one."""
        return isinstance(other, Store) and f"{other.address}/".startswith(f"{self.address}/")

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        with _explained(f"cannot read '{self.shown(name)}'", InputError):
            data: bytes = self._files.cat_file(self._path(name))
            return data

    def put(self, name: str, path: Path) -> FileState:
        """Store a file whole, or not at all.

        Raises:
            OutputError: if it cannot be stored.
        """
        with _explained(f"cannot write '{self.shown(name)}'", OutputError):
            self._files.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(path), self._path(name))
            size, modified = self._size_and_time(name)
        return FileState(file_state(path).sha256, size, modified)

    def _size_and_time(self, name: str) -> tuple[int, int]:
        facts = self._facts(name)
        if facts is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.shown(name))
        times = [facts.get(key) for key in ("LastModified", "last_modified", "mtime", "created")]
        time = next((one for one in times if one is not None), 0)
        if isinstance(time, datetime):
            return int(facts["size"]), int(time.timestamp() * 1e9)
        return int(facts["size"]), int(time * 1e9) if isinstance(time, int | float) else 0

    def _facts(self, name: str) -> dict[str, Any] | None:
        """Return what the store says of a file; None if there is none."""
        return self._answers.pop(name) if name in self._answers else self._ask(name)

    def _ask(self, name: str) -> dict[str, Any] | None:
        path = self._path(name)
        self._files.invalidate_cache(path.rpartition("/")[0])
        try:
            facts: dict[str, Any] = self._files.info(path)
        except FileNotFoundError:
            return None
        return facts

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


class _StoreRoom:
    def __init__(self, store: Store, name: str, scratch: Path) -> None:
        self._store, self._below = store, PurePosixPath(name).parent
        self.path = scratch / PurePosixPath(name).name

    def deliver(self, paths: Sequence[Path]) -> dict[str, FileState]:
        """Send what was written to the store, the first of all files last."""
        names = {(self._below / path.name).as_posix(): path for path in paths}
        states = {name: self._store.put(name, names[name]) for name in reversed(names)}
        return {name: states[name] for name in names}


def _opened(address: str) -> tuple[Any, str]:
    """Return fsspec's file system of an address, and the path in it."""
    try:
        import fsspec
    except ModuleNotFoundError:
        raise MissingDependencyError(
            f"'{address}' needs fsspec: pip install 'aleph-inpainting[cloud]'"
        ) from None
    kind = address.partition("://")[0].lower()
    try:
        files, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        package = _PACKAGES.get(kind)
        how = f"{package}: pip install {package}" if package else f"a further package: {error}"
        raise MissingDependencyError(f"'{address}' needs {how}") from None
    except ValueError as error:
        raise InputError(f"the address '{address}' cannot be used: {error}") from None
    return files, str(root).rstrip("/")


@contextlib.contextmanager
def _explained(what: str, kind: type[InputError] | type[OutputError]) -> Iterator[None]:
    """Turn whatever a store's package raises into a sentence; each has errors of its own."""
    try:
        yield
    except (InputError, OutputError, FileNotFoundError):
        raise
    except Exception as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        raise kind(f"{what}: {said}") from None
