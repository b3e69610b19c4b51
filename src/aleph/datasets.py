"""Training images: folders, zips or CelebA → one array of square images.

All images are decoded once, centre-cropped, scaled and packed into a memory-mapped uint8 array,
so that the processor is free for training and every process of a run shares the same pages.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.arrays import Pixels
from aleph.errors import InputError, TrainingError
from aleph.photo.pixels import centre_square, open_picture

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".avif"}
PARTITION = "list_eval_partition.txt"
"""Name of CelebA's official partition file: `NAME.jpg 0|1|2` for train, validation and test."""


@dataclass(frozen=True, order=True)
class Source:
    """One picture: a file, or a member of a zip."""

    container: str
    member: str

    @property
    def name(self) -> str:
        """The name that lists show."""
        return f"{self.container}:{self.member}" if self.member else self.container

    @property
    def basename(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.member).name if self.member else Path(self.container).name


@dataclass(frozen=True)
class Split:
    """What is trained on and what is held out."""

    train: list[Source]
    held_out: list[Source]


def find_sources(data: Sequence[str | os.PathLike[str]]) -> list[Source]:
    """List every picture in folders (searched deeply) and zips, sorted, each once.

    Raises:
        InputError: if a path does not exist or is neither a folder nor a zip.
    """
    found: list[Source] = []
    for path in map(Path, data):
        if path.is_dir():
            files = (p for p in path.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
            found += [Source(str(p), "") for p in files]
        elif path.is_file() and zipfile.is_zipfile(path):
            try:
                with zipfile.ZipFile(path) as archive:
                    names = archive.namelist()
            except zipfile.BadZipFile as error:
                raise InputError(f"'{path}' is damaged: {error}") from None
            wanted = (n for n in names if PurePosixPath(n).suffix.lower() in ENDINGS)
            # '__MACOSX' and dotted names are a Mac's side files, not pictures.
            visible = (n for n in wanted if not PurePosixPath(n).name.startswith("."))
            found += [Source(str(path), n) for n in visible if not n.startswith("__MACOSX")]
        elif path.exists():
            raise InputError(f"'{path}' is neither a folder nor a zip of images")
        else:
            raise InputError(f"'{path}' does not exist; give a folder or a zip of images")
    return sorted(set(found))


def find_partition(data: Sequence[str | os.PathLike[str]]) -> Path | None:
    """Return CelebA's partition file if it lies in or beside one of the data folders or zips."""
    for path in map(Path, data):
        for folder in (path, path.parent, path.parent / "Eval", path / "Eval"):
            if (folder / PARTITION).is_file():
                return folder / PARTITION
    return None


def read_partition(path: Path) -> dict[str, int]:
    """Read CelebA's official partition: file name → 0 train, 1 validation, 2 test.

    Raises:
        InputError: if a line is not `NAME 0|1|2`.
    """
    partition: dict[str, int] = {}
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"partition file '{path}' cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        parts = line.replace(",", " ").split()
        if len(parts) != 2 or parts[1] not in "012":
            if number == 1:  # Kaggle's copy has a header
                continue
            raise InputError(f"'{path}', line {number}: expected 'NAME 0|1|2', found '{line}'")
        partition[parts[0]] = int(parts[1])
    return partition


def split_sources(
    sources: Sequence[Source], holdout: int, seed: int, partition: dict[str, int] | None = None
) -> Split:
    """Set `holdout` images aside: from CelebA's test part where given, else drawn with `seed`.

    With a partition, its validation and test parts are never trained on.

    Raises:
        TrainingError: if fewer images than `holdout` can be set aside.
    """
    if partition is not None:
        train = [s for s in sources if partition.get(s.basename) == 0]
        pool = [s for s in sources if partition.get(s.basename) == 2]
        chosen = set(pool[:holdout])
    else:
        train, pool = list(sources), list(sources)
        order = np.random.default_rng([seed, 0x5E7]).permutation(len(pool))
        chosen = {pool[i] for i in order[:holdout]}
    if len(chosen) < holdout:
        raise TrainingError(
            f"cannot hold out {holdout} images: only {len(pool)} are there to choose from"
        )
    return Split([s for s in train if s not in chosen], sorted(chosen))


def load_squares(
    sources: Sequence[Source],
    resolution: int,
    *,
    on_image: Callable[[int, int], None] | None = None,
    out: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.uint8], list[Source], list[str]]:
    """Decode pictures as centre squares.

    Args:
        sources: The pictures.
        resolution: Side of the squares in pixels.
        on_image: Called with (done, total).
        out: Array (≥ N, resolution, resolution, 3) to write into, for example a memory map.

    Returns:
        The squares, uint8 (N, resolution, resolution, 3); the sources that could be read, in the
        same order; and a sentence for each that could not.
    """
    if out is None:
        out = np.empty((len(sources), resolution, resolution, 3), np.uint8)
    archives: dict[str, zipfile.ZipFile] = {}
    kept: list[Source] = []
    skipped: list[str] = []

    try:
        for container in {s.container for s in sources if s.member}:
            archives[container] = zipfile.ZipFile(container)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            # In chunks, so that decoded pictures do not pile up faster than they are stored.
            for begin in range(0, len(sources), 512):
                chunk = sources[begin : begin + 512]
                squares = pool.map(lambda source: _load(source, archives, resolution), chunk)
                for source, square in zip(chunk, squares, strict=True):
                    if isinstance(square, str):
                        skipped.append(square)
                    else:
                        out[len(kept)] = square
                        kept.append(source)
                if on_image:
                    on_image(begin + len(chunk), len(sources))
    finally:
        for archive in archives.values():
            archive.close()
    return out[: len(kept)], kept, skipped


def open_source(source: Source, archive: zipfile.ZipFile | None = None) -> Image.Image:
    """Open a picture of a folder or zip, upright.

    Args:
        source: The picture.
        archive: The zip that it lies in, where that is open already.

    Raises:
        InputError: if it cannot be read.
    """
    if not source.member:
        return open_picture(source.container)
    try:
        with nullcontext(archive) if archive else zipfile.ZipFile(source.container) as opened:
            data = opened.read(source.member)
        return open_picture(BytesIO(data))
    except (InputError, zipfile.BadZipFile, zlib.error, RuntimeError, OSError) as error:
        raise InputError(f"{source.name}: {error}") from None


def _load(source: Source, archives: Mapping[str, zipfile.ZipFile], resolution: int) -> Pixels | str:
    """Return a picture's centre square, or a sentence that says why it cannot be read."""
    try:
        return centre_square(open_source(source, archives.get(source.container)), resolution)
    except InputError as error:
        return str(error)
