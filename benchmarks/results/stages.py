"""The evaluations that docs/results.md rests on, most important first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aleph.config import Precision
from aleph.evaluation import EvaluationPlan
from aleph.evaluation.plan import OWN, YEH

MASKS = ("center", "half", "strokes", "random", "pattern")


@dataclass(frozen=True)
class Stage:
    """One evaluation.

    Attributes:
        name: Of the stage and its folder.
        model: A model's name or folder.
        most: Images at most, where all of them would take hours.
        about: What it is for: to compare the `weightings`, the `norms`, or the preset with
            `baselines` that search.
        fields: Fields of `EvaluationPlan` besides.
        drawn: Whether the document shows figures of it.
    """

    name: str
    model: str
    most: int = 500
    about: Literal["weightings", "norms", "baselines"] = "weightings"
    fields: dict[str, Any] = field(default_factory=dict)
    drawn: bool = True

    def plan(self, data: Sequence[str], images: int, precision: Precision) -> EvaluationPlan:
        """Return the evaluation of at most so many images."""
        fields = {"masks": MASKS, "shown": 6, **self.fields}
        count = min(images, self.most)
        return EvaluationPlan(self.model, tuple(data), count, precision=precision, **fields)


def _norms(name: str, model: str) -> Stage:
    fields = {"norms": ("l1", "l2"), "baselines": ()}
    return Stage(name, model, 50, "norms", fields, drawn=False)


def _yeh(name: str, model: str) -> Stage:
    """Compare a model with Yeh's procedure, which runs with the DCGAN."""
    fields = {
        "weightings": (OWN,),
        "blendings": ("poisson",),
        "baselines": (f"{YEH}@faces-dcgan-64",),
    }
    return Stage(name, model, 16, "baselines", fields, drawn=False)


STAGES = (
    Stage("dcgan", "faces-dcgan-64", fields={"masks": MASKS[:3]}),
    Stage("faces-64", "faces-64", 250),
    Stage("faces-128", "faces-128", 100),
    Stage("dcgan-thin", "faces-dcgan-64", 100, fields={"masks": MASKS[3:]}),
    _norms("dcgan-norms", "faces-dcgan-64"),
    _norms("faces-64-norms", "faces-64"),
    _norms("faces-128-norms", "faces-128"),
    _yeh("dcgan-yeh", "faces-dcgan-64"),
    _yeh("faces-64-yeh", "faces-64"),
)
"""Each on as many images as an hour of two cores allows for all of them."""
