"""The tables that compare weightings, norms, baselines and steps, as Markdown.

Every function takes summaries of one or of several evaluations, so that the report of one model and
a document about several have the same tables; it returns nothing where there is nothing to compare.
PSNR and SSIM are of the hole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np

from aleph.config import Weighting
from aleph.evaluation.markdown import (
    cell_text,
    gain_text,
    interval_text,
    keyed_table,
    number,
    paragraph,
    section,
    table,
)
from aleph.evaluation.plan import Setting, mask_label
from aleph.evaluation.statistics import Difference
from aleph.evaluation.summary import Comparison, Mean, Ranked, StepMean, Summary

DISTANCE: tuple[str, ...] = ("inverse", "inverse-square")
"""The weightings by the distance to the hole."""

SEARCH_KEYS = ("model", "preset", "norm")
"""What names a search apart from its weighting and blending."""


def model_name(summary: Summary) -> str:
    """Return what a summary's model is called in text."""
    return f"`{Path(summary.plan.model).name}`"


def search_key(summary: Summary, setting: Setting) -> tuple[str, str, str]:
    """Return model, preset and norm of a search, as `SEARCH_KEYS` names them."""
    return model_name(summary), f"`{setting.label}`", setting.norm


def mask_labels(summaries: Sequence[Summary]) -> list[str]:
    """Return every mask once, in the order of the plans."""
    masks = (mask_label(mask) for summary in summaries for mask in summary.plan.masks)
    return list(dict.fromkeys(masks))


def grouped(rows: Sequence[tuple[str, ...]], size: int) -> list[tuple[str, ...]]:
    """Return rows with the same first `size` cells next to each other, in order of appearance."""
    order: dict[tuple[str, ...], int] = {}
    for row in rows:
        order.setdefault(row[:size], len(order))
    return sorted(rows, key=lambda row: order[row[:size]])


def rankings(summaries: Sequence[Summary]) -> str:
    """Show every order of the weightings, by the mean PSNR."""
    rows = [
        (
            *search_key(summary, group[0].setting),
            mask,
            group[0].setting.blending,
            _order(summary, group),
        )
        for summary in summaries
        for mask, group in _ranked_groups(summary)
    ]
    text = paragraph(
        "By the mean PSNR, best first. `>` stands between neighbours whose difference is shown, "
        "`≈` where none is shown."
    )
    keys = (*SEARCH_KEYS, "mask", "blending")
    body = keyed_table(keys, ["ranking"], grouped(rows, 3)) if rows else ""
    return section("Ranking of the weightings", text, body)


def _ranked_groups(summary: Summary) -> Iterator[tuple[str, list[Ranked]]]:
    """Yield every mask with weightings that are otherwise alike, best first."""
    groups: dict[tuple[str, ...], list[Ranked]] = {}
    for ranked in summary.rankings:
        setting = ranked.setting
        key = (ranked.mask, setting.label, setting.norm, setting.blending)
        groups.setdefault(key, []).append(ranked)
    for (mask, *_), group in groups.items():
        yield mask, group


def _order(summary: Summary, group: Sequence[Ranked]) -> str:
    text = f"`{group[0].setting.weighting}`"
    for above, below in pairwise(group):
        difference = between(summary, above.mask, above.setting, below.setting)
        sign = ">" if difference and difference.shown else "≈"
        text += f" {sign} `{below.setting.weighting}`"
    return text


def between(summary: Summary, mask: str, first: Setting, second: Setting) -> Difference | None:
    """Return the PSNR of two settings of one factor apart, first minus second, if compared."""
    for c in summary.comparisons:
        if (c.mask, c.metric) == (mask, "psnr_hole") and {c.first, c.second} == {first, second}:
            return c.difference if c.first == first else -c.difference
    return None


def ranking_details(summaries: Sequence[Summary]) -> str:
    """Table every rank with its differences to the next rank and to `uniform`."""
    rows = [
        (*search_key(summary, ranked.setting), ranked.setting.blending, mask,
         *_rank_cells(summary, ranked, below))
        for summary in summaries
        for mask, group in _ranked_groups(summary)
        for ranked, below in zip(group, [*group[1:], None], strict=True)
    ]  # fmt: skip
    keys = (*SEARCH_KEYS, "blending", "mask")
    head = ("rank", "weighting", "PSNR", "against the next", "against `uniform`", "SSIM",
            "SSIM against `uniform`")  # fmt: skip
    return keyed_table(keys, head, rows) if rows else ""


def _rank_cells(summary: Summary, ranked: Ranked, below: Ranked | None) -> tuple[str, ...]:
    mean = next(m for m in summary.means if (m.mask, m.setting) == (ranked.mask, ranked.setting))
    following = between(summary, ranked.mask, ranked.setting, below.setting) if below else None
    return (
        str(ranked.rank),
        f"`{ranked.setting.weighting}`",
        number(ranked.psnr_hole, 2),
        interval_text(following),
        interval_text(ranked.against.get("uniform")),
        number(mean.ssim_hole, 3),
        interval_text(ranked.ssim_against.get("uniform"), 3),
    )


def gains(summaries: Sequence[Summary]) -> str:
    """Table what each weighting by distance adds to the PSNR of `uniform`."""
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for summary in summaries:
        for ranked in sorted(summary.rankings, key=lambda ranked: ranked.setting.weighting):
            setting = ranked.setting
            if setting.weighting in DISTANCE and "uniform" in ranked.against:
                weighting = f"`{setting.weighting}`"
                key = (*search_key(summary, setting), setting.blending, weighting)
                cells.setdefault(key, {})[ranked.mask] = cell_text(ranked.against["uniform"])
    text = paragraph(
        "PSNR over that of `uniform`, dB. With `paste` the hole shows G(ẑ) as it is; the other "
        "blendings take the colours at the rim from the picture, which makes up for part of what "
        "the weighting is worth."
    )
    body = _by_mask((*SEARCH_KEYS, "blending", "weighting"), cells, mask_labels(summaries))
    return section("Gain over `uniform`", text, body)


def _by_mask(
    keys: Sequence[str], cells: dict[tuple[str, ...], dict[str, str]], masks: Sequence[str]
) -> str:
    """Return a table with a column per mask; nothing without rows."""
    rows = [(*key, *(line.get(mask, "") for mask in masks)) for key, line in cells.items()]
    return keyed_table(keys, masks, grouped(rows, len(keys) - 1)) if rows else ""


def steps(summaries: Sequence[Summary]) -> str:
    """Table from which step on a weighting shows, where most, and how many steps it saves."""
    rows = [
        (*search_key(summary, line[0].setting), line[0].mask, *cells)
        for summary in summaries
        for line, plain in _step_lines(summary)
        if (cells := _step_cells(line, plain))
    ]
    text = paragraph(
        "The gain in PSNR over `uniform`, dB, with G(z) pasted at each recorded step of one "
        "search. 'Shown from': the first step from which the interval of the gain stays above "
        "zero. The last columns: the PSNR that `uniform` ends with, and the steps at which the "
        "weighting and `uniform` first reach it. A search of fewer steps is no prefix of a longer "
        "one, because the step size falls along a cosine over all steps."
    )
    head = ("weighting", "shown from", "largest gain", "at step", "at the end",
            "`uniform` ends with", "weighting there at", "`uniform` there at")  # fmt: skip
    keys = (*SEARCH_KEYS, "mask")
    body = keyed_table(keys, head, grouped(rows, 3)) if rows else ""
    return section("Over the steps of the search", text, body)


def _step_lines(summary: Summary) -> Iterator[tuple[list[StepMean], list[StepMean]]]:
    """Yield the steps of every weighting by distance, with those of `uniform` beside it."""
    lines: dict[tuple[str, ...], list[StepMean]] = {}
    for mean in summary.steps:
        setting = mean.setting
        key = (mean.mask, setting.label, setting.norm, setting.weighting)
        lines.setdefault(key, []).append(mean)
    for (*search, weighting), line in lines.items():
        if weighting in DISTANCE:
            yield line, lines.get((*search, "uniform"), [])


def _step_cells(line: Sequence[StepMean], plain: Sequence[StepMean]) -> tuple[str, ...]:
    found = [(mean.step, mean.gain) for mean in line if mean.gain is not None and mean.step > 0]
    if not found or not plain:
        return ()
    step, best = max(found, key=lambda item: item[1].mean)
    goal = plain[-1].psnr_hole
    return (
        f"`{line[0].setting.weighting}`",
        shown_from(found),
        gain_text(best),
        str(step),
        interval_text(found[-1][1]),
        f"{number(goal, 2)} after {plain[-1].step}",
        _first_at(line, goal),
        _first_at(plain, goal),
    )


def shown_from(found: Sequence[tuple[int, Difference]]) -> str:
    """Return the first step from which every gain lies above zero with its interval."""
    lacking = [step for step, gain in found if gain.low <= 0]
    after = [step for step, _ in found if not lacking or step > lacking[-1]]
    return str(after[0]) if after else "not at the end"


def _first_at(line: Sequence[StepMean], goal: float) -> str:
    return next((str(mean.step) for mean in line if mean.psnr_hole >= goal), "never")


def psnr_comparisons(summary: Summary, *factors: str) -> list[Comparison]:
    """Return the comparisons of the PSNR in which one of these factors differs."""
    return [c for c in summary.comparisons if c.metric == "psnr_hole" and c.factor in factors]


def norms(summaries: Sequence[Summary]) -> str:
    """Table one norm minus the other."""
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for summary in summaries:
        for c in psnr_comparisons(summary, "norm"):
            model, preset, _ = search_key(summary, c.first)
            pair = f"{c.first.norm} − {c.second.norm}"
            key = (model, preset, pair, c.first.blending, f"`{c.first.weighting}`")
            cells.setdefault(key, {})[c.mask] = cell_text(c.difference)
    keys = ("model", "preset", "norms", "blending", "weighting")
    text = "Difference of the PSNR, dB."
    return section("Norms", text, _by_mask(keys, cells, mask_labels(summaries)))


def leads(summaries: Sequence[Summary]) -> str:
    """Table the leads over the classical fill that is best on a mask, a column per blending."""
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for summary in summaries:
        for lead in summary.leads:
            weighting = f"`{lead.first.weighting}`"
            key = (*search_key(summary, lead.first), weighting, lead.mask, lead.second.name)
            cells.setdefault(key, {})[lead.first.blending] = interval_text(lead.difference)
    blendings = list(dict.fromkeys(blending for line in cells.values() for blending in line))
    rows = [(*key, *(line.get(b, "") for b in blendings)) for key, line in cells.items()]
    text = paragraph(
        "Lead in PSNR over the classical fill that is best on that mask, dB. The best one is "
        "chosen on these very images, which favours it."
    )
    keys = (*SEARCH_KEYS, "weighting", "mask", "best classical fill")
    body = keyed_table(keys, blendings, grouped(rows, 4)) if rows else ""
    return section("Lead over the best classical fill", text, body)


def baselines(summaries: Sequence[Summary]) -> str:
    """Table the differences to baselines that search, and the share of their time."""
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    shares: dict[tuple[str, ...], str] = {}
    for summary in summaries:
        for c in psnr_comparisons(summary, "baseline"):
            key = (*search_key(summary, c.first), c.first.blending, f"`{c.first.weighting}`",
                   f"`{c.second.label}`")  # fmt: skip
            cells.setdefault(key, {})[c.mask] = cell_text(c.difference)
            ratio = _mean_seconds(summary, c.second) / _mean_seconds(summary, c.first)
            shares[key] = f"1 / {ratio:.0f}"
    masks = mask_labels(summaries)
    rows = [
        (*key, *(line.get(mask, "") for mask in masks), shares[key]) for key, line in cells.items()
    ]
    text = paragraph(
        "Difference of the PSNR, preset minus baseline, dB; last, the preset's time over that of "
        "the baseline."
    )
    keys = (*SEARCH_KEYS, "blending", "weighting", "baseline")
    body = keyed_table(keys, (*masks, "time"), rows) if rows else ""
    return section("Beside baselines that search", text, body)


def _mean_seconds(summary: Summary, setting: Setting) -> float:
    """Return the mean seconds per image over all masks."""
    return float(np.mean([m.seconds for m in summary.means if m.setting == setting]))


def others(summary: Summary) -> str:
    """Table what the preset and the blending are worth."""
    lines: dict[tuple[str, str, str, str], dict[str, Difference]] = {}
    for c in summary.comparisons:
        if c.factor in ("method", "blending"):
            what = "preset" if c.factor == "method" else c.factor
            key = (c.mask, what, c.first.name, c.second.name)
            lines.setdefault(key, {})[c.metric] = c.difference
    head = ("mask", "what differs", "first", "second", "PSNR, first − second", "SSIM")
    rows = [
        (*key, interval_text(found["psnr_hole"]), interval_text(found["ssim_hole"], 4))
        for key, found in lines.items()
    ]
    return section("Presets and blendings", "", table(head, rows) if rows else "")


def weighting_tables(summaries: Sequence[Summary]) -> str:
    """Table PSNR and SSIM of every mask and weighting by blending, a table per preset and norm.

    Below each value stands its difference to `uniform`; then follow the fills without a search.
    """
    searches = {
        (summary.plan.model, mean.setting.method, mean.setting.norm): None
        for summary in summaries
        for mean in summary.means
        if mean.setting.searches and not mean.setting.model
    }
    parts = []
    for model, preset, norm in searches:
        group = [summary for summary in summaries if summary.plan.model == model]
        settings = [setting for s in group for setting in s.plan.settings()]
        blendings = [s.blending for s in settings if (s.method, s.norm) == (preset, norm)]
        columns = list(dict.fromkeys(blendings))
        head = ("mask", "filled by", "n",
                *(f"{measure}, {b}" for b in columns for measure in ("PSNR", "SSIM")),
                "s per image")  # fmt: skip
        rows = [
            row
            for mask in mask_labels(group)
            for summary in group
            for row in _weighting_rows(summary, mask, Setting(preset, norm=norm), columns)
        ]
        parts += [f"### `{Path(model).name}`, `{preset}`, {norm}", table(head, rows)]
    return "\n\n".join(parts)


def _weighting_rows(
    summary: Summary, mask: str, search: Setting, blendings: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    means = {mean.setting: mean for mean in summary.means if mean.mask == mask}
    ranked = {r.setting: r for r in summary.rankings if r.mask == mask}
    for weighting in get_args(Weighting):
        settings = [Setting(search.method, "", weighting, search.norm, b) for b in blendings]
        there = [means[setting] for setting in settings if setting in means]
        if there:
            cells = [text for s in settings for text in _pair(means.get(s), ranked.get(s))]
            seconds = number(there[-1].seconds, 3)
            yield (mask, f"`{weighting}`", str(there[0].n), *cells, seconds)
    blank = [""] * (2 * len(blendings) - 2)
    for setting, mean in means.items():
        if not setting.searches:
            seconds = number(mean.seconds, 3)
            yield (mask, setting.label, str(mean.n), *_pair(mean, None), *blank, seconds)


def _pair(mean: Mean | None, ranked: Ranked | None) -> tuple[str, str]:
    """Return the cells of PSNR and SSIM."""
    if mean is None:
        return "", ""
    psnr, ssim = number(mean.psnr_hole, 2), number(mean.ssim_hole, 3)
    if ranked is None or "uniform" not in ranked.against:
        return psnr, ssim
    gain, similarity = ranked.against["uniform"], ranked.ssim_against["uniform"]
    return f"{psnr}<br>{cell_text(gain)}", f"{ssim}<br>{cell_text(similarity, 3)}"
