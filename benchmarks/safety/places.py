"""Places that go wrong: full disks, folders that cannot be written, outputs that are read."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOM = 64 * 2**20
"""Bytes of a disk on which there is room for everything."""


def can_mount(folder: Path) -> bool:
    """Return whether this process may mount disks of memory, which takes root (Linux)."""
    try:
        with small_disk(folder, 4096):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Mount a disk of memory of so many bytes over a folder; what lies in it is copied there.

    Raises:
        OSError: if what lies there does not fit.
        subprocess.CalledProcessError: if it cannot be mounted.
    """
    held = folder.with_name(f"{folder.name}-held")
    shutil.rmtree(held, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, held)
    _call("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder))
    try:
        shutil.copytree(held, folder, dirs_exist_ok=True)
        resize(folder, size)
        yield
    finally:
        _call("umount", "--lazy", str(folder))
        shutil.rmtree(held)


def resize(folder: Path, size: int) -> None:
    """Give a small disk another size, of what it holds at least."""
    taken = os.statvfs(folder)
    least = (taken.f_blocks - taken.f_bfree) * taken.f_frsize
    _call("mount", "-o", f"remount,size={max(size, least)}", str(folder))


def make_read_only(folder: Path) -> None:
    """Let nothing be written to a small disk any more, not even by root."""
    _call("mount", "-o", "remount,ro", str(folder))


def _call(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@dataclass(frozen=True)
class Misplaced:
    """A command whose output is what it reads, or leads there.

    Attributes:
        name: What it is.
        words: The arguments.
        links: Links to be made before, each with what it leads to; `=` before it makes a hard one.
        refused: Whether it has to be refused; else what was asked for must be there.
    """

    name: str
    words: str
    links: tuple[tuple[str, str], ...] = ()
    refused: bool = True


def misplaced() -> list[Misplaced]:
    """Return commands that would destroy what they read, were they not refused."""
    photo = "in/photos/00.png"
    fill = f"inpaint {photo} --mask in/mask.png --model in/model --preset fast --out"
    fills = "inpaint in/photos --mask random --model in/model --preset fast --out"
    link, folder = (("out/link.png", photo),), (("out/link", "in/photos"),)
    measured = "--images 4 --masks center --presets fast --baselines mean --no-figures"
    tiny = "--batch-size 4 --steps 2 --accelerator cpu --model dcgan --resolution 16"
    return [
        Misplaced("inpaint over the photo", f"{fill} {photo}"),
        Misplaced("inpaint over the mask", f"{fill} in/mask.png"),
        Misplaced("inpaint over a link to the photo", f"{fill} out/link.png", link),
        Misplaced("inpaint over a hard link to the photo", f"{fill} out/link.png",
                  (("out/link.png", f"={photo}"),)),
        Misplaced("inpaint over a link to nothing", f"{fill} out/link.png",
                  (("out/link.png", "nowhere"),), refused=False),
        Misplaced("inpaint to a folder", f"{fill} in/photos"),
        Misplaced("inpaint, its figure over the photo", f"{fill} out/a.png --figure {photo}"),
        Misplaced("inpaint, its animation over its result", f"{fill} out/a.webp --animate "
                  "out/a.webp"),
        Misplaced("a folder inpainted into itself", f"{fills} in/photos"),
        Misplaced("a folder inpainted into one of its folders", f"{fills} in/photos/deeper"),
        Misplaced("a folder inpainted through a link to it", f"{fills} out/link", folder),
        Misplaced("a folder inpainted into a file", f"{fills} {photo}"),
        Misplaced("damage over the photo", f"damage {photo} --out {photo}"),
        Misplaced("damage, the overlay over the photo", f"damage {photo} --out out/a.png "
                  f"--overlay {photo}"),
        Misplaced("damage over a link to the photo", f"damage {photo} --out out/link.png", link),
        Misplaced("damage of a folder into itself", "damage in/photos --out in/photos"),
        Misplaced("damage of a folder, masks and overlays in one", "damage in/photos --out out/a "
                  "--overlay out/a"),
        Misplaced("train into its images", f"train in/photos --out in/photos {tiny}"),
        Misplaced("train through a link into its images", f"train in/photos --out out/link/run "
                  f"{tiny}", folder),
        Misplaced("train into a run", f"train in/photos --out in/run {tiny}"),
        Misplaced("train into a file", f"train in/photos --out in/mask.png {tiny}"),
        Misplaced("evaluate into its images", f"evaluate in/model in/photos --out in/photos "
                  f"{measured}"),
        Misplaced("evaluate into a file", f"evaluate in/model in/photos --out in/mask.png "
                  f"{measured}"),
        Misplaced("export into the run", "export in/run --out in/run"),
        Misplaced("export into a folder of photos", "export in/run --out in/photos"),
        Misplaced("export over a file", "export in/run --out in/mask.png"),
        Misplaced("export through a link to a folder of photos", "export in/run --out out/link",
                  folder),
    ]  # fmt: skip
