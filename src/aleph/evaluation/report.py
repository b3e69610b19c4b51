"""The report of an evaluation: Markdown to read, CSV and JSON to go on with."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from aleph.evaluation.findings import in_short
from aleph.evaluation.markdown import number, paragraph, section, table
from aleph.evaluation.plan import Setting
from aleph.evaluation.sections import (
    baselines,
    gains,
    leads,
    model_name,
    norms,
    others,
    ranking_details,
    rankings,
    steps,
    weighting_tables,
)
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
    lines = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def markdown(summary: Summary, folder: Path) -> str:
    """Return the report as Markdown, the command that makes it at its top."""
    own = [summary]
    parts = [
        _head(summary, folder),
        in_short(own),
        rankings(own),
        ranking_details(own),
        gains(own),
        steps(own),
        norms(own),
        leads(own),
        baselines(own),
        others(summary),
        section("PSNR and SSIM by weighting", _BELOW, weighting_tables(own)),
        _means(summary.means),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


_BELOW = "Below each value its difference to `uniform`."


def _head(summary: Summary, folder: Path) -> str:
    plan = summary.plan
    size = f"{summary.resolution}×{summary.resolution}"
    unfinished = (
        f"**{summary.left} more images are not done yet:** the same command goes on."
        if summary.left
        else ""
    )
    parts = [
        f"# Evaluation of {model_name(summary)}",
        f"Made by `{plan.command()} --out {folder}`, on {summary.images} images at {size} "
        f"pixels; times on {'; '.join(summary.devices)}.",
        unfinished,
        paragraph(_READING.format(batch=plan.batch_size)),
    ]
    return "\n\n".join(filter(None, parts))


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
    parts = ["## All measures"]
    for mask, group in groupby(means, lambda mean: mean.mask):
        rows = [
            [m.setting.name, *(number(getattr(m, n), d) for n, (_, d) in columns.items())]
            for m in group
        ]
        parts += [f"### {mask}", table(head, rows)]
    return "\n\n".join(parts)
