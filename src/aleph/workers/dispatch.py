"""Dispatching: a stream of tasks is done by workers, each of which may die at any moment.

A worker does one task at a time, so that it is known which task a dead worker was at. That task is
given to another worker; a task that has killed `TRIES` workers is named and left. The stream is
read as workers become free: memory does not grow with its length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from aleph.errors import AlephError
from aleph.workers.line import OnEvent

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

Setup = Callable[[], Callable[[Any], Any]]
"""Called once in every worker: loads what the tasks need, and returns what does one task."""

TRIES = 3
"""Workers that a task may kill before it is left."""

_DEAD_STARTS = 3
"""Workers that may die one after the other before any of them has begun to work."""


def dead_starts() -> AlephError:
    """Return what is said where workers die before they have begun."""
    return AlephError(
        "the workers die before they begin, perhaps for lack of memory: use fewer --workers"
    )


def deaths_at_work(tries: int) -> AlephError:
    """Return what is said of a task that has killed so many workers."""
    return AlephError(f"{tries} workers died at it, perhaps for lack of memory")


@dataclass(frozen=True)
class Outcome(Generic[TaskT, ResultT]):
    """What became of a task.

    Attributes:
        task: The task.
        result: What the function returned; None if there is an error.
        error: What it raised that a user can cause, or that its workers died; None if all is well.
    """

    task: TaskT
    result: ResultT | None
    error: AlephError | None = None


class Worker(Protocol):
    """What does one task at a time.

    Attributes:
        ready: Done when the worker has loaded what it needs; holds the error if it could not.
    """

    ready: Future[Any]

    @property
    def process(self) -> int | None:
        """Number of its process on this machine; None if it runs on another."""

    def submit(self, task: Any, on_event: OnEvent | None = None) -> Future[Any]:  # noqa: ANN401
        """Begin a task.

        Args:
            task: Whatever the function takes.
            on_event: Told, in another thread, what the task says on its line; never after the
                future is done.
        """

    def interrupt(self) -> None:
        """Ask the task that is being done to end; it need not heed it (`aleph.workers.line`)."""

    def stop(self) -> None:
        """End the worker at once, whatever it is doing."""


class Workers(Protocol):
    """Where workers come from.

    Attributes:
        count: Workers at a time.
        deaths: Errors that say that a worker has died.
    """

    count: int
    deaths: tuple[type[BaseException], ...]

    def start(self) -> Worker:
        """Start a worker; it need not be ready at once."""


def dispatch(
    tasks: Iterable[TaskT],
    workers: Workers,
    tries: int = TRIES,
    on_death: Callable[[TaskT], None] | None = None,
) -> Iterator[Outcome[TaskT, Any]]:
    """Do tasks and yield what becomes of each, as it is done.

    Args:
        tasks: What to do; read only as far as there are free workers.
        workers: Who does it.
        tries: Workers that a task may kill.
        on_death: Called with the task that a worker was at when it died.

    Raises:
        AlephError: if no worker can be started, with what it says.

    Errors of a task that a user can cause (`AlephError`) are yielded; any other is raised.
    """
    crew = _Crew(workers)
    queue = _Queue(tasks)
    try:
        while True:
            crew.assign(queue)
            if crew.idle and not queue.left:
                return
            for worker, task, future in crew.finished():
                outcome = _outcome(task, future, workers.deaths)
                if outcome is not None:
                    crew.free(worker)
                    yield outcome
                    continue
                crew.bury(worker)
                if on_death:
                    on_death(task)
                if queue.again(task, tries):
                    yield Outcome(task, None, deaths_at_work(tries))
    finally:
        crew.stop()


def _outcome(
    task: TaskT, future: Future[Any], deaths: tuple[type[BaseException], ...]
) -> Outcome[TaskT, Any] | None:
    """Return what a finished task gave; None if its worker died."""
    try:
        return Outcome(task, future.result())
    except deaths:
        return None
    except AlephError as error:
        return Outcome(task, None, error)


class _Queue:
    """Tasks that wait: first those whose workers died, then the stream."""

    def __init__(self, tasks: Iterable[Any]) -> None:
        self._stream = iter(tasks)
        self._returned: deque[Any] = deque()
        self._deaths: dict[int, int] = {}
        self._exhausted = False
        self._next: list[Any] = []

    @property
    def left(self) -> bool:
        """Whether a task waits."""
        if not self._returned and not self._next and not self._exhausted:
            try:
                self._next.append(next(self._stream))
            except StopIteration:
                self._exhausted = True
        return bool(self._returned or self._next)

    def take(self) -> Any:  # noqa: ANN401 - a task
        """Return the next task, of which there must be one."""
        return self._returned.popleft() if self._returned else self._next.pop()

    def again(self, task: Any, tries: int) -> bool:  # noqa: ANN401 - a task
        """Put a task back whose worker has died; return whether it has killed too many."""
        # A task in flight is alive, so that its identity is its own.
        count = self._deaths.pop(id(task), 0) + 1
        if count >= tries:
            return True
        self._deaths[id(task)] = count
        self._returned.append(task)
        return False


class _Crew:
    """The workers that live, and what each is doing."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._starting: dict[Future[Any], Worker] = {}
        self._working: dict[Future[Any], tuple[Worker, Any]] = {}
        self._free: list[Worker] = []
        self._dead_starts = 0

    @property
    def idle(self) -> bool:
        """Whether no worker has a task."""
        return not self._working

    def assign(self, queue: _Queue) -> None:
        """Give tasks to free workers, and start workers for those tasks that are left."""
        while self._free and queue.left:
            worker, task = self._free.pop(), queue.take()
            self._working[worker.submit(task)] = (worker, task)
        alive = len(self._free) + len(self._working) + len(self._starting)
        if queue.left:
            for _ in range(self._workers.count - alive):
                worker = self._workers.start()
                self._starting[worker.ready] = worker

    def finished(self) -> list[tuple[Worker, Any, Future[Any]]]:
        """Wait until a worker is ready or a task is done; return the tasks that are done."""
        done, _ = wait([*self._starting, *self._working], return_when=FIRST_COMPLETED)
        ended = []
        for future in done:
            if future in self._starting:
                self._begin(self._starting.pop(future), future)
            else:
                worker, task = self._working.pop(future)
                ended.append((worker, task, future))
        return ended

    def _begin(self, worker: Worker, ready: Future[Any]) -> None:
        """Take a worker that says it is ready; or learn that it could not start."""
        try:
            ready.result()
        except self._workers.deaths:
            worker.stop()
            self._dead_starts += 1
            if self._dead_starts >= _DEAD_STARTS:
                raise dead_starts() from None
            return
        self._dead_starts = 0
        self._free.append(worker)

    def free(self, worker: Worker) -> None:
        """Take a worker back whose task is done."""
        self._free.append(worker)

    def bury(self, worker: Worker) -> None:
        """Remove a worker that has died."""
        worker.stop()

    def stop(self) -> None:
        """End all workers at once: nobody waits for what they are doing."""
        for worker in [
            *self._free,
            *self._starting.values(),
            *(worker for worker, _ in self._working.values()),
        ]:
            worker.stop()
