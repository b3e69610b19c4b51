"""The sections of docs/results.md that are tables; empty where nothing was run for them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from aleph.evaluation.plan import Setting
from aleph.evaluation.report import interval_text, number, table
from aleph.evaluation.statistics import Difference
from aleph.evaluation.summary import Mean, Ranked, StepMean
from benchmarks.results.stages import MASKS, Outcome, compare
from benchmarks.results.words import (
    BLENDINGS,
    DISTANCE,
    WEIGHTINGS,
    cell_text,
    gain_text,
    mask_text,
    mean_seconds,
    model_text,
    models_of,
    named,
    of_model,
    ordered,
    pairs_of_norms,
    prose,
    ranked_by_mask,
    shipped_poisson,
    shipped_weighting,
    yeh_differences,
)


def ranking(outcomes: Sequence[Outcome]) -> str:
    """Rank from random starts with intervals, then every model and blending in short."""
    parts = ["## Ranking of the four weightings"]
    for outcome in named(outcomes, ["dcgan"]):
        text = prose(
            f"From random starts ({model_text(outcome.stage.model)}, l1, pasted, "
            f"{outcome.summary.images} images), by the mean PSNR of the hole, dB:"
        )
        head = ("mask", "rank", "weighting", "PSNR", "against the next", "against `uniform`",
                "SSIM", "SSIM against `uniform`")  # fmt: skip
        parts += [text, table(head, _ranks(outcome, "paste"))]
    text = prose(
        "Every model and blending, best first, l1. `>` stands between neighbours whose difference "
        "is shown, `≈` where none is shown; the numbers are in the tables at the end. "
        "`faces-dcgan-64` searches from random starts, the others from their encoder's guess."
    )
    parts += [text, table(("model", "mask", "blending", "ranking"), _orders(outcomes, "l1"))]
    return "\n\n".join(parts)


def _order_text(outcome: Outcome, group: Sequence[Ranked]) -> str:
    """Return weightings best first, `>` between two whose difference is shown, else `≈`."""
    shown = {
        frozenset((c.first.name, c.second.name)): c.difference.shown
        for c in outcome.summary.comparisons
        if (c.mask, c.metric, c.factor) == (group[0].mask, "psnr_hole", "weighting")
    }
    text = f"`{group[0].setting.weighting}`"
    for above, below in pairwise(group):
        certain = shown.get(frozenset((above.setting.name, below.setting.name)), False)
        text += f" {'>' if certain else '≈'} `{below.setting.weighting}`"
    return text


def _orders(outcomes: Sequence[Outcome], norm: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for model in models_of(outcomes):
        for outcome in of_model(outcomes, model, norm):
            groups: dict[tuple[str, str], list[Ranked]] = {}
            for ranked in outcome.summary.rankings:
                groups.setdefault((ranked.setting.blending, ranked.mask), []).append(ranked)
            rows += [
                (
                    model_text(model),
                    mask_text(mask),
                    blending,
                    _order_text(outcome, group),
                )
                for mask in ordered(outcome.stage.masks)
                for blending in BLENDINGS
                if (group := groups.get((blending, mask)))
            ]
    return rows


def _ranks(outcome: Outcome, blending: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for mask in ordered(outcome.stage.masks):
        group = [
            ranked
            for ranked in outcome.summary.rankings
            if (ranked.mask, ranked.setting.blending) == (mask, blending)
        ]
        for ranked, below in zip(group, [*group[1:], None], strict=True):
            pair = (ranked.setting.name, below.setting.name) if below else None
            following = pair and compare(mask, "psnr_hole", (outcome, pair[0]), (outcome, pair[1]))
            rows.append(
                (
                    mask_text(mask),
                    str(ranked.rank),
                    f"`{ranked.setting.weighting}`",
                    number(ranked.psnr_hole, 2),
                    interval_text(following or None),
                    interval_text(ranked.against.get("uniform")),
                    number(_mean_ssim(outcome, ranked), 3),
                    interval_text(ranked.ssim_against.get("uniform"), 3),
                )
            )
    return rows


def _mean_ssim(outcome: Outcome, ranked: Ranked) -> float:
    return next(
        mean.ssim_hole
        for mean in outcome.summary.means
        if (mean.mask, mean.setting) == (ranked.mask, ranked.setting)
    )


def worth(outcomes: Sequence[Outcome]) -> str:
    """Table what each distance weighting adds to `uniform`, by model, blending and mask."""
    rows = []
    for model in models_of(outcomes):
        for blending in BLENDINGS:
            groups = ranked_by_mask(outcomes, model, "l1", blending)
            for weighting in DISTANCE:
                found = {
                    mask: ranked.against["uniform"]
                    for mask, group in groups.items()
                    for ranked in group
                    if ranked.setting.weighting == weighting and "uniform" in ranked.against
                }
                cells = [cell_text(found.get(mask)) for mask in MASKS]
                rows.append((model_text(model), blending, f"`{weighting}`", *cells))
    head = ("model", "blending", "weighting", *map(mask_text, MASKS))
    text = prose(
        "PSNR of the hole over that of `uniform`, dB, l1. Pasted, G(ẑ) stands alone; blending "
        "takes its colours at the rim from the picture, which mends by itself part of what the "
        "weighting mends."
    )
    return f"## What the weighting is worth, and where\n\n{text}\n\n{table(head, rows)}"


def over_steps(outcomes: Sequence[Outcome]) -> str:
    """Say from which step on the weighting shows, where most, and what it saves."""
    rows = [
        row
        for model in models_of(outcomes)
        for mask in MASKS
        for outcome in of_model(outcomes, model, "l1")
        if mask in outcome.stage.masks
        for weighting in DISTANCE
        if (row := _steps_row(outcome, mask, weighting))
    ]
    if not rows:
        return ""
    intro = prose(
        "The gain over `uniform`, G(z) pasted, l1, dB, on the way of one `balanced` search (its "
        "step size falls along a cosine, so a shorter search is not just the beginning of a longer "
        "one). 'Shown from' is the step from which on the interval of the gain lies above zero at "
        "every step looked at. The last columns: the PSNR that `uniform` ends with, and the step "
        "at which the weighting and `uniform` itself first reach it."
    )
    head = ("model", "mask", "weighting", "shown from", "largest gain", "at step", "at the end",
            "`uniform` ends with", "reached at step", "by itself at")  # fmt: skip
    return f"## At how many steps\n\n{intro}\n\n{table(head, rows)}"


def _line(outcome: Outcome, mask: str, weighting: str) -> list[StepMean]:
    return [
        mean
        for mean in outcome.summary.steps
        if (mean.mask, mean.setting.weighting) == (mask, weighting)
    ]


def _steps_row(outcome: Outcome, mask: str, weighting: str) -> tuple[str, ...] | None:
    line, plain = (_line(outcome, mask, name) for name in (weighting, "uniform"))
    gains = [(mean.step, mean.gain) for mean in line if mean.gain is not None and mean.step > 0]
    if not gains or not plain:
        return None
    best = max(gains, key=lambda gain: gain[1].mean)
    goal = plain[-1].psnr_hole
    return (
        model_text(outcome.stage.model),
        mask_text(mask),
        f"`{weighting}`",
        _shown_from(gains),
        gain_text(best[1]),
        str(best[0]),
        interval_text(gains[-1][1]),
        f"{number(goal, 2)} after {plain[-1].step}",
        _first_at(line, goal),
        _first_at(plain, goal),
    )


def _shown_from(gains: Sequence[tuple[int, Difference]]) -> str:
    """Return the step from which on every gain is shown."""
    lacking = [step for step, gain in gains if gain.low <= 0]
    after = [step for step, _ in gains if not lacking or step > lacking[-1]]
    return str(after[0]) if after else "not at the end"


def _first_at(line: Sequence[StepMean], goal: float) -> str:
    return next((str(mean.step) for mean in line if mean.psnr_hole >= goal), "never")


def norms(outcomes: Sequence[Outcome]) -> str:
    """Table l1 minus l2; nothing without stages of both."""
    rows = []
    for model in models_of(outcomes):
        pairs = pairs_of_norms(outcomes, model)
        for weighting in WEIGHTINGS:
            cells = [cell_text(pairs.get((mask, weighting))) for mask in MASKS]
            if any(cells):
                rows.append((model_text(model), f"`{weighting}`", *cells))
    if not rows:
        return ""
    text = (
        "PSNR of the hole, l1 minus l2, dB, pasted, over the images that both stages have filled."
    )
    head = ("model", "weighting", *map(mask_text, MASKS))
    return f"## l1 and l2\n\n{text}\n\n{table(head, rows)}"


def beside_classical(outcomes: Sequence[Outcome]) -> str:
    """Table the leads over the best classical fill of each mask."""
    rows = []
    for model in models_of(outcomes):
        weighting = shipped_weighting(model)
        for outcome in of_model(outcomes, model, "l1"):
            for mask in ordered(outcome.stage.masks):
                leads = [lead for lead in outcome.summary.leads if lead.mask == mask]
                cells = {
                    lead.first.blending: interval_text(lead.difference)
                    for lead in leads
                    if lead.first.weighting == weighting
                }
                if cells:
                    names = [cells.get(blending, "") for blending in BLENDINGS]
                    first = (model_text(model), f"`{weighting}`", mask_text(mask))
                    rows.append((*first, leads[0].second.name, *names))
    if not rows:
        return ""
    text = prose(
        "Lead of `balanced` with the weighting that it is shipped with, l1, over the classical "
        "fill that is best on that mask in the same run, PSNR of the hole, dB. 'Best' is chosen on "
        "these images, which favours the classical side."
    )
    head = ("model", "weighting", "mask", "best classical", *BLENDINGS)
    return f"## Beside the classical fills\n\n{text}\n\n{table(head, rows)}"


def beside_yeh(outcomes: Sequence[Outcome]) -> str:
    """Table what Yeh's procedure reaches and costs beside `balanced`; nothing without it."""
    differences = yeh_differences(outcomes)
    if not differences:
        return ""
    (yeh,) = named(outcomes, ["yeh2017"])
    setting = next(mean.setting for mean in yeh.summary.means if mean.setting.searches)
    seconds = mean_seconds([yeh], setting)
    rows = []
    for model in dict.fromkeys(model for model, _, _ in differences):
        cells = {mask: difference for m, mask, difference in differences if m == model}
        ratio = seconds / mean_seconds(of_model(outcomes, model, "l1"), shipped_poisson(model))
        texts = [cell_text(cells.get(mask)) for mask in MASKS]
        rows.append((model_text(model), *texts, f"1 / {ratio:.0f}"))
    steps = next(m.steps for m in yeh.summary.means if m.setting.searches)
    text = prose(
        f"`balanced` with its own weighting and Poisson blending minus Yeh's procedure "
        f"({number(steps, 0)} steps, `box`, Poisson) with {model_text(yeh.stage.model)}, PSNR of "
        f"the hole, dB, over the {yeh.summary.images} images of that stage; last, the share of its "
        f"time ({number(seconds, 2)} s per image), taken in different runs."
    )
    head = ("model", *map(mask_text, MASKS), "time")
    return f"## Beside Yeh's procedure\n\n{text}\n\n{table(head, rows)}"


def model_tables(outcomes: Sequence[Outcome], main: Outcome) -> str:
    """Return the tables of a model: one for each norm, rows mask × weighting, then baselines."""
    model = main.stage.model
    parts = [f"## {Path(model).name}: all settings"]
    parts += [
        prose(
            "PSNR and SSIM of the hole; below each its difference to `uniform` with the interval. "
            f"Seconds are per image of a search of {main.summary.plan.batch_size} at once, "
            "blending included."
        )
    ]
    for norm in ("l1", "l2"):
        group = of_model(outcomes, model, norm)
        rows = [
            row
            for mask in MASKS
            for outcome in group
            if mask in outcome.stage.masks
            for row in _mask_rows(outcome, mask)
        ]
        if rows:
            columns = [f"{measure}, {b}" for b in BLENDINGS for measure in ("PSNR", "SSIM")]
            head = ("mask", "filled by", "n", *columns, "s per image")
            parts += [f"### {norm}", table(head, rows)]
    return "\n\n".join(parts)


def _mask_rows(outcome: Outcome, mask: str) -> list[tuple[str, ...]]:
    means = {m.setting: m for m in outcome.summary.means if m.mask == mask}
    ranked = {r.setting: r for r in outcome.summary.rankings if r.mask == mask}
    rows = []
    for weighting in WEIGHTINGS:
        settings = [
            Setting("balanced", "", weighting, outcome.stage.norm, blending)
            for blending in BLENDINGS
        ]
        there = [setting for setting in settings if setting in means]
        if there:
            cells = [text for s in settings for text in _pair(means.get(s), ranked.get(s))]
            last = means[there[-1]]
            rows.append(
                (mask_text(mask), f"`{weighting}`", str(last.n), *cells, number(last.seconds, 3))
            )
    for setting, mean in means.items():
        if not setting.searches:
            blank = [""] * (2 * len(BLENDINGS) - 2)
            rows.append(
                (mask_text(mask), setting.label, str(mean.n), *_pair(mean, None), *blank,
                 number(mean.seconds, 3))
            )  # fmt: skip
    return rows


def _pair(mean: Mean | None, ranked: Ranked | None) -> tuple[str, str]:
    """Return the cells of PSNR and SSIM."""
    if mean is None:
        return "", ""
    against = ranked and ranked.against.get("uniform")
    ssim_against = ranked and ranked.ssim_against.get("uniform")
    psnr, ssim = number(mean.psnr_hole, 2), number(mean.ssim_hole, 3)
    if not against or not ssim_against:
        return psnr, ssim
    return f"{psnr}<br>{cell_text(against)}", f"{ssim}<br>{_small(ssim_against)}"


def _small(difference: Difference) -> str:
    return interval_text(difference, 3).replace(" [", "<br>[").replace("], ", "]<br>")
