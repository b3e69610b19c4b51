"""What an evaluation, or several, found: one sentence for each question.

Which masks gain from weighting by distance, how far a preset as it is used leads over the classical
fills, whether the norm matters, and how a preset compares with a baseline that searches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aleph.evaluation.markdown import bullets, gain_text, interval_text, listed, number
from aleph.evaluation.plan import Setting, own_settings
from aleph.evaluation.sections import (
    DISTANCE,
    SEARCH_KEYS,
    model_name,
    psnr_comparisons,
    search_key,
)
from aleph.evaluation.statistics import Difference
from aleph.evaluation.summary import Comparison, Ranked, Summary
from aleph.models.folder import read_config
from aleph.models.zoo import find_model

Key = tuple[str, ...]
"""Model, preset and norm, and what else a sentence is about."""


def in_short(summaries: Sequence[Summary]) -> str:
    """Return the section; nothing where nothing was compared."""
    items = [
        *_weightings(summaries),
        *_leads(summaries),
        *_norms(summaries),
        *_baselines(summaries),
    ]
    return f"## In short\n\n{bullets(items)}" if items else ""


def _name(key: Key) -> str:
    """Return model, preset and norm as a sentence begins with them."""
    model, preset, norm = key[: len(SEARCH_KEYS)]
    return f"{model}, {preset}, {norm}"


def _weightings(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say on which masks a weighting by distance beats `uniform`, and on which not."""
    starts: dict[Key, str] = {}
    best: dict[Key, dict[str, Ranked]] = {}
    for summary in summaries:
        for ranked in summary.rankings:
            setting = ranked.setting
            if setting.weighting in DISTANCE and "uniform" in ranked.against:
                key: Key = (*search_key(summary, setting), setting.blending)
                starts[key] = _start_text(setting, summary.plan.model)
                # Rankings list the best weighting first.
                best.setdefault(key, {}).setdefault(ranked.mask, ranked)
    for key, masks in best.items():
        if (*key[:-1], "paste") in best and key[-1] != "paste":
            continue  # pasted fills show the search itself
        yield (
            f"{_name(key)}, from {starts[key]}, blending `{key[-1]}`: PSNR with the "
            f"better weighting by distance against `uniform`: {_verdicts(masks)}."
        )


def _start_text(setting: Setting, model: str) -> str:
    """Return where a model's searches with a preset start."""
    encoded = read_config(find_model(model)).kind == "amortised"
    own = own_settings(setting.method, model).search.start
    return "the encoder's guess" if encoded and own != "random" else "random codes"


def _verdicts(masks: dict[str, Ranked]) -> str:
    texts: dict[str, list[str]] = {}
    for mask, ranked in masks.items():
        difference = ranked.against["uniform"]
        text = f"{mask} ({gain_text(difference)} dB, `{ranked.setting.weighting}`)"
        texts.setdefault(difference.verdict, []).append(text)
    words = {"higher": "raised", "lower": "lowered", "no difference shown": "no difference shown"}
    said = [f"{words[v]} on {listed(texts[v])}" for v in words if v in texts]
    return "; ".join(said)


def _leads(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say how far every preset leads with its own weighting and blending."""
    found: dict[Key, dict[str, Difference]] = {}
    for summary in summaries:
        for lead in summary.leads:
            if _is_own(summary, lead.first):
                own = f"`{lead.first.weighting}`, `{lead.first.blending}`"
                key: Key = (*search_key(summary, lead.first), own)
                found.setdefault(key, {})[lead.mask] = lead.difference
    for key, masks in found.items():
        yield (
            f"{_name(key)}, with its own weighting and blending ({key[-1]}), against the best "
            f"classical fill of each mask, dB: {_per_mask(masks)}."
        )


def _is_own(summary: Summary, setting: Setting) -> bool:
    """Return whether a search of the plan's model has its preset's weighting and blending."""
    if setting.model:
        return False
    own = own_settings(setting.method, summary.plan.model)
    return (setting.weighting, setting.blending) == (own.search.weighting, own.blending)


def _per_mask(masks: dict[str, Difference]) -> str:
    return "; ".join(f"{mask} {interval_text(difference)}" for mask, difference in masks.items())


def _norms(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say in how many cells one norm is better than the other."""
    for summary in summaries:
        groups: dict[Key, list[Comparison]] = {}
        for c in psnr_comparisons(summary, "norm"):
            names = (f"`{c.first.label}`", c.first.norm, c.second.norm)
            groups.setdefault(names, []).append(c)
        for (preset, first, second), group in groups.items():
            verdicts = [c.difference.verdict for c in group]
            means = [c.difference.mean for c in group]
            yield (
                f"{model_name(summary)}, {preset}, {first} against {second}, {len(group)} cells of "
                f"mask × weighting × blending: {first} is higher in {verdicts.count('higher')}, "
                f"lower in {verdicts.count('lower')}, and in "
                f"{verdicts.count('no difference shown')} no difference is shown; the means lie "
                f"between {number(min(means), 2)} and {number(max(means), 2)} dB."
            )


def _baselines(summaries: Sequence[Summary]) -> Iterator[str]:
    """Say how every preset with its own weighting compares with a baseline that searches."""
    for summary in summaries:
        found: dict[tuple[Setting, Setting], dict[str, Difference]] = {}
        for c in psnr_comparisons(summary, "baseline"):
            own = own_settings(c.first.method, summary.plan.model).search.weighting
            if c.first.weighting == own and c.first.blending == c.second.blending:
                found.setdefault((c.first, c.second), {})[c.mask] = c.difference
        for (ours, baseline), masks in found.items():
            images = next(iter(masks.values())).n
            yield (
                f"{_name(search_key(summary, ours))}, against `{baseline.label}`, both blended by "
                f"`{baseline.blending}`, {images} images, dB: {_per_mask(masks)}."
            )
