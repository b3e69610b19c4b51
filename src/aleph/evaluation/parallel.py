"""Running the tasks of an evaluation that have no rows yet, by workers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aleph.evaluation.inputs import Inputs
from aleph.evaluation.plan import EvaluationPlan
from aleph.evaluation.rows import Row, RowFile
from aleph.evaluation.runner import Runner
from aleph.evaluation.store import ROWS
from aleph.evaluation.tasks import Task, list_keys, list_tasks
from aleph.progress import Reporter
from aleph.workers.choose import WorkersWanted, choose_workers
from aleph.workers.dispatch import dispatch


def run_plan(
    plan: EvaluationPlan,
    inputs: Inputs,
    folder: Path,
    *,
    device: str,
    workers: WorkersWanted,
    reporter: Reporter,
    seconds: float | None = None,
) -> list[Row]:
    """Do what is not yet done and return the rows, ordered by mask, setting and image.

    With a bound of `seconds` those of the images that have all of their rows by then; what a
    search was just doing is lost.

    Raises:
        InputError: if the device is not there, or the rows in the folder are damaged.
        ModelError: if a model cannot be loaded.
        OutputError: if the folder cannot be written.
        AlephError: if a task killed three workers.
    """
    keys = list_keys(plan, len(inputs.images))
    file = RowFile(folder / ROWS)
    tasks = list_tasks(plan, len(inputs.images))
    left = [task for task in tasks if any(key not in file for key in task.row_keys())]
    if left and seconds != 0:
        end = time.monotonic() + (math.inf if seconds is None else seconds)
        with reporter.progress("evaluating", len(keys), len(file)) as advance:
            for rows in run_tasks(plan, inputs, folder, left, device, workers):
                file.append(rows)
                advance(len(file), {})
                if time.monotonic() > end:
                    break
        if len(file) == len(keys):
            file.sort(keys)
    return file.ordered(file.finished(keys))


def run_tasks(
    plan: EvaluationPlan,
    inputs: Inputs,
    folder: Path,
    tasks: Sequence[Task],
    device: str,
    workers: WorkersWanted,
) -> Iterator[list[Row]]:
    """Do tasks and yield the rows of each, as they are done.

    Args:
        plan: The evaluation.
        inputs: Its images.
        folder: Where fills are kept; all workers must see it.
        tasks: What to do.
        device: As for `Runner`.
        workers: Who does it.

    Raises:
        AlephError: what a task raised, or that three workers died at it.
    """
    jobs = ((task, inputs.images[task.first : task.last], _names(inputs, task)) for task in tasks)
    crew = choose_workers(partial(_runner, plan, folder, device), workers, len(tasks))
    for outcome in dispatch(jobs, crew):
        if outcome.error is not None:
            raise outcome.error
        assert outcome.result is not None
        yield outcome.result


_WithImages = tuple[Task, NDArray[np.uint8], list[str]]
"""A task, its images and their names."""


def _names(inputs: Inputs, task: Task) -> list[str]:
    return [source.basename for source in inputs.sources[task.first : task.last]]


def _runner(plan: EvaluationPlan, folder: Path, device: str) -> Callable[[_WithImages], list[Row]]:
    """Return what does a job; called once in every worker."""
    runner = Runner(plan, folder, device)
    return lambda job: runner(*job)
