"""Workers on this machine: processes of the standard library, or this process itself."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from aleph.errors import InputError
from aleph.workers.dispatch import Setup, Worker, Workers

MOST = 256
"""Workers on one machine."""

_MEMORY_EACH = 1 << 30
"""Bytes that a worker with a model and a photo of some megapixels takes."""


def local_workers(setup: Setup, count: int, apart: bool = False) -> Workers:
    """Return workers on this machine; one worker is this process itself, unless it shall not be.

    Args:
        setup: What every worker calls first; it must be picklable for other processes.
        count: Workers; they share the processors of this machine.
        apart: Whether a single worker is a process of its own, too.

    Raises:
        InputError: if `count` is not from 1 to 256.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"workers must be from 1 to {MOST}, not {count}")
    return ThisProcess(setup) if count == 1 and not apart else Processes(setup, count)


def usual_count() -> int:
    """Return how many workers suit this machine: one per two processors, as memory allows."""
    return max(1, min(processors() // 2, free_memory() // _MEMORY_EACH))


def processors() -> int:
    """Return the processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def free_memory() -> int:
    """Return the bytes of memory that are there for new processes; a guess where none tells."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 * _MEMORY_EACH


class ThisProcess:
    """One worker that is this process: no start, no copy, and it cannot die alone."""

    count = 1
    deaths: tuple[type[BaseException], ...] = ()

    def __init__(self, setup: Setup) -> None:
        self._setup = setup

    def start(self) -> Worker:
        """Set the worker up."""
        return _Here(self._setup())


class _Here:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self.ready: Future[Any] = Future()
        self.ready.set_result(None)

    def submit(self, task: Any) -> Future[Any]:  # noqa: ANN401
        future: Future[Any] = Future()
        try:
            future.set_result(self._function(task))
        except Exception as error:
            future.set_exception(error)
        return future

    def stop(self) -> None:
        """Nothing is left to end."""


class Processes:
    """Workers that are processes of their own, the threads of torch divided among them.

    Args:
        setup: What every worker calls first.
        count: Processes.
    """

    deaths: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, setup: Setup, count: int) -> None:
        self.count = count
        self._setup = setup
        self._threads = max(1, processors() // count)

    def start(self) -> Worker:
        """Start a process."""
        return _Process(self._setup, self._threads)


class _Process:
    """One process; an executor of its own, so that its death is told from that of others."""

    def __init__(self, setup: Setup, threads: int) -> None:
        # A forked torch may hang in locks that its threads held.
        self._executor = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        with _interrupts_held():
            self.ready = self._executor.submit(_begin, setup, threads)

    def submit(self, task: Any) -> Future[Any]:  # noqa: ANN401
        try:
            return self._executor.submit(_work, task)
        except BrokenProcessPool as error:  # it died while it had nothing to do
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    def stop(self) -> None:
        """Kill the process: what it was doing may take minutes."""
        children = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.kill()
            child.join()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold back SIGINT; a process that is started meanwhile never gets one.

    Ctrl+C goes to every process of the terminal. A worker that got it while it is still starting
    would die with a traceback; the parent ends its workers itself.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_function: Callable[[Any], Any] | None = None
"""What does the tasks of this worker process."""


def _begin(setup: Setup, threads: int) -> None:
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    share_processors(threads)
    _function = setup()


def _work(task: Any) -> Any:  # noqa: ANN401
    assert _function is not None
    return _function(task)


def _leave_with_parent() -> None:
    """End this process when its parent is gone, killed perhaps: nobody would read its results."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def share_processors(threads: int) -> None:
    """Let torch and OpenCV use this many threads in this process."""
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
