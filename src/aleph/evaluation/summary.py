"""Means, rankings, leads and differences with intervals, computed from the rows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from aleph.arrays import Doubles
from aleph.evaluation.classical import CLASSICAL
from aleph.evaluation.plan import ORIGINAL, EvaluationPlan, Setting, mask_label
from aleph.evaluation.realism import sharpness, texture_distance
from aleph.evaluation.rows import Row
from aleph.evaluation.statistics import Difference, paired_bootstrap

FACTORS = ("method", "weighting", "norm", "blending")
"""The parts of a setting; a comparison changes one of them."""


@dataclass(frozen=True)
class Mean:
    """The measures of a setting on a mask, averaged over the images.

    Attributes:
        mask: The mask.
        setting: The setting.
        n: Number of images.
        psnr_hole: dB (see `aleph.evaluation.metrics`).
        psnr_image: dB.
        ssim_hole: −1 to 1.
        ssim_image: −1 to 1.
        sharpness: 1 is as sharp as the originals (see `aleph.evaluation.realism`).
        texture_distance: 0 is the originals' texture; None with fewer than 2 images.
        seconds: Per image.
        context_loss: Of ẑ; None where nothing was searched.
        steps: Done by the search; None where nothing was searched.
        lpips: None unless asked for.
        fid: None unless asked for.
    """

    mask: str
    setting: Setting
    n: int
    psnr_hole: float
    psnr_image: float
    ssim_hole: float
    ssim_image: float
    sharpness: float
    texture_distance: float | None
    seconds: float
    context_loss: float | None = None
    steps: float | None = None
    lpips: float | None = None
    fid: float | None = None


@dataclass(frozen=True)
class Comparison:
    """One setting against another, on one mask.

    Attributes:
        mask: The mask.
        metric: `psnr_hole`, `ssim_hole` or `lpips`.
        factor: What differs: `method`, `weighting`, `norm` or `blending`; `baseline` against a
            baseline that searches, `lead` against the best classical fill.
        first: The one setting.
        second: The other.
        difference: First minus second, with its interval.
    """

    mask: str
    metric: str
    factor: str
    first: Setting
    second: Setting
    difference: Difference


@dataclass(frozen=True)
class Ranked:
    """The rank of a weighting on a mask, all other settings being equal.

    Attributes:
        mask: The mask.
        setting: The setting; its weighting is what is ranked.
        rank: From 1, by the mean PSNR of the hole.
        psnr_hole: Mean, dB.
        against: Comparisons of the PSNR of the hole, by the other weighting: `uniform`, `box`.
        ssim_against: The same of the SSIM of the hole.
    """

    mask: str
    setting: Setting
    rank: int
    psnr_hole: float
    against: Mapping[str, Difference]
    ssim_against: Mapping[str, Difference]


@dataclass(frozen=True)
class StepMean:
    """Context loss and PSNR of a weighting at a step of the search, G(z) pasted.

    Attributes:
        mask: The mask.
        setting: The setting.
        step: From 0.
        context_loss: Mean.
        psnr_hole: Mean, dB.
        gain: Over `uniform` at the same step, dB; None for `uniform` or without it.
    """

    mask: str
    setting: Setting
    step: int
    context_loss: float
    psnr_hole: float
    gain: Difference | None


@dataclass(frozen=True)
class Summary:
    """The findings of an evaluation.

    Attributes:
        plan: What was evaluated.
        images: Number of images.
        resolution: Their side in pixels.
        devices: What the times were taken on.
        means: Per mask and setting, best first.
        rankings: Of the weightings.
        leads: Of every search over the best classical fill of the mask.
        comparisons: All pairs of searches that differ in one factor, and all searches against
            the baselines that search.
        steps: Over the steps of the search.
        left: Number of images that were to be done too and are not.
        files: What was written, with a word on each.
    """

    plan: EvaluationPlan
    images: int
    resolution: int
    devices: list[str]
    means: list[Mean]
    rankings: list[Ranked]
    leads: list[Comparison]
    comparisons: list[Comparison]
    steps: list[StepMean]
    left: int = 0
    files: Mapping[Path, str] = field(default_factory=dict)


class Results:
    """The rows as arrays over images.

    Args:
        plan: The evaluation.
        rows: All its rows.
    """

    def __init__(self, plan: EvaluationPlan, rows: Sequence[Row]) -> None:
        self.plan = plan
        self.masks = [mask_label(mask) for mask in plan.masks]
        self._rows: dict[tuple[str, str], list[Row]] = {}
        for row in sorted(rows, key=lambda row: int(row["image"])):
            self._rows.setdefault((row["mask"], row["setting"]), []).append(row)

    @cached_property
    def searches(self) -> list[Setting]:
        """The settings that search."""
        return [setting for setting in self.plan.settings() if setting.searches]

    def rows(self, mask: str, setting: Setting) -> list[Row]:
        """Return the rows of a mask and a setting in the order of the images."""
        return self._rows[mask, setting.name]

    def values(self, mask: str, setting: Setting, metric: str) -> Doubles:
        """Return a metric, float64 (n,)."""
        return np.array([row[metric] for row in self.rows(mask, setting)], np.float64)

    def textures(self, mask: str, setting: Setting) -> Doubles:
        """Return the texture features, float64 (n, FEATURES)."""
        return np.array([row["texture"] for row in self.rows(mask, setting)], np.float64)

    def mean(self, mask: str, setting: Setting, metric: str) -> float | None:
        """Return a metric's mean; None where it does not apply or was not asked for."""
        values = [row.get(metric) for row in self.rows(mask, setting)]
        return None if None in values else float(np.mean(np.array(values, np.float64)))

    def compare(
        self, mask: str, metric: str, factor: str, first: Setting, second: Setting
    ) -> Comparison:
        """Return first minus second with its interval."""
        difference = paired_bootstrap(
            self.values(mask, first, metric),
            self.values(mask, second, metric),
            seed=self.plan.seed,
        )
        return Comparison(mask, metric, factor, first, second, difference)


def summarise(
    plan: EvaluationPlan,
    rows: Sequence[Row],
    resolution: int,
    fid: Mapping[tuple[str, str], float] | None = None,
) -> Summary:
    """Summarise the finished rows of a plan.

    Args:
        plan: What was evaluated.
        rows: All its rows.
        resolution: Side of the images in pixels.
        fid: Fréchet Inception Distances by (mask, name of the setting), where asked for.
    """
    results = Results(plan, rows)
    return Summary(
        plan=plan,
        images=len(results.rows(results.masks[0], ORIGINAL)),
        resolution=resolution,
        devices=sorted({row["device"] for row in rows}),
        means=[mean for mask in results.masks for mean in _means(results, mask, fid or {})],
        rankings=[ranked for mask in results.masks for ranked in _rankings(results, mask)],
        leads=[lead for mask in results.masks for lead in _leads(results, mask)],
        comparisons=_comparisons(results),
        steps=[mean for mask in results.masks for mean in _steps(results, mask)],
    )


def _means(results: Results, mask: str, fid: Mapping[tuple[str, str], float]) -> list[Mean]:
    originals = results.textures(mask, ORIGINAL)
    means = []
    for setting in results.plan.settings():
        if setting == ORIGINAL:
            continue
        textures = results.textures(mask, setting)
        quality = ("psnr_hole", "psnr_image", "ssim_hole", "ssim_image", "seconds")
        means.append(
            Mean(
                mask=mask,
                setting=setting,
                n=len(textures),
                **{name: float(results.values(mask, setting, name).mean()) for name in quality},
                sharpness=sharpness(originals, textures),
                texture_distance=texture_distance(originals, textures),
                context_loss=results.mean(mask, setting, "context_loss"),
                steps=results.mean(mask, setting, "steps"),
                lpips=results.mean(mask, setting, "lpips"),
                fid=fid.get((mask, setting.name)),
            )
        )
    return sorted(means, key=lambda mean: -mean.psnr_hole)


def _alike(first: Setting, second: Setting, but: str) -> bool:
    """Return whether two settings differ in one factor alone."""
    return all(getattr(first, f) == getattr(second, f) for f in (*FACTORS, "model") if f != but)


def _rankings(results: Results, mask: str) -> list[Ranked]:
    """Rank the weightings in every group of searches that are otherwise alike."""
    ranked: list[Ranked] = []
    left = [setting for setting in results.searches if not setting.model]
    while left:
        group = [setting for setting in left if _alike(setting, left[0], but="weighting")]
        left = [setting for setting in left if setting not in group]
        if len(group) > 1:
            ranked += _rank(results, mask, group)
    return ranked


def _rank(results: Results, mask: str, group: list[Setting]) -> list[Ranked]:
    means = {s: float(results.values(mask, s, "psnr_hole").mean()) for s in group}
    references = [s for s in group if s.weighting in ("uniform", "box")]

    def against(setting: Setting, metric: str) -> dict[str, Difference]:
        return {
            other.weighting: results.compare(mask, metric, "weighting", setting, other).difference
            for other in references
            if other != setting
        }

    return [
        Ranked(mask, s, place, means[s], against(s, "psnr_hole"), against(s, "ssim_hole"))
        for place, s in enumerate(sorted(group, key=lambda s: -means[s]), 1)
    ]


def best_classical(results: Results, mask: str) -> Setting | None:
    """Return the classical fill with the highest mean PSNR of the hole in this evaluation."""
    fills = [s for s in results.plan.settings() if s.method in CLASSICAL]
    return max(fills, key=lambda s: results.values(mask, s, "psnr_hole").mean(), default=None)


def _leads(results: Results, mask: str) -> list[Comparison]:
    best = best_classical(results, mask)
    if best is None:
        return []
    return [results.compare(mask, "psnr_hole", "lead", s, best) for s in results.searches]


def _comparisons(results: Results) -> list[Comparison]:
    metrics = ["psnr_hole", "ssim_hole"]
    metrics += [metric for metric in results.plan.extra_metrics if metric == "lpips"]
    pairs = [
        (factor, first, second)
        for first, second in itertools.combinations(results.searches, 2)
        for factor in FACTORS
        if getattr(first, factor) != getattr(second, factor) and _alike(first, second, factor)
    ]
    pairs += [
        ("baseline", ours, baseline)
        for baseline in results.searches
        for ours in results.searches
        if baseline.model and not ours.model
    ]
    return [
        results.compare(mask, metric, *pair)
        for mask in results.masks
        for pair in pairs
        for metric in metrics
    ]


def _steps(results: Results, mask: str) -> list[StepMean]:
    recorded = {
        setting: [row["curve"] for row in results.rows(mask, setting)]
        for setting in results.searches
        if all("curve" in row for row in results.rows(mask, setting))
    }
    means = []
    for setting, curves in recorded.items():
        uniform = next(
            (s for s in recorded if s.weighting == "uniform" and _alike(s, setting, "weighting")),
            setting,
        )
        for step in _common_steps([*curves, *recorded[uniform]]):
            psnr, loss = (_at(curves, step, name) for name in ("psnr_hole", "context_loss"))
            base = _at(recorded[uniform], step, "psnr_hole")
            seed = results.plan.seed
            gain = None if uniform == setting else paired_bootstrap(psnr, base, seed=seed)
            means.append(
                StepMean(mask, setting, step, float(loss.mean()), float(psnr.mean()), gain)
            )
    return means


def _common_steps(curves: Sequence[Mapping[str, list[float]]]) -> list[int]:
    """Return the steps that every search reached."""
    common = set.intersection(*(set(curve["step"]) for curve in curves))
    return sorted(map(int, common))


def _at(curves: Sequence[Mapping[str, list[float]]], step: int, name: str) -> Doubles:
    return np.array([curve[name][curve["step"].index(step)] for curve in curves])
