"""The manifest of a folder's results: what became of each photo, and what it was made of.

Lines of JSON; of several lines for one photo the last counts. Beside a folder of this machine it is
one file, and a line is written at once, so that a run that is killed loses none; half a line at the
end is passed over. An object store cannot add to a file: there the manifest is a folder of parts.
Only where a line begins is kept in memory, and that on disk (`aleph.names`): a manifest of millions
of photos takes no more memory than a small one.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from aleph.errors import OutputError
from aleph.files import FileState, temporary_folder
from aleph.names import stored, temporary_database
from aleph.storage import Folder, LocalFolder, Store

_PART_LINES = 2000
_PART_SECONDS = 30.0
"""A part of a store's manifest is written after so many lines or seconds."""


@dataclass(frozen=True)
class Entry:
    """What became of a photo.

    Attributes:
        photo: Its name below the folder.
        state: `begun` (its result was about to be written when the run was killed), `done` or
            `failed`.
        order: Digest of all that was asked for: model, settings, seed, how the mask was read.
        made_of: The photo's file, and the mask's if it has one of its own, by `photo` and `mask`.
        files: The files that were written, then or earlier, by their names below the folder of the
            results.
        said: Warnings; or why it could not be filled.
        facts: What a reader may want to know: model, version, settings.
        owner: Mark of the temporary files of what was begun (`aleph.files.owning_temporaries`).
    """

    photo: str
    state: str
    order: str = ""
    made_of: dict[str, FileState] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    owner: str = ""


class Manifest:
    """The manifest of a folder of results.

    It lies beside the folder, as NAME.manifest.jsonl, so that the folder holds photos only; in it,
    as manifest.jsonl, where nothing can be written beside. Beside a folder of a store it is the
    folder NAME.manifest.

    Args:
        out: The folder of the results; it need not be there yet.

    Attributes:
        at_once: Photos to be begun at once, so that they share a write.
    """

    def __init__(self, out: Folder) -> None:
        self._lines: _Lines
        if isinstance(out, Store):
            self._lines, self.at_once = _PartLines(Store(f"{out.address}.manifest")), 500
        else:
            assert isinstance(out, LocalFolder)
            self._lines, self.at_once = _FileLines(_place(out.root)), 1
        self._places = temporary_database("places (photo BLOB PRIMARY KEY, place INTEGER)")
        weakref.finalize(self, self._places.close)
        self._lines.read(self._note)

    def entry(self, photo: str) -> Entry | None:
        """Return what became of a photo; None if nothing is known."""
        rows = self._places.execute("SELECT place FROM places WHERE photo = ?", (stored(photo),))
        found = rows.fetchone()
        entry = None if found is None else _parsed(self._lines.line(found[0]))
        return entry if entry and entry.photo == photo else None

    def add(self, entry: Entry) -> None:
        """Write what became of a photo.

        Raises:
            OutputError: if it cannot be written.
        """
        line = json.dumps(asdict(entry), sort_keys=True) + "\n"
        self._place_at(entry.photo, self._lines.add(line.encode()))

    def flush(self) -> None:
        """Write what is not written yet.

        Raises:
            OutputError: if it cannot be written.
        """
        self._lines.flush()

    def _note(self, line: bytes, place: int) -> None:
        entry = _parsed(line)
        if entry is not None:
            self._place_at(entry.photo, place)

    def _place_at(self, photo: str, place: int) -> None:
        row = stored(photo), place
        self._places.execute("INSERT OR REPLACE INTO places VALUES (?, ?)", row)


class _Lines(Protocol):
    """Where the lines of a manifest are kept; the place of a line is a number."""

    def read(self, note: Callable[[bytes, int], None]) -> None:
        """Go through all lines."""

    def line(self, place: int) -> bytes:
        """Return the line at a place."""

    def add(self, line: bytes) -> int:
        """Add a line; return its place."""

    def flush(self) -> None:
        """Write what is not written yet."""


class _FileLines:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, note: Callable[[bytes, int], None]) -> None:
        try:
            with self.path.open("rb") as file:
                _read(file, note)
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutputError(f"cannot read '{self.path}': {error.strerror}") from None

    def line(self, place: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(place)
                return file.readline()
        except OSError:
            return b""

    def add(self, line: bytes) -> int:
        try:
            # One write to the end of the file: lines of several processes do not mix.
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                before, end = os.fstat(handle).st_size, _mended(handle)
                os.write(handle, end + line)
            finally:
                os.close(handle)
        except OSError as error:
            raise OutputError(f"cannot write '{self.path}': {error.strerror}") from None
        return before + len(end)

    def flush(self) -> None:
        """Nothing is left: every line is written at once."""


class _PartLines:
    """Parts in a folder of a store; a copy of all lines is kept in a temporary file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the manifest
        weakref.finalize(self, self._copy.close)
        self._sent, self._unsent, self._since = 0, 0, 0.0

    def read(self, note: Callable[[bytes, int], None]) -> None:
        if not self._store.is_there():
            return
        for name in sorted(self._store.names()):
            data = self._store.read(name)
            self._copy.write(data if data.endswith(b"\n") else data + b"\n")
        self._sent = self._copy.tell()
        self._copy.seek(0)
        _read(self._copy, note)

    def line(self, place: int) -> bytes:
        self._copy.seek(place)
        return self._copy.readline()

    def add(self, line: bytes) -> int:
        place = self._copy.seek(0, os.SEEK_END)
        self._copy.write(line)
        if self._unsent == 0:
            self._since = time.monotonic()
        self._unsent += 1
        if self._unsent >= _PART_LINES or time.monotonic() - self._since > _PART_SECONDS:
            self.flush()
        return place

    def flush(self) -> None:
        if not self._unsent:
            return
        self._copy.seek(self._sent)
        part = self._copy.read()
        with temporary_folder() as scratch:
            path = scratch / "part"
            path.write_bytes(part)
            self._store.put(f"{time.time_ns():020d}-{secrets.token_hex(4)}.jsonl", path)
        self._sent, self._unsent = self._sent + len(part), 0


def _read(file: BinaryIO, note: Callable[[bytes, int], None]) -> None:
    place = file.tell()
    for line in file:
        note(line, place)
        place += len(line)


def _mended(handle: int) -> bytes:
    """Return the end of line that a killed run has left out."""
    size = os.fstat(handle).st_size
    if size == 0:
        return b""
    os.lseek(handle, size - 1, os.SEEK_SET)
    return b"" if os.read(handle, 1) == b"\n" else b"\n"


def _place(folder: Path) -> Path:
    whole = folder.resolve()
    inside, beside = whole / "manifest.jsonl", whole.with_name(f"{whole.name}.manifest.jsonl")
    if inside.is_file() or not whole.name or not os.access(whole.parent, os.W_OK):
        return inside
    return beside if len(os.fsencode(beside.name)) < 256 else inside


def _parsed(line: bytes) -> Entry | None:
    """Return the entry of a line; None if it is damaged."""
    try:
        values = json.loads(line)
        states = {
            key: {name: FileState(**state) for name, state in values[key].items()}
            for key in ("made_of", "files")
        }
        return Entry(**{**values, **states})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def digest_of(values: object) -> str:
    """Return the SHA-256 of plain JSON values; what is none of them counts by its text."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
