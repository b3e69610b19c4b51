"""Searches as jobs: a bounded queue, some threads, events, results for a limited time.

A thread runs one search at a time: as many run at once as there are places for. Everything that
threads share is changed under one lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from aleph.errors import AlephError
from aleph.web.limits import Limits

State = Literal["queued", "running", "done", "failed", "cancelled"]

HEARTBEAT = 5.0
"""Seconds of silence after which listeners get a sign of life."""

_TOO_LARGE = "the picture is too large for this machine's memory"

_MEAN_SECONDS = 5.0
"""Guess of a search's length before the first has run; afterwards it is measured."""


class Cancelled(Exception):  # noqa: N818 - a signal, not an error
    """Raised inside a search to end it."""


class QueueFull(Exception):  # noqa: N818
    """No place is free.

    Attributes:
        retry_after: Seconds after which one may be.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__("all places are taken: try again soon")
        self.retry_after = retry_after


class Draining(Exception):  # noqa: N818
    """The server is stopping and takes no new job.

    Attributes:
        retry_after: Seconds after which another one may have taken its place.
    """

    def __init__(self) -> None:
        super().__init__("the server is stopping")
        self.retry_after = 10


class Result(Protocol):
    """What a job leaves behind."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""


R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Attributes:
        name: `queued`, `running`, `stage`, `step`, `done`, `failed` or `cancelled`.
        data: Plain JSON values.
    """

    name: str
    data: dict[str, Any]


@dataclass(eq=False)
class Job(Generic[R]):
    """One search, from being asked for to being forgotten.

    Attributes:
        id: Unguessable name.
        run: Does the work; called with the job in the worker thread.
        close: Frees what the job holds besides memory; called once, when the job is over.
        client: Who asked for it: places and turns are shared fairly between clients.
        state: Where it stands.
        events: Everything that happened, in order; only the last preview is kept.
        result: What came out, once `done`.
        error: What went wrong, one sentence, once `failed` or `cancelled`.
        internal: Whether it failed for a reason that is not the client's.
        seen: When a client last asked about it (monotonic clock).
        stage_seconds: Time that it has spent in each stage of its search that is over.
    """

    run: Callable[[Job[R]], R]
    close: Callable[[], None]
    client: str = ""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    state: State = "queued"
    events: list[Event] = field(default_factory=list)
    result: R | None = None
    error: str | None = None
    internal: bool = False
    seen: float = field(default_factory=time.monotonic)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    _stage: tuple[str, float] | None = None
    _listeners: set[Callable[[], None]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def listened_to(self) -> bool:
        """Whether a client is following the events right now."""
        return bool(self._listeners)

    def check(self) -> None:
        """End the search here if it was cancelled: call it at every step."""
        if self._stop is not None:
            raise Cancelled(self._stop)

    def stop(self, why: str) -> None:
        """Ask the search to end; `check` raises from now on."""
        self._stop = why

    def report(self, name: str, **data: Any) -> None:  # noqa: ANN401 - JSON values
        """Add an event. Clients that come late get all events, but only the last preview."""
        with self._lock:
            if "previews" in data:
                self._drop_previews()
            if name == "stage":
                self._enter(data["stage"])
            self._publish(Event(name, data))

    def _enter(self, stage: str | None) -> None:
        """Note how long the stage that ends now has lasted; None ends the last one."""
        now = time.monotonic()
        if self._stage is not None:
            before, since = self._stage
            self.stage_seconds[before] = self.stage_seconds.get(before, 0.0) + now - since
        self._stage = None if stage is None else (stage, now)

    def finish(self, state: State, result: R | None = None, error: str | None = None) -> None:
        """Enter a final state, whose event is the last one."""
        with self._lock:
            self.state, self.result, self.error, self.seen = state, result, error, time.monotonic()
            self._enter(None)
            self._drop_previews()
            self._publish(Event(state, {} if error is None else {"error": error}))
        try:
            self.close()
        except Exception as error:
            log_failure("the files of a job could not be removed", error)

    async def follow(self, position: int = 0) -> AsyncIterator[tuple[int, Event | None]]:
        """Yield (number, event) from a position on as they come; None is a sign of life."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        with self._lock:
            self._listeners.add(wake)
        try:
            while True:
                changed.clear()
                while position < len(self.events):
                    yield position, self.events[position]
                    position += 1
                if self.over and position >= len(self.events):
                    return
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT)
                except TimeoutError:
                    yield position, None
        finally:
            with self._lock:
                self._listeners.discard(wake)
            self.seen = time.monotonic()

    def _publish(self, event: Event) -> None:
        self.events.append(event)
        for wake in self._listeners:
            # A listener's event loop may have ended before it could sign off.
            with contextlib.suppress(RuntimeError):
                wake()

    def _drop_previews(self) -> None:
        for index in range(len(self.events) - 1, -1, -1):
            event = self.events[index]
            if "previews" in event.data:
                kept = {key: value for key, value in event.data.items() if key != "previews"}
                self.events[index] = Event(event.name, kept)
                return


@dataclass
class Counts:
    """What has happened since the start, for those who watch the server.

    Attributes:
        finished: Jobs by their final state.
        refused: Jobs for which there was no place.
        seconds: Time that jobs have run.
        stages: The same by the stages of the search.
    """

    finished: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    seconds: float = 0.0
    stages: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add_stages(self, seconds: dict[str, float]) -> None:
        """Add the time that a job has spent in its stages."""
        for stage, spent in seconds.items():
            self.stages[stage] += spent


class Jobs(Generic[R]):
    """The queue of one or more devices and the results that are kept.

    No client can keep others out: one that has no job finds a place even where all are taken, as
    many times over as there are places; and the next turn is that of the client who has waited for
    one the longest.

    Args:
        limits: How many wait, how long what is kept.
        at_once: How many run at a time.
    """

    def __init__(self, limits: Limits, at_once: int = 1) -> None:
        self._limits = limits
        self._waiting: deque[Job[R]] = deque()
        self._running: list[Job[R]] = []
        self._kept: dict[str, Job[R]] = {}
        self._changed = threading.Condition()
        self._draining = self._stopped = False
        self._mean_seconds = _MEAN_SECONDS
        self._turns: dict[str, int] = {}
        self._turn = 0
        self.counts = Counts()
        self._threads = [
            threading.Thread(target=self._work, name=f"aleph-search-{number}", daemon=True)
            for number in range(at_once)
        ]

    def __len__(self) -> int:
        """Return how many jobs are known: those that wait or run, and those that are kept."""
        return len(self._kept)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job[R]) -> None:
        """Queue a job.

        Raises:
            QueueFull: if all places are taken.
            Draining: if the server is stopping.
        """
        with self._changed:
            self._check_room(job.client)
            self._kept[job.id] = job
            self._waiting.append(job)
            job.report("queued", position=self._places_taken())
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many jobs run."""
        return len(self._running)

    @property
    def ready(self) -> bool:
        """Whether jobs are taken and worked on."""
        return all(thread.is_alive() for thread in self._threads) and not self._draining

    def check_room(self, client: str = "") -> None:
        """Say whether a job of a client would be taken now.

        Raises:
            QueueFull: if all places are taken.
            Draining: if the server is stopping.
        """
        with self._changed:
            self._check_room(client)

    def get(self, job_id: str) -> Job[R] | None:
        """Return a job by its name, None if it is unknown or forgotten."""
        with self._changed:
            job = self._kept.get(job_id)
            if job:
                job.seen = time.monotonic()
            return job

    def cancel(self, job: Job[R], why: str = "cancelled") -> None:
        """Take a job out of the queue, or end its search at the next step."""
        with self._changed:
            job.stop(why)
            if job in self._waiting:
                self._waiting.remove(job)
                job.finish("cancelled", error=why)
            self._changed.notify_all()

    def forget(self, job: Job[R]) -> None:
        """Cancel a job, or drop its result."""
        self.cancel(job)
        with self._changed:
            if job.over:
                self._kept.pop(job.id, None)

    def sweep(self) -> None:
        """Cancel what nobody asks about any more and forget what was kept long enough."""
        now, limits = time.monotonic(), self._limits
        with self._changed:
            jobs = list(self._kept.values())
        for job in jobs:
            if job.listened_to:
                continue
            if not job.over and now - job.seen > limits.abandoned_after:
                self.cancel(job, "cancelled: nobody asked about it any more")
            elif job.over and now - job.seen > limits.kept_for:
                self.forget(job)
        self._drop_surplus()

    def drain(self) -> bool:
        """Take no new job, cancel those that wait; return whether one is running."""
        with self._changed:
            self._draining = True
            waiting, running = list(self._waiting), bool(self._running)
        for job in waiting:
            self.cancel(job, "cancelled: the server is stopping")
        return running

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no job waits or runs; return whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._places_taken(), seconds)

    def stop(self) -> None:
        """Cancel everything and end the worker."""
        self.drain()
        with self._changed:
            self._stopped = True
            for job in self._running:
                job.stop("cancelled: the server has stopped")
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for the threads to end."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))

    def _check_room(self, client: str) -> None:
        if self._draining:
            raise Draining
        taken, places = self._places_taken(), self._limits.queue
        there = [*self._waiting, *self._running]
        newcomer = all(job.client != client for job in there)
        if taken >= (2 * places if newcomer else places):
            self.counts.refused += 1
            raise QueueFull(max(1, round(self._mean_seconds / len(self._threads))))

    def _next(self) -> Job[R]:
        """Take the first job of the client whose last turn is the longest ago."""
        job = min(self._waiting, key=lambda one: self._turns.get(one.client, 0))
        self._waiting.remove(job)
        self._turn += 1
        self._turns[job.client] = self._turn
        waiting = {one.client for one in self._waiting} | {job.client}
        self._turns = {client: turn for client, turn in self._turns.items() if client in waiting}
        return job

    def _places_taken(self) -> int:
        return len(self._waiting) + len(self._running)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._stopped)
                if self._stopped:
                    return
                job = self._next()
                self._running.append(job)
                job.state = "running"
            began = time.monotonic()
            _run(job)
            with self._changed:
                self._running.remove(job)
                took = time.monotonic() - began
                self._mean_seconds += 0.3 * (took - self._mean_seconds)
                self.counts.seconds += took
                self.counts.add_stages(job.stage_seconds)
                self.counts.finished[job.state] += 1
                self._changed.notify_all()
            self._drop_surplus()

    def _drop_surplus(self) -> None:
        """Forget the results not asked for the longest, where there are too many or too large."""
        with self._changed:
            over = sorted((j for j in self._kept.values() if j.over), key=lambda j: -j.seen)
            total = 0
            for number, job in enumerate(over):
                total += job.result.nbytes if job.result else 0
                surplus = number >= self._limits.kept_results or total > self._limits.kept_bytes
                if number > 0 and surplus and not job.listened_to:
                    del self._kept[job.id]


def _run(job: Job[R]) -> None:
    """Run a job to one of its final states; whatever it does, this returns."""
    job.report("running")
    try:
        job.check()
        result = job.run(job)
        job.check()
    except Cancelled as why:
        job.finish("cancelled", error=str(why))
    except AlephError as error:
        job.finish("failed", error=str(error))
    except BaseException as error:  # the worker outlives SystemExit, too
        memory = _is_memory(error)
        job.internal = not memory
        job.finish("failed", error=_TOO_LARGE if memory else f"internal error: {_name(error)}")
        log_failure("a job failed", error)
    else:
        job.finish("done", result)


def _is_memory(error: BaseException) -> bool:
    """Return whether memory has run out, here or on a GPU (`torch.OutOfMemoryError`)."""
    short = "allocate memory" in str(error) and isinstance(error, RuntimeError)
    return short or isinstance(error, MemoryError) or _name(error) == "OutOfMemoryError"


def _name(error: BaseException) -> str:
    return type(error).__name__


def log_failure(what: str, error: BaseException) -> None:
    """Write a traceback to the server's log."""
    logging.getLogger("aleph.web").error(what, exc_info=error)
