"""The manifest of a folder's results: what became of each photo, and what it was made of.

One line of JSON for each photo that was filled or could not be; of several lines for one photo the
last counts. A line is written at once, so that a run that is killed loses none; half a line at the
end is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aleph.errors import OutputError

_CHUNK = 1 << 20


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


@dataclass(frozen=True)
class Entry:
    """What became of a photo.

    Attributes:
        photo: Its name below the folder.
        state: `begun` (its result was about to be written when the run was killed), `filled` or
            `failed`.
        order: Digest of all that was asked for: model, settings, seed, how the mask was read.
        made_of: The photo's file, and the mask's if it has one of its own, by `photo` and `mask`.
        files: The files that were written, then or earlier, by their names below the folder of the
            results.
        said: Warnings; or why it could not be filled.
        facts: What a reader may want to know: model, version, settings.
    """

    photo: str
    state: str
    order: str = ""
    made_of: dict[str, FileState] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Manifest:
    """The manifest of a folder of results.

    It lies beside the folder, as NAME.manifest.jsonl, so that the folder holds photos only; in it,
    as manifest.jsonl, where nothing can be written beside.

    Args:
        folder: The folder of the results; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.path = _place(folder)
        self._entries = {entry.photo: entry for entry in _read(self.path)}

    def entry(self, photo: str) -> Entry | None:
        """Return what became of a photo; None if nothing is known."""
        return self._entries.get(photo)

    def add(self, entry: Entry) -> None:
        """Write what became of a photo.

        Raises:
            OutputError: if it cannot be written.
        """
        line = json.dumps(asdict(entry), sort_keys=True) + "\n"
        try:
            # One write to the end of the file: lines of several processes do not mix.
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                os.write(handle, (_mended(handle) + line).encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise OutputError(f"cannot write '{self.path}': {error.strerror}") from None
        self._entries[entry.photo] = entry


def _mended(handle: int) -> str:
    """Return the end of line that a killed run has left out."""
    size = os.fstat(handle).st_size
    if size == 0:
        return ""
    os.lseek(handle, size - 1, os.SEEK_SET)
    return "" if os.read(handle, 1) == b"\n" else "\n"


def _place(folder: Path) -> Path:
    whole = folder.resolve()
    inside, beside = whole / "manifest.jsonl", whole.with_name(f"{whole.name}.manifest.jsonl")
    if inside.is_file() or not whole.name or not os.access(whole.parent, os.W_OK):
        return inside
    return beside if len(os.fsencode(beside.name)) < 256 else inside


def _read(path: Path) -> list[Entry]:
    entries = []
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            entries = [entry for entry in map(_parsed, lines) if entry is not None]
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OutputError(f"cannot read '{path}': {error.strerror}") from None
    return entries


def _parsed(line: str) -> Entry | None:
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


def digest_of(values: object) -> str:
    """Return the SHA-256 of plain JSON values; what is none of them counts by its text."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
