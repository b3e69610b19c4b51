"""What is killed: commands of aleph that write something, and what must be there in the end."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

Facts = dict[str, str]
"""Digests of files, or what stands for them, by their names below a folder."""

_TINY = "--batch-size 4 --accelerator cpu --precision fp32"
_STEPS = "--steps 8 --save-every 2 --log-every 1 --sample-every 4 --adversary-start 2"
_WIDTHS = "--resolution 16 --latent-dim 8 --generator-width 8 --discriminator-width 8"

_KINDS = {
    "dcgan": f"--model dcgan {_WIDTHS}",
    "amortised": f"--model amortised {_WIDTHS} --encoder-width 8 --maximum-width 16",
    "refiner": "--model refiner --init in/model",
    "detector": "--model detector --resolution 16 --encoder-width 8 --maximum-width 16",
    "damage": "--model damage --resolution 32 --encoder-width 8 --maximum-width 16",
    "surroundings": "--model surroundings --resolution 32 --refiner-width 8 "
    "--discriminator-width 8",
}


@dataclass(frozen=True)
class Subject:
    """A command. It reads from `in` and writes into `out`, both in the folder it runs in.

    Attributes:
        name: What it is.
        words: Its arguments.
        free: Patterns of files that may hold something else than in the end, as long as they are
            whole: what is written several times.
        resumed: Whether it goes on by the arguments of `train --resume`.
        older: Files of `in` that lie at places of `out` before it begins.
    """

    name: str
    words: str
    free: tuple[str, ...] = ()
    resumed: bool = False
    older: tuple[tuple[str, str], ...] = ()

    def begin(self, folder: Path) -> list[str]:
        """Return the arguments that begin it, or go on with it after it was stopped."""
        if self.resumed and (folder / "out/run/config.json").exists():
            return ["train", "--resume", "--out", "out/run"]
        return self.words.split()

    def prepare(self, given: Path, folder: Path) -> None:
        """Make its folder anew."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(given, folder / "in")
        (folder / "out").mkdir()
        for source, target in self.older:
            copy = shutil.copytree if (given / source).is_dir() else shutil.copy
            copy(given / source, folder / "out" / target)


def subjects() -> list[Subject]:
    """Return what is killed."""
    filled = "--model in/model --preset fast"
    photo, older = "in/photos/00.png", (("older.png", "filled.png"),)
    measured = "--images 8 --masks center,half --presets fast --weightings inverse --batch-size 2"
    return [
        Subject("inpaint, a photo", f"inpaint {photo} --mask in/mask.png --out out/filled.png "
                f"{filled} --candidates 2 --figure out/figure.png --animate out/search.mp4",
                older=older),
        Subject("inpaint, a folder", f"inpaint in/photos --mask random --out out/filled {filled}"),
        Subject("inpaint, a folder by 2 workers",
                f"inpaint in/photos --mask random --out out/filled --workers 2 {filled}"),
        Subject("damage, a photo", f"damage {photo} --out out/filled.png --overlay out/red.png",
                older=older),
        Subject("damage, a folder", "damage in/photos --out out/masks --overlay out/red"),
        Subject("damage, a folder by 2 workers",
                "damage in/photos --out out/masks --overlay out/red --workers 2"),
        *(Subject(f"train, {kind}", f"train in/photos --out out/run {_TINY} {_STEPS} {widths}",
                  ("run/state.safetensors", "run/samples/*.png"), resumed=True)
          for kind, widths in _KINDS.items()),
        Subject("evaluate", f"evaluate in/model in/photos --out out/eval {measured} --no-figures"),
        Subject("export", "export in/run --out out/model", older=(("model", "model"),)),
    ]  # fmt: skip


def make_given(folder: Path, run: Callable[[list[str], Path], object]) -> None:
    """Write what the commands read: photos, a mask, an older result, a model and a run.

    Args:
        folder: Where to.
        run: Runs a command in a folder.
    """
    for number in range(12):
        height, width = (64, 48) if number % 3 else (48, 48)
        path = folder / "photos" / ("deeper" if number % 4 == 3 else "") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_picture(height, width, number)).save(path)
    mask = np.zeros((48, 48), np.uint8)
    mask[16:32, 16:28] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    Image.fromarray(_picture(40, 40, 99)).save(folder / "older.png")
    words = f"train photos --out run {_TINY} {_STEPS} {_KINDS['amortised']}".split()
    run(words, folder)
    run(["export", "run", "--out", "model"], folder)
    run([*words[:3], "run2", *words[4:], "--seed", "2"], folder)
    shutil.rmtree(folder / "run")
    (folder / "run2").rename(folder / "run")


def _picture(height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


def facts(folder: Path) -> Facts:
    """Return what the files below a folder hold, without what differs from run to run: times."""
    found: Facts = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not is_temporary(path) and "tensorboard/" not in name:
            found[name] = _fact(path)
    return found


def is_temporary(path: Path) -> bool:
    """Return whether a file, or the folder that it lies in, is a temporary one.

    Those of aleph begin with `.aleph-`, those of safetensors with `.tmp`.
    """
    return any(part.startswith((".aleph-", ".tmp")) for part in path.parts)


def temporary_files(folder: Path) -> list[str]:
    """Return the names of temporary files and folders that a command left behind.

    Args:
        folder: Where it ran; what torch's compiler leaves in its `tmp`, an empty folder, is not
            counted.
    """
    beside = [p for p in (folder / "out").rglob(".*") if p.name.startswith((".aleph-", ".tmp"))]
    return sorted(
        path.name
        for path in [*beside, *(folder / "tmp").iterdir()]
        if not path.name.startswith("torchinductor_")
    )


def _fact(path: Path) -> str:
    """Return what a file holds; of logs, the rows and how often each is there."""
    if path.name == "losses.jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return json.dumps([{**row, "images_per_second": 0} for row in rows])
    if path.name == "results.jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        texts = sorted(json.dumps({**row, "seconds": 0}) for row in rows)
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()
    if path.name.endswith("manifest.jsonl"):
        return json.dumps(_manifest(path), sort_keys=True)
    if path.name.startswith(("summary.", "differences.", "steps.")):
        return "there"  # they hold times
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _manifest(path: Path) -> dict[str, list[object]]:
    """Return how often each photo was done, and the digests of what was written last."""
    times, files = Counter[str](), {}
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # half a line
        if entry["state"] == "done":
            times[entry["photo"]] += 1
            files[entry["photo"]] = sorted(
                (name, state["sha256"]) for name, state in entry["files"].items()
            )
    return {photo: [times[photo], files[photo]] for photo in times}


def broken(folder: Path, subject: Subject, known: list[Facts]) -> list[str]:
    """Return the files of a stopped command that are not whole, a sentence each.

    Args:
        folder: Its `out`.
        subject: What was stopped.
        known: What the files may hold: before the command, and after all of it.
    """
    faults = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or is_temporary(path) or path.suffix == ".jsonl":
            continue
        if "tensorboard/" in name or any(_fact(path) == facts.get(name) for facts in known):
            continue
        if not any(fnmatch.fnmatch(name, pattern) for pattern in subject.free):
            faults.append(f"'{name}' is neither what it was nor what it is to be")
        elif not _opens(path):
            faults.append(f"'{name}' is half written")
    return faults


def _opens(path: Path) -> bool:
    """Return whether a file of one of the formats that training writes can be read whole."""
    try:
        if path.suffix == ".safetensors":
            return bool(load_file(path))
        with Image.open(path) as picture:
            picture.load()
    except Exception:
        return False
    return True


def missing(folder: Path, before: Facts) -> list[str]:
    """Return what lay in a folder before a command and is gone, a sentence each."""
    return [f"'{name}' is lost" for name in before if not (folder / name).is_file()]


def differences(found: Facts, wanted: Facts, subject: Subject) -> list[str]:
    """Return how what is there in the end differs from what an undisturbed command leaves."""
    faults = [f"'{name}' is missing in the end" for name in wanted.keys() - found.keys()]
    faults += [
        f"'{name}' differs in the end" for name in wanted if found.get(name, "") != wanted[name]
    ]
    extra = found.keys() - wanted.keys()
    allowed = [n for n in extra if any(fnmatch.fnmatch(n, pattern) for pattern in subject.free)]
    return faults + [f"'{name}' is left over" for name in sorted(extra - set(allowed))]
