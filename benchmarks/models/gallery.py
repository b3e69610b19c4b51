"""Uncurated samples and fills of a model, as pictures.

    python -m benchmarks gallery IMAGES... --model MODEL --out FOLDER

writes `MODEL-samples.jpg`, the images of the first 64 random codes of seed 0, and
`MODEL-fills.jpg`, the first 16 images under the five generated masks: damaged, filled, original.
"""

from __future__ import annotations

from pathlib import Path

import torch

from aleph.arrays import Pixels
from aleph.datasets import find_sources, load_squares
from aleph.inpainter import Inpainter
from aleph.masks.named import NAMED_MASKS, named_hole
from aleph.photo.pixels import write_image
from aleph.photo.tensors import to_pixels
from aleph.search.starts import random_starts
from aleph.visual.figure import show_hole, side_by_side
from benchmarks.options import options_parser

COLUMNS, SAMPLES, IMAGES = 16, 64, 16


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
    for mask in NAMED_MASKS:
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
    sources = find_sources(options.data)[:IMAGES]
    pixels, _, _ = load_squares(sources, inpainter.model.config.resolution)
    name = Path(options.model).name
    write_image(samples(inpainter), options.out / f"{name}-samples.jpg")
    write_image(fills(inpainter, list(pixels), options.preset), options.out / f"{name}-fills.jpg")
