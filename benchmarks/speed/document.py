"""docs/speed.md: what was measured, as Markdown."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from aleph.evaluation.markdown import paragraph, section, table
from benchmarks.document import made_by
from benchmarks.speed.lama import LAMA
from benchmarks.speed.measure import Case, Measured, Timing

YEH = "yeh2017"

CONVOLUTIONS = ("conv", "mkldnn", "onednn")
"""Parts of the names of operations that are convolutions, forwards or backwards."""


def document(measured: Measured, command: str) -> str:
    """Return the document."""
    sections = [
        _head(measured, command),
        _methods(measured),
        _batches(measured),
        _resolutions(measured),
        _arithmetic(measured),
        _profiles(measured),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _head(measured: Measured, command: str) -> str:
    loaded = [t.megabytes for case, t in measured.cases.items() if case.method == "nothing"]
    rates = " and ".join(
        f"{median:.0f} GFLOP/s ({least:.0f} to {most:.0f}) in {precision}"
        for precision, (least, median, most) in measured.rates.items()
    )
    text = paragraph(
        f"On {processor()}, {measured.threads} thread{'s' if measured.threads > 1 else ''}, torch "
        f"{torch.__version__}, in one run, every case in a process of its own, mask `center`. "
        f"Seconds are per image, the median of {measured.repeats} repeats, with the least and the "
        "largest in brackets. Searches of more than 40 steps are timed with 0 and with 40, and "
        "extrapolated linearly. Memory is the largest resident set of the process; with only the "
        f"model loaded it is {_list_numbers(loaded)} MB. 3×3 convolutions alone reach {rates} on "
        "this machine."
    )
    return f"# Speed\n\n{made_by(command)}\n\n{text}"


def _list_numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values)


def _seconds(timing: Timing) -> str:
    least, median, most = timing.seconds
    return f"{median:.3g} ({least:.3g} to {most:.3g})"


def _main_cases(measured: Measured) -> dict[Case, Timing]:
    """Return the timings of the smaller model and of the fills without a model at its size."""
    small = next(case.model for case in measured.cases if case.method == "nothing")
    side = next(case.side for case in measured.cases if case.method == YEH)
    return {
        case: timing
        for case, timing in measured.cases.items()
        if case.method != "nothing" and case.side == side and case.model in (small, "")
    }


def _methods(measured: Measured) -> str:
    found = _main_cases(measured)
    yeh = {case.batch: t.seconds[1] for case, t in found.items() if case.method == YEH}
    rows = []
    for case, timing in found.items():
        # A classical fill takes one image at a time, so its time is the same at every batch size.
        ratio = yeh[case.batch] / timing.seconds[1]
        rows.append(
            (
                case.method,
                case.precision if case.model else "",
                str(case.batch),
                _seconds(timing),
                f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}",
                f"{timing.megabytes:.0f}",
            )
        )
    (side, model) = next((case.side, case.model) for case in found if case.model)
    head = ("method", "precision", "batch", "s per image", "times as fast as yeh2017", "peak MB")
    text = paragraph(
        f"`{Path(model).name}`, {side}×{side} pixels. The ratio is to Yeh's procedure with the "
        "same generator at the same batch size; classical fills run on one image at a time."
    )
    return section("Methods", text, table(head, rows))


def _batches(measured: Measured) -> str:
    """Table time and memory by batch size."""
    found = _main_cases(measured)
    lines: dict[tuple[str, str], dict[int, Timing]] = {}
    for case, timing in found.items():
        if case.model:
            lines.setdefault((case.method, case.precision), {})[case.batch] = timing
    batches = sorted({case.batch for case in found if case.model})
    rows = [
        (
            f"{method}, {precision}",
            *(f"{line[batch].seconds[1] / line[batches[0]].seconds[1]:.2f}" for batch in batches),
            *(f"{line[batch].megabytes:.0f}" for batch in batches),
        )
        for (method, precision), line in lines.items()
        if set(line) == set(batches)
    ]
    head = ("", *(f"time at {b}" for b in batches), *(f"MB at {b}" for b in batches))
    text = paragraph(
        f"Time per image relative to batch size {batches[0]}, and peak memory. At most 64 codes "
        "are searched together, so memory stops growing there."
    )
    return section("By batch size", text, table(head, rows))


def _resolutions(measured: Measured) -> str:
    small = _main_cases(measured)
    single = {c: t for c, t in measured.cases.items() if c.batch == 1 and c.precision == "fp32"}
    searched = {
        (case.method, case.side): (case, timing)
        for case, timing in single.items()
        if case.method in ("fast", "balanced") or not case.model
    }
    methods = list(dict.fromkeys(m for m, _ in searched if m != "nothing"))
    sides = sorted({side for _, side in searched})
    rows = []
    for side in sides:
        models = [c.model for c in single if c.side == side and c.method == "balanced"]
        cells = [
            _seconds(searched[method, side][1]) if (method, side) in searched else ""
            for method in methods
        ]
        rows.append((f"{side}", f"`{Path(models[0]).name}`" if models else "", *cells))
    text = paragraph(
        f"One image, fp32, seconds. Images larger than the model's {_own_side(measured)} pixels "
        "are searched at that size: only scaling and blending take longer, while a classical fill "
        f"works on every missing pixel. {_growth(searched, small)}{_beside_lama(searched)}"
    )
    head = ("side in pixels", "model", *methods)
    return section("By resolution", text, table(head, rows))


def _beside_lama(searched: dict[tuple[str, int], tuple[Case, Timing]]) -> str:
    """Return how many times as long LaMa's network takes, a sentence for each preset."""
    sides = [side for method, side in searched if method == LAMA]
    if not sides:
        return " LaMa's network was not measured: `spandrel` was not installed."
    at = ", ".join(str(side) for side in sides)
    sentences = []
    for preset in ("fast", "balanced"):
        ratios = [
            searched[LAMA, side][1].seconds[1] / searched[preset, side][1].seconds[1]
            for side in sides
        ]
        sentences.append(
            f"{', '.join(f'{ratio:.1f}' for ratio in ratios)} times as long as `{preset}`"
        )
    return (
        f" LaMa's network with random weights (Suvorov et al. 2022, as `spandrel` builds it) takes "
        f"{' and '.join(sentences)} at {at} pixels."
    )


def _own_side(measured: Measured) -> int:
    """Return the resolution of the larger model, the only one at which it gets batches."""
    return max(case.side for case in measured.cases if case.model and case.batch > 1)


def _growth(searched: dict[tuple[str, int], tuple[Case, Timing]], small: dict[Case, Timing]) -> str:
    balanced = sorted(
        (side, timing.seconds[1], case.model)
        for (method, side), (case, timing) in searched.items()
        if method == "balanced"
    )
    if len(balanced) < 2 or not small:
        return ""
    (low, few, first), (high, more, second), *_ = balanced
    return (
        f"`balanced` takes {more / few:.1f} times as long with `{Path(second).name}` at {high} as "
        f"with `{Path(first).name}` at {low}."
    )


def _arithmetic(measured: Measured) -> str:
    rows = []
    for case, timing in measured.cases.items():
        if not timing.step or case.batch == 1:
            continue
        work = measured.flop[case.model, case.method]
        reached = work / timing.step
        share = reached / measured.rates[case.precision][1]
        rows.append(
            (
                f"`{Path(case.model).name}`, {case.method}",
                case.precision,
                str(case.batch),
                f"{work:.2f}",
                f"{1000 * timing.step:.2f}",
                f"{reached:.0f}",
                f"{share:.0%}",
            )
        )
    head = ("search", "precision", "batch", "GFLOP per image and step", "ms per image and step",
            "GFLOP/s", "share of the machine's convolutions")  # fmt: skip
    text = paragraph(
        "GFLOP as counted by torch: a forward pass of G (and of D where λ > 0) per start, times "
        "two, because the gradient with respect to z costs as much as the forward pass."
    )
    return section("Share of the machine's convolution rate", text, table(head, rows))


def _profiles(measured: Measured) -> str:
    parts = ["## Where the time of a search goes"]
    for (model, precision), shares in measured.profiles.items():
        convolutions = sum(
            share for name, share in shares if any(part in name for part in CONVOLUTIONS)
        )
        largest = [f"`{name}` {share:.0%}" for name, share in shares[:8]]
        parts.append(
            paragraph(
                f"`{Path(model).name}`, `balanced`, {precision}: convolutions take "
                f"{convolutions:.0%} of the time, the rest is nearly all elementwise operations, "
                f"which are bound by memory. The largest: {', '.join(largest)}."
            )
        )
    return "\n\n".join(parts) if measured.profiles else ""
