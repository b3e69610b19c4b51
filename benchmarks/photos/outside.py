"""What fills a hole outside any frame, against PatchMatch alone and the classical fills.

    python -m benchmarks outside PHOTOS.zip ARTEFACTS.zip [--count 22] [--choose]
        [--sheet fills.png]

Each photograph is damaged twice: by two discs with radii of 28 to 64 pixels, and by four artefacts
of film and paper (hairs, lint, scratches, dirt, sprinkles; where their opacity is a quarter or
more, a pixel wider). PSNR is the mean over the photographs in dB, within the hole; texture distance
(0 is right) and sharpness (1 is right) are those of `aleph.evaluation.realism`. Photographs and
artefacts are those that trainings hold out by their names. What is set by hand was chosen on every
third of these photographs (--choose), and is measured on the others.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from aleph.arrays import Hole, Pixels
from aleph.blending.compose import Outside, compose
from aleph.blending.texture import continue_texture
from aleph.evaluation.classical import classical_fill
from aleph.models.zoo import DEFAULT_SURROUNDINGS_MODEL, load_surroundings_model
from aleph.photo.pixels import write_image
from aleph.training.samples.artefacts import is_held_out
from benchmarks.quality import fill_quality

KINDS = ("hair", "hair-short", "lint", "scratches", "dirt", "sprinkles")
OPACITY = 64
RADII = (28, 64)


@dataclass(frozen=True)
class Case:
    """A photograph, and what is damaged in it."""

    image: Pixels
    hole: Hole


def discs(shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Draw two discs."""
    canvas = np.zeros(shape, np.uint8)
    for _ in range(2):
        radius = int(rng.integers(RADII[0], RADII[1] + 1))
        y, x = (int(rng.integers(radius // 2, n - radius // 2)) for n in shape)
        cv2.circle(canvas, (x, y), radius, 1, -1)
    return canvas.astype(bool)


def artefacts(source: zipfile.ZipFile, shape: tuple[int, int], rng: np.random.Generator) -> Hole:
    """Lay four artefacts over a picture."""
    opacity = np.zeros(shape, np.uint8)
    for kind in rng.permutation(KINDS)[:4]:
        names = sorted(n for n in source.namelist() if n.startswith(f"{kind}/") and is_held_out(n))
        data = source.read(names[rng.integers(len(names))])
        sheet = np.array(Image.open(io.BytesIO(data)).convert("L"))
        sheet = cv2.resize(sheet, (max(shape),) * 2, interpolation=cv2.INTER_LINEAR)
        turned = np.rot90(sheet, int(rng.integers(4)))[: shape[0], : shape[1]]
        opacity = np.maximum(opacity, turned)
    marked = (opacity >= OPACITY).astype(np.uint8)
    return cv2.dilate(marked, np.ones((3, 3), np.uint8)).astype(bool)


def cases(photos: Path, damage: Path, count: int, choose: bool = False) -> dict[str, list[Case]]:
    """Read and damage photographs; to choose on, or to measure on."""
    made: dict[str, list[Case]] = {"wide holes": [], "thin damage": []}
    with zipfile.ZipFile(photos) as pictures, zipfile.ZipFile(damage) as sheets:
        names = sorted(n for n in pictures.namelist() if is_held_out(n))
        names = [n for n in names if n.lower().endswith(("jpg", "png"))]
        chosen = [n for n in range(len(names)) if (n % 3 == 0) == choose]
        for number in chosen[:count]:
            data = pictures.read(names[number])
            image = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
            shape, rng = (image.shape[0], image.shape[1]), np.random.default_rng([number, 7])
            made["wide holes"].append(Case(image, discs(shape, rng)))
            made["thin damage"].append(Case(image, artefacts(sheets, shape, rng)))
    return made


Fill = Callable[[Pixels, Hole], Pixels]


def fills_of(refiner: str) -> dict[str, Fill]:
    """Return the fills by name; biharmonic takes minutes for a wide hole."""
    refine = load_surroundings_model(refiner).refine

    def composed(outside: Outside) -> Fill:
        return lambda image, hole: compose(image, hole, [], [[]], outside=outside)[0]

    def classical(method: str) -> Fill:
        return lambda image, hole: classical_fill(method, image, hole)

    return {
        "aleph": composed(Outside(refine=refine)),
        "aleph-unrefined": composed(Outside()),
        "aleph-smooth": composed(Outside(texture=False)),
        "PatchMatch": lambda image, hole: continue_texture(image, hole, np.zeros_like(hole)),
        "telea": classical("telea"),
        "navier-stokes": classical("navier-stokes"),
        "biharmonic": classical("biharmonic"),
    }


def measured(made: list[Case], fills: list[Pixels]) -> str:
    """Return PSNR, texture distance and sharpness of fills, in columns."""
    found = fill_quality([case.image for case in made], fills, [case.hole for case in made])
    return f"{found.psnr:8.2f} {found.texture or 0.0:8.1f} {found.sharpness:8.2f}"


def main() -> None:
    """Fill, measure, print; draw a sheet of the fills if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("artefacts", type=Path)
    parser.add_argument("--count", type=int, default=22)
    parser.add_argument("--choose", action="store_true", help="take those to choose on")
    parser.add_argument("--fills", default="", help="names, comma-separated; all by default")
    parser.add_argument("--refiner", default=DEFAULT_SURROUNDINGS_MODEL)
    parser.add_argument("--sheet", type=Path, help="write the fills side by side")
    options = parser.parse_args()
    rows: list[list[Pixels]] = []
    named = fills_of(options.refiner)
    damaged = cases(options.photos, options.artefacts, options.count, options.choose)
    for kind, made in damaged.items():
        print(f"{kind:<16}{'PSNR':>8} {'texture':>8} {'sharp':>8} {'seconds':>8}", flush=True)
        sheet = [[np.where(c.hole[:, :, None], np.uint8(255), c.image)] for c in made]
        for name in options.fills.split(",") if options.fills else named:
            began = time.process_time()
            fills = [named[name](case.image, case.hole) for case in made]
            seconds = (time.process_time() - began) / len(made)
            print(f"{name:<16}{measured(made, fills)} {seconds:8.1f}", flush=True)
            for row, fill in zip(sheet, fills, strict=True):
                row.append(fill)
        rows += sheet
    if options.sheet:
        side = max(max(picture.shape[:2]) for row in rows for picture in row)
        squares = [np.hstack([_squared(picture, side) for picture in row]) for row in rows]
        write_image(np.vstack(squares), options.sheet)


def _squared(picture: Pixels, side: int) -> Pixels:
    """Put a picture into a white square."""
    square = np.full((side, side, 3), 255, np.uint8)
    square[: picture.shape[0], : picture.shape[1]] = picture
    return square


if __name__ == "__main__":
    main()
