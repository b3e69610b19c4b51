"""The figures of an evaluation: fills, weights, curves over the steps, an animated search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole, Pixels
from aleph.config import Weighting
from aleph.errors import MissingDependencyError
from aleph.evaluation.inputs import Inputs, holes_of
from aleph.evaluation.plan import ORIGINAL, EvaluationPlan, Setting, mask_label
from aleph.evaluation.rows import Row
from aleph.evaluation.store import fill_path
from aleph.evaluation.summary import Results, StepMean, Summary
from aleph.files import replacing
from aleph.inpainter import Inpainter
from aleph.inpainting import Inpainting
from aleph.photo.pixels import read_image, write_image
from aleph.search.weighting import context_weight
from aleph.visual.animation import search_timing, write_animation
from aleph.visual.figure import show_hole, side_by_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WITHOUT = "uniform"
"""The weighting that figures call 'without weighting'."""

NAMES = {WITHOUT: "without weighting"}

CAPTIONS = {
    "weights": "weights of the known pixels",
    "weightings": (
        "{mask}: original, damaged, pasted with each weighting, blended; the first images by name"
    ),
    "methods": "{mask}: the baselines, and a search on the right; the first images by name",
    "steps": "{mask}: loss and PSNR over the steps",
    "search": "{mask}: a search without and one with weighting, of the image with the median gain",
}
"""What each kind of figure shows."""

Written = dict[Path, str]
"""Files with captions."""


def check_matplotlib() -> None:
    """Refuse to begin what could not be drawn in the end.

    Raises:
        MissingDependencyError: if matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            "figures need matplotlib: pip install 'aleph-inpainting[evaluate]', or leave them out: "
            "--no-figures (in Python: figures=False)"
        ) from None


def draw_figures(
    summary: Summary, rows: Sequence[Row], inputs: Inputs, folder: Path, device: str = "auto"
) -> Written:
    """Draw every figure that the plan's settings allow.

    Args:
        summary: The summary of the rows.
        rows: All rows of the evaluation.
        inputs: The images.
        folder: The evaluation's folder, with the fills of its first images.
        device: Where the animated search runs.

    Returns:
        What was written, with a word on each.

    Raises:
        OutputError: if the folder cannot be written.
    """
    written = {_weights(summary.plan, inputs, folder): CAPTIONS["weights"]}
    for mask in summary.plan.masks:
        written |= _grids(summary.plan, mask, inputs, folder)
        written |= _curves([s for s in summary.steps if s.mask == mask_label(mask)], folder)
    return written | _animate(Results(summary.plan, rows), inputs, folder, device)


def _in_order(weightings: Sequence[str]) -> list[str]:
    """Sort weightings as the project lists them, `uniform` first."""
    return [name for name in get_args(Weighting) if name in weightings]


def _weighting_columns(plan: EvaluationPlan) -> dict[str, Setting]:
    """Choose the columns of a figure: each weighting pasted, and the last of them blended."""
    searches = [s for s in plan.settings() if s.searches and not s.model]
    if not searches:
        return {}
    first = searches[0]
    alike = [s for s in searches if (s.method, s.norm) == (first.method, first.norm)]
    plain = "paste" if any(s.blending == "paste" for s in alike) else first.blending
    pasted = {s.weighting: s for s in alike if s.blending == plain}
    order = [name for name in _in_order(list(pasted)) if name != "box" or len(pasted) <= 2]
    columns = {NAMES.get(name, name): pasted[name] for name in order}
    blended = [s for s in alike if s.weighting == order[-1] and s.blending != plain]
    return columns | ({"blended": blended[-1]} if blended else {})


def _comparison_columns(plan: EvaluationPlan) -> dict[str, Setting]:
    """Choose the columns of a figure: the baselines, and one search beside them."""
    baselines = {s.label: s for s in plan.settings() if (not s.searches or s.model)}
    baselines.pop(ORIGINAL.name)
    ours = list(_weighting_columns(plan).values())[-1:]
    return baselines | {s.label: s for s in ours} if baselines else {}


def _grids(plan: EvaluationPlan, mask: str, inputs: Inputs, folder: Path) -> Written:
    label = mask_label(mask)
    written: Written = {}
    for name, columns in (
        ("weightings", _weighting_columns(plan)),
        ("methods", _comparison_columns(plan)),
    ):
        rows = _rows(plan, mask, list(columns.values()), inputs, folder)
        if columns and rows:
            path = folder / f"figure-{name}-{label}.png"
            write_image(side_by_side(rows, ["original", "damaged", *columns], 128), path)
            written[path] = CAPTIONS[name].format(mask=label)
    return written


def _rows(
    plan: EvaluationPlan, mask: str, settings: Sequence[Setting], inputs: Inputs, folder: Path
) -> list[list[Pixels]]:
    """Return original, damaged and fills of the first images, uncurated, where they were kept."""
    count = min(plan.shown, len(inputs.images))
    holes = holes_of(plan, mask, 0, count, inputs.resolution)
    return [
        [
            inputs.images[image],
            show_hole(inputs.images[image], hole),
            *(read_image(fill_path(folder, mask, setting, image)) for setting in settings),
        ]
        for image, hole in enumerate(holes)
        if all(fill_path(folder, mask, setting, image).is_file() for setting in settings)
    ]


def _save(figure: Any, path: Path) -> Path:  # noqa: ANN401 - matplotlib's Figure
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches="tight")
    return path


def _panels(rows: int, columns: int, width: float, height: float) -> tuple[Any, NDArray[Any]]:
    """Return a figure, in no window and of no global state, and its axes (rows, columns)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _weights(plan: EvaluationPlan, inputs: Inputs, folder: Path) -> Path:
    """Draw W of every weighting and mask, as shares of its largest, on a logarithmic scale."""
    from matplotlib.colors import LogNorm

    weightings = get_args(Weighting)
    figure, axes = _panels(len(plan.masks), len(weightings), 2.0, 2.0)
    shown: Any = None
    for row, mask in enumerate(plan.masks):
        (hole,) = holes_of(plan, mask, 0, 1, inputs.resolution)
        for column, weighting in enumerate(weightings):
            axis = axes[row, column]
            shown = axis.imshow(_relative(hole, weighting), norm=LogNorm(1e-3, 1), cmap="viridis")
            axis.set(xticks=[], yticks=[], facecolor="white")
            axis.set_title(NAMES.get(weighting, weighting) if row == 0 else "", fontsize=9)
            axis.set_ylabel(mask_label(mask) if column == 0 else "", fontsize=9)
    figure.colorbar(shown, ax=axes, label="weight / largest weight (white: missing)", shrink=0.8)
    return _save(figure, folder / "figure-weights.png")


def _relative(hole: Hole, weighting: Weighting) -> NDArray[np.float32]:
    """Return W over its largest value, NaN in the hole and a floor where it is 0."""
    weight = context_weight(hole, weighting)
    return np.where(hole, np.nan, np.maximum(weight / weight.max(), 1e-3)).astype(np.float32)


def _curves(means: Sequence[StepMean], folder: Path) -> Written:
    """Draw context loss and PSNR over the steps, a line per weighting, for each method and norm."""
    groups: dict[tuple[str, str], list[StepMean]] = {}
    for mean in means:
        groups.setdefault((mean.setting.label, mean.setting.norm), []).append(mean)
    groups = {key: group for key, group in groups.items() if len({m.step for m in group}) > 1}
    written: Written = {}
    for (label, norm), group in groups.items():
        path = folder / f"figure-steps-{group[0].mask}-{label}-{norm}.png"
        figure, axes = _panels(1, 2, 4.5, 3.2)
        _lines(axes[0, 0], group, "context loss (of its own weighting)", lambda m: m.context_loss)
        _lines(axes[0, 1], group, "PSNR of the hole (dB), pasted", lambda m: m.psnr_hole)
        axes[0, 1].legend(fontsize=8)
        figure.suptitle(f"{group[0].mask}: {label}, {norm}", fontsize=10)
        written[_save(figure, path)] = CAPTIONS["steps"].format(mask=group[0].mask)
    return written


def _lines(
    axis: Axes, group: Sequence[StepMean], title: str, value: Callable[[StepMean], float]
) -> None:
    for weighting in _in_order([mean.setting.weighting for mean in group]):
        line = [mean for mean in group if mean.setting.weighting == weighting]
        name = NAMES.get(weighting, weighting)
        axis.plot([mean.step for mean in line], [value(mean) for mean in line], label=name)
    axis.set_xscale("symlog", linthresh=1)
    axis.xaxis.set_major_formatter("{x:.0f}")
    axis.set_xlabel("step")
    axis.set_ylabel(title)
    axis.grid(alpha=0.3)


def _animate(results: Results, inputs: Inputs, folder: Path, device: str) -> Written:
    """Search one image again, without and with weighting, and show both as they go."""
    plan, mask = results.plan, results.masks[0]
    columns = [s for name, s in _weighting_columns(plan).items() if name != "blended"]
    if len(columns) < 2:
        return {}
    inpainter = Inpainter.from_pretrained(plan.model, device=device, precision=plan.precision)
    image = _typical(results, mask, columns[0], columns[-1])
    hole = holes_of(plan, plan.masks[0], image, image + 1, inputs.resolution)[0]
    searches = [
        inpainter(
            inputs.images[image],
            hole,
            preset=setting.method,
            seed=plan.seed + image,
            frame="whole",
            grain=False,
            **plan.overrides_of(setting),
        )
        for setting in (columns[0], columns[-1])
    ]
    if min(len(result.frames) for result in searches) < 2:
        return {}
    path = folder / f"search-{mask}.gif"
    write_animation(_beside(searches), path)
    return {path: CAPTIONS["search"].format(mask=mask)}


def _typical(results: Results, mask: str, without: Setting, weighted: Setting) -> int:
    """Return the image whose gain by the weighting is the median of all."""
    first, second = (results.values(mask, s, "psnr_hole") for s in (without, weighted))
    order = np.argsort(second - first, kind="stable")
    return int(results.rows(mask, weighted)[order[(len(order) - 1) // 2]]["image"])


def _beside(results: Sequence[Inpainting]) -> Sequence[tuple[Pixels, int]]:
    """Lay two searches out side by side, frame by frame."""
    captions = [NAMES.get(w, w) for w in (r.settings.search.weighting for r in results)]

    def sheet(pictures: Sequence[Pixels]) -> Pixels:
        return side_by_side([list(pictures)], captions)

    # A search that stopped early shows its last frame until the other is done.
    length = max(len(result.frames) for result in results)
    padded = [[*r.frames, *[r.frames[-1]] * (length - len(r.frames))] for r in results]
    frames = [sheet(moment) for moment in zip(*padded, strict=True)]
    damaged, final = sheet([r.damaged for r in results]), sheet([r.image for r in results])
    return search_timing(damaged, frames, final)
