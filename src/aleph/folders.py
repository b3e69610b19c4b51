"""Folders: many photos and their masks, filled in groups, each written as soon as it is filled."""

from __future__ import annotations

import hashlib
import os
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aleph import __version__
from aleph.arrays import Hole
from aleph.damage.auto import read_auto, read_damaged_photo
from aleph.errors import (
    AlephError,
    FrameWarning,
    InputError,
    MaskWarning,
    NothingFoundError,
    OutputError,
    PhotoWarning,
)
from aleph.files import check_outside, pictures_below, working_alone
from aleph.inpainter import Inpainter
from aleph.inpainting import Inpainting
from aleph.manifest import Entry, FileState, Manifest, digest_of, file_state
from aleph.masks.read import Mask
from aleph.photo.encode import check_photo_path, copy_photo
from aleph.photo.formats import RAW_ENDINGS
from aleph.photo.limits import Limits
from aleph.photo.photo import Photo
from aleph.search.latent import SearchStep

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


@dataclass(frozen=True)
class _Listed:
    """A photo: its name below the folder, its file, where its result goes."""

    name: str
    source: Path
    target: Path

    def make_room(self) -> None:
        """Make the folder of the result."""
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make '{self.target.parent}': {error.strerror}") from None


@dataclass(frozen=True, eq=False)
class _Damaged:
    """A photo that was read, with its hole and the files that both come from."""

    job: _Listed
    photo: Photo
    hole: Hole
    made_of: dict[str, FileState]


def inpaint_folder(
    source: str | os.PathLike[str],
    mask: Mask,
    out: str | os.PathLike[str],
    inpainter: Inpainter,
    *,
    seed: int = 0,
    limits: Limits | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,  # noqa: ANN401 - those of `Inpainter.batch`, checked there
) -> FolderOutcome:
    """Fill every photo below a folder; names, formats and folders stay the same.

    Each result is written as soon as it is there. A photo whose result was made of the same photo,
    mask and settings is skipped, so that a run that was stopped goes on; `Manifest` tells. A result
    that somebody has changed since is kept, and so is one that the manifest does not know. A photo
    that cannot be filled is named in the outcome and keeps no other from being filled.

    Args:
        source: Folder of the photos, with all folders in it. Nothing is written there.
        mask: Its source may be a folder: `a.jpg` goes with the mask `a.png`, or of any other
            ending, in the same place below it; names that look alike are alike, however their
            accents are stored (Unicode's forms). Any other source serves every photo.
        out: Folder for the results; made if it is not there.
        inpainter: Fills them.
        seed: Seed of every photo, as if it were filled alone.
        limits: How large a photo may be.
        on_progress: Called as the work goes on.
        **options: As for `Inpainter.batch`.

    Raises:
        InputError: if there is no photo, or an option cannot be used.
        OutputError: if the results would lie among the photos or masks, or cannot be written, or
            another process is writing there.
    """
    jobs = _plan(Path(source), mask, Path(out))
    inpainter.batch([], [], **options)  # refuses wrong options before anything is read
    with working_alone(Path(out)):
        run = _Run(
            inpainter, mask, _pairing(mask), Manifest(Path(out)), Path(out), seed, limits, options
        )
        run.outcome.warned.update(_left_alone(Path(source)))
        _go_through(run, jobs, on_progress)
    return run.outcome


def _go_through(run: _Run, jobs: Sequence[_Listed], on_progress: OnProgress | None) -> None:
    """Fill the photos that are to be filled."""
    waiting = [job for job in jobs if run.is_waiting(job)]
    done = 0
    for group, looked_at in run.groups(waiting):
        before, count = done, looked_at - done

        def on_step(step: SearchStep, before: int = before, count: int = count) -> None:
            if on_progress:
                on_progress(before + count * step.step / max(step.steps, 1), len(waiting))

        run.fill(group, on_step)
        done = looked_at
        if on_progress:
            on_progress(done, len(waiting))


def _plan(source: Path, mask: Mask, out: Path) -> list[_Listed]:
    """List the photos and where their results go."""
    if not source.is_dir():
        raise InputError(f"'{source}' is no folder")
    guarded = [source]
    masks, _ = _joined(mask)
    if _is_folder(masks):
        guarded.append(Path(str(masks)))
    check_outside(out, guarded)
    names = sorted(pictures_below(source))
    if not names:
        raise InputError(f"there is no picture in the folder '{source}'")
    jobs = [_Listed(name.as_posix(), source / name, out / name) for name in names]
    if any(job.target.resolve().is_relative_to(source.resolve()) for job in jobs):
        raise OutputError(f"the results cannot go into '{source}': name another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder '{out}': {error.strerror}") from None
    return jobs


def _is_folder(source: object) -> bool:
    return isinstance(source, str | os.PathLike) and os.path.isdir(source)  # noqa: PTH112


def _left_alone(folder: Path) -> dict[str, str]:
    """Return a warning if there are raw files of cameras, by the name of the first."""
    names = sorted(p.relative_to(folder) for p in folder.rglob("*") if _is_raw(p))
    if not names:
        return {}
    files = "this raw file of a camera is" if len(names) == 1 else f"{len(names)} raw files are"
    return {
        names[0].as_posix(): f"{files} left alone: develop them in a raw converter and save them "
        "as TIFF, PNG or JPEG"
    }


def _is_raw(path: Path) -> bool:
    return path.suffix.lower() in RAW_ENDINGS and not path.name.startswith(".")


def _key(name: Path) -> str:
    """Return a name without its ending, the same in every form that Unicode has for it."""
    return unicodedata.normalize("NFC", name.with_suffix("").as_posix())


def _joined(mask: Mask) -> tuple[object, str]:
    """Return a mask's file or folder, and what stands before it: `auto+`, or nothing."""
    auto = read_auto(mask)
    if auto is None:
        return mask.source, ""
    return auto.joined, str(mask.source).removesuffix(auto.joined or "")


def _pairing(mask: Mask) -> Callable[[_Listed], Mask]:
    """Return what finds the mask of a photo."""
    source, before = _joined(mask)
    if not _is_folder(source):
        return lambda job: mask
    folder = Path(str(source))
    found: dict[str, list[Path]] = {}
    for name in sorted(pictures_below(folder)):
        found.setdefault(_key(name), []).append(name)

    def pair(job: _Listed) -> Mask:
        masks = found.get(_key(Path(job.name)), [])
        exact = [name for name in masks if name.with_suffix("") == Path(job.name).with_suffix("")]
        masks = exact or masks
        if len(masks) != 1:
            names = " and ".join(f"'{folder / name}'" for name in masks)
            raise InputError(
                f"it has two masks, {names}" if masks else f"it has no mask in '{folder}'"
            )
        return replace(mask, source=f"{before}{folder / masks[0]}" if before else folder / masks[0])

    return pair


@dataclass
class _Run:
    """A run over a folder.

    Attributes:
        inpainter: Fills the photos.
        mask: What was given as the mask.
        pair: Finds the mask of a photo.
        manifest: What became of the photos, in this run and earlier ones.
        out: Folder of the results.
        seed: Seed of every photo.
        limits: How large a photo may be.
        options: Of `Inpainter.batch`.
        outcome: What became of the photos in this run.
    """

    inpainter: Inpainter
    mask: Mask
    pair: Callable[[_Listed], Mask]
    manifest: Manifest
    out: Path
    seed: int
    limits: Limits | None
    options: dict[str, Any]
    outcome: FolderOutcome = field(default_factory=FolderOutcome)

    def __post_init__(self) -> None:
        mask = self.mask
        self._order = digest_of(
            {
                "model": _model_digest(self.inpainter),
                "mask": [mask.color, mask.tolerance, mask.invert, mask.grow, mask.sensitivity],
                "named": None if _is_file_like(mask.source) else mask.source,
                "seed": self.seed,
                "options": self.options,
            }
        )

    def is_waiting(self, job: _Listed) -> bool:
        """Return whether a photo is to be filled; note it as skipped if not."""
        if not job.target.exists():
            return True
        entry = self.manifest.entry(job.name)
        unknown = entry is None or not (entry.files or entry.state == "begun")
        if entry is None or unknown or (entry.state == "filled" and self._is_same(job, entry)):
            self.outcome.skipped.append(job.name)
            return False
        if entry.state == "begun" or self._is_ours(job, entry):
            return True
        self.outcome.skipped.append(job.name)
        self.outcome.warned[job.name] = (
            f"photo, mask or settings are others now, but '{job.target}' was changed since it was "
            "filled, so it is kept: move it away to have the photo filled anew"
        )
        return False

    def _is_same(self, job: _Listed, entry: Entry) -> bool:
        """Return whether a photo would be filled now from what it was filled from then."""
        if entry.order != self._order:
            return False
        try:
            now = self._made_of(job, self.pair(job), entry)
        except (AlephError, OSError):
            return False
        return {key: state.sha256 for key, state in now.items()} == {
            key: state.sha256 for key, state in entry.made_of.items()
        }

    def _is_ours(self, job: _Listed, entry: Entry) -> bool:
        """Return whether a result is still what was written."""
        written = entry.files.get(job.target.relative_to(self.out).as_posix())
        try:
            return written is not None and (
                file_state(job.target, written).sha256 == written.sha256
            )
        except OSError:
            return False

    @staticmethod
    def _made_of(job: _Listed, mask: Mask, before: Entry | None) -> dict[str, FileState]:
        """Return the states of the files that a photo is filled from."""
        files = {"photo": job.source}
        source, _ = _joined(mask)
        if _is_file_like(source):
            files["mask"] = Path(str(source))
        known = before.made_of if before else {}
        return {key: file_state(path, known.get(key)) for key, path in files.items()}

    def groups(self, jobs: Sequence[_Listed]) -> Iterator[tuple[list[_Damaged], int]]:
        """Read photos; yield groups to be searched together, and how many were looked at so far."""
        group: list[_Damaged] = []
        for number, job in enumerate(jobs, 1):
            try:
                group.append(self._read(job))
            except NothingFoundError as nothing:
                self._copy(job, str(nothing))
            except AlephError as error:
                self._fail(job, str(error))
            pixels = sum(damaged.hole.size for damaged in group)
            if len(group) == _TOGETHER or pixels >= _PIXELS_TOGETHER:
                yield group, number
                group = []
        yield group, len(jobs)

    def _read(self, job: _Listed) -> _Damaged:
        mask = self.pair(job)
        try:
            made_of = self._made_of(job, mask, self.manifest.entry(job.name))
        except OSError as error:
            raise InputError(f"it cannot be read: {error.strerror}") from None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore", PhotoWarning)  # its remarks, said below
            warnings.simplefilter("always", MaskWarning)
            photo, hole = read_damaged_photo(job.source, mask, self.seed, self.limits)
        said = [*photo.remarks, *(str(warning.message) for warning in caught)]
        if said:
            self.outcome.warned[job.name] = "; ".join(said)
        job.make_room()
        check_photo_path(photo, job.target)
        return _Damaged(job, photo, hole, made_of)

    def fill(self, group: Sequence[_Damaged], on_step: Callable[[SearchStep], None]) -> None:
        """Fill a group; if one of its photos cannot be filled, each by itself."""
        left = list(group)

        def write(number: int, result: Inpainting) -> None:
            left.remove(group[number])
            self._write(group[number], result)

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MaskWarning)  # said when the mask was read
                warnings.simplefilter("ignore", FrameWarning)  # said of the photo when written
                self.inpainter.batch(
                    [damaged.photo for damaged in group],
                    [damaged.hole for damaged in group],
                    seeds=[self.seed] * len(group),
                    on_step=on_step,
                    on_result=write,
                    **self.options,
                )
        except AlephError as error:
            if len(left) == 1:
                self._fail(left[0].job, str(error))
            else:
                for damaged in left:
                    self.fill([damaged], on_step)

    def _write(self, damaged: _Damaged, result: Inpainting) -> None:
        job = damaged.job
        self.manifest.add(Entry(job.name, "begun", self._order, files=self._known_files(job)))
        try:
            paths = result.save_all(job.target)
        except AlephError as error:
            self._fail(job, str(error))
            return
        said = self.outcome.warned.get(job.name)
        sentences = [*([said] if said else []), *result.warnings]
        if sentences:
            self.outcome.warned[job.name] = "; ".join(sentences)
        self.outcome.filled.append(job.name)
        files = {path.relative_to(self.out).as_posix(): file_state(path) for path in paths}
        facts = {"model": result.model, "version": __version__, "seed": self.seed}
        facts["settings"] = result.settings.to_dict()
        self.manifest.add(
            Entry(job.name, "filled", self._order, damaged.made_of, files, sentences, facts)
        )

    def _copy(self, job: _Listed, why: str) -> None:
        """Copy a photo in which there is nothing to fill."""
        try:
            job.make_room()
            copy_photo(job.source, job.target)
        except AlephError as error:
            self._fail(job, str(error))
            return
        self.outcome.unchanged.append(job.name)
        made_of = self._made_of(job, self.pair(job), None)
        files = {job.target.relative_to(self.out).as_posix(): file_state(job.target)}
        self.manifest.add(Entry(job.name, "filled", self._order, made_of, files, [why]))

    def _fail(self, job: _Listed, reason: str) -> None:
        self.outcome.failed[job.name] = reason
        files = self._known_files(job)  # an earlier result is still there
        self.manifest.add(Entry(job.name, "failed", self._order, files=files, said=[reason]))

    def _known_files(self, job: _Listed) -> dict[str, FileState]:
        entry = self.manifest.entry(job.name)
        return entry.files if entry else {}


def _is_file_like(source: object) -> bool:
    """Return whether a mask's source is a file or a folder, whose bytes count."""
    return isinstance(source, str | os.PathLike) and os.path.exists(source)  # noqa: PTH110


def _model_digest(inpainter: Inpainter) -> str:
    """Return a digest of a model's settings and weights."""
    import torch
    from torch import nn

    model = inpainter.model
    digest = hashlib.sha256(digest_of(model.config.to_dict()).encode())
    for name, network in vars(model).items():
        if isinstance(network, nn.Module):
            for key, tensor in network.state_dict().items():
                digest.update(f"{name}.{key}".encode())
                data = tensor.detach().cpu().contiguous().reshape(-1)
                digest.update(data.view(torch.uint8).numpy())
    return digest.hexdigest()
