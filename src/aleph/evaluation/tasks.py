"""The tasks of an evaluation: every image × mask × setting once, in groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aleph.evaluation.plan import EvaluationPlan, Work, mask_label
from aleph.evaluation.rows import Key


@dataclass(frozen=True)
class Task:
    """A group of images with one mask, filled together.

    Attributes:
        work: The settings, which share a search.
        mask: The mask, as the plan names it.
        first: Number of the first image.
        last: One more than the number of the last image.
    """

    work: Work
    mask: str
    first: int
    last: int

    def row_keys(self) -> Iterator[Key]:
        """Yield the keys of this task's rows."""
        for image in range(self.first, self.last):
            for setting in self.work:
                yield image, mask_label(self.mask), setting.name


def list_tasks(plan: EvaluationPlan, count: int) -> list[Task]:
    """List everything to do for `count` images, group of images by group.

    The groups depend only on the plan, so the same images are searched together after a restart and
    with any number of workers.
    """
    works = plan.works()
    return [
        Task(work, mask, first, min(first + plan.batch_size, count))
        for first in range(0, count, plan.batch_size)
        for mask in plan.masks
        for work in works
    ]


def list_keys(plan: EvaluationPlan, count: int) -> list[Key]:
    """List every row of the finished table, in its order."""
    settings = plan.settings()
    return [
        (image, mask_label(mask), setting.name)
        for mask in plan.masks
        for setting in settings
        for image in range(count)
    ]
