"""Quality against time for steps, starts and prior loss of the search.

    python -m benchmarks presets IMAGES... --out DIR [--only run/holdout.txt] [--images 32]

fills held-out images over a grid of settings, draws the mean PSNR of the hole over the seconds per
image with the named presets marked (`--plot docs/images/presets.png`), and prints the table. Never
give it test images: presets are chosen by it. Killed and called again it goes on. The generator is
not adapted: `python -m benchmarks setting` measures that.

One search with the most starts serves all numbers of starts, because starts do not influence each
other. Seconds are for one image at a time, measured at 0 and at 20 steps; for other
numbers of steps they are interpolated or extrapolated linearly, as every step costs the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from aleph.arrays import Hole
from aleph.blending.blend import Blender
from aleph.config import Preset
from aleph.datasets import load_squares
from aleph.errors import InputError
from aleph.evaluation.markdown import interval_text, table
from aleph.evaluation.metrics import psnr
from aleph.evaluation.rows import Row, RowFile
from aleph.evaluation.statistics import paired_bootstrap
from aleph.files import replacing
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.photo.tensors import to_levels, to_tensor
from aleph.presets import resolve_settings
from aleph.progress import Reporter
from aleph.search.config import SearchConfig
from aleph.search.latent import SearchResult, latent_search
from aleph.search.starts import posterior_starts
from aleph.search.weighting import context_weight
from benchmarks.options import options_parser, spread_sources, words
from benchmarks.speed.measure import timed

STEPS = (0, 5, 10, 20, 40, 80)
STARTS = (1, 2, 4, 8)
PRIOR_WEIGHTS = (0.0, 0.003)

GROUP = 8
"""Images searched together."""

TIMED_STEPS = 20


@dataclass(frozen=True, order=True)
class Point:
    """The settings of a search that are varied.

    Attributes:
        steps: Steps.
        starts: Starts per image.
        prior_weight: λ.
    """

    steps: int
    starts: int
    prior_weight: float

    def name(self, model: str) -> str:
        """Return what names it in rows."""
        return f"{Path(model).name}/{self.steps}/{self.starts}/{self.prior_weight:g}"


def preset_points() -> dict[str, Point]:
    """Return the points of the presets of models with an encoder, apart from Yeh's procedure."""
    searches = {
        preset: resolve_settings(preset, "amortised").search
        for preset in get_args(Preset)
        if preset != "yeh2017"
    }
    return {
        name: Point(search.steps, search.starts, search.prior_weight)
        for name, search in searches.items()
    }


def grid() -> list[Point]:
    """List every point once; without a step λ changes nothing, so there it is 0."""
    points = {
        Point(steps, starts, weight if steps else 0.0)
        for steps in STEPS
        for starts in STARTS
        for weight in PRIOR_WEIGHTS
    }
    return sorted(points | set(preset_points().values()))


def all_starts() -> list[int]:
    """Return every number of starts of the grid."""
    return sorted({point.starts for point in grid()})


class Trial:
    """One model on one set of damaged images.

    Args:
        inpainter: The model; it has an encoder.
        images: uint8 (N, R, R, 3).
        holes: Boolean (N, R, R).
    """

    def __init__(
        self, inpainter: Inpainter, images: NDArray[np.uint8], holes: Sequence[Hole]
    ) -> None:
        self.model, self.images, self.holes = inpainter.model, images, holes

    def search(self, config: SearchConfig, first: int, last: int) -> SearchResult:
        """Search images `first` to `last` − 1 from all of the starts."""
        device = self.model.device
        holes = np.stack(self.holes[first:last])
        target = to_tensor(self.images[first:last]).to(device)
        hole = torch.from_numpy(holes[:, None]).to(device)
        weights = np.stack([context_weight(h, config.weighting) for h in holes])[:, None]
        with torch.no_grad():
            encoded = self.model.encode(target, hole)
        anchor = posterior_starts(*encoded, config.starts, range(first, last))
        assert isinstance(anchor.mean, torch.Tensor)
        return latent_search(
            self.model.generate,
            self.model.discriminate,
            target,
            torch.from_numpy(weights).to(device),
            anchor.mean,
            config,
            anchor=anchor,
        )

    def quality(self, config: SearchConfig, first: int, last: int) -> list[dict[int, float]]:
        """Return, for each image, dB of the hole by the number of starts."""
        found = self.search(config, first, last)
        blending = resolve_settings("balanced", "amortised").blending
        rows = []
        for index, (image, hole) in enumerate(
            zip(self.images[first:last], self.holes[first:last], strict=True)
        ):
            blender = Blender(hole, blending)
            levels = to_levels(found.generated[index])
            total = found.losses["total"][index].nan_to_num(float("inf")).cpu().numpy()
            best = {k: int(total[:k].argmin()) for k in all_starts()}
            of_start = {s: psnr(image, blender(image, levels[s]), hole) for s in best.values()}
            rows.append({k: of_start[start] for k, start in best.items()})
        return rows


def fill_in(
    file: RowFile, trials: dict[tuple[str, str], Trial], count: int, reporter: Reporter
) -> None:
    """Do every search whose rows are not there."""
    jobs = list(_jobs(trials, count))
    with reporter.progress("searching", len(jobs)) as advance:
        for done, (model, mask, config, first, last) in enumerate(jobs, 1):
            points = [Point(config.steps, k, config.prior_weight) for k in all_starts()]
            names = [(point.starts, point.name(model)) for point in points]
            wanted = [(i, mask, name) for i in range(first, last) for _, name in names]
            if any(key not in file for key in wanted):
                found = trials[model, mask].quality(config, first, last)
                file.append(
                    Row(image=first + i, mask=mask, setting=name, psnr_hole=row[starts])
                    for i, row in enumerate(found)
                    for starts, name in names
                )
            advance(done, {})


def _jobs(
    trials: dict[tuple[str, str], Trial], count: int
) -> Iterator[tuple[str, str, SearchConfig, int, int]]:
    """Yield model, mask, search and images of every search, small ones first."""
    thorough = resolve_settings("thorough", "amortised").search
    base = dataclasses.replace(thorough, starts=max(all_starts()))
    searches = dict.fromkeys((point.steps, point.prior_weight) for point in grid())
    for steps, weight in searches:
        config = dataclasses.replace(base, steps=steps, prior_weight=weight)
        for model, mask in trials:
            for first in range(0, count, GROUP):
                yield model, mask, config, first, min(first + GROUP, count)


def seconds_per_image(
    inpainter: Inpainter, image: NDArray[np.uint8], hole: Hole, repeats: int
) -> dict[Point, float]:
    """Return the seconds of one image at every point: measured at 0 and 20 steps, then linear."""
    measured: dict[tuple[int, float, int], float] = {}
    for starts in all_starts():
        for weight in PRIOR_WEIGHTS:
            for steps in (0, TIMED_STEPS):
                run = functools.partial(
                    inpainter.batch,
                    [image],
                    [hole],
                    preset="thorough",
                    frame="whole",
                    starts=starts,
                    prior_weight=weight,
                    steps=steps,
                    adaptation_steps=0,
                )
                measured[starts, weight, steps] = statistics.median(timed(run, repeats))
    return {
        point: measured[point.starts, point.prior_weight, 0]
        + point.steps
        / TIMED_STEPS
        * (
            measured[point.starts, point.prior_weight, TIMED_STEPS]
            - measured[point.starts, point.prior_weight, 0]
        )
        for point in grid()
    }


def results_table(
    file: RowFile, model: str, masks: Sequence[str], count: int, seconds: dict[Point, float]
) -> str:
    """Return a model's Markdown table, fastest first; bold where no faster point is as good."""
    points = sorted(grid(), key=lambda point: seconds[point])
    values = {point: _values(file, model, masks, count, point) for point in points}
    names = {point: name for name, point in preset_points().items()}
    balanced = values[preset_points()["balanced"]]
    best = -np.inf
    rows = []
    for point in points:
        mean = values[point].mean()
        text = f"**{mean:.2f}**" if mean > best else f"{mean:.2f}"
        best = max(best, mean)
        difference = paired_bootstrap(values[point].mean(axis=0), balanced.mean(axis=0))
        rows.append(
            (
                names.get(point, ""),
                str(point.steps),
                str(point.starts),
                f"{point.prior_weight:g}",
                f"{seconds[point]:.3f}",
                text,
                *(f"{value:.2f}" for value in values[point].mean(axis=1)),
                interval_text(difference),
            )
        )
    head = ("preset", "steps", "starts", "λ", "s per image", "PSNR", *masks, "against `balanced`")
    return table(head, rows)


def _values(
    file: RowFile, model: str, masks: Sequence[str], count: int, point: Point
) -> NDArray[np.float64]:
    """Return dB, (masks, images)."""
    keys = [(image, mask, point.name(model)) for mask in masks for image in range(count)]
    found = np.array([row["psnr_hole"] for row in file.ordered(keys)])
    return found.reshape(len(masks), count)


def draw(
    file: RowFile,
    models: Sequence[str],
    masks: Sequence[str],
    count: int,
    seconds: dict[str, dict[Point, float]],
    path: Path,
) -> None:
    """Draw PSNR over seconds, a panel per model, a line per starts and λ, the presets as stars."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(models), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
        place = {
            point: (seconds[model][point], _values(file, model, masks, count, point).mean())
            for point in grid()
        }
        for number, starts in enumerate(STARTS):
            for weight, style in zip(PRIOR_WEIGHTS, ("-", "--"), strict=True):
                line = [
                    place[point]
                    for point in grid()
                    if point.starts == starts and (not point.steps or point.prior_weight == weight)
                ]
                label = f"{starts} start{'s' if starts > 1 else ''}, λ {weight:g}"
                axis.plot(*zip(*line, strict=True), style, marker=".", color=f"C{number}",
                          label=label)  # fmt: skip
        for name, point in preset_points().items():
            axis.plot(*place[point], "k*", markersize=12)
            axis.annotate(name, place[point], xytext=(6, -12), textcoords="offset points")
        axis.set(xscale="log", xlabel="seconds per image", title=Path(model).name)
        axis.set_ylabel("PSNR of the hole (dB), mean over masks")
        axis.grid(alpha=0.3)
        axis.margins(x=0.15)
    axis.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = options_parser(
        __doc__,
        out=None,
        only=None,
        images=32,
        models="faces-64,faces-128",
        masks="center,half,strokes",
        precision="bf16",
        repeats=3,
    )
    parser.add_argument("--plot", type=Path, default=Path("docs/images/presets.png"))
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, search, time, print, draw."""
    options = parse(arguments)
    models, masks = words(options.models), words(options.masks)
    sources = spread_sources(options.data, options.images, options.only)
    inpainters = {
        model: Inpainter.from_pretrained(model, precision=options.precision) for model in models
    }
    trials, samples = {}, {}
    for model, inpainter in inpainters.items():
        side = inpainter.model.config.resolution
        images, kept, _ = load_squares(sources, side)
        samples[model] = images[0]
        for mask in masks:
            holes = [named_hole(mask, (side, side), seed) for seed in range(len(kept))]
            trials[model, mask] = Trial(inpainter, images, holes)
    options.out.mkdir(parents=True, exist_ok=True)
    names = "".join(f"{Path(source.name).name}\n" for source in sources)
    file = RowFile(options.out / "presets.jsonl")
    _check_same(options.out / "images.txt", f"{options.precision}\n{names}")
    fill_in(file, trials, len(sources), Reporter())
    seconds = {}
    for model, inpainter in inpainters.items():
        hole = trials[model, masks[0]].holes[0]
        seconds[model] = seconds_per_image(inpainter, samples[model], hole, options.repeats)
        print(
            f"`{Path(model).name}`, {len(sources)} images × {', '.join(masks)}, "
            f"{options.precision}, {torch.get_num_threads()} threads\n"
        )
        print(results_table(file, model, masks, len(sources), seconds[model]) + "\n")
    draw(file, models, masks, len(sources), seconds, options.plot)


def _check_same(path: Path, text: str) -> None:
    """Refuse to mix rows of other images or another arithmetic."""
    if path.exists() and path.read_text() != text:
        raise InputError(f"'{path.parent}' holds rows of other images: name another folder")
    path.write_text(text)
