"""docs/results.md as text: every number and every verdict in it is computed from the outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aleph.evaluation.plan import Setting
from aleph.evaluation.report import interval_text, number, table
from aleph.evaluation.statistics import CONFIDENCE, RESAMPLES
from aleph.evaluation.summary import Mean
from benchmarks.results.stages import Outcome, Stage
from benchmarks.results.tables import (
    beside_classical,
    beside_yeh,
    model_tables,
    norms,
    over_steps,
    ranking,
    worth,
)
from benchmarks.results.words import (
    BLENDINGS,
    DISTANCE,
    MAIN,
    bullets,
    gain_text,
    listed,
    mask_text,
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

PUBLISHED = {
    "Yeh et al. 2017": {"center": 19.4, "pattern": 17.4, "random": 22.8, "half": 13.7},
    "a Context Encoder, in the same paper": {
        "center": 21.3, "pattern": 19.2, "random": 20.6, "half": 15.5,
    },
}  # fmt: skip
"""PSNR of the whole image in dB on CelebA at 64×64 as given in arXiv 1607.07539."""

PUBLISHED_SIDE = 64
"""Side of their images in pixels; ours of another size are not set beside them."""

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
        ranking(outcomes),
        worth(outcomes),
        over_steps(outcomes),
        norms(outcomes),
        beside_classical(outcomes),
        beside_yeh(outcomes),
        _published(outcomes),
        _figures(links),
        *(model_tables(outcomes, outcome) for outcome in named(outcomes, MAIN)),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _head(outcomes: Sequence[Outcome], made_by: str, wanted: Sequence[Stage]) -> str:
    rows = [
        (
            f"`{outcome.stage.name}`",
            model_text(outcome.stage.model),
            f"{outcome.summary.images} at {outcome.summary.resolution}²",
            str(outcome.summary.left) if outcome.summary.left else "",
            ", ".join(map(mask_text, ordered(outcome.stage.masks))),
            outcome.stage.norm if outcome.stage.presets else "",
            "; ".join(outcome.summary.devices),
        )
        for outcome in outcomes
    ]
    head = ("stage", "model", "images", "not done yet", "masks", "norm", "times taken on")
    there = [outcome.stage.name for outcome in outcomes]
    missing = [f"`{stage.name}`" for stage in wanted if stage.name not in there]
    unfinished = (
        "**A stage with images left rests on the first by name, which are no random sample.**"
        if any(outcome.summary.left for outcome in outcomes)
        else ""
    )
    lacking = f"**Not run yet, and not in this document:** {listed(missing)}." if missing else ""
    first = outcomes[0].summary.plan
    reading = prose(
        f"Measured on images that no model was trained on ({_data(outcomes)}), taken in the order "
        "of their names. Image i has the mask and the start of seed i in every setting, so that "
        "all settings fill the same holes from the same codes. PSNR (dB) and SSIM are of the hole "
        f"alone where nothing else is said. Differences are means with the {CONFIDENCE:.0%} "
        f"interval of a paired bootstrap over images ({RESAMPLES:,} resamples); where it contains "
        "zero, no difference is shown. An interval speaks of one comparison: among many, some miss "
        f"by chance. Networks ran in {_PRECISIONS[first.precision]}."
    )
    made = f"Made by `{made_by}`; do not edit by hand."
    return "\n\n".join(
        filter(None, ["# Results", made, reading, table(head, rows), unfinished, lacking])
    )


_PRECISIONS = {"bf16": "bfloat16", "fp32": "float32"}


def _data(outcomes: Sequence[Outcome]) -> str:
    return ", ".join(f"`{Path(path).name}`" for path in outcomes[0].summary.plan.data)


def _short(outcomes: Sequence[Outcome]) -> str:
    items = [_short_weighting(outcomes, model) for model in models_of(outcomes)]
    items += [_short_lead(outcomes, model) for model in models_of(outcomes)]
    items += [_short_norm(outcomes, model) for model in models_of(outcomes)]
    items += [_short_yeh(outcomes)]
    return "## In short\n\n" + bullets(filter(None, items))


def _short_weighting(outcomes: Sequence[Outcome], model: str) -> str:
    """Say on which masks a distance weighting beats none, and on which not."""
    start = "random codes" if "dcgan" in model else "the encoder's guess"
    verdicts: dict[str, list[str]] = {"higher": [], "lower": [], "no difference shown": []}
    for mask, group in ranked_by_mask(outcomes, model, "l1", "paste").items():
        ours = [r for r in group if r.setting.weighting in DISTANCE and "uniform" in r.against]
        if not ours:
            continue
        best = max(ours, key=lambda r: r.psnr_hole)
        difference = best.against["uniform"]
        text = f"{mask_text(mask)} ({gain_text(difference)} dB, `{best.setting.weighting}`)"
        verdicts[difference.verdict].append(text)
    said = [
        f"{what} on {listed(verdicts[verdict])}"
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
        f"{model_text(model)}, from {start}: PSNR of the pasted hole with the better of the two "
        f"distance weightings, against `uniform`: {'; '.join(said)}."
    )


def _short_lead(outcomes: Sequence[Outcome], model: str) -> str:
    weighting = shipped_weighting(model)
    leads = [
        lead
        for outcome in of_model(outcomes, model, "l1")
        for lead in outcome.summary.leads
        if (lead.first.weighting, lead.first.blending) == (weighting, BLENDINGS[-1])
    ]
    if not leads:
        return ""
    by_mask = {lead.mask: lead for lead in leads}
    parts = [
        f"{mask_text(mask)} {interval_text(by_mask[mask].difference)}" for mask in ordered(by_mask)
    ]
    return (
        f"{model_text(model)}, `balanced` as it is shipped (`{weighting}`, `matern`), against "
        f"the best classical fill of each mask in the same run, dB: {'; '.join(parts)}."
    )


def _short_norm(outcomes: Sequence[Outcome], model: str) -> str:
    pairs = pairs_of_norms(outcomes, model)
    if not pairs:
        return ""
    counts = {
        verdict: sum(difference.verdict == verdict for difference in pairs.values())
        for verdict in ("higher", "lower", "no difference shown")
    }
    means = [difference.mean for difference in pairs.values()]
    return (
        f"{model_text(model)}, l1 against l2 (pasted, {len(pairs)} cells of mask × weighting): l1 "
        f"is higher in {counts['higher']}, lower in {counts['lower']}, and in "
        f"{counts['no difference shown']} no difference is shown; the means lie between "
        f"{number(min(means), 2)} and {number(max(means), 2)} dB."
    )


def _short_yeh(outcomes: Sequence[Outcome]) -> str:
    """Say what the procedure of the paper reaches with the same generator."""
    same = [d for d in yeh_differences(outcomes) if "dcgan" in d[0]]
    if not same:
        return ""
    parts = [f"{mask_text(mask)} {interval_text(difference)}" for _, mask, difference in same]
    return (
        f"{model_text(same[0][0])}, `balanced` against Yeh's procedure with the same generator, "
        f"both blended by Poisson, {same[0][2].n} images, dB: "
        f"{'; '.join(parts)}."
    )


def _published(outcomes: Sequence[Outcome]) -> str:
    masks = list(PUBLISHED["Yeh et al. 2017"])
    rows = [
        (name, *(number(values[mask], 1) for mask in masks)) for name, values in PUBLISHED.items()
    ]
    for model in models_of(outcomes):
        setting = shipped_poisson(model)
        means = _means_of(outcomes, model, setting)
        name = f"{model_text(model)}, `balanced`, `{setting.weighting}`, Poisson"
        rows += [_whole_row(name, means, masks)] if means else []
    for outcome in named(outcomes, ["yeh2017"]):
        means = {mean.mask: mean for mean in outcome.summary.means if mean.setting.searches}
        rows.append(_whole_row(f"{model_text(outcome.stage.model)}, Yeh's procedure", means, masks))
    means = _means_of(outcomes, outcomes[0].stage.model, Setting("telea"))
    if means:
        rows.append(_whole_row("OpenCV Telea, the same images", means, masks))
    shares = [
        f"{mask_text(mask)} {number(_exact(outcomes, mask), 1)}"
        for mask in masks
        if _exact(outcomes, mask) is not None
    ]
    text = prose(
        "Yeh et al. give the PSNR of the *whole* image (CelebA at 64×64, Poisson blending). Beside "
        "it ours, whole image as well. Generator, training images, test images and the drawing of "
        "the masks all differ, so this is a neighbourhood and no race. The whole image also counts "
        "pixels that were never missing: in our fills they are exact, which alone lifts the PSNR "
        f"of the hole by, on average, dB: {'; '.join(shares)}. That is why every other table here "
        "is of the hole alone."
    )
    others = prose(
        "Figures of later work cannot be set beside these. Feed-forward inpainters (partial and "
        "gated convolutions, LaMa, diffusion models) report 256×256 or more, on other crops and "
        "free-form masks sorted by their size, mostly as FID and LPIPS of downloaded networks over "
        "thousands of images or as l1 of whole images; each is trained for its masks, where one "
        "generator serves every hole here. Papers on inversion of generators report "
        "reconstructions of whole images. And no publication was found that compares `uniform`, "
        "`box`, `inverse` and `inverse-square`."
    )
    head = ("whole image, PSNR in dB", *map(mask_text, masks))
    return f"## Published figures\n\n{text}\n\n{table(head, rows)}\n\n{others}"


def _means_of(outcomes: Sequence[Outcome], model: str, setting: Setting) -> dict[str, Mean]:
    return {
        mean.mask: mean
        for outcome in of_model(outcomes, model, "l1")
        for mean in outcome.summary.means
        if mean.setting == setting and outcome.summary.resolution == PUBLISHED_SIDE
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
