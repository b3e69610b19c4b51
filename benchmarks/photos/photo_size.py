"""Peak memory and time of filling photos of 1, 12 and 50 megapixels.

    python -m benchmarks photo-size

A portrait, enlarged to the size, gets a fold through the face and a stain on mouth and chin; it is
read from a TIFF, filled and written, as `aleph inpaint` does, each size in a process of its own. In
`grows` the damage grows with the photo, in `stays` face and damage keep the size that they have at
1 megapixel. Memory is the process's largest resident set; `before` is that with the model and the
photo's samples loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from aleph.arrays import Hole, Pixels
from aleph.frames.placement import Placement
from aleph.inpainter import Inpainter
from aleph.photo.photo import read_photo
from aleph.pictures import IN_PORTRAIT, portrait, scratch, stain
from benchmarks.options import options_parser, words

SIZES = {1: (1000, 1000), 12: (3000, 4000), 50: (5800, 8700)}
"""Height and width by megapixels."""


def scene(megapixels: int, grows: bool) -> tuple[Pixels, Hole, Placement]:
    """Make a photo, its hole, and where its face lies."""
    height, width = SIZES[megapixels]
    side = height if grows else SIZES[1][0]
    face = IN_PORTRAIT.scaled(side / 512)
    photo = np.full((height, width, 3), 90, np.uint8)
    person = cv2.resize(portrait(), (side, side), interpolation=cv2.INTER_CUBIC)
    top, left = (height - side) // 2, (width - side) // 2
    photo[top : top + side, left : left + side] = person
    face = face.shifted(left, top)
    fold = [(left, face.y - face.side), (face.x, face.y), (left + side - 1, face.y + face.side)]
    hole = scratch((height, width), fold, max(2, side // 200))
    chin = Placement(face.x, face.y + 0.24 * face.side, 0.95 * face.side)
    return photo, hole | stain((height, width), chin, 4), face


def measure(megapixels: int, grows: bool, model: str, folder: Path) -> dict[str, float | str]:
    """Fill one photo in this process."""
    pixels, hole, face = scene(megapixels, grows)
    Image.fromarray(pixels).save(folder / "photo.tif")
    missing = int(hole.sum())
    Image.fromarray(hole.astype(np.uint8) * np.uint8(255)).save(folder / "mask.png")
    del pixels, hole
    inpainter = Inpainter.from_pretrained(model)
    read_photo(folder / "photo.tif")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, worked = time.perf_counter(), time.process_time()
    eyes = [tuple(face.eyes.ravel().tolist())]
    result = inpainter(folder / "photo.tif", folder / "mask.png", eyes=eyes, record=False)
    result.save(folder / "filled.tif")
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    return {
        "megapixels": megapixels,
        "damage": "grows" if grows else "stays",
        "missing_pixels": missing,
        "before_MiB": round(before / 1024),
        "peak_MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "seconds": round(seconds, 1),
        "processor_seconds": round(worked, 1),
    }


def main() -> None:
    """Measure every size in a process of its own; print a line of JSON each."""
    parser = options_parser(__doc__, data=False, model="faces-128")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="megapixels")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        size, damage = options.one.split(",")
        with tempfile.TemporaryDirectory() as folder:
            row = measure(int(size), damage == "grows", options.model, Path(folder))
        print(json.dumps(row), flush=True)
        return
    print(json.dumps({"processors": os.cpu_count(), "load": os.getloadavg()[0]}), flush=True)
    for size in words(options.sizes):
        for damage in ("grows", "stays"):
            one = ["--model", options.model, "--one", f"{size},{damage}"]
            command = [sys.executable, "-m", "benchmarks", "photo-size", *one]
            subprocess.run(command, check=True)
