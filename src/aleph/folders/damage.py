"""Looking for the damage of every photo of a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from aleph import __version__
from aleph.damage.write import DamageRequest, write_damage
from aleph.errors import InputError
from aleph.folders.run import (
    Made,
    OnPhoto,
    OnProgress,
    PhotoOutcome,
    PhotoTask,
    careful,
    check_places,
    sort_by_name,
    states_of,
    work_through,
)
from aleph.manifest import digest_of
from aleph.names import NameIndex
from aleph.storage import Folder, open_folder
from aleph.workers.choose import WorkersWanted


@dataclass
class DamageOutcome:
    """What became of the photos of a folder, by their names below it.

    Attributes:
        found: Share of the pixels that is marked.
        skipped: Those of `found` whose masks were there already, made of the same photo.
        failed: Those that could not be looked at, with the reason.
        warned: Warnings about some of them.
    """

    found: dict[str, float] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    warned: dict[str, str] = field(default_factory=dict)

    def add(self, photo: PhotoOutcome) -> None:
        """Enter what became of a photo."""
        if photo.warned:
            self.warned[photo.name] = photo.warned
        if photo.state == "failed":
            self.failed[photo.name] = photo.reason
        if photo.state == "skipped":
            self.skipped.append(photo.name)
        if "share" in photo.facts:
            self.found[photo.name] = photo.facts["share"]


def find_damage_in_folder(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    overlay: str | os.PathLike[str] | None = None,
    request: DamageRequest | None = None,
    *,
    workers: WorkersWanted | None = None,
    on_photo: OnPhoto | None = None,
    on_progress: OnProgress | None = None,
) -> DamageOutcome:
    """Write the masks of every photo below a folder: that of `a.jpg` is `a.png`.

    What is done already is skipped, as by `inpaint_folder`: a mask that somebody has corrected by
    hand is kept.

    Args:
        source: Folder of the photos, with all folders in it; a path, or an address as
            `s3://bucket/folder` (extra `cloud`), as the next two. Nothing is written there.
        out: Folder for the masks; made if it is not there.
        overlay: Folder for the photos with their damage in red; none are written if None.
        request: What is asked for.
        workers: Who looks; this process if None.
        on_photo: As for `inpaint_folder`.
        on_progress: Called as the work goes on.

    Raises:
        InputError: if there is no photo.
        OutputError: if the results would lie among the photos, or cannot be written, or another
            process is writing there.
    """
    errand = _Looking(source, out, overlay, request or DamageRequest())
    check_places(errand.source, [], [place for place in (errand.out, errand.overlay) if place])
    outcome = DamageOutcome()
    work_through(errand, workers, on_photo or outcome.add, on_progress)
    sort_by_name(outcome)
    return outcome


class _Looking:
    """The errand: what is looked at, and how."""

    def __init__(
        self,
        source: str | os.PathLike[str],
        out: str | os.PathLike[str],
        overlay: str | os.PathLike[str] | None,
        request: DamageRequest,
    ) -> None:
        self.source, self.out = open_folder(source), open_folder(out)
        self.overlay = None if overlay is None else open_folder(overlay)
        self._taken = NameIndex()
        model = request.digest()
        self.order = digest_of(
            {"model": model, "sensitivity": request.sensitivity, "grow": request.grow}
        )
        self.begin: Callable[[], Callable[[PhotoTask], Made]] = _Looker(
            self.source, self.out, self.overlay, request
        )

    def result(self, photo: str) -> str:
        return _mask_name(photo)

    def is_whole(self, photo: str) -> bool:
        return self.overlay is None or self.overlay.exists(_mask_name(photo))

    def check(self, photo: str) -> None:
        first = self._taken.claim(_mask_name(photo), photo)
        if first != photo:
            raise InputError(f"its mask would have the same name as that of '{first}'")

    def mask(self, photo: str) -> str | None:
        return None

    def made_of(self, photo: str, mask: str | None) -> dict[str, tuple[Folder, str]]:
        return {"photo": (self.source, photo)}


def _mask_name(photo: str) -> str:
    return PurePosixPath(photo).with_suffix(".png").as_posix()


@dataclass(frozen=True, eq=False)
class _Looker:
    """Sets up a worker: loads the finder, and returns what looks at a photo."""

    source: Folder
    out: Folder
    overlay: Folder | None
    request: DamageRequest

    def __call__(self) -> Callable[[PhotoTask], Made]:
        self.request.load()
        return careful(self._look)

    def _look(self, task: PhotoTask, made: Made) -> None:
        """Look at one photo."""
        made.made_of = states_of({"photo": (self.source, task.name)}, task.known)
        name = _mask_name(task.name)
        with self.source.fetched(task.name) as photo, self.out.room(name) as room:
            if self.overlay is None:
                share = write_damage(photo, room.path, None, self.request)
            else:
                with self.overlay.room(name) as beside:
                    share = write_damage(photo, room.path, beside.path, self.request)
                    beside.deliver([beside.path])
            made.files = room.deliver([room.path])
        made.facts = {"version": __version__, "share": share}
