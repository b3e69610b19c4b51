"""What `results.py` runs: stages, most important first, each an evaluation of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aleph.config import Precision
from aleph.errors import UnfinishedError
from aleph.evaluation import EvaluationPlan, Summary, evaluate
from aleph.evaluation.classical import CLASSICAL
from aleph.evaluation.plan import YEH
from aleph.evaluation.rows import Row, RowFile
from aleph.evaluation.statistics import Difference, paired_bootstrap
from aleph.evaluation.store import PLAN, ROWS
from aleph.evaluation.tasks import list_keys
from aleph.progress import Reporter

MASKS = ("center", "half", "strokes", "random", "pattern")
"""All masks, in the order of the document."""


@dataclass(frozen=True)
class Stage:
    """One part of the results.

    Attributes:
        name: Of the stage and its folder.
        model: A model's name or folder.
        masks: Names of masks.
        norm: Of the context loss.
        presets: To run, each with the four weightings and three blendings.
        baselines: To run beside them.
        most: Images at most, where a full run would take hours.
        drawn: Whether the document shows figures of it.
    """

    name: str
    model: str
    masks: tuple[str, ...] = MASKS
    norm: str = "l1"
    presets: tuple[str, ...] = ("balanced",)
    baselines: tuple[str, ...] = tuple(CLASSICAL)
    most: int | None = None
    drawn: bool = True

    def plan(self, data: Sequence[str], images: int, precision: Precision) -> EvaluationPlan:
        """Return the evaluation that this stage is, of so many images."""
        return EvaluationPlan(
            model=self.model,
            data=tuple(data),
            images=min(images, self.most or images),
            masks=self.masks,
            norms=(self.norm,),
            presets=self.presets,
            baselines=self.baselines,
            precision=precision,
            shown=6,
        )


STAGES = (
    Stage("dcgan", "faces-dcgan-64", masks=("center", "half", "strokes")),
    Stage("faces-64", "faces-64", most=250),
    Stage("faces-128", "faces-128", most=100),
    Stage("dcgan-thin", "faces-dcgan-64", masks=("random", "pattern"), most=100),
    Stage("dcgan-l2", "faces-dcgan-64", norm="l2", baselines=(), most=50, drawn=False),
    Stage("faces-64-l2", "faces-64", norm="l2", baselines=(), most=50, drawn=False),
    Stage("faces-128-l2", "faces-128", norm="l2", baselines=(), most=50, drawn=False),
    Stage("yeh2017", "faces-dcgan-64", presets=(), baselines=(YEH,), most=16, drawn=False),
)
"""Most important first, each on as many images as an hour of two cores allows. Classical fills are
run once for a model: with its first stage."""


@dataclass(frozen=True)
class Outcome:
    """What a stage has found so far.

    Attributes:
        stage: The stage.
        folder: Where its evaluation lies.
        summary: Of its finished images.
        rows: Of its finished images.
    """

    stage: Stage
    folder: Path
    summary: Summary
    rows: list[Row]

    def values(self, mask: str, setting: str, metric: str) -> dict[int, float]:
        """Return a metric of a setting, by the number of the image."""
        return {
            row["image"]: row[metric]
            for row in self.rows
            if (row["mask"], row["setting"]) == (mask, setting)
        }


def compare(
    mask: str, metric: str, first: tuple[Outcome, str], second: tuple[Outcome, str]
) -> Difference | None:
    """Return first minus second over the images that both stages have filled; None without one.

    Stages damage and start image i alike, so that settings of two stages are paired as well.
    """
    ours, theirs = (outcome.values(mask, setting, metric) for outcome, setting in (first, second))
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return None
    return paired_bootstrap(*(np.array([values[i] for i in common]) for values in (ours, theirs)))


def run_stage(
    stage: Stage,
    plan: EvaluationPlan,
    out: Path,
    *,
    seconds: float | None,
    workers: int,
    device: str,
    reporter: Reporter,
) -> Outcome | None:
    """Go on with a stage, for so long at most, and return what there is; None if there is nothing.

    Raises:
        AlephError: as `evaluate`.
    """
    folder = out / stage.name
    if seconds == 0 and not (folder / PLAN).exists():
        return None
    reporter.say(f"stage {stage.name}")
    try:
        summary = evaluate(
            plan,
            folder,
            device=device,
            workers=workers,
            reporter=reporter,
            figures=stage.drawn,
            seconds=seconds,
        )
    except UnfinishedError:
        return None
    file = RowFile(folder / ROWS)
    keys = file.finished(list_keys(plan, summary.images + summary.left))
    return Outcome(stage, folder, summary, file.ordered(keys))
