"""Folders filled by several workers: how fast, what a killed node costs, the driver's memory."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aleph.files import FileState
from aleph.folders import PhotoOutcome, inpaint_folder
from aleph.folders.run import Made, PhotoTask, work_through
from aleph.masks.read import Mask
from aleph.pretrained import Pretrained
from aleph.storage import Folder, LocalFolder
from aleph.workers.choose import WorkersWanted
from benchmarks.scale.nodes import Nodes, nodes, write_photos
from benchmarks.serving.load import resident


@dataclass
class Timed:
    """When photos were done, in seconds from the beginning."""

    began: float = field(default_factory=time.perf_counter)
    moments: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, photo: PhotoOutcome) -> None:
        """Note a photo."""
        self.moments.append(time.perf_counter() - self.began)
        if photo.state != "done":
            self.failed.append(f"{photo.name}: {photo.state} {photo.reason}")

    def rate(self, workers: int) -> float:
        """Return photos per second once all workers are at work: their start is left out."""
        first = self.moments[workers - 1]
        return (len(self.moments) - workers) / (self.moments[-1] - first)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this process and its children to one core: then torch has one thread."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def fill(
    folder: Path,
    out: str,
    model: str,
    preset: str,
    wanted: WorkersWanted,
    on_photo: Callable[[PhotoOutcome], None] | None = None,
) -> Timed:
    """Fill a folder and say when each photo was done."""
    timed = Timed()

    def told(photo: PhotoOutcome) -> None:
        timed.add(photo)
        if on_photo:
            on_photo(photo)

    inpaint_folder(
        folder / "photos", Mask(folder / "mask.png"), folder / out, Pretrained(model),
        workers=wanted, on_photo=told, preset=preset,
    )  # fmt: skip
    if timed.failed:
        raise SystemExit(f"{len(timed.failed)} photos were not filled: {timed.failed[0]}")
    return timed


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of all files of a folder, hidden ones as well."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def measure_throughput(photos: int, rounds: int, model: str, preset: str) -> dict[str, list[float]]:
    """Return photos per second of one worker, of two, and of two nodes, once for each round.

    The three take turns, so that what else the machine does falls on all of them.
    """
    rates: dict[str, list[float]] = {"one": [], "two": [], "nodes": []}
    each = max(4, photos // rounds)
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as name, nodes(2) as cluster:
            folder = Path(name)
            write_photos(folder, each, number)
            with on_one_core():
                one = fill(folder, "one", model, preset, WorkersWanted(1))
            two = fill(folder, "two", model, preset, WorkersWanted(2))
            ray = fill(folder, "ray", model, preset, WorkersWanted(cluster=cluster.address))
            expected = digests(folder / "one")
            if not expected == digests(folder / "two") == digests(folder / "ray"):
                raise SystemExit("the results of the workers differ")
        for key, timed, workers in (("one", one, 1), ("two", two, 2), ("nodes", ray, 2)):
            rates[key].append(timed.rate(workers))
        print(", ".join(f"{key} {found[-1]:.3f} photos/s" for key, found in rates.items()))
    return rates


def kill_nodes(photos: int, kills: int, model: str, preset: str, seed: int) -> int:
    """Kill a node at a random moment of a run, again and again; return how many runs were exact."""
    draw, exact = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder, photos)
        fill(folder, "alone", model, preset, WorkersWanted(1))
        expected = digests(folder / "alone")
        for number in range(kills):
            with nodes(2) as cluster:
                after, wait = draw.randrange(photos), draw.uniform(0, 1)
                told = _killing(cluster, after, wait)
                out = f"killed-{number}"
                wanted = WorkersWanted(cluster=cluster.address)
                fill(folder, out, model, preset, wanted, told)
                time.sleep(wait)  # the timer may come after the last photo
            same = digests(folder / out) == expected
            exact += same
            print(f"kill {number + 1}: after {after + 1} photos and {wait:.2f} s:", end=" ")
            print("the same files" if same else "OTHER FILES")
    return exact


def _killing(cluster: Nodes, after: int, wait: float) -> Callable[[PhotoOutcome], None]:
    """Return what kills a node some seconds after so many photos."""
    count = 0

    def told(photo: PhotoOutcome) -> None:
        nonlocal count
        count += 1
        if count == after + 1:
            threading.Timer(wait, cluster.kill).start()

    return told


class _Listed:
    """An errand whose worker does nothing: what is left is what the driver does."""

    def __init__(self, source: Path, out: Path) -> None:
        self.source: Folder = LocalFolder(source)
        self.out: Folder = LocalFolder(out)
        self.order = "nothing"

    def result(self, photo: str) -> str:
        return photo

    def check(self, photo: str) -> None:
        """Nothing can be wrong."""

    def is_whole(self, photo: str) -> bool:
        return True

    def mask(self, photo: str) -> str | None:
        return None

    def made_of(self, photo: str, mask: str | None) -> dict[str, tuple[Folder, str]]:
        return {"photo": (self.source, photo)}

    def begin(self) -> Callable[[PhotoTask], Made]:
        state = FileState("0" * 64, 1, 1)
        return lambda task: Made(made_of={"photo": state}, files={task.name: state})


def watch_driver(count: int) -> list[float]:
    """Return the driver's memory in MiB after every hundredth of so many listed photos."""
    sizes: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "photos", Path(name) / "out"
        out.mkdir()
        for number in range(count):
            if number % 1000 == 0:
                below = source / f"{number // 1000:05d}"
                below.mkdir(parents=True)
            (below / f"a-photo-with-a-name-of-a-usual-length-{number:08d}.jpg").touch()
        done = 0

        def told(photo: PhotoOutcome) -> None:
            nonlocal done
            done += 1
            if done % max(1, count // 100) == 0:
                sizes.append(resident(os.getpid()))

        began = time.perf_counter()
        work_through(_Listed(source, out), None, told)
        print(f"{count / (time.perf_counter() - began):.0f} photos/s through the driver")
    return sizes
