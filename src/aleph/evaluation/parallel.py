"""Doing everything that is not done yet, in this process or in several."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from aleph.errors import AlephError
from aleph.evaluation.inputs import Inputs
from aleph.evaluation.plan import EvaluationPlan
from aleph.evaluation.rows import Row, RowFile
from aleph.evaluation.runner import Runner
from aleph.evaluation.store import ROWS
from aleph.evaluation.tasks import Task, list_keys, list_tasks
from aleph.progress import Reporter


def run_plan(
    plan: EvaluationPlan,
    inputs: Inputs,
    folder: Path,
    *,
    device: str,
    workers: int,
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
        AlephError: if a worker process died.
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
    workers: int,
) -> Iterator[list[Row]]:
    """Do tasks and yield the rows of each, as they are done.

    Args:
        plan: The evaluation.
        inputs: Its images.
        folder: Where fills are kept.
        tasks: What to do.
        device: As for `Runner`.
        workers: Processes; with one, all is done in this process.

    Raises:
        AlephError: what a task raised, or that a worker process died.
    """
    jobs = (
        (task, inputs.images[task.first : task.last], inputs.sources[task.first : task.last])
        for task in tasks
    )
    named = ((task, images, [s.basename for s in sources]) for task, images, sources in jobs)
    if min(workers, len(tasks)) <= 1:
        runner = Runner(plan, folder, device)
        yield from (runner(*job) for job in named)
    else:
        yield from _run_parallel(list(named), (plan, folder, device), min(workers, len(tasks)))


_Job = tuple[Task, NDArray[np.uint8], list[str]]


def _run_parallel(
    jobs: list[_Job], how: tuple[EvaluationPlan, Path, str], workers: int
) -> Iterator[list[Row]]:
    threads = max(1, _processors() // workers)
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers,
        # A forked torch may hang in locks that its threads held.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(*how, threads),
    )
    try:
        futures = [pool.submit(_work, job) for job in jobs]
        yield from (future.result() for future in as_completed(futures))
        pool.shutdown()
    except BrokenProcessPool:
        raise AlephError(
            "a worker process died, perhaps for lack of memory: the same command goes on from here;"
            " use fewer --workers"
        ) from None
    finally:
        # Whatever ends this early, Ctrl-C above all, must not wait for searches of minutes.
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()


_runner: Runner | None = None
"""The runner of a worker process."""


def _start_worker(plan: EvaluationPlan, folder: Path, device: str, threads: int) -> None:
    global _runner
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    _runner = Runner(plan, folder, device)


def _leave_with_parent() -> None:
    """End this process when its parent is gone, killed perhaps: nobody would read its results."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(job: _Job) -> list[Row]:
    assert _runner is not None
    return _runner(*job)


def _processors() -> int:
    """Return the processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
