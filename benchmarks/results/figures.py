"""The figures of docs/results.md: those of the evaluations, made small for a repository."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from aleph.files import replacing
from aleph.visual.animation import write_animation
from benchmarks.results.stages import Outcome

MOST_BYTES = 180_000
"""Of one figure."""

_FILLS = "the first images by name, uncurated: original, damaged, pasted without and with weighting"

WANTED = (
    ("dcgan", "figure-weights.png", "weights of the known pixels"),
    ("dcgan-thin", "figure-weights.png", "weights of the known pixels, thin holes"),
    ("dcgan", "search-center.gif", "one search, without and with weighting: the median gain"),
    ("dcgan", "figure-weightings-center.png", f"faces-dcgan-64, centre; {_FILLS}, blended"),
    ("dcgan", "figure-weightings-half.png", f"faces-dcgan-64, half; {_FILLS}, blended"),
    ("dcgan", "figure-weightings-strokes.png", f"faces-dcgan-64, strokes; {_FILLS}, blended"),
    ("faces-64", "figure-weightings-center.png", f"faces-64, centre; {_FILLS}, blended"),
    ("faces-128", "figure-weightings-half.png", f"faces-128, half; {_FILLS}, blended"),
    ("faces-64", "figure-methods-half.png", "faces-64 beside the classical fills, half"),
    ("dcgan", "figure-steps-center-balanced-l1.png", "loss and PSNR over the steps, centre"),
    ("dcgan", "figure-steps-half-balanced-l1.png", "loss and PSNR over the steps, half"),
    ("dcgan", "figure-steps-strokes-balanced-l1.png", "loss and PSNR over the steps, strokes"),
    ("faces-64", "figure-steps-center-balanced-l1.png", "the same of faces-64, centre"),
    ("faces-64", "figure-steps-strokes-balanced-l1.png", "the same of faces-64, strokes"),
)
"""Stage, file of its evaluation, caption: what the document shows, in this order."""


def draw(outcomes: Sequence[Outcome], folder: Path) -> dict[Path, str]:
    """Write small copies of the evaluations' figures; of a stage without them none.

    Args:
        outcomes: The stages that there are.
        folder: Where to; made if it is not there.

    Returns:
        What was written, with captions, in the order of the document.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folders = {outcome.stage.name: outcome.folder for outcome in outcomes}
    written = {}
    for stage, name, caption in WANTED:
        source = folders.get(stage, Path("nowhere")) / name
        if source.is_file():
            path, shrink = _target(source, folder, stage)
            shrink(source, path)
            written[path] = caption
    return written


def _target(source: Path, folder: Path, stage: str) -> tuple[Path, Callable[[Path, Path], None]]:
    """Return where a small copy goes and what makes it."""
    name = f"{stage}-{source.stem.removeprefix('figure-')}"
    if source.suffix == ".gif":
        return folder / f"{name}.webp", shrink_animation
    if "steps" in name or "weights" in name:
        return folder / f"{name}.png", shrink_plot
    return folder / f"{name}.jpg", shrink_photos


def shrink_photos(source: Path, path: Path) -> None:
    """Write a picture as JPEG, as good as `MOST_BYTES` allows."""
    with Image.open(source) as picture:
        small = picture.convert("RGB")
    quality = 90
    with replacing(path) as temporary:
        small.save(temporary, "JPEG", quality=quality, optimize=True)
        while temporary.stat().st_size > MOST_BYTES:
            if quality <= 60:
                small = small.resize((small.width * 4 // 5, small.height * 4 // 5))
            quality = max(60, quality - 10)
            small.save(temporary, "JPEG", quality=quality, optimize=True)


def shrink_plot(source: Path, path: Path) -> None:
    """Write a plot as PNG of 64 colours."""
    with Image.open(source) as picture, replacing(path) as temporary:
        few = picture.convert("RGB").quantize(64, dither=Image.Dither.NONE)
        few.save(temporary, "PNG", optimize=True)


def shrink_animation(source: Path, path: Path) -> None:
    """Write an animation as WebP with as many of its frames as `MOST_BYTES` allows."""
    with Image.open(source) as animation:
        size = (animation.width * 2 // 3, animation.height * 2 // 3)
        timed = [
            (np.asarray(frame.convert("RGB").resize(size)), int(frame.info["duration"]))
            for frame in ImageSequence.Iterator(animation)
        ]
    every = 1
    write_animation(timed, path)
    while path.stat().st_size > MOST_BYTES and every < len(timed):
        every += 1
        between = [(pixels, ms * every) for pixels, ms in timed[1:-1:every]]
        write_animation([timed[0], *between, timed[-1]], path)
