"""What an evaluation reads: its images as squares, and their holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole
from aleph.datasets import (
    Source,
    find_partition,
    find_sources,
    load_squares,
    read_partition,
    split_sources,
)
from aleph.errors import InputError
from aleph.evaluation.plan import CELEBA_IMAGES, CELEBA_RESOLUTION, EvaluationPlan
from aleph.masks.read import read_hole
from aleph.models.folder import read_config
from aleph.models.zoo import find_model
from aleph.progress import Reporter


@dataclass(frozen=True, eq=False)
class Inputs:
    """The images of an evaluation.

    Attributes:
        sources: Where they come from.
        images: uint8 (N, R, R, 3).
    """

    sources: list[Source]
    images: NDArray[np.uint8]

    @property
    def resolution(self) -> int:
        """R, the side of the images in pixels."""
        return int(self.images.shape[1])


def read_inputs(plan: EvaluationPlan, reporter: Reporter) -> Inputs:
    """Read the plan's images as squares; unreadable ones are named and left out.

    Raises:
        InputError: if the data does not exist, or no image can be read.
        TrainingError: if the protocol asks for more images than there are.
        ModelError: if the model, whose resolution is taken, is not there or damaged.
    """
    resolution = _resolution(plan)
    sources = _choose_sources(plan)
    squares, kept, skipped = load_squares(sources, resolution)
    for sentence in skipped:
        reporter.say(f"skipped {sentence}")
    if not kept:
        raise InputError(f"no image to evaluate on in {', '.join(plan.data)}")
    if len(kept) < plan.images:
        reporter.say(f"evaluating on the {len(kept)} images that there are")
    return Inputs(kept, squares)


def _resolution(plan: EvaluationPlan) -> int:
    if plan.protocol == "celeba":
        if plan.resolution not in (None, CELEBA_RESOLUTION):
            raise InputError(f"the protocol celeba is at resolution {CELEBA_RESOLUTION}")
        return CELEBA_RESOLUTION
    resolution = plan.resolution or read_config(find_model(plan.model)).resolution
    if resolution < 16:
        raise InputError(f"images of {resolution} pixels are too small to measure: give 16 or more")
    return resolution


def _choose_sources(plan: EvaluationPlan) -> list[Source]:
    sources = find_sources(plan.data)
    if plan.protocol == "celeba":
        path = find_partition(plan.data)
        partition = read_partition(path) if path else None
        sources = split_sources(sources, CELEBA_IMAGES, plan.seed, partition).held_out
    return sources[: plan.images]


def holes_of(plan: EvaluationPlan, mask: str, first: int, last: int, side: int) -> list[Hole]:
    """Return the holes of images `first` to `last` − 1, boolean (side, side) each.

    Raises:
        InputError: if the mask is unknown, unreadable or of another size.
    """
    return [read_hole(mask, (side, side), plan.seed + image) for image in range(first, last)]
