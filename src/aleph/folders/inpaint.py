"""Filling every photo of a folder."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aleph import __version__
from aleph.errors import (
    FrameWarning,
    MaskWarning,
    ModelError,
    NothingFoundError,
    PhotoWarning,
)
from aleph.folders.listing import MaskFile, Masks
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
from aleph.masks.read import Mask
from aleph.photo.encode import check_photo_path, copy_photo
from aleph.photo.limits import Limits
from aleph.pretrained import Pretrained
from aleph.storage import Folder, open_folder
from aleph.workers.choose import WorkersWanted

if TYPE_CHECKING:
    from aleph.inpainter import Inpainter


@dataclass
class FolderOutcome:
    """What became of the photos of a folder, by their names below it.

    Attributes:
        filled: Those that were filled and written.
        skipped: Those whose results were there already, made of the same photo, mask and settings.
        failed: The others, with the reason.
        warned: Warnings about some of them.
        unchanged: Those in which the mask `auto` found no damage: they were copied.
    """

    filled: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    warned: dict[str, str] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)

    def add(self, photo: PhotoOutcome) -> None:
        """Enter what became of a photo."""
        if photo.warned:
            self.warned[photo.name] = photo.warned
        if photo.state == "failed":
            self.failed[photo.name] = photo.reason
        elif photo.state != "left":
            names = {"done": self.filled, "skipped": self.skipped, "unchanged": self.unchanged}
            names[photo.state].append(photo.name)


def inpaint_folder(
    source: str | os.PathLike[str],
    mask: Mask,
    out: str | os.PathLike[str],
    inpainter: Inpainter | Pretrained,
    *,
    seed: int = 0,
    limits: Limits | None = None,
    workers: WorkersWanted | None = None,
    on_photo: OnPhoto | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,  # noqa: ANN401 - those of `Inpainter`, checked there
) -> FolderOutcome:
    """Fill every photo below a folder; names, formats and folders stay the same.

    Each result is written as soon as it is there, and is the same whoever makes it: this process,
    one of many, or a machine of a cluster. A photo whose result was made of the same photo, mask
    and settings is skipped, so that a run that was stopped goes on; `Manifest` tells. A result that
    somebody has changed since is kept, and so is one that the manifest does not know. A photo that
    cannot be filled is named in the outcome and keeps no other from being filled; nor does one that
    kills three workers.

    Args:
        source: Folder of the photos, with all folders in it. Nothing is written there. A path, or
            an address as `s3://bucket/folder` (extra `cloud`); so are `out` and the mask's source.
        mask: Its source may be a folder: `a.jpg` goes with the mask `a.png`, or of any other
            ending, in the same place below it; names that look alike are alike, however their
            accents are stored (Unicode's forms). Any other source serves every photo.
        out: Folder for the results; made if it is not there.
        inpainter: Fills them. Where there are several workers, `Pretrained` lets each load the
            model onto its own device; an `Inpainter` is copied to them as it is.
        seed: Seed of every photo, as if it were filled alone.
        limits: How large a photo may be.
        workers: Who fills; this process if None.
        on_photo: Told what becomes of each photo. If it is given, the outcome that is returned
            stays empty: it would grow with the number of photos.
        on_progress: Called as the work goes on.
        **options: As for `Inpainter`.

    Raises:
        InputError: if there is no photo, or an option cannot be used.
        ModelError: if the model cannot be loaded.
        OutputError: if the results would lie among the photos or masks, or cannot be written, or
            another process is writing there.
    """
    _check_options(inpainter, seed, options)
    errand = _Filling(source, mask, out, inpainter, seed, limits, options)
    guarded = [errand.masks.folder] if errand.masks.folder and errand.masks.is_paired else []
    check_places(errand.source, guarded, [errand.out])
    outcome = FolderOutcome()
    work_through(errand, workers, on_photo or outcome.add, on_progress)
    sort_by_name(outcome)
    return outcome


def _check_options(inpainter: Inpainter | Pretrained, seed: int, options: dict[str, Any]) -> None:
    """Refuse wrong options before anything is read."""
    if isinstance(inpainter, Pretrained):
        inpainter.check_options(seed=seed, **options)
    else:
        inpainter.batch([], [], seed=seed, **options)


class _Filling:
    """The errand: what is filled, and how."""

    def __init__(
        self,
        source: str | os.PathLike[str],
        mask: Mask,
        out: str | os.PathLike[str],
        inpainter: Inpainter | Pretrained,
        seed: int,
        limits: Limits | None,
        options: dict[str, Any],
    ) -> None:
        self.source, self.out = open_folder(source), open_folder(out)
        self.masks = Masks(mask)
        model = inpainter.digest()
        self.order = digest_of(
            {"model": model, "mask": self.masks.shown, "seed": seed, "options": options}
        )
        self.begin: Callable[[], Callable[[PhotoTask], Made]] = _Filler(
            self.source, self.masks.folder, self.masks.read_from(), self.out, inpainter, model,
            seed, limits, options,
        )  # fmt: skip

    def result(self, photo: str) -> str:
        return photo

    def is_whole(self, photo: str) -> bool:
        return True

    def check(self, photo: str) -> None:
        """Every photo has a result of its own."""

    def mask(self, photo: str) -> str | None:
        return self.masks.name_for(photo)

    def made_of(self, photo: str, mask: str | None) -> dict[str, tuple[Folder, str]]:
        return _made_of(self.source, photo, self.masks.folder, mask)


def _made_of(
    source: Folder, photo: str, masks: Folder | None, mask: str | None
) -> dict[str, tuple[Folder, str]]:
    files = {"photo": (source, photo)}
    if masks is not None and mask is not None:
        files["mask"] = (masks, mask)
    return files


@dataclass(frozen=True, eq=False)
class _Filler:
    """Sets up a worker: loads the model, and returns what fills a photo."""

    source: Folder
    masks: Folder | None
    mask: MaskFile
    out: Folder
    inpainter: Inpainter | Pretrained
    model: str
    seed: int
    limits: Limits | None
    options: dict[str, Any]
    version: str = __version__

    def __call__(self) -> Callable[[PhotoTask], Made]:
        inpainter = self.inpainter
        if isinstance(inpainter, Pretrained):
            if self.version != __version__ or inpainter.digest() != self.model:
                raise ModelError(
                    f"a worker has another version of aleph or of '{inpainter.name_or_path}' than "
                    "the machine that hands out the work: install the same on all"
                )
            inpainter = inpainter.load()
        return careful(lambda task, made: self._fill(inpainter, task, made))

    def _fill(self, inpainter: Inpainter, task: PhotoTask, made: Made) -> None:
        """Fill one photo."""
        from aleph.damage.auto import read_damaged_photo

        files = _made_of(self.source, task.name, self.masks, task.mask)
        made.made_of = states_of(files, task.known)
        with ExitStack() as stack:
            photo_path = stack.enter_context(self.source.fetched(task.name))
            mask_path = self._mask_path(stack, task)
            room = stack.enter_context(self.out.room(task.name))
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("ignore", PhotoWarning)  # its remarks, said below
                    warnings.simplefilter("always", MaskWarning)
                    photo, hole = read_damaged_photo(
                        photo_path, self.mask.at(mask_path), self.seed, self.limits
                    )
            except NothingFoundError as nothing:
                copy_photo(photo_path, room.path)
                made.state, made.files = "unchanged", room.deliver([room.path])
                made.said = [str(nothing)]
                return
            made.said = [*photo.remarks, *(str(warning.message) for warning in caught)]
            check_photo_path(photo, room.path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MaskWarning)  # said when the mask was read
                warnings.simplefilter("ignore", FrameWarning)  # said of the photo, below
                result = inpainter(photo, hole, seed=self.seed, record=False, **self.options)
            made.files = room.deliver(result.save_all(room.path))
        made.said += result.warnings
        made.facts = {"model": result.model, "version": __version__, "seed": self.seed}
        made.facts["settings"] = result.settings.to_dict()

    def _mask_path(self, stack: ExitStack, task: PhotoTask) -> Path | None:
        if self.masks is None or task.mask is None:
            return None
        return stack.enter_context(self.masks.fetched(task.mask))
