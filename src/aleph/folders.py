"""Folders: many photos and their masks, filled in groups, each written as soon as it is filled."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aleph.arrays import Hole
from aleph.errors import AlephError, FrameWarning, InputError, MaskWarning, OutputError
from aleph.inpainter import Inpainter
from aleph.masks.read import Mask, read_damaged
from aleph.photo.encode import check_photo_path
from aleph.photo.photo import Photo
from aleph.search.latent import SearchStep

ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".avif"),
    *(".bmp", ".gif", ".jp2", ".ppm", ".pgm", ".tga"),
)
"""Files of a folder that are taken for photos; all others are left alone."""

_TOGETHER = 16
"""Photos searched together, at most."""

_PIXELS_TOGETHER = 32_000_000
"""Photos are gathered up to this many pixels, for they and their fills lie in memory at once."""

OnProgress = Callable[[float, int], None]
"""Called with the number of photos done, fractions included, and the number of all."""


@dataclass
class FolderOutcome:
    """What became of the photos of a folder, by their names below it.

    Attributes:
        filled: Those that were filled and written.
        skipped: Those whose results were there already.
        failed: The others, with the reason.
        warned: What is to be said of some.
    """

    filled: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    warned: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Job:
    name: str
    source: Path
    target: Path


@dataclass(frozen=True)
class _Damaged:
    job: _Job
    photo: Photo
    hole: Hole


def inpaint_folder(
    source: str | os.PathLike[str],
    mask: Mask,
    out: str | os.PathLike[str],
    inpainter: Inpainter,
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    **options: Any,  # noqa: ANN401 - those of `Inpainter.batch`, checked there
) -> FolderOutcome:
    """Fill every photo below a folder; names, formats and folders stay the same.

    A photo whose result is there already is skipped, so that a run that was stopped goes on. One
    that cannot be filled is named in the outcome and keeps no other from being filled.

    Args:
        source: Folder of the photos, with all folders in it. Nothing is written there.
        mask: Its source may be a folder: `a.jpg` goes with the mask `a.png`, or of any other
            ending, in the same place below it. Any other source serves every photo.
        out: Folder for the results; made if it is not there.
        inpainter: Fills them.
        seed: Seed of every photo, as if it were filled alone.
        on_progress: Called as the work goes on.
        **options: As for `Inpainter.batch`.

    Raises:
        InputError: if there is no photo, or an option cannot be used.
        OutputError: if the results would lie among the photos or masks, or cannot be written.
    """
    jobs = _plan(Path(source), mask, Path(out))
    inpainter.batch([], [], **options)  # refuses wrong options before anything is read
    outcome = FolderOutcome([], [job.name for job in jobs if job.target.exists()])
    waiting = [job for job in jobs if not job.target.exists()]
    pair = _pairing(mask)
    done = 0
    for group, looked_at in _groups(waiting, pair, seed, outcome):
        before, count = done, looked_at - done

        def on_step(step: SearchStep, before: int = before, count: int = count) -> None:
            if on_progress:
                on_progress(before + count * step.step / max(step.steps, 1), len(waiting))

        _fill(group, inpainter, outcome, seed, {**options, "on_step": on_step})
        done = looked_at
        if on_progress:
            on_progress(done, len(waiting))
    return outcome


def _plan(source: Path, mask: Mask, out: Path) -> list[_Job]:
    """List the photos and where their results go."""
    if not source.is_dir():
        raise InputError(f"'{source}' is no folder")
    guarded = [source]
    if _is_folder(mask.source):
        guarded.append(Path(str(mask.source)))
    for folder in guarded:
        if out.resolve().is_relative_to(folder.resolve()):
            raise OutputError(f"the results cannot go into '{folder}': name a folder outside it")
    names = sorted(_pictures(source))
    if not names:
        raise InputError(f"there is no picture in the folder '{source}'")
    jobs = [_Job(name.as_posix(), source / name, out / name) for name in names]
    if any(job.target.resolve().is_relative_to(source.resolve()) for job in jobs):
        raise OutputError(f"the results cannot go into '{source}': name another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder '{out}': {error.strerror}") from None
    return jobs


def _is_folder(source: object) -> bool:
    return isinstance(source, str | os.PathLike) and os.path.isdir(source)  # noqa: PTH112


def _pictures(folder: Path) -> Iterator[Path]:
    """Yield the pictures below a folder, as paths from there; hidden ones are left out."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix.lower() in ENDINGS and not hidden and path.is_file():
            yield name


def _pairing(mask: Mask) -> Callable[[_Job], Mask]:
    """Return what finds the mask of a photo."""
    if not _is_folder(mask.source):
        return lambda job: mask
    folder = Path(str(mask.source))
    found: dict[Path, list[Path]] = {}
    for name in sorted(_pictures(folder)):
        found.setdefault(name.with_suffix(""), []).append(folder / name)

    def pair(job: _Job) -> Mask:
        masks = found.get(Path(job.name).with_suffix(""), [])
        if len(masks) != 1:
            names = " and ".join(f"'{path}'" for path in masks)
            raise InputError(
                f"it has two masks, {names}" if masks else f"it has no mask in '{folder}'"
            )
        return replace(mask, source=masks[0])

    return pair


def _groups(
    jobs: Sequence[_Job], pair: Callable[[_Job], Mask], seed: int, outcome: FolderOutcome
) -> Iterator[tuple[list[_Damaged], int]]:
    """Read the photos; yield groups to be searched together, and how many were looked at so far."""
    group: list[_Damaged] = []
    for number, job in enumerate(jobs, 1):
        try:
            group.append(_read(job, pair(job), seed, outcome))
        except AlephError as error:
            outcome.failed[job.name] = str(error)
        pixels = sum(damaged.hole.size for damaged in group)
        if len(group) == _TOGETHER or pixels >= _PIXELS_TOGETHER:
            yield group, number
            group = []
    yield group, len(jobs)


def _read(job: _Job, mask: Mask, seed: int, outcome: FolderOutcome) -> _Damaged:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MaskWarning)
        photo, hole = read_damaged(job.source, mask, seed)
    if caught:
        outcome.warned[job.name] = str(caught[0].message)
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make '{job.target.parent}': {error.strerror}") from None
    check_photo_path(photo, job.target)
    return _Damaged(job, photo, hole)


def _fill(
    group: Sequence[_Damaged],
    inpainter: Inpainter,
    outcome: FolderOutcome,
    seed: int,
    options: dict[str, Any],
) -> None:
    """Fill and write a group; where one stands in the way of the others, each by itself."""
    photos, holes = [damaged.photo for damaged in group], [damaged.hole for damaged in group]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MaskWarning)  # said when the mask was read
            warnings.simplefilter("ignore", FrameWarning)  # said of the photo below
            results = inpainter.batch(photos, holes, seeds=[seed] * len(group), **options)
    except AlephError as error:
        if len(group) == 1:
            outcome.failed[group[0].job.name] = str(error)
            return
        for damaged in group:
            _fill([damaged], inpainter, outcome, seed, options)
        return
    for damaged, result in zip(group, results, strict=True):
        try:
            result.save_all(damaged.job.target)
            outcome.filled.append(damaged.job.name)
            said = outcome.warned.get(damaged.job.name)
            sentences = [*([said] if said else []), *result.warnings]
            if sentences:
                outcome.warned[damaged.job.name] = "; ".join(sentences)
        except AlephError as error:
            outcome.failed[damaged.job.name] = str(error)
