"""The same photo filled alone and among others, by one thread and by several: byte for byte?

    python -m benchmarks determinism [--model faces-128] [--presets fast,balanced,thorough]

Photos of several sizes with several holes and faces are filled alone, then all in one call, each
with one thread of torch and with as many as there are processors. The table says how many fills
differ from those that were made alone by one thread, by how many grey levels at most, and the
seconds for all. `yeh2017` is cut to `YEH` steps.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from aleph.arrays import Hole, Pixels
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.pictures import face, group, group_damage
from benchmarks.options import PROCESSORS, options_parser, words

YEH = 60


@dataclass(frozen=True)
class Photos:
    """Photos and their holes, in order."""

    images: list[Pixels]
    holes: list[Hole]


def photos() -> Photos:
    """Return a portrait with three holes, a smaller and a monochrome one, and a group."""
    portrait = face()
    grey = portrait.mean(2, keepdims=True).repeat(3, 2).astype(np.uint8)
    images = [portrait, portrait, portrait, portrait[::2, ::2].copy(), grey]
    masks = ("center", "half", "strokes", "center", "random")
    holes = [
        named_hole(mask, image.shape[:2], seed=3) for mask, image in zip(masks, images, strict=True)
    ]
    return Photos([*images, group()], [*holes, group_damage()])


def fill(inpainter: Inpainter, given: Photos, preset: str, together: bool) -> list[list[Pixels]]:
    """Return the candidates of every photo."""
    options: dict[str, Any] = {"preset": preset, "candidates": 2}
    if preset == "yeh2017":
        options["steps"] = YEH
    if together:
        results = inpainter.batch(given.images, given.holes, **options)
    else:
        results = [
            inpainter(image, hole, **options)
            for image, hole in zip(given.images, given.holes, strict=True)
        ]
    return [[candidate.image for candidate in result.candidates] for result in results]


def compare(found: list[list[Pixels]], wanted: list[list[Pixels]]) -> tuple[int, int]:
    """Return how many fills differ, and by how many grey levels at most."""
    levels = [
        int(np.abs(one.astype(int) - other.astype(int)).max())
        for ours, theirs in zip(found, wanted, strict=True)
        for one, other in zip(ours, theirs, strict=True)
    ]
    return sum(level > 0 for level in levels), max(levels)


def main() -> None:
    """Fill, compare, print the table."""
    parser = options_parser(__doc__, data=False, model="faces-128", precision="fp32",
                            presets="fast,balanced,thorough,yeh2017")  # fmt: skip
    options = parser.parse_args()
    inpainter = Inpainter.from_pretrained(options.model, device="cpu", precision=options.precision)
    given, differing = photos(), 0
    print("| preset | filled | threads | fills that differ | by levels, at most | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for preset in words(options.presets):
        wanted: list[list[Pixels]] = []
        for threads in sorted({1, PROCESSORS}):
            torch.set_num_threads(threads)
            for together in (False, True):
                began = time.process_time()
                found = fill(inpainter, given, preset, together)
                wanted = wanted or found
                count, level = compare(found, wanted)
                differing += count
                how, fills = "together" if together else "alone", sum(map(len, found))
                seconds = time.process_time() - began
                cells = (preset, how, threads, f"{count} of {fills}", level, f"{seconds:.0f}")
                print(f"| {' | '.join(map(str, cells))} |", flush=True)
    sys.exit(differing > 0)
