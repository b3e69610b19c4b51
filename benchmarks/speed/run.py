"""Seconds, memory and arithmetic of every method of filling, in one run.

    python -m benchmarks speed IMAGES... [--doc docs/speed.md] [--repeats 3]

measures aleph's presets, Yeh's procedure with the same generator, the classical fills and, where
`spandrel` is installed, LaMa's network: seconds per image at batch 1, 16 and 64 with their spread
over repeats, the ratio to Yeh's procedure, peak memory, how time grows with resolution and with
batch, which share of the machine's own convolution rate a search reaches, and which operations take
its time. It prints Markdown, and writes it to `--doc`. Every case runs in a process of its own, one
after the other.

Searches of more than 40 steps are timed with 0 and with 40, and extrapolated linearly, because
every step costs the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, get_args

import cv2
import numpy as np
import torch

from aleph.arrays import Hole, Pixels
from aleph.config import Precision, Preset
from aleph.datasets import find_sources, load_squares
from aleph.evaluation.classical import CLASSICAL
from aleph.masks.named import named_hole
from aleph.models.folder import read_config
from aleph.models.zoo import find_model
from aleph.progress import Reporter
from benchmarks.document import command_text, write_document
from benchmarks.options import options_parser, words
from benchmarks.speed.document import document
from benchmarks.speed.lama import LAMA, lama_available
from benchmarks.speed.measure import (
    Case,
    Measured,
    Timing,
    convolution_rate,
    flop_per_step,
    in_own_process,
    measure,
    profile,
)

PRESETS: tuple[str, ...] = get_args(Preset)

LAMA_SIDE = 512
"""Side of the largest picture that LaMa's network is given: its memory grows with it."""

SLOW_FILL_SIDE = 128
"""Side of the largest picture that the biharmonic fill, which solves one large system, is given."""


def cases(small: str, large: str, batches: Sequence[int], sides: Sequence[int]) -> list[Case]:
    """List what is measured.

    Args:
        small: A model, for the growth with batch.
        large: A model of a higher resolution, for the growth with resolution.
        batches: Images at once.
        sides: Of pictures that are filled with the large model, in pixels, besides its own.
    """
    own, higher = (read_config(find_model(name)).resolution for name in (small, large))
    listed = [Case("nothing", small)]
    for batch in batches:
        listed += [Case(preset, small, batch, own) for preset in PRESETS]
        listed += [Case("balanced", small, batch, own, "bf16")]
    listed += [Case(method, "", 1, own) for method in CLASSICAL]
    for side in (higher, *sides):
        listed += [Case(preset, large, 1, side) for preset in ("fast", "balanced")]
        listed += [
            Case(method, "", 1, side)
            for method in CLASSICAL
            if method != "biharmonic" or side <= SLOW_FILL_SIDE
        ]
        if lama_available() and side <= LAMA_SIDE:
            listed.append(Case(LAMA, "", 1, side))
    middle = sorted(batches)[len(batches) // 2]
    listed += [Case("balanced", large, middle, higher, p) for p in get_args(Precision)]
    return list(dict.fromkeys(listed))


def run(options: argparse.Namespace, reporter: Reporter) -> Measured:
    """Measure everything.

    Raises:
        InputError: if the data cannot be used.
        ModelError: if a model cannot be loaded.
    """
    batches, sides = (
        [int(word) for word in words(option)] for option in (options.batches, options.sides)
    )
    listed = cases(options.small, options.large, batches, sides)
    sources = find_sources(options.data)[: max(batches)]
    found: dict[Case, Timing] = {}
    with reporter.progress("measuring", len(listed)) as advance:
        for case in listed:
            job = (case, *damaged(sources, case), options.repeats)
            found[case] = in_own_process(measure, *job)
            advance(len(found), {})
    profiled = [case for case in listed if case.method == "balanced" and case.batch > 1]
    middle = sorted(batches)[len(batches) // 2]
    return Measured(
        cases=found,
        rates={
            p: in_own_process(convolution_rate, p, options.repeats) for p in get_args(Precision)
        },
        flop={
            (case.model, case.method): flop_per_step(case.model, case.method)
            for case in listed
            if case.method in PRESETS
        },
        profiles={
            (case.model, case.precision): in_own_process(profile, case, *damaged(sources, case), 5)
            for case in profiled
            if case.batch == middle
        },
        threads=torch.get_num_threads(),
        repeats=options.repeats,
    )


def damaged(sources: Sequence[Any], case: Case) -> tuple[list[Pixels], list[Hole]]:
    """Return a case's images, enlarged where they are small and repeated where they are too few,
    and their holes.
    """
    chosen = [sources[i % len(sources)] for i in range(case.batch)]
    squares, _, _ = load_squares(chosen, min(case.side, 128))
    size = (case.side, case.side)
    images = [np.asarray(cv2.resize(s, size, interpolation=cv2.INTER_CUBIC)) for s in squares]
    return images, [named_hole("center", size, seed) for seed in range(case.batch)]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = options_parser(__doc__, doc=None, repeats=3)
    parser.add_argument("--small", default="faces-64", help="model for the growth with batch")
    parser.add_argument("--large", default="faces-128", help="model for the one with resolution")
    parser.add_argument("--batches", default="1,16,64", help="images filled at once")
    parser.add_argument("--sides", default="256,512,1024", help="of enlarged pictures, in pixels")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print and write."""
    options = parse(arguments)
    measured = run(options, Reporter())
    text = document(measured, command_text("speed", options.data, "--doc docs/speed.md"))
    print(text)
    if options.doc:
        write_document(options.doc, text)
