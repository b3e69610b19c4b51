"""What the sections of docs/results.md share: finding outcomes, and the words for them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from aleph.config import Weighting
from aleph.evaluation.plan import Setting, own_settings
from aleph.evaluation.report import interval_text
from aleph.evaluation.statistics import Difference
from aleph.evaluation.summary import Ranked
from benchmarks.results.stages import MASKS, Outcome, compare

WEIGHTINGS = get_args(Weighting)

DISTANCE = ("inverse", "inverse-square")
"""The source's weightings."""

SPELT = {"center": "centre"}

BLENDINGS = ("paste", "poisson", "matern")

MAIN = ("dcgan", "faces-64", "faces-128")
"""The stages of each model that come first."""

_WRAPPER = textwrap.TextWrapper(100, break_long_words=False, break_on_hyphens=False)


def named(outcomes: Sequence[Outcome], names: Iterable[str]) -> list[Outcome]:
    """Return the outcomes of some stages, in the order of their names here."""
    return [outcome for name in names for outcome in outcomes if outcome.stage.name == name]


def of_model(outcomes: Sequence[Outcome], model: str, norm: str) -> list[Outcome]:
    """Return the stages of a model's presets under a norm."""
    return [
        outcome
        for outcome in outcomes
        if (outcome.stage.model, outcome.stage.norm) == (model, norm) and outcome.stage.presets
    ]


def models_of(outcomes: Sequence[Outcome]) -> list[str]:
    """Return every model whose presets were run, once."""
    return list(dict.fromkeys(outcome.stage.model for outcome in outcomes if outcome.stage.presets))


def model_text(model: str) -> str:
    """Return what a model is called in the text."""
    return f"`{Path(model).name}`"


def shipped_weighting(model: str) -> str:
    """Return what a model's `balanced` weighs by if nothing else is asked for."""
    return own_settings("balanced", model).search.weighting


def shipped_poisson(model: str) -> Setting:
    """Return a model's `balanced` with its own weighting, blended as Yeh et al. do."""
    return Setting("balanced", "", shipped_weighting(model), "l1", "poisson")


def mask_text(mask: str) -> str:
    """Return what a mask is called in the text."""
    return SPELT.get(mask, mask)


def ordered(masks: Iterable[str]) -> list[str]:
    """Return masks in the order of the document."""
    there = set(masks)
    return [mask for mask in MASKS if mask in there]


def listed(words: Sequence[str]) -> str:
    """Join words as prose does.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def prose(*sentences: str) -> str:
    """Return a paragraph of sentences; empty ones are left out."""
    return _WRAPPER.fill(" ".join(filter(None, sentences)))


def bullets(items: Iterable[str]) -> str:
    """Return a list."""
    hanging = textwrap.TextWrapper(
        100,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(map(hanging.fill, items))


def cell_text(difference: Difference | None) -> str:
    """Return a difference as a table's cell, in three lines."""
    return interval_text(difference).replace(" [", "<br>[").replace("], ", "]<br>")


def gain_text(difference: Difference) -> str:
    """Return a difference with its interval and no verdict."""
    return interval_text(difference).removesuffix(", no difference shown")


def ranked_by_mask(
    outcomes: Sequence[Outcome], model: str, norm: str, blending: str
) -> dict[str, list[Ranked]]:
    """Return the ranking of a model's weightings by mask."""
    found: dict[str, list[Ranked]] = {}
    for outcome in of_model(outcomes, model, norm):
        for ranked in outcome.summary.rankings:
            if ranked.setting.blending == blending:
                found.setdefault(ranked.mask, []).append(ranked)
    return {mask: found[mask] for mask in ordered(found)}


def pairs_of_norms(outcomes: Sequence[Outcome], model: str) -> dict[tuple[str, str], Difference]:
    """Return l1 minus l2, pasted, PSNR of the hole, by mask and weighting."""
    pairs = {}
    for ours in of_model(outcomes, model, "l1"):
        for theirs in of_model(outcomes, model, "l2"):
            for mask in ordered(set(ours.stage.masks) & set(theirs.stage.masks)):
                for weighting in WEIGHTINGS:
                    names = [
                        Setting("balanced", "", weighting, norm, "paste").name
                        for norm in ("l1", "l2")
                    ]
                    found = compare(mask, "psnr_hole", (ours, names[0]), (theirs, names[1]))
                    if found:
                        pairs[mask, weighting] = found
    return {key: pairs[key] for key in sorted(pairs, key=lambda key: MASKS.index(key[0]))}


def yeh_differences(outcomes: Sequence[Outcome]) -> list[tuple[str, str, Difference]]:
    """Return `balanced` with Poisson blending minus Yeh's procedure: model, mask, difference."""
    found = []
    for yeh in named(outcomes, ["yeh2017"]):
        theirs = next(mean.setting.name for mean in yeh.summary.means if mean.setting.searches)
        for model in models_of(outcomes):
            ours = shipped_poisson(model).name
            for outcome in of_model(outcomes, model, "l1"):
                if outcome.summary.resolution != yeh.summary.resolution:
                    continue
                for mask in ordered(set(outcome.stage.masks) & set(yeh.stage.masks)):
                    difference = compare(mask, "psnr_hole", (outcome, ours), (yeh, theirs))
                    if difference:
                        found.append((model, mask, difference))
    return found


def mean_seconds(outcomes: Sequence[Outcome], setting: Setting) -> float:
    """Return the mean seconds per image of a setting over all masks."""
    return float(
        np.mean([m.seconds for o in outcomes for m in o.summary.means if m.setting == setting])
    )
