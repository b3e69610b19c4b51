"""What a setting of the search gives, over its values.

    python -m benchmarks setting IMAGES... [--only run/holdout.txt] [--images 32]
        [--setting adaptation_steps] [--values 0,10,20,40]

fills images under every mask with a preset and each value of one field of `SearchConfig`, and
prints a table per model: PSNR of the hole, texture distance (0 is right), sharpness (1 is right),
and the time of one image as a multiple of that with the first value, measured in turns. Never give
it test images: presets are chosen by it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aleph.evaluation.markdown import table
from aleph.evaluation.plan import parse_overrides
from aleph.inpainter import Inpainter
from aleph.masks.named import NAMED_MASKS, named_hole
from benchmarks.options import options_parser, spread_squares, words
from benchmarks.quality import fill_frames, fill_quality
from benchmarks.speed.measure import timed


def quality(
    inpainter: Inpainter,
    images: Sequence[NDArray[np.uint8]],
    mask: str,
    preset: str,
    changed: dict[str, Any],
) -> str:
    """Return PSNR, texture distance and sharpness of the fills of some images under a mask."""
    holes = [named_hole(mask, image.shape[:2], seed) for seed, image in enumerate(images)]
    fills = fill_frames(inpainter, images, holes, preset, **changed)
    return str(fill_quality(images, fills, holes))


def times(
    inpainter: Inpainter,
    image: NDArray[np.uint8],
    preset: str,
    changes: Sequence[dict[str, Any]],
    repeats: int,
) -> list[float]:
    """Return the time of one image with each change, as a multiple of that with the first."""
    hole = named_hole("center", image.shape[:2])
    seconds: list[list[float]] = [[] for _ in changes]
    for _ in range(repeats):
        for changed, taken in zip(changes, seconds, strict=True):
            taken += timed(
                lambda changed=changed: inpainter.batch(  # type: ignore[misc]
                    [image], [hole], preset=preset, frame="whole", **changed
                ),
                1,
            )
    return [statistics.median(taken) / statistics.median(seconds[0]) for taken in seconds]


def main() -> None:
    """Parse, fill, time, print."""
    parser = options_parser(
        __doc__,
        only=None,
        images=32,
        models="faces-64,faces-128",
        masks=",".join(NAMED_MASKS),
        preset="balanced",
        precision="bf16",
        repeats=5,
    )
    parser.add_argument("--setting", default="adaptation_steps", help="field of SearchConfig")
    parser.add_argument("--values", default="0,10,20,40", help="its values (0,10,20,40)")
    options = parser.parse_args()
    values, masks = words(options.values), words(options.masks)
    changes = [parse_overrides([f"{options.setting}={value}"]) for value in values]
    for model in words(options.models):
        inpainter = Inpainter.from_pretrained(model, precision=options.precision)
        side = inpainter.model.config.resolution
        images = spread_squares(options.data, options.images, side, options.only)
        taken = times(inpainter, images[0], options.preset, changes, options.repeats)
        rows = [
            (
                value,
                *(quality(inpainter, images, mask, options.preset, changed) for mask in masks),
                f"{ratio:.2f}",
            )
            for value, changed, ratio in zip(values, changes, taken, strict=True)
        ]
        print(f"`{Path(model).name}`, {len(images)} images, PSNR, texture, sharpness:\n")
        print(table((options.setting, *masks, "time"), rows), flush=True)


if __name__ == "__main__":
    main()
