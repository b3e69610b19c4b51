"""A run over a folder: what is done is skipped, the rest handed to workers, all of it written down.

The driver lists, decides and keeps the manifest; workers read photos and write results. What the
driver holds in memory does not grow with the number of photos.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, Protocol

from aleph.errors import AlephError, InputError, OutputError
from aleph.files import (
    FileState,
    check_apart,
    check_outside,
    make_folder,
    owning_temporaries,
    working_alone,
)
from aleph.folders.listing import Photos
from aleph.manifest import Entry, Manifest
from aleph.storage import Folder, LocalFolder, Store
from aleph.workers.choose import WorkersWanted, choose_workers
from aleph.workers.dispatch import Outcome, Workers, dispatch
from aleph.workers.local import ThisProcess

State = Literal["done", "unchanged", "skipped", "failed", "left"]


@dataclass(frozen=True)
class PhotoOutcome:
    """What became of a photo in this run.

    Attributes:
        name: Its name below the folder.
        state: `done`; `unchanged`, copied for there was nothing to do; `skipped`, done already;
            `failed`; or `left`, a raw file of a camera, which is left alone.
        warned: Warnings, one sentence after the other; empty if there are none.
        reason: Why it failed; empty if it did not.
        facts: What the manifest says of it besides.
    """

    name: str
    state: State
    warned: str = ""
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


_TOGETHER = 500
"""Photos about which stores are asked together."""

OnPhoto = Callable[[PhotoOutcome], None]
"""Called with what became of each photo, as soon as that is known."""

OnProgress = Callable[[float, int], None]
"""Called with the number of photos done, and of those found so far that are not done already."""


@dataclass(frozen=True, eq=False)
class PhotoTask:
    """A photo that a worker shall work on.

    Attributes:
        name: Its name below the folder.
        mask: The name of its mask below the folder of masks; None if it has no file.
        known: The files that it was made of when it was done last.
        owner: Mark of the temporary files.
    """

    name: str
    mask: str | None
    known: dict[str, FileState]
    owner: str


@dataclass
class Made:
    """What a worker has made of a photo; it fills this in as it goes.

    Attributes:
        state: As of `PhotoOutcome`.
        made_of: The files that it was made of.
        files: The files that were written, by their names below the folder of the results.
        said: Warnings, a sentence each.
        reason: Why it failed.
        facts: As of `Entry`.
    """

    state: State = "done"
    made_of: dict[str, FileState] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


Work = Callable[[PhotoTask, Made], None]
"""Does a photo, and says in `Made` what it did; raises AlephError if it cannot be done."""


class Errand(Protocol):
    """What is to be done with every photo of a folder.

    Attributes:
        source: Folder of the photos.
        out: Folder of the results.
        order: Digest of all that decides a result but for the files that it is made of.
    """

    source: Folder
    out: Folder
    order: str

    def result(self, photo: str) -> str:
        """Return the name of a photo's result below `out`."""

    def check(self, photo: str) -> None:
        """Refuse a photo whose result would take the place of another's; raises InputError."""

    def is_whole(self, photo: str) -> bool:
        """Return whether what is written besides the result is there."""

    def mask(self, photo: str) -> str | None:
        """Return the name of the photo's mask; raises InputError if it has none."""

    def made_of(self, photo: str, mask: str | None) -> dict[str, tuple[Folder, str]]:
        """Return the files that a result is made of."""

    def begin(self) -> Callable[[PhotoTask], Made]:
        """Set up a worker: called once in each, so what is here is picklable."""


class Collected(Protocol):
    """What became of all photos of a folder: a dataclass of lists of names, and dicts by name."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def add(self, photo: PhotoOutcome) -> None:
        """Enter what became of a photo."""


def sort_by_name(outcome: Collected) -> None:
    """Sort what was collected: workers do not end in the order in which they begin."""
    for entry in fields(outcome):
        names = getattr(outcome, entry.name)
        in_order = dict(sorted(names.items())) if isinstance(names, dict) else sorted(names)
        setattr(outcome, entry.name, in_order)


def states_of(
    files: dict[str, tuple[Folder, str]], known: dict[str, FileState]
) -> dict[str, FileState]:
    """Return the states of files; of those that are as they were, without reading them.

    Raises:
        InputError: if one cannot be read.
    """
    try:
        return {key: folder.state(name, known.get(key)) for key, (folder, name) in files.items()}
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror or error}") from None


def careful(work: Work) -> Callable[[PhotoTask], Made]:
    """Return work that always ends with `Made`: no photo keeps the others from being done."""

    def do(task: PhotoTask) -> Made:
        made = Made()
        try:
            with owning_temporaries(task.owner), warnings.catch_warnings():
                work(task, made)
        except AlephError as error:
            made.state, made.reason = "failed", str(error)
        except MemoryError:
            made.state, made.reason = "failed", "it is too large for this machine's memory"
        except Exception as error:
            logging.getLogger("aleph").debug("%s failed", task.name, exc_info=error)
            made.state = "failed"
            made.reason = f"internal error: {type(error).__name__}: {error}".partition("\n")[0]
        return made

    return do


def choose_folder_workers(errand: Errand, wanted: WorkersWanted | None, photos: int) -> Workers:
    """Return who works: this process if nothing is said, or else processes or actors.

    One process that is not this one is worth its start: what kills it is named, and the others are
    done.
    """
    if wanted is None:
        return ThisProcess(errand.begin)
    return choose_workers(errand.begin, wanted, photos, apart=True)


def work_through(
    errand: Errand,
    wanted: WorkersWanted | None,
    on_photo: OnPhoto,
    on_progress: OnProgress | None = None,
) -> None:
    """Work through a folder.

    Args:
        errand: What is done with every photo.
        wanted: Who does it; None for this process.
        on_photo: Told what becomes of each.
        on_progress: Told how many are done.

    Raises:
        InputError: if there is no photo.
        OutputError: if the manifest cannot be read or written, or another process is writing there.
        AlephError: if no worker can be set up, with what it says.
    """
    out = errand.out
    # Processes of several machines are not kept from each other: stores have no locks.
    lock = working_alone(out.root) if isinstance(out, LocalFolder) else contextlib.nullcontext()
    with lock:
        _FolderRun(errand, on_photo, on_progress).run(wanted)


class _FolderRun:
    """One run of an errand; arguments as of `work_through`."""

    def __init__(
        self, errand: Errand, on_photo: OnPhoto, on_progress: OnProgress | None = None
    ) -> None:
        self._errand, self._on_photo, self._on_progress = errand, on_photo, on_progress
        self._photos = Photos(errand.source)
        self._manifest = Manifest(errand.out)
        self._begun: dict[str, PhotoTask] = {}
        self._skipped = self._done = 0

    def run(self, wanted: WorkersWanted | None) -> None:
        """Work through the folder."""
        chunks = self._photos.chunks()
        first = next(chunks, None)
        if first is None:
            raise InputError(f"there is no picture in the folder '{self._errand.source.shown()}'")
        workers = choose_folder_workers(self._errand, wanted, len(first))
        tasks = self._tasks(_rejoined(first, chunks))
        try:
            for outcome in dispatch(tasks, workers, on_death=self._clean):
                self._end(outcome)
        finally:
            for task in self._begun.values():
                self._clean(task)
            self._manifest.flush()
        if self._photos.left_alone:
            warning = self._photos.left_alone
            self._on_photo(PhotoOutcome(self._photos.first_raw, "left", warning))

    def _tasks(self, chunks: Iterator[list[str]]) -> Iterator[PhotoTask]:
        """Yield what is to be done; several begin at once where that spares the store a write."""
        size = self._manifest.at_once
        for names in _parted(chunks, _TOGETHER):
            with self._asked_together(names):
                tasks = [task for name in names if (task := self._task(name)) is not None]
            for start in range(0, len(tasks), size):
                yield from self._begin(tasks[start : start + size])

    @contextlib.contextmanager
    def _asked_together(self, names: list[str]) -> Iterator[None]:
        """Ask stores together about the files on which it depends what is to be done."""
        if not any(isinstance(one, Store) for one in (self._errand.source, self._errand.out)):
            yield  # disks answer at once
            return
        asked: dict[Folder, list[str]] = {self._errand.out: [*map(self._errand.result, names)]}
        for name in names:
            if self._manifest.entry(name) is not None:
                with contextlib.suppress(AlephError):  # no mask: told where the photo is looked at
                    files = self._errand.made_of(name, self._errand.mask(name))
                    for folder, file in files.values():
                        asked.setdefault(folder, []).append(file)
        with contextlib.ExitStack() as stack:
            for folder, files_there in asked.items():
                stack.enter_context(folder.asked_together(files_there))
            yield

    def _task(self, name: str) -> PhotoTask | None:
        """Return what is to be done with a photo; None if nothing is, which is told."""
        try:
            self._errand.check(name)
            _check_apart(self._errand, name)
            entry = self._manifest.entry(name)
            if entry is not None and entry.state == "begun" and entry.owner:
                self._errand.out.clean(self._errand.result(name), entry.owner)
            if not self._is_waiting(name, entry):
                return None
            mask = self._errand.mask(name)
        except AlephError as error:
            self._tell(PhotoOutcome(name, "failed", reason=str(error)))
            self._write(name, Made("failed", reason=str(error)))
            return None
        return PhotoTask(name, mask, entry.made_of if entry else {}, secrets.token_hex(6))

    def _is_waiting(self, name: str, entry: Entry | None) -> bool:
        """Return whether a photo is to be done; tell that it is skipped if not."""
        result = self._errand.result(name)
        if not self._errand.out.exists(result) or not self._errand.is_whole(name):
            return True
        unknown = entry is None or not (entry.files or entry.state == "begun")
        if entry is None or unknown or (entry.state == "done" and self._is_same(name, entry)):
            self._skip(PhotoOutcome(name, "skipped", facts=entry.facts if entry else {}))
            return False
        if entry.state == "begun" or self._is_ours(result, entry):
            return True
        warning = (
            "photo, mask or settings are others now, but "
            f"'{self._errand.out.shown(result)}' was changed since it was made, so it is kept: "
            "move it away to have it made anew"
        )
        self._skip(PhotoOutcome(name, "skipped", warning, facts=entry.facts))
        return False

    def _is_same(self, name: str, entry: Entry) -> bool:
        """Return whether a result would be made now from what it was made from then."""
        if entry.order != self._errand.order:
            return False
        try:
            files = self._errand.made_of(name, self._errand.mask(name))
            now = states_of(files, entry.made_of)
        except AlephError:
            return False
        return {key: state.sha256 for key, state in now.items()} == {
            key: state.sha256 for key, state in entry.made_of.items()
        }

    def _is_ours(self, result: str, entry: Entry) -> bool:
        """Return whether a result is still what was written."""
        written = entry.files.get(result)
        try:
            return written is not None and (
                self._errand.out.state(result, written).sha256 == written.sha256
            )
        except (AlephError, OSError):
            return False

    def _begin(self, tasks: list[PhotoTask]) -> Iterator[PhotoTask]:
        """Write down that tasks are begun, then hand them out."""
        for task in tasks:
            files = self._known_files(task.name)
            order = self._errand.order
            self._manifest.add(Entry(task.name, "begun", order, files=files, owner=task.owner))
        if self._manifest.at_once > 1:
            self._manifest.flush()
        for task in tasks:
            self._begun[task.name] = task
            yield task

    def _end(self, outcome: Outcome[PhotoTask, Made]) -> None:
        """Write down and tell what became of a photo."""
        name = outcome.task.name
        made = outcome.result
        if made is None:
            made = Made("failed", reason=str(outcome.error))
        self._begun.pop(name, None)
        self._write(name, made)
        warned = "; ".join(made.said)
        self._tell(PhotoOutcome(name, made.state, warned, made.reason, made.facts))

    def _write(self, name: str, made: Made) -> None:
        failed = made.state == "failed"
        self._manifest.add(
            Entry(
                name,
                "failed" if failed else "done",
                self._errand.order,
                made.made_of,
                self._known_files(name) if failed else made.files,  # an earlier one is still there
                [*made.said, *([made.reason] if failed else [])],
                made.facts,
            )
        )

    def _known_files(self, name: str) -> dict[str, FileState]:
        entry = self._manifest.entry(name)
        return entry.files if entry else {}

    def _clean(self, task: PhotoTask) -> None:
        """Remove what a killed worker has left half written."""
        self._errand.out.clean(self._errand.result(task.name), task.owner)

    def _skip(self, outcome: PhotoOutcome) -> None:
        self._skipped += 1
        self._on_photo(outcome)

    def _tell(self, outcome: PhotoOutcome) -> None:
        self._done += 1
        self._on_photo(outcome)
        if self._on_progress:
            self._on_progress(self._done, self._photos.found - self._skipped)


def _parted(chunks: Iterator[list[str]], size: int) -> Iterator[list[str]]:
    """Yield the names of chunks in lists of `size` at most."""
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


def _rejoined(first: list[str], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest


def check_places(source: Folder, guarded: list[Folder], outs: list[Folder]) -> None:
    """Refuse folders that are not there, or results that would fall among photos or masks.

    Raises:
        InputError: if there is no folder of photos.
        OutputError: if a result could take the place of a photo or mask.
    """
    if not source.is_there():
        raise InputError(f"'{source.shown()}' is no folder")
    read = [source, *guarded]
    roots = [out.root for out in outs if isinstance(out, LocalFolder)]
    for root in roots:
        check_outside(root, [one.root for one in read if isinstance(one, LocalFolder)])
    check_apart(roots, [])
    for folder in read:
        if isinstance(folder, Store) and any(folder.holds(out) for out in outs):
            raise OutputError(
                f"the results cannot go into '{folder.shown()}': name a folder outside it"
            )
    for root in roots:
        _make(root, source)


def _make(root: Path, source: Folder) -> None:
    """Make a folder of results, unless names in it would lead back among the photos."""
    if isinstance(source, LocalFolder) and LocalFolder(root).holds(source):
        below = source.root.resolve().relative_to(root.resolve())
        if (source.root / below).is_dir():
            raise OutputError(f"the results cannot go into '{source.root}': name another folder")
    make_folder(root)


def _check_apart(errand: Errand, name: str) -> None:
    """Refuse a result that a link would lead among the photos."""
    source, out = errand.source, errand.out
    if isinstance(source, LocalFolder) and isinstance(out, LocalFolder):
        parent = PurePosixPath(errand.result(name)).parent
        if source.holds(LocalFolder(out.root / parent)):
            raise OutputError(f"its result would go into '{source.shown()}'")
