"""Measuring one way of filling, in a process that does nothing else."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from aleph.arrays import Hole, Pixels
from aleph.evaluation.classical import CLASSICAL, classical_fill
from aleph.inpainter import Inpainter
from aleph.presets import resolve_settings
from benchmarks.speed.lama import LAMA, lama_fill, lama_network

SHORT = 40
"""Most steps that are run of a search; longer ones are extrapolated linearly."""


@dataclass(frozen=True)
class Case:
    """One way of filling a batch of images.

    Attributes:
        method: A preset, a classical fill, `lama`, or `nothing`: only loading the model.
        model: Name of the model, where one is used.
        batch: Images filled together.
        side: Side of the images in pixels.
        precision: Of the networks.
    """

    method: str
    model: str = ""
    batch: int = 1
    side: int = 64
    precision: str = "fp32"

    @property
    def searches(self) -> bool:
        """Whether a model is used."""
        return self.method not in (*CLASSICAL, LAMA)


@dataclass(frozen=True)
class Timing:
    """What a case took.

    Attributes:
        seconds: Per image: least, median, largest over the repeats.
        step: Seconds per image and step of the search, the median; 0 without a step.
        megabytes: Peak memory of the process.
    """

    seconds: tuple[float, float, float]
    step: float
    megabytes: float


@dataclass(frozen=True)
class Measured:
    """All that a run has measured.

    Attributes:
        cases: Timings.
        rates: The machine's 3×3 convolutions in GFLOP/s, by precision: least, median, largest.
        flop: GFLOP per image and step of a search, by model and preset.
        profiles: Share of the time by operation, by model and precision, largest first.
        threads: Of every process.
        repeats: Of every case.
    """

    cases: dict[Case, Timing]
    rates: dict[str, tuple[float, float, float]]
    flop: dict[tuple[str, str], float]
    profiles: dict[tuple[str, str], list[tuple[str, float]]]
    threads: int
    repeats: int


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return least, median, largest."""
    return min(values), statistics.median(values), max(values)


def measure(case: Case, images: list[Pixels], holes: list[Hole], repeats: int) -> Timing:
    """Measure a case in this process, after one run that is not counted.

    Args:
        case: What to do.
        images: `case.batch` pictures.
        holes: Their holes.
        repeats: How often it is measured.
    """
    if case.method == "nothing":
        load(case)
        return Timing((0.0, 0.0, 0.0), 0.0, peak_megabytes())
    if case.method == LAMA:
        network = lama_network()
        seconds = timed(lambda: lama_fill(network, images, holes), repeats)
        return Timing(spread([s / case.batch for s in seconds]), 0.0, peak_megabytes())
    if not case.searches:
        seconds = timed(lambda: fill_classically(case.method, images, holes), repeats)
        return Timing(spread([s / case.batch for s in seconds]), 0.0, peak_megabytes())
    inpainter = load(case)
    own = resolve_settings(case.method, inpainter.model.config.kind).search.steps

    def search(steps: int) -> list[float]:
        found = timed(
            lambda: inpainter.batch(images, holes, preset=case.method, steps=steps, frame="whole"),
            repeats,
        )
        return [seconds / case.batch for seconds in found]

    begun = search(0)
    if not own:
        return Timing(spread(begun), 0.0, peak_megabytes())
    done = min(own, SHORT)
    steps = [(all_of - s) / done for all_of, s in zip(search(done), begun, strict=True)]
    whole = [s + own * step for s, step in zip(begun, steps, strict=True)]
    return Timing(spread(whole), statistics.median(steps), peak_megabytes())


def load(case: Case) -> Inpainter:
    """Load a case's model."""
    return Inpainter.from_pretrained(case.model, precision=case.precision)  # type: ignore[arg-type]


def fill_classically(method: str, images: list[Pixels], holes: list[Hole]) -> None:
    """Fill one image after the other."""
    for image, hole in zip(images, holes, strict=True):
        classical_fill(method, image, hole)


def timed(run: Callable[[], object], repeats: int) -> list[float]:
    """Return the seconds of each repeat, after one run that is not counted."""
    run()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return seconds


def peak_megabytes() -> float:
    """Return the largest memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def convolution_rate(precision: str, repeats: int) -> tuple[float, float, float]:
    """Return the machine's rate of 3×3 convolutions in GFLOP/s: forward, `channels_last`.

    96 to 96 channels, 16 images at 64×64: of the size of the generators' largest layers.
    """
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    x = torch.randn(16, 96, 64, 64, dtype=kind).contiguous(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(96, 96, 3, padding=1, dtype=kind)
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def ten() -> None:
        for _ in range(10):
            layer(x)

    with torch.no_grad():
        seconds = timed(ten, max(3, repeats))
    work = 10 * 2 * 9 * 96 * 96 * 64**2 * 16 / 1e9
    return spread([work / s for s in seconds])


def flop_per_step(model_name: str, preset: str) -> float:
    """Return the GFLOP per image and step of a search, all of its starts together.

    Those of one pass of G (and D, where it takes part), counted by torch, twice: the gradient to z
    costs as much as the pass itself, for no gradient to the weights is computed.
    """
    model = Inpainter.from_pretrained(model_name).model
    search = resolve_settings(preset, model.config.kind).search
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        image = model.generate(torch.zeros(1, model.config.latent_dim))
        if search.prior_weight > 0:
            model.discriminate(image)
    return 2 * search.starts * float(counter.get_total_flops()) / 1e9


def profile(
    case: Case, images: list[Pixels], holes: list[Hole], steps: int
) -> list[tuple[str, float]]:
    """Return which share of the time of a search each operation takes, largest first."""
    inpainter = load(case)

    def search() -> None:
        inpainter.batch(images, holes, preset=case.method, steps=steps, frame="whole")

    search()
    activity = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as profiler:
        search()
    times = {event.key: float(event.self_cpu_time_total) for event in profiler.key_averages()}
    total = sum(times.values())
    shares = [(name.removeprefix("aten::"), spent / total) for name, spent in times.items()]
    return sorted(shares, key=lambda share: -share[1])


def in_own_process(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - what it returns
    """Run a function in a new process and return its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)
