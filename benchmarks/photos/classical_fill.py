"""PSNR of the smooth fill of what no frame covers, against OpenCV's classical fills.

    python -m benchmarks classical-fill

36 holes in four of scikit-image's photographs: strokes of 2 to 6 pixels, of 10 to 23, and ellipses
of 60 to 140; the mean PSNR of each kind in dB, over the hole.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from skimage import data

from aleph.arrays import Hole, Pixels
from aleph.blending.compose import Outside, compose
from aleph.evaluation.classical import classical_fill

SIDE, COUNT = 240, 36
PHOTOS = ("chelsea", "coffee", "rocket", "astronaut")


def cases() -> list[tuple[int, Pixels, Hole]]:
    """Return the kind of each hole (0 thin, 1 broad, 2 wide), its picture, and itself."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(COUNT):
        photo = np.asarray(getattr(data, PHOTOS[number % len(PHOTOS)])())
        top, left = (int(rng.integers(0, length - SIDE)) for length in photo.shape[:2])
        canvas, kind = np.zeros((SIDE, SIDE), np.uint8), 3 * number // COUNT
        if kind == 2:
            axes = (int(rng.integers(30, 70)), int(rng.integers(30, 70)))
            cv2.ellipse(canvas, (SIDE // 2, SIDE // 2), axes, 20, 0, 360, 1, -1)
        else:
            points = rng.integers(20, SIDE - 20, (5 - kind, 2)).astype(np.int32)
            width = int(rng.integers(2, 7) if kind == 0 else rng.integers(10, 24))
            cv2.polylines(canvas, [points], False, 1, width)
        picture = np.ascontiguousarray(photo[top : top + SIDE, left : left + SIDE])
        made.append((kind, picture, canvas.astype(bool)))
    return made


def main() -> None:
    """Fill, measure, print."""
    fills: dict[str, Callable[[Pixels, Hole], Pixels]] = {
        "aleph": lambda image, hole: compose(
            image, hole, [], [[]], grain=False, outside=Outside(texture=False)
        )[0],
        "navier-stokes": lambda image, hole: classical_fill("navier-stokes", image, hole),
        "telea": lambda image, hole: classical_fill("telea", image, hole),
    }
    made = cases()
    for name, fill in fills.items():
        found: list[list[float]] = [[], [], []]
        for kind, image, hole in made:
            error = np.square(fill(image, hole)[hole].astype(np.float64) - image[hole]).mean()
            found[kind].append(float(10 * np.log10(255**2 / error)))
        print(f"{name:<14}", *(f"{np.mean(values):6.2f}" for values in found), flush=True)
