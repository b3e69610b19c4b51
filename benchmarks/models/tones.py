"""Leads over classical fills on faces as they are, grey, faded and old.

    python -m benchmarks tones test.zip [--images 48] [--doc docs/photos.md]

fills the same images under centre masks in four states and prints per model by how much PSNR of the
hole the fills lead over the best classical one, with the interval, and how far each lead is from
that on the images as they are. Grey: luminance alone. Faded: 0.45 to 0.65 of the contrast, lifted,
with a cast. Old: sepia, blurred, flat, grainy, a JPEG. A fill is compared with the picture in the
same state, grain included.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole, Pixels, rounded
from aleph.evaluation.classical import classical_fill
from aleph.evaluation.markdown import interval_text, table
from aleph.evaluation.metrics import psnr
from aleph.evaluation.statistics import Difference, paired_bootstrap
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.photo.tone import luminance
from aleph.training.samples.degradation import through_jpeg
from benchmarks.document import replace_section
from benchmarks.models.leads import NAMES
from benchmarks.options import options_parser, spread_squares, words
from benchmarks.quality import fill_frames

SEPIA = np.array([1.0, 0.87, 0.68])


def as_it_is(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Leave a picture alone."""
    return image


def grey(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Keep a picture's luminance alone."""
    return rounded(np.repeat(luminance(image)[:, :, None], 3, axis=2))


def faded(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Lower a picture's contrast, lift its darks, and cast a colour over it."""
    lifted = rng.uniform(60, 100) + rng.uniform(-10, 10, 3)
    return rounded(image * rng.uniform(0.45, 0.65) + lifted)


def old(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Print a picture in sepia, softly, flat and grainy, and keep it as a JPEG."""
    toned = luminance(image)[:, :, None] * SEPIA
    soft = cv2.GaussianBlur(toned, (0, 0), rng.uniform(0.6, 1.2))
    flat = soft * rng.uniform(0.55, 0.75) + rng.uniform(30, 60) * SEPIA
    grain = rng.normal(0, rng.uniform(3, 8), image.shape[:2])[:, :, None]
    return through_jpeg(rounded(flat + grain), int(rng.integers(60, 90))).copy()


STATES: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "as they are": as_it_is,
    "grey": grey,
    "faded": faded,
    "old": old,
}


def scores(pictures: list[Pixels], fills: list[Pixels], hole: Hole) -> NDArray[np.float64]:
    """Return the PSNR of each fill's hole: float64 (n,), dB."""
    pairs = zip(pictures, fills, strict=True)
    return np.array([psnr(picture, fill, hole) for picture, fill in pairs])


def lead(inpainter: Inpainter, pictures: list[Pixels], preset: str) -> tuple[Difference, str]:
    """Return the lead of a preset's fills over the best classical ones, and whose these are."""
    hole = named_hole("center", pictures[0].shape[:2])
    fills = fill_frames(inpainter, pictures, [hole] * len(pictures), preset)
    classical = {
        name: scores(pictures, [classical_fill(name, p, hole) for p in pictures], hole)
        for name in NAMES
    }
    best = max(classical, key=lambda name: float(classical[name].mean()))
    return paired_bootstrap(scores(pictures, fills, hole), classical[best]), best


def main() -> None:
    """Parse, fill, print, write."""
    options = options_parser(
        __doc__, doc=None, models="faces-64,faces-128", images=48, preset="balanced", seed=0
    ).parse_args()
    rows = []
    for model in words(options.models):
        inpainter = Inpainter.from_pretrained(model)
        images = spread_squares(options.data, options.images, inpainter.model.config.resolution)
        plain = 0.0
        for state, change in STATES.items():
            states = [
                change(image, np.random.default_rng([options.seed, number]))
                for number, image in enumerate(images)
            ]
            difference, best = lead(inpainter, states, options.preset)
            plain = difference.mean if change is as_it_is else plain
            apart = "" if change is as_it_is else f"{difference.mean - plain:+.2f}"
            rows.append([f"`{model}`", state, best, interval_text(difference), apart])
            print(*rows[-1], flush=True)
    head = ["model", "faces", "best classical", f"lead of `{options.preset}`", "from as they are"]
    text = table(head, rows)
    print(f"\n{text}")
    if options.doc:
        replace_section(options.doc, "tones", f"{text}\n")


if __name__ == "__main__":
    main()
