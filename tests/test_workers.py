"""Workers: every task is done once, whoever dies."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from aleph.errors import AlephError, InputError
from aleph.workers.dispatch import TRIES, Outcome, dispatch
from aleph.workers.local import local_workers, threads_each
from conftest import RunCli
from helpers import files_below
from tasks import (
    broken,
    collecting,
    doubling,
    dying,
    failing,
    half_sending,
    refusing,
    stillborn,
    threads,
)


def results(outcomes: Iterator[Outcome[int, int]]) -> list[int | None]:
    """Return the results in the order of their tasks."""
    return [outcome.result for outcome in sorted(outcomes, key=lambda o: o.task)]


@pytest.mark.parametrize("count", [1, 2])
def test_every_task_is_done_once(count: int) -> None:
    assert results(dispatch(range(9), local_workers(doubling, count))) == list(range(0, 18, 2))


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_user_can_cause_is_told_of_its_task(count: int) -> None:
    outcomes = sorted(dispatch(range(3), local_workers(refusing, count)), key=lambda o: o.task)
    assert [str(outcome.error) for outcome in outcomes] == ["None", "1 is odd", "None"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_fault_of_the_program_is_not_hidden(count: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(dispatch([1], local_workers(broken, count)))


def test_the_task_of_a_dead_worker_is_done_by_another(tmp_path: Path) -> None:
    workers = local_workers(functools.partial(dying, tmp_path, always=False), 2)
    assert results(dispatch(range(8), workers)) == list(range(0, 16, 2))
    assert len(list(tmp_path.glob("3-*"))) == 2


def test_a_worker_that_dies_while_it_sends_its_result_is_dead() -> None:
    worker = local_workers(half_sending, 2).start()
    try:
        worker.ready.result(120)
        with pytest.raises(BrokenProcessPool):
            worker.submit(1).result(60)
    finally:
        worker.stop()


def test_a_task_that_kills_its_workers_is_named_and_left(tmp_path: Path) -> None:
    workers = local_workers(functools.partial(dying, tmp_path, always=True), 2)
    outcomes = sorted(dispatch(range(6), workers), key=lambda o: o.task)
    assert [outcome.result for outcome in outcomes] == [0, 2, 4, None, 8, 10]
    assert "died" in str(outcomes[3].error)
    assert len(list(tmp_path.glob("3-*"))) == TRIES


@pytest.mark.parametrize("count", [1, 2])
def test_a_worker_that_cannot_be_set_up_says_why(count: int) -> None:
    with pytest.raises(AlephError, match="no such model"):
        list(dispatch(range(2), local_workers(failing, count)))


def test_workers_that_die_at_the_start_end_the_run() -> None:
    with pytest.raises(AlephError, match="die before they begin"):
        list(dispatch(range(2), local_workers(stillborn, 2)))


def test_the_stream_is_read_only_as_far_as_workers_are_free() -> None:
    read = 0

    def stream() -> Iterator[int]:
        nonlocal read
        while read < 1000:
            read += 1
            yield read

    outcomes = dispatch(stream(), local_workers(doubling, 1))
    for _ in range(5):
        next(outcomes)
    assert read <= 7
    outcomes.close()  # type: ignore[attr-defined]


def test_leaving_ends_the_workers() -> None:
    workers = local_workers(doubling, 2)
    started = []
    start = workers.start

    def watched() -> object:
        started.append(start())
        return started[-1]

    workers.start = watched  # type: ignore[method-assign, assignment]
    outcomes = dispatch(range(100), workers)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    children = [c for w in started for c in (w._executor._processes or {}).values()]
    assert not any(child.is_alive() for child in children)


def test_tasks_of_a_stopped_worker_end_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    workers = local_workers(doubling, 1, apart=True)
    worker = workers.start()
    tasks = [worker.submit(number) for number in range(5)]
    worker.stop()
    for task in tasks:
        assert isinstance(task.exception(60), workers.deaths)
    assert not caplog.records


_PARENT = """
import multiprocessing, os, signal, time
from aleph.workers.local import _connect

def wait(pipe):
    _connect(pipe)
    pipe.send("ready")
    time.sleep(600)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    own, theirs = context.Pipe()
    context.Process(target=wait, args=(theirs,)).start()
    own.recv()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL there")
def test_a_worker_that_was_given_nothing_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(_PARENT)
    command = [sys.executable, str(tmp_path / "parent.py")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE)
    parent.communicate(timeout=60)  # the worker keeps the pipe open for as long as it lives
    assert parent.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("said", "wanted"), [("1", 1), ("", 3), ("0", 3), ("64", 3), ("4,2", 3)])
def test_workers_heed_the_number_of_threads_that_is_set(
    said: str, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aleph.workers.local.processors", lambda: 7)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads_each(2) == wanted
    assert threads_each(8) == 1


def test_a_worker_has_the_threads_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aleph.workers.local.processors", lambda: 4)
    for said, wanted in (("1", 1), ("3", 3)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        (outcome,) = dispatch([0], local_workers(threads, 1, apart=True))
        assert outcome.result == wanted


def test_a_worker_collects_garbage_but_for_what_was_imported() -> None:
    (outcome,) = dispatch([0], local_workers(collecting, 1, apart=True))
    assert outcome.result == (True, True)


def test_impossible_numbers_of_workers_are_refused() -> None:
    for count in (0, 257):
        with pytest.raises(InputError, match="from 1 to 256"):
            local_workers(doubling, count)


def test_a_cluster_without_ray_is_refused_before_anything_else_is_looked_at(
    call_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("ray", "matplotlib"):
        monkeypatch.setitem(sys.modules, package, None)
    order = ("evaluate", "faces-64", tmp_path, "--out", "evaluation")
    refused = call_cli(*order, "--cluster", "auto")
    assert refused.code == 2
    assert refused.err == ("aleph: a cluster needs ray: pip install 'aleph-inpainting[cluster]'\n")
    figures = call_cli(*order)
    assert figures.code == 2 and "pip install 'aleph-inpainting[evaluate]'" in figures.err
    assert files_below(tmp_path) == set()
