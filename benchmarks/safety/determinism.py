"""The same photos filled in many ways: byte for byte the same files?

    python -m benchmarks determinism [--model faces-128] [--presets fast,balanced,thorough]
        [--precisions fp32,bf16] [--threads 1,2,3,4] [--workers 1,2]

Photos of several sizes, one of a group with several faces, are filled one by one and all in one
call, with so many threads of torch; as a folder; by the command `aleph inpaint`; and by so many
worker processes. The last two have as many threads as they take by themselves. The files that were
written are compared with those that were made one by one with the first number of threads. The
table says how many differ, by how many grey levels at most, which row had the very same files
first, and the seconds of the processor. The exit code is 1 if what was not filled in one call with
others is not the same as one by one with the same threads.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from aleph.folders import inpaint_folder
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.masks.read import Mask
from aleph.photo.pixels import read_image
from aleph.pictures import face, group, group_damage
from aleph.pretrained import Pretrained
from aleph.workers.choose import WorkersWanted
from aleph.workers.local import share_processors
from benchmarks.options import options_parser, words

ALONE, TOGETHER = "one by one", "all in one call"
"""Two ways, in the second of which sums are rounded otherwise, as docs/security.md says."""


def write_photos(folder: Path) -> None:
    """Write photos and masks: a portrait, a smaller and a grey one, and a group."""
    portrait = face()
    grey = portrait.mean(2, keepdims=True).repeat(3, 2).astype(np.uint8)
    pictures = {
        "strokes": (portrait, named_hole("strokes", portrait.shape[:2], seed=3)),
        "small": (portrait[::2, ::2], named_hole("half", portrait[::2, ::2].shape[:2])),
        "grey": (grey, named_hole("random", grey.shape[:2], seed=3)),
        "group": (group(), group_damage()),
    }
    for name, (pixels, hole) in pictures.items():
        for kind, picture in (("photos", pixels), ("masks", hole.astype(np.uint8) * 255)):
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(picture).save(folder / kind / f"{name}.png")


@dataclass(frozen=True)
class Task:
    """What is filled, and how.

    Attributes:
        folder: With `photos` and `masks`.
        model: Which model, and in which arithmetic.
        inpainter: The same, loaded.
        preset: Of the search.
    """

    folder: Path
    model: Pretrained
    inpainter: Inpainter
    preset: str

    @property
    def names(self) -> list[str]:
        """Names of the photos, in order."""
        return sorted(path.name for path in (self.folder / "photos").iterdir())

    def one_by_one(self, out: Path) -> None:
        """Fill each photo by a call of its own."""
        for name in self.names:
            photo, mask = self.folder / "photos" / name, self.folder / "masks" / name
            self.inpainter(photo, mask, preset=self.preset).save(out / name)

    def together(self, out: Path) -> None:
        """Fill all photos by one call, which searches their frames together."""
        photos = [self.folder / "photos" / name for name in self.names]
        masks = [self.folder / "masks" / name for name in self.names]
        results = self.inpainter.batch(photos, masks, preset=self.preset)
        for name, result in zip(self.names, results, strict=True):
            result.save(out / name)

    def as_folder(self, out: Path, workers: int | None = None) -> None:
        """Fill the folder, in this process or by workers."""
        wanted = None if workers is None else WorkersWanted(workers)
        who = self.inpainter if workers is None else self.model
        mask = Mask(str(self.folder / "masks"))
        outcome = inpaint_folder(self.folder / "photos", mask, out, who, workers=wanted,
                                 preset=self.preset)  # fmt: skip
        assert outcome.filled == self.names, outcome

    def by_command(self, out: Path) -> None:
        """Fill each photo by the command, with the threads that it takes by itself."""
        for name in self.names:
            subprocess.run([sys.executable, "-m", "aleph", "inpaint",
                            str(self.folder / "photos" / name), "--quiet",
                            "--mask", str(self.folder / "masks" / name), "--out", str(out / name),
                            "--model", str(self.model.name_or_path), "--preset", self.preset,
                            "--precision", self.model.precision, "--device", "cpu"],
                           check=True)  # fmt: skip


def compare(found: Path, wanted: Path) -> tuple[int, int]:
    """Return how many files differ, and by how many grey levels at most."""
    levels = []
    for path in sorted(wanted.iterdir()):
        if (found / path.name).read_bytes() != path.read_bytes():
            ours, theirs = (read_image(one).astype(int) for one in (found / path.name, path))
            levels.append(int(np.abs(ours - theirs).max()))
    return len(levels), max(levels, default=0)


def seconds_used() -> float:
    """Return the seconds of the processor of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


Way = tuple[str, int | None, Callable[[Path], None]]
"""A way to fill the photos: its name, its threads where it takes those of this process, and it."""


def ways(task: Task, threads: list[int], workers: list[int]) -> list[Way]:
    """Return every way, the first of which the others are compared with."""
    return [
        (ALONE, threads[0], task.one_by_one),
        ("a folder", threads[0], task.as_folder),
        *((ALONE, count, task.one_by_one) for count in threads[1:]),
        *((TOGETHER, count, task.together) for count in threads),
        ("`aleph inpaint`, each", None, task.by_command),
        *((f"a folder, {count} workers", None, partial(task.as_folder, workers=count))
          for count in workers),
    ]  # fmt: skip


def main() -> None:
    """Fill, compare, print the table."""
    parser = options_parser(
        __doc__, data=False, model="faces-128", presets="fast,balanced,thorough"
    )
    parser.add_argument("--precisions", default="fp32,bf16", help="arithmetics (fp32,bf16)")
    parser.add_argument("--threads", default="1,2,3,4", help="threads of torch (1,2,3,4)")
    parser.add_argument("--workers", default="1,2", help="processes (1,2)")
    options = parser.parse_args()
    threads, workers = ([int(word) for word in words(text)]
                        for text in (options.threads, options.workers))  # fmt: skip
    wrong = 0
    print("| row | arithmetic | preset | filled | threads | files that differ | by levels | "
          "same as row | seconds |")  # fmt: skip
    print("| --- " * 9 + "|")
    with tempfile.TemporaryDirectory(prefix="determinism-") as root:
        folder = Path(root)
        write_photos(folder)
        for precision in words(options.precisions):
            model = Pretrained(options.model, "cpu", precision)  # type: ignore[arg-type]
            task = Task(folder, model, model.load(), "")
            for preset in words(options.presets):
                wrong += _measure(replace(task, preset=preset), threads, workers)
    sys.exit(wrong > 0)


def _measure(task: Task, threads: list[int], workers: list[int]) -> int:
    """Print the rows of a preset; return how many are not the same as they should be."""
    done: list[tuple[str, int | None, Path]] = []
    wrong = 0
    for name, count, way in ways(task, threads, workers):
        out = task.folder / f"{task.model.precision}-{task.preset}-{len(done)}"
        out.mkdir()
        if count is not None:
            share_processors(count)
        began = seconds_used()
        way(out)
        seconds = seconds_used() - began
        done.append((name, count, out))
        differ, levels = compare(out, done[0][2])
        same = next(row for row, (_, _, one) in enumerate(done, 1) if compare(out, one)[0] == 0)
        alone = [n for n, c, one in done if compare(out, one)[0] == 0 and count in (None, c)]
        wrong += name != TOGETHER and ALONE not in alone
        cells = (len(done), task.model.precision, task.preset, name, count or "its own",
                 f"{differ} of {len(task.names)}", levels, same, f"{seconds:.0f}")  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    return wrong
