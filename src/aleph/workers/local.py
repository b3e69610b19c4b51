"""Workers on this machine: processes of the standard library, or this process itself."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

from aleph.errors import InputError
from aleph.imports import importing
from aleph.workers.dispatch import Setup, Worker, Workers
from aleph.workers.line import Line, OnEvent, work_on_line

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


def threads_each(count: int) -> int:
    """Return the threads of each of so many workers: its share of the processors.

    A lower OMP_NUM_THREADS counts, as it does for torch: the same number of threads everywhere
    gives the same bytes, whoever fills (docs/security.md).
    """
    share, said = max(1, processors() // count), os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(said)) if said.isdecimal() and int(said) else share


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
        self.process: int | None = os.getpid()
        self._line = Line(lambda event: None)

    def submit(self, task: Any, on_event: OnEvent | None = None) -> Future[Any]:  # noqa: ANN401
        future: Future[Any] = Future()
        self._line = Line(on_event or (lambda event: None))
        try:
            future.set_result(work_on_line(self._function, task, self._line))
        except Exception as error:
            future.set_exception(error)
        return future

    def interrupt(self) -> None:
        self._line.end()

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
        self._threads = threads_each(count)

    def start(self) -> Worker:
        """Start a process."""
        return _Process(self._setup, self._threads)


class _Process:
    """One process; an executor of its own, so that its death is told from that of others."""

    def __init__(self, setup: Setup, threads: int) -> None:
        # A forked torch may hang in locks that its threads held.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        with _interrupts_held():  # else a lock half made is left to the resource tracker to report
            self._executor = ProcessPoolExecutor(1, context, _connect, (theirs,))
        try:
            with _interrupts_held():
                self.ready = self._executor.submit(_begin, setup, threads)
        except BaseException:  # a signal that was held back: nobody else knows of the process
            self.stop()
            raise
        theirs.close()  # so that the pipe ends with the process
        # So does that of the results: else who waits for a result of which a dying process has sent
        # a part waits for ever.
        self._executor._result_queue._writer.close()  # type: ignore[attr-defined]
        self._number = 0
        self._heard = threading.Condition()
        self._last_heard, self._on_event = 0, None  # type: tuple[int, OnEvent | None]
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def process(self) -> int | None:
        return next(iter(getattr(self._executor, "_processes", None) or {}), None)

    def submit(self, task: Any, on_event: OnEvent | None = None) -> Future[Any]:  # noqa: ANN401
        self._number += 1
        self._on_event = on_event
        number, future = self._number, Future[Any]()
        try:
            inner = self._executor.submit(_work, number, task)
        except BrokenProcessPool as error:  # it died while it had nothing to do
            future.set_exception(error)
            return future

        def pass_on(inner: Future[Any]) -> None:
            if inner.cancelled():  # by `stop`, before the process had begun it
                future.set_exception(BrokenProcessPool("the worker was stopped"))
                return
            with self._heard:  # what the task has said comes first
                self._heard.wait_for(lambda: self._last_heard >= number, _LAST_WORDS)
            error = inner.exception()
            if error is None:
                future.set_result(inner.result())
            else:
                future.set_exception(error)

        inner.add_done_callback(pass_on)
        return future

    def interrupt(self) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(self._number)

    def stop(self) -> None:
        """Kill the process: what it was doing may take minutes."""
        children = list((getattr(self._executor, "_processes", None) or {}).values())
        manager = getattr(self._executor, "_executor_manager_thread", None)
        self._executor.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.kill()
            child.join()
        if manager is not None:  # at its end it closes pipes that the interpreter's end writes to
            manager.join(timeout=5.0)

    def _listen(self) -> None:
        """Hear what the tasks say, until the process ends."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                number, said = self._pipe.recv()
                if said is not None:
                    if self._on_event:
                        self._on_event(said[0])
                    continue
                with self._heard:
                    self._last_heard = number
                    self._heard.notify_all()
        self._pipe.close()
        with self._heard:
            self._last_heard = sys.maxsize
            self._heard.notify_all()


_LAST_WORDS = 5.0
"""Seconds that what a task has said may be on its way when the task is done."""


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
    held: list[int] = []
    # Another thread may still get it, and Python then interrupts the main one.
    in_main = threading.current_thread() is threading.main_thread()
    usual = signal.signal(signal.SIGINT, lambda *_: held.append(1)) if in_main else None
    try:
        yield
    finally:
        if in_main:
            signal.signal(signal.SIGINT, usual or signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if held:
            signal.raise_signal(signal.SIGINT)


_function: Callable[[Any], Any] | None = None
"""What does the tasks of this worker process."""

_starting = contextlib.ExitStack()
"""What lasts from the beginning of this worker process until it is set up."""

_parent: Connection[Any, Any] | None = None
_current: tuple[int, Line] = 0, Line(lambda event: None)
"""The line to the parent; number and line of the task that is being done."""


def _connect(pipe: Connection[Any, Any]) -> None:
    """Begin to listen to the parent, in the worker process."""
    global _parent
    _parent = pipe
    _starting.enter_context(importing(program=True))
    # Before anything is asked of the parent, which may be gone already.
    threading.Thread(target=_leave_with_parent, daemon=True).start()

    def listen() -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                number, own = pipe.recv(), _current
                if number == own[0]:
                    own[1].end()

    threading.Thread(target=listen, daemon=True).start()


def _begin(setup: Setup, threads: int) -> None:
    global _function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    share_processors(threads)
    with _starting:
        _function = setup()


def _work(number: int, task: Any) -> Any:  # noqa: ANN401
    global _current
    assert _function is not None and _parent is not None
    parent = _parent
    own = Line(lambda event: parent.send((number, [event])))
    _current = number, own
    try:
        return work_on_line(_function, task, own)
    finally:
        with contextlib.suppress(OSError):
            parent.send((number, None))


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
