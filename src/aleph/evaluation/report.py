"""The report of an evaluation: Markdown to read, CSV and JSON to go on with."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from aleph.config import Weighting
from aleph.evaluation.plan import Setting
from aleph.evaluation.statistics import CONFIDENCE, RESAMPLES, Difference
from aleph.evaluation.summary import Comparison, Mean, Ranked, StepMean, Summary
from aleph.files import replacing

_READING = (
    "PSNR (dB) and SSIM are of the hole alone unless they say 'image'. Differences are means over "
    f"the same images and holes, with the {CONFIDENCE:.0%} interval of a paired bootstrap over "
    f"images ({RESAMPLES:,} resamples); where it contains zero, no difference is shown. "
    "'Sharpness' is the energy of the finest frequency band in the fills over that in the "
    "originals (1 is right). 'Texture' is the Fréchet distance between the band statistics of the "
    "fills and of the originals (0 is right; blur, noise and seams raise it). Seconds are per "
    "image, of searches of {batch} images at once."
)


def write_report(summary: Summary, folder: Path) -> dict[Path, str]:
    """Write `summary.md`, `summary.csv`, `differences.csv`, `steps.csv` and `summary.json`.

    Returns:
        What was written, with a word on each.

    Raises:
        OutputError: if the folder cannot be written.
    """
    differences = [_flat(c) for c in (*summary.leads, *summary.comparisons)]
    texts = {
        "summary.md": (markdown(summary, folder), "the tables, to read"),
        "summary.csv": (_csv(map(_flat, summary.means)), "means per mask and setting"),
        "differences.csv": (_csv(differences), "differences with intervals"),
        "steps.csv": (_csv(map(_flat, summary.steps)), "means over the steps of the search"),
        "summary.json": (json.dumps(to_json(summary), indent=2) + "\n", "all of it, as JSON"),
    }
    for name, (text, _) in texts.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return {folder / name: what for name, (_, what) in texts.items()}


def to_json(summary: Summary) -> dict[str, Any]:
    """Return a summary as plain JSON values; an interval without ends has null in their place."""
    return {
        "plan": summary.plan.to_dict(),
        "images": summary.images,
        "left": summary.left,
        "resolution": summary.resolution,
        "devices": summary.devices,
        "means": [_flat(mean) for mean in summary.means],
        "rankings": [_ranked_json(ranked) for ranked in summary.rankings],
        "leads": [_flat(lead) for lead in summary.leads],
        "comparisons": [_flat(comparison) for comparison in summary.comparisons],
        "steps": [_flat(mean) for mean in summary.steps],
    }


def _ranked_json(ranked: Ranked) -> dict[str, Any]:
    return {
        "mask": ranked.mask,
        **ranked.setting.columns(),
        "rank": ranked.rank,
        "psnr_hole": ranked.psnr_hole,
        "against": {name: _interval_fields(d) for name, d in ranked.against.items()},
        "ssim_against": {name: _interval_fields(d) for name, d in ranked.ssim_against.items()},
    }


def _flat(item: Mean | Comparison | StepMean) -> dict[str, Any]:
    """Return a row of a table: settings and differences spread into plain values."""
    row: dict[str, Any] = {}
    for name in (f.name for f in dataclasses.fields(item)):
        value = getattr(item, name)
        if name == "setting":
            row |= value.columns()
        elif isinstance(value, Setting):
            row[name] = value.name
        elif name in ("difference", "gain"):
            row |= _interval_fields(value)
        else:
            row[name] = value
    return row


def _interval_fields(difference: Difference | None) -> dict[str, Any]:
    if difference is None:
        return dict.fromkeys(("difference", "low", "high", "n", "verdict"))
    low, high = (v if math.isfinite(v) else None for v in (difference.low, difference.high))
    return {
        "difference": difference.mean,
        "low": low,
        "high": high,
        "n": difference.n,
        "verdict": difference.verdict,
    }


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    table = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]) if table else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def markdown(summary: Summary, folder: Path) -> str:
    """Return the report as Markdown, the command that makes it at its top."""
    sections = [
        _head(summary, folder),
        _rankings(summary.rankings),
        _leads(summary.leads),
        _others(summary.comparisons),
        _steps(summary.steps),
        _means(summary.means),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _head(summary: Summary, folder: Path) -> str:
    plan = summary.plan
    size = f"{summary.resolution}×{summary.resolution}"
    parts = filter(
        None,
        [
            f"# Evaluation of `{Path(plan.model).name}`",
            f"Made by `{plan.command()} --out {folder}`, on {summary.images} images at {size} "
            f"pixels; times on {'; '.join(summary.devices)}.",
            f"**{summary.left} more images are not done yet:** the same command goes on."
            if summary.left
            else "",
            textwrap.fill(_READING.format(batch=plan.batch_size), 100),
        ],
    )
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval_text(difference: Difference | None, digits: int = 2) -> str:
    """Return a difference as text.

    >>> interval_text(Difference(0.5, 0.25, 0.75, 100))
    '+0.50 [+0.25, +0.75]'
    >>> interval_text(Difference(0.5, -0.25, 1.25, 100))
    '+0.50 [−0.25, +1.25], no difference shown'
    """
    if difference is None:
        return ""
    low, high = (_signed(value, digits) for value in (difference.low, difference.high))
    text = f"{_signed(difference.mean, digits)} [{low}, {high}]"
    return text if difference.shown else f"{text}, no difference shown"


def _signed(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:+.{digits}f}".replace("-", "−")


def number(value: float | None, digits: int) -> str:
    """Return a number as text, with a true minus sign; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _but_weighting(setting: Setting) -> str:
    return ", ".join((setting.label, setting.norm, setting.blending))


def _rankings(rankings: Sequence[Ranked]) -> str:
    if not rankings:
        return ""
    parts = ["## Ranking of the weightings"]
    groups: dict[str, list[Ranked]] = {}
    for ranked in rankings:
        groups.setdefault(_but_weighting(ranked.setting), []).append(ranked)
    head = ("mask", "rank", "weighting", "PSNR", "PSNR against uniform", "PSNR against box",
            "SSIM against uniform")  # fmt: skip
    for name, group in groups.items():
        rows = [
            (
                r.mask,
                str(r.rank),
                r.setting.weighting,
                number(r.psnr_hole, 2),
                interval_text(r.against.get("uniform")),
                interval_text(r.against.get("box")),
                interval_text(r.ssim_against.get("uniform"), 4),
            )
            for r in group
        ]
        parts += [f"### {name}", table(head, rows)]
    return "\n\n".join(parts)


def _leads(leads: Sequence[Comparison]) -> str:
    if not leads:
        return ""
    best = {lead.mask: lead.second.name for lead in leads}
    cells: dict[str, dict[str, str]] = {}
    for lead in leads:
        cells.setdefault(lead.first.name, {})[lead.mask] = interval_text(lead.difference)
    head = ["setting", *(f"{mask} (over {name})" for mask, name in best.items())]
    rows = [[name, *(line[mask] for mask in best)] for name, line in cells.items()]
    return f"## Lead over the best classical fill (PSNR, dB)\n\n{table(head, rows)}"


def _others(comparisons: Sequence[Comparison]) -> str:
    """Show what method, norm and blending are worth; the weightings are ranked above."""
    lines: dict[tuple[str, str, str, str], dict[str, Difference]] = {}
    for c in comparisons:
        if c.factor != "weighting":
            key = (c.mask, c.factor, c.first.name, c.second.name)
            lines.setdefault(key, {})[c.metric] = c.difference
    if not lines:
        return ""
    head = ("mask", "what differs", "first", "second", "PSNR, first − second", "SSIM")
    rows = [
        (*key, interval_text(found["psnr_hole"]), interval_text(found["ssim_hole"], 4))
        for key, found in lines.items()
    ]
    return f"## Other differences\n\n{table(head, rows)}"


def _steps(means: Sequence[StepMean]) -> str:
    """Show the gain over uniform at each step, a column per weighting."""
    groups: dict[str, list[StepMean]] = {}
    for mean in means:
        title = f"{mean.mask}: {mean.setting.label}, {mean.setting.norm}"
        groups.setdefault(title, []).append(mean)
    parts = [
        f"### {title}\n\n{_steps_table(group)}"
        for title, group in groups.items()
        if any(mean.gain for mean in group)
    ]
    intro = "PSNR of the hole with G(z) pasted; for the other weightings, the gain over uniform."
    return "\n\n".join(["## Over the steps of the search", intro, *parts]) if parts else ""


def _steps_table(group: Sequence[StepMean]) -> str:
    present = {mean.setting.weighting for mean in group}
    weightings = [weighting for weighting in get_args(Weighting) if weighting in present]
    cells = {(mean.step, mean.setting.weighting): mean for mean in group}

    def cell(step: int, weighting: str) -> str:
        mean = cells.get((step, weighting))
        if mean is None:
            return ""
        return interval_text(mean.gain) if mean.gain else number(mean.psnr_hole, 2)

    steps = sorted({mean.step for mean in group})
    rows = [[str(step), *(cell(step, weighting) for weighting in weightings)] for step in steps]
    return table(["step", *weightings], rows)


_COLUMNS = {
    "n": ("n", 0),
    "psnr_hole": ("PSNR", 2),
    "psnr_image": ("PSNR image", 2),
    "ssim_hole": ("SSIM", 4),
    "ssim_image": ("SSIM image", 4),
    "sharpness": ("sharpness", 3),
    "texture_distance": ("texture", 2),
    "lpips": ("LPIPS", 4),
    "fid": ("FID", 2),
    "context_loss": ("context loss", 4),
    "steps": ("steps", 0),
    "seconds": ("s per image", 4),
}


def _means(means: Sequence[Mean]) -> str:
    columns = {
        name: column
        for name, column in _COLUMNS.items()
        if any(getattr(mean, name) is not None for mean in means)
    }
    head = ["setting", *(title for title, _ in columns.values())]
    parts = ["## All settings"]
    for mask, group in groupby(means, lambda mean: mean.mask):
        rows = [
            [m.setting.name, *(number(getattr(m, n), d) for n, (_, d) in columns.items())]
            for m in group
        ]
        parts += [f"### {mask}", table(head, rows)]
    return "\n\n".join(parts)
