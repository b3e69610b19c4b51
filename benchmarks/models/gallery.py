"""Uncurated samples and fills of a model, as pictures.

    python -m benchmarks gallery IMAGES... --model MODEL --out FOLDER

writes `MODEL-samples.jpg`, the images of the first 64 random codes of seed 0, and fills of 16
images each under three masks: damaged, filled, original. `MODEL-extreme.jpg` takes the first
images and `MODEL-frontal.jpg` those in the middle: where the files are sorted by pose, as those of
aligned faces can be, the first are the most extreme.
"""

from __future__ import annotations

from pathlib import Path

import torch

from aleph.arrays import Pixels
from aleph.datasets import find_sources, load_squares
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.photo.pixels import write_image
from aleph.photo.tensors import to_pixels
from aleph.search.starts import random_starts
from aleph.visual.figure import show_hole, side_by_side
from benchmarks.options import options_parser

COLUMNS, SAMPLES, IMAGES = 16, 64, 16
MASKS = ("center", "half", "strokes")


def _sheet(rows: list[list[Pixels]]) -> Pixels:
    numbers = [str(number) for number in range(1, COLUMNS + 1)]
    return side_by_side(rows, numbers, min_side=1)


def samples(inpainter: Inpainter) -> Pixels:
    """Return the images of random codes, `COLUMNS` in a row."""
    config = inpainter.model.config
    codes = random_starts(config.prior, config.latent_dim, SAMPLES, [0])[0]
    with torch.no_grad():
        drawn = to_pixels(inpainter.model.generate(codes.to(inpainter.model.device)))
    rows = [list(drawn[first : first + COLUMNS]) for first in range(0, SAMPLES, COLUMNS)]
    return _sheet(rows)


def fills(inpainter: Inpainter, images: list[Pixels], preset: str) -> Pixels:
    """Return three rows a mask: damaged, filled, original; a column an image."""
    rows: list[list[Pixels]] = []
    for mask in MASKS:
        holes = [named_hole(mask, image.shape[:2], seed) for seed, image in enumerate(images)]
        results = inpainter.batch(images, holes, preset=preset, frame="whole")
        damaged = [show_hole(image, hole) for image, hole in zip(images, holes, strict=True)]
        rows += [damaged, [result.image for result in results], images]
    return _sheet(rows)


def main() -> None:
    """Parse, draw, write."""
    parser = options_parser(__doc__, model="faces-64", preset="balanced", out=None)
    options = parser.parse_args()
    inpainter = Inpainter.from_pretrained(options.model)
    sources = find_sources(options.data)
    middle = max(0, (len(sources) - IMAGES) // 2)
    name = Path(options.model).name
    write_image(samples(inpainter), options.out / f"{name}-samples.jpg")
    for which, first in (("extreme", 0), ("frontal", middle)):
        chosen = sources[first : first + IMAGES]
        pixels, _, _ = load_squares(chosen, inpainter.model.config.resolution)
        filled = fills(inpainter, list(pixels), options.preset)
        write_image(filled, options.out / f"{name}-{which}.jpg")
