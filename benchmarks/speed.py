"""Seconds, memory and arithmetic of every way of filling, side by side in one run.

    python benchmarks/speed.py IMAGES... [--model faces-64] [--batches 1,16,64] [--repeats 3]

prints Markdown: seconds an image of aleph's presets, of Yeh's procedure with the same generator and
of the classical fills at each batch size (the median over repeats, and their spread), the ratio to
Yeh's procedure, the peak memory of a process that does nothing else, and which share of the
machine's own convolution rate the search reaches. Yeh's 1500 steps are timed over `--yeh-steps` of
them and scaled, for every step costs the same.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from aleph.config import resolve_settings
from aleph.evaluation.classical import CLASSICAL, classical_fill
from aleph.images import Pixels
from aleph.inpainter import Inpainter
from aleph.masks import Hole, named_hole
from aleph.training.data import find_sources, load_squares

PRESETS = ("fast", "balanced", "thorough", "yeh2017")


@dataclass(frozen=True)
class Case:
    """One way of filling a batch of images.

    Attributes:
        method: A preset or a classical fill.
        batch: Images filled together.
        model: Name of the model, where one is used.
        mask: Name of the mask.
        precision: Of the networks.
        repeats: Times that it is measured.
        steps: Steps that stand for the preset's own, if not None.
    """

    method: str
    batch: int
    model: str
    mask: str
    precision: str
    repeats: int
    steps: int | None = None


@dataclass(frozen=True)
class Timing:
    """What a case took.

    Attributes:
        seconds: Per image: least, median, largest over the repeats.
        megabytes: Peak memory of the process.
    """

    seconds: tuple[float, float, float]
    megabytes: float


def fill(case: Case, images: list[Pixels], holes: list[Hole]) -> Callable[[], float]:
    """Return a function that fills the batch and returns the seconds that it took."""
    if case.method in CLASSICAL:

        def classical() -> float:
            began = time.perf_counter()
            for image, hole in zip(images, holes, strict=True):
                classical_fill(case.method, image, hole)
            return time.perf_counter() - began

        return classical
    inpainter = Inpainter.from_pretrained(case.model, precision=case.precision)  # type: ignore[arg-type]
    own = resolve_settings(case.method, inpainter.model.config.kind).search.steps
    scale = own / case.steps if case.steps else 1.0

    def search() -> float:
        began = time.perf_counter()
        inpainter.batch(
            images, holes, preset=case.method, steps=case.steps, frame="whole", grain=False
        )
        return (time.perf_counter() - began) * scale

    return search


def measure(case: Case, images: list[Pixels], holes: list[Hole]) -> Timing:
    """Measure a case in this process; once more than told, the first time not counted."""
    run = fill(case, images, holes)
    if case.steps is None:
        run()
    seconds = sorted(run() / case.batch for _ in range(case.repeats))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Timing((seconds[0], seconds[len(seconds) // 2], seconds[-1]), peak)


def convolution_rate(precision: str, side: int) -> float:
    """Return the machine's own rate of 3×3 convolutions in GFLOP/s, forward, `channels_last`."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    x = torch.randn(16, 96, side, side, dtype=kind).contiguous(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(96, 96, 3, padding=1, dtype=kind)
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        layer(x)
        began = time.perf_counter()
        for _ in range(20):
            layer(x)
        seconds = (time.perf_counter() - began) / 20
    return 2 * 9 * 96 * 96 * side**2 * 16 / seconds / 1e9


def arithmetic(case: Case) -> float:
    """Return the GFLOP per image of a search.

    Those of one pass of G (and D, where it takes part), counted, times its passes: one forward at
    each step and at the start; the gradient to z costs as much again. The encoder is left out.
    """
    model = Inpainter.from_pretrained(case.model).model
    search = resolve_settings(case.method, model.config.kind, steps=case.steps).search
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        image = model.generate(torch.zeros(1, model.config.latent_dim))
        if search.prior_weight > 0:
            model.judge(image)
    passes = (2 * search.steps + 1) * search.starts
    return float(counter.get_total_flops()) * passes / 1e9


def main() -> None:
    """Parse, measure each case in a process of its own, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--model", default="faces-64")
    parser.add_argument("--mask", default="center")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batches", default="1,16,64")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--yeh-steps", type=int, default=50)
    options = parser.parse_args()
    batches = [int(word) for word in options.batches.split(",")]
    inpainter = Inpainter.from_pretrained(options.model)
    side = inpainter.model.config.resolution
    pixels, _, _ = load_squares(find_sources(options.data)[: max(batches)], side)
    images = [np.array(image) for image in pixels]
    holes = [named_hole(options.mask, (side, side), seed) for seed in range(len(images))]
    rate = convolution_rate(options.precision, side)
    print(
        f"`{options.model}`, {side}×{side}, mask {options.mask}, {options.precision}, "
        f"{torch.get_num_threads()} threads; 3×3 convolutions here: {rate:.0f} GFLOP/s\n"
    )
    print("| method | batch | s per image (least to largest) | yeh2017 / it | peak MB | GFLOP/s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for batch in batches:
        rows: dict[str, tuple[Timing, float | None]] = {}
        for method in (*PRESETS, *CLASSICAL):
            steps = options.yeh_steps if method == "yeh2017" else None
            case = Case(method, batch, options.model, options.mask, options.precision,
                        options.repeats, steps)  # fmt: skip
            job = (case, images[:batch], holes[:batch])
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                timing = pool.apply(measure, job)
                work = pool.apply(arithmetic, (case,)) if method in PRESETS else None
            rows[method] = (timing, work)
        yeh = rows["yeh2017"][0].seconds[1]
        own = resolve_settings("yeh2017", inpainter.model.config.kind).search.steps
        for method, (timing, work) in rows.items():
            least, median, largest = timing.seconds
            done = work * (own / options.yeh_steps if method == "yeh2017" else 1) if work else 0
            reached = f"{done / median:.0f} ({done / median / rate:.0%})" if work else ""
            print(
                f"| {method} | {batch} | {median:.4f} ({least:.4f} to {largest:.4f}) | "
                f"{yeh / median:.0f} | {timing.megabytes:.0f} | {reached} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
