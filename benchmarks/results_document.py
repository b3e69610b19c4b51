"""docs/results.md as text: every number and every verdict in it is computed from the outcomes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np

from aleph.config import Weighting
from aleph.evaluation.plan import Setting
from aleph.evaluation.report import interval_text, number, table
from aleph.evaluation.statistics import CONFIDENCE, RESAMPLES, Difference
from aleph.evaluation.summary import Mean, Ranked, StepMean
from results_stages import MASKS, Outcome, Stage, compare

WEIGHTINGS = get_args(Weighting)
DISTANCE = ("inverse", "inverse-square")
"""The source's weightings."""

SPELT = {"center": "centre"}

BLENDINGS = ("paste", "poisson", "matern")

PUBLISHED = {
    "Yeh et al. 2017": {"center": 19.4, "pattern": 17.4, "random": 22.8, "half": 13.7},
    "a Context Encoder, in the same paper": {
        "center": 21.3, "pattern": 19.2, "random": 20.6, "half": 15.5,
    },
}  # fmt: skip
"""PSNR of the whole image in dB on CelebA at 64×64 as given in arXiv 1607.07539."""

Links = Sequence[tuple[str, str]]
"""Figures: file relative to the document, and caption."""


def document(
    outcomes: Sequence[Outcome], links: Links, made_by: str, wanted: Sequence[Stage]
) -> str:
    """Return the document.

    Args:
        outcomes: The stages that have finished images, in their order.
        links: The figures.
        made_by: The command that makes it.
        wanted: All stages that a whole document rests on.
    """
    sections = [
        _head(outcomes, made_by, wanted),
        _short(outcomes),
        _ranking(outcomes),
        _worth(outcomes),
        _steps(outcomes),
        _norms(outcomes),
        _classical(outcomes),
        _yeh(outcomes),
        _published(outcomes),
        _figures(links),
        *(_model_tables(outcomes, outcome) for outcome in _named(outcomes, MAIN)),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


MAIN = ("dcgan", "faces-64", "faces-128")
"""The stages of each model that come first."""


def _named(outcomes: Sequence[Outcome], names: Iterable[str]) -> list[Outcome]:
    return [outcome for name in names for outcome in outcomes if outcome.stage.name == name]


def _of_model(outcomes: Sequence[Outcome], model: str, norm: str) -> list[Outcome]:
    """Return the stages of a model's presets under a norm."""
    return [
        outcome
        for outcome in outcomes
        if (outcome.stage.model, outcome.stage.norm) == (model, norm) and outcome.stage.presets
    ]


def _models(outcomes: Sequence[Outcome]) -> list[str]:
    return list(dict.fromkeys(outcome.stage.model for outcome in outcomes if outcome.stage.presets))


def _name(model: str) -> str:
    return f"`{Path(model).name}`"


def _mask(mask: str) -> str:
    return SPELT.get(mask, mask)


def _ordered(masks: Iterable[str]) -> list[str]:
    there = set(masks)
    return [mask for mask in MASKS if mask in there]


def _listed(words: Sequence[str]) -> str:
    """Join words as prose does.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


_WRAPPER = textwrap.TextWrapper(100, break_long_words=False, break_on_hyphens=False)


def _prose(*sentences: str) -> str:
    return _WRAPPER.fill(" ".join(filter(None, sentences)))


def _bullets(items: Iterable[str]) -> str:
    hanging = textwrap.TextWrapper(
        100,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(map(hanging.fill, items))


# What it rests on


def _head(outcomes: Sequence[Outcome], made_by: str, wanted: Sequence[Stage]) -> str:
    rows = [
        (
            f"`{outcome.stage.name}`",
            _name(outcome.stage.model),
            f"{outcome.summary.images} at {outcome.summary.resolution}²",
            str(outcome.summary.left) if outcome.summary.left else "",
            ", ".join(map(_mask, _ordered(outcome.stage.masks))),
            outcome.stage.norm if outcome.stage.presets else "",
            "; ".join(outcome.summary.devices),
        )
        for outcome in outcomes
    ]
    head = ("stage", "model", "images", "not done yet", "masks", "norm", "times taken on")
    there = [outcome.stage.name for outcome in outcomes]
    missing = [f"`{stage.name}`" for stage in wanted if stage.name not in there]
    lacking = f"**Not run yet, and not in this document:** {_listed(missing)}." if missing else ""
    first = outcomes[0].summary.plan
    reading = _prose(
        f"Measured on images that no model was trained on ({_data(outcomes)}), taken in the order "
        "of their names. Image i has the mask and the start of seed i in every setting, so that "
        "all settings fill the same holes from the same codes. PSNR (dB) and SSIM are of the hole "
        f"alone where nothing else is said. Differences are means with the {CONFIDENCE:.0%} "
        f"interval of a paired bootstrap over images ({RESAMPLES:,} resamples); where it contains "
        "zero, no difference is shown. An interval speaks of one comparison: among many, some miss "
        f"by chance. Networks ran in {_PRECISIONS[first.precision]}."
    )
    made = f"Made by `{made_by}`; do not edit by hand."
    return "\n\n".join(filter(None, ["# Results", made, reading, table(head, rows), lacking]))


_PRECISIONS = {"bf16": "bfloat16", "fp32": "float32"}


def _data(outcomes: Sequence[Outcome]) -> str:
    return ", ".join(f"`{Path(path).name}`" for path in outcomes[0].summary.plan.data)


# In short


def _short(outcomes: Sequence[Outcome]) -> str:
    items = [_short_weighting(outcomes, model) for model in _models(outcomes)]
    items += [_short_lead(outcomes, model) for model in _models(outcomes)]
    items += [_short_norm(outcomes, model) for model in _models(outcomes)]
    items += [_short_yeh(outcomes)]
    return "## In short\n\n" + _bullets(filter(None, items))


def _ranked(
    outcomes: Sequence[Outcome], model: str, norm: str, blending: str
) -> dict[str, list[Ranked]]:
    """Return the ranking of a model's weightings by mask."""
    found: dict[str, list[Ranked]] = {}
    for outcome in _of_model(outcomes, model, norm):
        for ranked in outcome.summary.rankings:
            if ranked.setting.blending == blending:
                found.setdefault(ranked.mask, []).append(ranked)
    return {mask: found[mask] for mask in _ordered(found)}


def _short_weighting(outcomes: Sequence[Outcome], model: str) -> str:
    """Say on which masks a distance weighting beats none, and on which not."""
    start = "random codes" if "dcgan" in model else "the encoder's guess"
    verdicts: dict[str, list[str]] = {"higher": [], "lower": [], "no difference shown": []}
    for mask, group in _ranked(outcomes, model, "l1", "paste").items():
        ours = [r for r in group if r.setting.weighting in DISTANCE and "uniform" in r.against]
        if not ours:
            continue
        best = max(ours, key=lambda r: r.psnr_hole)
        difference = best.against["uniform"]
        text = f"{_mask(mask)} ({_gain(difference)} dB, `{best.setting.weighting}`)"
        verdicts[difference.verdict].append(text)
    said = [
        f"{what} on {_listed(verdicts[verdict])}"
        for verdict, what in (
            ("higher", "raised"),
            ("lower", "lowered"),
            ("no difference shown", "no difference shown"),
        )
        if verdicts[verdict]
    ]
    if not said:
        return ""
    return (
        f"{_name(model)}, from {start}: PSNR of the pasted hole with the better of the two "
        f"distance weightings, against `uniform`: {'; '.join(said)}."
    )


def _gain(difference: Difference) -> str:
    """Return a difference with its interval and no verdict."""
    return interval_text(difference).removesuffix(", no difference shown")


def _short_lead(outcomes: Sequence[Outcome], model: str) -> str:
    leads = [
        lead
        for outcome in _of_model(outcomes, model, "l1")
        for lead in outcome.summary.leads
        if (lead.first.weighting, lead.first.blending) == ("inverse-square", BLENDINGS[-1])
    ]
    if not leads:
        return ""
    by_mask = {lead.mask: lead for lead in leads}
    parts = [
        f"{_mask(mask)} {interval_text(by_mask[mask].difference)}" for mask in _ordered(by_mask)
    ]
    return (
        f"{_name(model)}, `balanced` as it is shipped (`inverse-square`, `matern`), against the "
        f"best classical fill of each mask in the same run, dB: {'; '.join(parts)}."
    )


def _pairs_of_norms(outcomes: Sequence[Outcome], model: str) -> dict[tuple[str, str], Difference]:
    """Return l1 minus l2, pasted, PSNR of the hole, by mask and weighting."""
    pairs = {}
    for ours in _of_model(outcomes, model, "l1"):
        for theirs in _of_model(outcomes, model, "l2"):
            for mask in _ordered(set(ours.stage.masks) & set(theirs.stage.masks)):
                for weighting in WEIGHTINGS:
                    names = [
                        Setting("balanced", "", weighting, norm, "paste").name
                        for norm in ("l1", "l2")
                    ]
                    found = compare(mask, "psnr_hole", (ours, names[0]), (theirs, names[1]))
                    if found:
                        pairs[mask, weighting] = found
    return {key: pairs[key] for key in sorted(pairs, key=lambda key: MASKS.index(key[0]))}


def _short_norm(outcomes: Sequence[Outcome], model: str) -> str:
    pairs = _pairs_of_norms(outcomes, model)
    if not pairs:
        return ""
    counts = {
        verdict: sum(difference.verdict == verdict for difference in pairs.values())
        for verdict in ("higher", "lower", "no difference shown")
    }
    means = [difference.mean for difference in pairs.values()]
    return (
        f"{_name(model)}, l1 against l2 (pasted, {len(pairs)} cells of mask × weighting): l1 is "
        f"higher in {counts['higher']}, lower in {counts['lower']}, and in "
        f"{counts['no difference shown']} no difference is shown; the means lie between "
        f"{number(min(means), 2)} and {number(max(means), 2)} dB."
    )


# The ranking


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
    for model in _models(outcomes):
        for outcome in _of_model(outcomes, model, norm):
            groups: dict[tuple[str, str], list[Ranked]] = {}
            for ranked in outcome.summary.rankings:
                groups.setdefault((ranked.setting.blending, ranked.mask), []).append(ranked)
            rows += [
                (_name(model), _mask(mask), blending, _order_text(outcome, groups[blending, mask]))
                for mask in _ordered(outcome.stage.masks)
                for blending in BLENDINGS
                if (blending, mask) in groups
            ]
    return rows


def _ranking(outcomes: Sequence[Outcome]) -> str:
    """Rank from random starts with intervals, then every model and blending in short."""
    parts = ["## Ranking of the four weightings"]
    for outcome in _named(outcomes, ["dcgan"]):
        text = _prose(
            f"From random starts ({_name(outcome.stage.model)}, l1, pasted, "
            f"{outcome.summary.images} images), by the mean PSNR of the hole, dB:"
        )
        head = ("mask", "rank", "weighting", "PSNR", "against the next", "against `uniform`",
                "SSIM", "SSIM against `uniform`")  # fmt: skip
        parts += [text, table(head, _ranks(outcome, "paste"))]
    text = _prose(
        "Every model and blending, best first, l1. `>` stands between neighbours whose difference "
        "is shown, `≈` where none is shown; the numbers are in the tables at the end. "
        "`faces-dcgan-64` searches from random starts, the others from their encoder's guess."
    )
    parts += [text, table(("model", "mask", "blending", "ranking"), _orders(outcomes, "l1"))]
    return "\n\n".join(parts)


def _ranks(outcome: Outcome, blending: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for mask in _ordered(outcome.stage.masks):
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
                    _mask(mask),
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


# What it is worth, and where


def _worth(outcomes: Sequence[Outcome]) -> str:
    rows = []
    for model in _models(outcomes):
        for blending in BLENDINGS:
            groups = _ranked(outcomes, model, "l1", blending)
            for weighting in DISTANCE:
                found = {
                    mask: ranked.against["uniform"]
                    for mask, group in groups.items()
                    for ranked in group
                    if ranked.setting.weighting == weighting and "uniform" in ranked.against
                }
                cells = [_cell(found.get(mask)) for mask in MASKS]
                rows.append((_name(model), blending, f"`{weighting}`", *cells))
    head = ("model", "blending", "weighting", *map(_mask, MASKS))
    text = _prose(
        "PSNR of the hole over that of `uniform`, dB, l1. Pasted, G(ẑ) stands alone; blending "
        "takes its colours at the rim from the picture, which mends by itself part of what the "
        "weighting mends."
    )
    return f"## What the weighting is worth, and where\n\n{text}\n\n{table(head, rows)}"


def _cell(difference: Difference | None) -> str:
    return interval_text(difference).replace(" [", "<br>[").replace("], ", "]<br>")


# At how many steps


def _steps(outcomes: Sequence[Outcome]) -> str:
    """Say from which step on the weighting shows, where most, and what it saves."""
    rows = [
        row
        for model in _models(outcomes)
        for mask in MASKS
        for outcome in _of_model(outcomes, model, "l1")
        if mask in outcome.stage.masks
        for weighting in DISTANCE
        if (row := _steps_row(outcome, mask, weighting))
    ]
    if not rows:
        return ""
    intro = _prose(
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
        _name(outcome.stage.model),
        _mask(mask),
        f"`{weighting}`",
        _shown_from(gains),
        _gain(best[1]),
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


# l1 and l2


def _norms(outcomes: Sequence[Outcome]) -> str:
    rows = []
    for model in _models(outcomes):
        pairs = _pairs_of_norms(outcomes, model)
        for weighting in WEIGHTINGS:
            cells = [_cell(pairs.get((mask, weighting))) for mask in MASKS]
            if any(cells):
                rows.append((_name(model), f"`{weighting}`", *cells))
    if not rows:
        return ""
    text = (
        "PSNR of the hole, l1 minus l2, dB, pasted, over the images that both stages have filled."
    )
    head = ("model", "weighting", *map(_mask, MASKS))
    return f"## l1 and l2\n\n{text}\n\n{table(head, rows)}"


# Others


def _classical(outcomes: Sequence[Outcome]) -> str:
    rows = []
    for model in _models(outcomes):
        for outcome in _of_model(outcomes, model, "l1"):
            for mask in _ordered(outcome.stage.masks):
                leads = [lead for lead in outcome.summary.leads if lead.mask == mask]
                cells = {
                    lead.first.blending: interval_text(lead.difference)
                    for lead in leads
                    if lead.first.weighting == "inverse-square"
                }
                if cells:
                    names = [cells.get(blending, "") for blending in BLENDINGS]
                    rows.append((_name(model), _mask(mask), leads[0].second.name, *names))
    if not rows:
        return ""
    text = _prose(
        "Lead of `balanced` with `inverse-square`, l1, over the classical fill that is best on "
        "that mask in the same run, PSNR of the hole, dB. 'Best' is chosen on these images, which "
        "favours the classical side."
    )
    head = ("model", "mask", "best classical", *BLENDINGS)
    return f"## Beside the classical fills\n\n{text}\n\n{table(head, rows)}"


def _yeh_differences(outcomes: Sequence[Outcome]) -> list[tuple[str, str, Difference]]:
    """Return `balanced` with `inverse-square` and Poisson minus Yeh's procedure: model, mask, …."""
    found = []
    for yeh in _named(outcomes, ["yeh2017"]):
        theirs = next(mean.setting.name for mean in yeh.summary.means if mean.setting.searches)
        ours = Setting("balanced", "", "inverse-square", "l1", "poisson").name
        for model in _models(outcomes):
            for outcome in _of_model(outcomes, model, "l1"):
                if outcome.summary.resolution != yeh.summary.resolution:
                    continue
                for mask in _ordered(set(outcome.stage.masks) & set(yeh.stage.masks)):
                    difference = compare(mask, "psnr_hole", (outcome, ours), (yeh, theirs))
                    if difference:
                        found.append((model, mask, difference))
    return found


def _mean_seconds(outcomes: Sequence[Outcome], setting: Setting) -> float:
    return float(
        np.mean([m.seconds for o in outcomes for m in o.summary.means if m.setting == setting])
    )


def _short_yeh(outcomes: Sequence[Outcome]) -> str:
    """Say what the procedure of the paper reaches with the same generator."""
    same = [d for d in _yeh_differences(outcomes) if "dcgan" in d[0]]
    if not same:
        return ""
    parts = [f"{_mask(mask)} {interval_text(difference)}" for _, mask, difference in same]
    return (
        f"{_name(same[0][0])}, `balanced` with `inverse-square` against Yeh's procedure with the "
        f"same generator, both blended by Poisson, {same[0][2].n} images, dB: {'; '.join(parts)}."
    )


def _yeh(outcomes: Sequence[Outcome]) -> str:
    differences = _yeh_differences(outcomes)
    if not differences:
        return ""
    (yeh,) = _named(outcomes, ["yeh2017"])
    setting = next(mean.setting for mean in yeh.summary.means if mean.setting.searches)
    seconds = _mean_seconds([yeh], setting)
    rows = []
    for model in dict.fromkeys(model for model, _, _ in differences):
        cells = {mask: difference for m, mask, difference in differences if m == model}
        own = Setting("balanced", "", "inverse-square", "l1", "poisson")
        ratio = seconds / _mean_seconds(_of_model(outcomes, model, "l1"), own)
        texts = [_cell(cells.get(mask)) for mask in MASKS]
        rows.append((_name(model), *texts, f"1 / {ratio:.0f}"))
    steps = next(m.steps for m in yeh.summary.means if m.setting.searches)
    text = _prose(
        f"`balanced` with `inverse-square` and Poisson blending minus Yeh's procedure "
        f"({number(steps, 0)} steps, `box`, Poisson) with {_name(yeh.stage.model)}, PSNR of the "
        f"hole, dB, over the {yeh.summary.images} images of that stage; last, the share of its "
        f"time ({number(seconds, 2)} s per image), taken in different runs."
    )
    head = ("model", *map(_mask, MASKS), "time")
    return f"## Beside Yeh's procedure\n\n{text}\n\n{table(head, rows)}"


# What was published


def _published(outcomes: Sequence[Outcome]) -> str:
    masks = list(PUBLISHED["Yeh et al. 2017"])
    rows = [
        (name, *(number(values[mask], 1) for mask in masks)) for name, values in PUBLISHED.items()
    ]
    for model in _models(outcomes):
        means = _means_of(
            outcomes, model, Setting("balanced", "", "inverse-square", "l1", "poisson")
        )
        name = f"{_name(model)}, `balanced`, `inverse-square`, Poisson"
        rows.append(_whole_row(name, means, masks))
    for outcome in _named(outcomes, ["yeh2017"]):
        means = {mean.mask: mean for mean in outcome.summary.means if mean.setting.searches}
        rows.append(_whole_row(f"{_name(outcome.stage.model)}, Yeh's procedure", means, masks))
    means = _means_of(outcomes, outcomes[0].stage.model, Setting("telea"))
    if means:
        rows.append(_whole_row("OpenCV Telea, the same images", means, masks))
    shares = [
        f"{_mask(mask)} {number(_exact(outcomes, mask), 1)}"
        for mask in masks
        if _exact(outcomes, mask) is not None
    ]
    text = _prose(
        "Yeh et al. give the PSNR of the *whole* image (CelebA at 64×64, Poisson blending). Beside "
        "it ours, whole image as well. Generator, training images, test images and the drawing of "
        "the masks all differ, so this is a neighbourhood and no race. The whole image also counts "
        "pixels that were never missing: in our fills they are exact, which alone lifts the PSNR "
        f"of the hole by, on average, dB: {'; '.join(shares)}. That is why every other table here "
        "is of the hole alone."
    )
    others = _prose(
        "Figures of later work cannot be set beside these. Feed-forward inpainters (partial and "
        "gated convolutions, LaMa, diffusion models) report 256×256 or more, on other crops and "
        "free-form masks sorted by their size, mostly as FID and LPIPS of downloaded networks over "
        "thousands of images or as l1 of whole images; each is trained for its masks, where one "
        "generator serves every hole here. Papers on inversion of generators report "
        "reconstructions of whole images. And no publication was found that compares `uniform`, "
        "`box`, `inverse` and `inverse-square`."
    )
    head = ("whole image, PSNR in dB", *map(_mask, masks))
    return f"## Published figures\n\n{text}\n\n{table(head, rows)}\n\n{others}"


def _means_of(outcomes: Sequence[Outcome], model: str, setting: Setting) -> dict[str, Mean]:
    return {
        mean.mask: mean
        for outcome in _of_model(outcomes, model, "l1")
        for mean in outcome.summary.means
        if mean.setting == setting
    }


def _whole_row(name: str, means: dict[str, Mean], masks: Sequence[str]) -> tuple[str, ...]:
    texts = [number(means[mask].psnr_image, 1) if mask in means else "" for mask in masks]
    return (name, *texts)


def _exact(outcomes: Sequence[Outcome], mask: str) -> float | None:
    """Return by how many dB known pixels, being exact, lift the PSNR of the hole."""
    lifts = [
        m.psnr_image - m.psnr_hole for o in outcomes for m in o.summary.means if m.mask == mask
    ]
    return float(np.mean(lifts)) if lifts else None


def _figures(links: Links) -> str:
    if not links:
        return ""
    pictures = [f"![{caption}]({file})\n\n*{_capital(caption)}.*" for file, caption in links]
    return "\n\n".join(["## Figures", *pictures])


def _capital(text: str) -> str:
    return text if text.startswith("faces") else text[:1].upper() + text[1:]


# The tables


def _model_tables(outcomes: Sequence[Outcome], main: Outcome) -> str:
    """Return the tables of a model: one for each norm, rows mask × weighting, then baselines."""
    model = main.stage.model
    parts = [f"## {Path(model).name}: all settings"]
    parts += [
        _prose(
            "PSNR and SSIM of the hole; below each its difference to `uniform` with the interval. "
            f"Seconds are per image of a search of {main.summary.plan.batch_size} at once, "
            "blending included."
        )
    ]
    for norm in ("l1", "l2"):
        group = _of_model(outcomes, model, norm)
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
                (_mask(mask), f"`{weighting}`", str(last.n), *cells, number(last.seconds, 3))
            )
    for setting, mean in means.items():
        if not setting.searches:
            blank = [""] * (2 * len(BLENDINGS) - 2)
            rows.append(
                (_mask(mask), setting.label, str(mean.n), *_pair(mean, None), *blank,
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
    return f"{psnr}<br>{_cell(against)}", f"{ssim}<br>{_small(ssim_against)}"


def _small(difference: Difference) -> str:
    return interval_text(difference, 3).replace(" [", "<br>[").replace("], ", "]<br>")
