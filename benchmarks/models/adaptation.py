"""What adapting the generator to each picture gives, over the steps of the adaptation.

    python -m benchmarks adaptation IMAGES... [--only run/holdout.txt] [--images 32] [--steps 0,20]

fills images under every mask with a preset and each number of adaptation steps, and prints a table
per model: PSNR of the hole, texture distance (0 is right), sharpness (1 is right), and the time of
one image as a multiple of that without adaptation, measured in turns. Never give it test images:
presets are chosen by it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aleph.evaluation.markdown import table
from aleph.inpainter import Inpainter
from aleph.masks.named import NAMED_MASKS, named_hole
from benchmarks.options import options_parser, spread_squares, words
from benchmarks.quality import fill_quality
from benchmarks.speed.measure import timed

GROUP = 8
"""Images searched together."""


def quality(
    inpainter: Inpainter, images: Sequence[NDArray[np.uint8]], mask: str, preset: str, steps: int
) -> str:
    """Return PSNR, texture distance and sharpness of the fills of some images under a mask."""
    holes = [named_hole(mask, image.shape[:2], seed) for seed, image in enumerate(images)]
    fills = []
    for first in range(0, len(images), GROUP):
        group = slice(first, first + GROUP)
        results = inpainter.batch(
            images[group],
            holes[group],
            preset=preset,
            frame="whole",
            seeds=range(len(images))[group],
            adaptation_steps=steps,
        )
        fills += [result.image for result in results]
    found = fill_quality(images, fills, holes)
    texture = "" if found.texture is None else f"{found.texture:.2f}"
    return f"{found.psnr:.2f}, {texture}, {found.sharpness:.3f}"


def times(
    inpainter: Inpainter,
    image: NDArray[np.uint8],
    preset: str,
    steps: Sequence[int],
    repeats: int,
) -> dict[int, float]:
    """Return the time of one image as a multiple of that without adaptation."""
    hole = named_hole("center", image.shape[:2])
    seconds: dict[int, list[float]] = {count: [] for count in (0, *steps)}
    for _ in range(repeats):
        for count, taken in seconds.items():
            taken += timed(
                lambda count=count: inpainter.batch(  # type: ignore[misc]
                    [image], [hole], preset=preset, frame="whole", adaptation_steps=count
                ),
                1,
            )
    return {
        count: statistics.median(taken) / statistics.median(seconds[0])
        for count, taken in seconds.items()
    }


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
    parser.add_argument("--steps", default="0,10,20,40", help="adaptation steps (0,10,20,40)")
    options = parser.parse_args()
    steps, masks = [int(word) for word in words(options.steps)], words(options.masks)
    for model in words(options.models):
        inpainter = Inpainter.from_pretrained(model, precision=options.precision)
        side = inpainter.model.config.resolution
        images = spread_squares(options.data, options.images, side, options.only)
        taken = times(inpainter, images[0], options.preset, steps, options.repeats)
        rows = [
            (
                str(count),
                *(quality(inpainter, images, mask, options.preset, count) for mask in masks),
                f"{taken[count]:.2f}",
            )
            for count in steps
        ]
        print(f"`{Path(model).name}`, {len(images)} images, PSNR, texture, sharpness:\n")
        print(table(("steps", *masks, "time"), rows), flush=True)


if __name__ == "__main__":
    main()
