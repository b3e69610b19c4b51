"""The figures of docs/results.md: some of those that the evaluations drew, made small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from aleph.evaluation.sections import model_name
from aleph.evaluation.summary import Summary
from aleph.files import replacing
from aleph.visual.animation import write_animation
from benchmarks.results.stages import Stage

WANTED = {
    "dcgan": (
        "figure-weights.png",
        "search-center.gif",
        "figure-weightings-center.png",
        "figure-weightings-half.png",
        "figure-weightings-strokes.png",
        "figure-steps-center-balanced-l1.png",
        "figure-steps-half-balanced-l1.png",
        "figure-steps-strokes-balanced-l1.png",
    ),
    "dcgan-thin": ("figure-weights.png",),
    "faces-64": (
        "figure-weightings-center.png",
        "figure-methods-half.png",
        "figure-steps-center-balanced-l1.png",
        "figure-steps-strokes-balanced-l1.png",
    ),
    "faces-128": ("figure-weightings-half.png",),
}
"""Files of each stage, in the order of the document."""

KEPT_FRAMES = 3
"""Of an animation every third frame is kept."""


def draw(found: Sequence[tuple[Stage, Summary]], folder: Path) -> dict[Path, str]:
    """Write small copies of the figures of some stages.

    Args:
        found: The stages, and what they say.
        folder: Where to; made if it is not there.

    Returns:
        What was written, with captions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for stage, summary in found:
        drawn = {path.name: (path, caption) for path, caption in summary.files.items()}
        for source, caption in (
            drawn[name] for name in WANTED.get(stage.name, ()) if name in drawn
        ):
            written[_shrink(source, folder, stage.name)] = f"{model_name(summary)}, {caption}"
    return written


def _shrink(source: Path, folder: Path, stage: str) -> Path:
    """Write an animation as WebP, pictures of faces as JPEG, plots as PNG of 64 colours."""
    path = folder / f"{stage}-{source.stem.removeprefix('figure-')}.png"
    with Image.open(source) as picture:
        if source.suffix == ".gif":
            path = path.with_suffix(".webp")
            size = (picture.width * 2 // 3, picture.height * 2 // 3)
            timed = [
                (np.asarray(frame.convert("RGB").resize(size)), int(frame.info["duration"]))
                for frame in ImageSequence.Iterator(picture)
            ]
            between = [(pixels, ms * KEPT_FRAMES) for pixels, ms in timed[1:-1:KEPT_FRAMES]]
            write_animation([timed[0], *between, timed[-1]], path)
            return path
        photos = not {"steps", "weights"} & set(source.stem.split("-"))
        path = path.with_suffix(".jpg") if photos else path
        small = picture.convert("RGB")
        few = small if photos else small.quantize(64, dither=Image.Dither.NONE)
        with replacing(path) as temporary:
            few.save(temporary, "JPEG" if photos else "PNG", quality=75, optimize=True)
    return path
