"""Workers on a Ray cluster: actors, one per GPU or per so many cores (extra `cluster`)."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from aleph.errors import InputError, MissingDependencyError
from aleph.workers.dispatch import Setup, Worker
from aleph.workers.line import Line, OnEvent, work_on_line

if TYPE_CHECKING:
    from types import ModuleType


class Cluster:
    """Actors of a Ray cluster. Their number follows the cluster: one per GPU, or per `cores`.

    Args:
        setup: What every actor calls first.
        address: `auto` for the cluster that this machine belongs to, or the address of its head.
        cores: Cores of an actor on a cluster without a GPU; torch uses as many threads.
        count: Actors, at most; as many as fit by default.

    Raises:
        MissingDependencyError: if Ray is not installed.
        InputError: if there is no such cluster.
    """

    def __init__(
        self, setup: Setup, address: str, cores: int = 1, count: int | None = None
    ) -> None:
        self._ray = _ray()
        self._connect(address)
        resources = self._ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        fitting = gpus or int(resources.get("CPU", 1)) // cores
        self.count = max(1, fitting if count is None else min(count, fitting))
        self.deaths: tuple[type[BaseException], ...] = (
            self._ray.exceptions.RayActorError,
            self._ray.exceptions.NodeDiedError,
            self._ray.exceptions.OutOfMemoryError,
            self._ray.exceptions.WorkerCrashedError,
            self._ray.exceptions.ObjectLostError,  # a result went down with its node
            self._ray.exceptions.LocalRayletDiedError,
            self._ray.exceptions.ActorUnschedulableError,  # its node went before it came up
        )
        self._setup, self._cores = setup, cores
        self._gpus = 1 if gpus else 0

    def _connect(self, address: str) -> None:
        if self._ray.is_initialized():
            return
        try:
            self._ray.init(address=address, log_to_driver=False, logging_level="error")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(
                f"no Ray cluster answers at '{address}': start one with `ray start --head`, or "
                f"name the address of one ({error})"
            ) from None

    def start(self) -> Worker:
        """Ask the cluster for an actor; it is ready when there is room for it."""
        return _Actor(self._ray, self._setup, self._cores, self._gpus)


def check_ray() -> None:
    """Refuse a cluster where Ray is not installed; it is looked for, not loaded.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingDependencyError("a cluster needs ray: pip install 'aleph-inpainting[cluster]'")


def _ray() -> ModuleType:
    check_ray()
    import ray
    import ray.exceptions

    return ray


_LISTENING = 1.0
"""Seconds after which a call that waits for events comes back without one."""


class _Doer:
    """What runs in the actor's process."""

    def __init__(self, setup: Setup, threads: int) -> None:
        self._setup, self._threads = setup, threads
        self._function: Callable[[Any], Any] | None = None
        self._line, self._events = Line(lambda event: None), list[Any]()
        self._over, self._changed = True, threading.Condition()

    def ready(self) -> None:
        """Set up in a call of its own, so that its errors can be told from the actor's death."""
        from aleph.workers.local import share_processors

        share_processors(self._threads)
        self._function = self._setup()

    def work(self, task: Any) -> Any:  # noqa: ANN401 - whatever the function takes and gives
        """Do one task."""
        assert self._function is not None
        with self._changed:
            self._line, self._events, self._over = Line(self._add), [], False
        try:
            return work_on_line(self._function, task, self._line)
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _add(self, event: Any) -> None:  # noqa: ANN401
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def events(self) -> tuple[list[Any], bool]:
        """Return what the task has said since the last call, waiting a while; and if it is over."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._events) or self._over, _LISTENING)
            said, self._events = self._events, []
            return said, self._over

    def interrupt(self) -> None:
        """Ask the task to end."""
        self._line.end()


class _Actor:
    def __init__(self, ray: ModuleType, setup: Setup, cores: int, gpus: int) -> None:
        self._ray = ray
        actor = ray.remote(num_cpus=cores, num_gpus=gpus, max_restarts=0, max_concurrency=3)(_Doer)
        self._actor = actor.remote(setup, cores)
        self.ready: Future[Any] = self._unwrapped(self._actor.ready.remote())
        self.process: int | None = None

    def submit(self, task: Any, on_event: OnEvent | None = None) -> Future[Any]:  # noqa: ANN401
        inner = self._unwrapped(self._actor.work.remote(task))
        if on_event is None:
            return inner
        outer: Future[Any] = Future()
        threading.Thread(target=self._listen, args=(inner, outer, on_event), daemon=True).start()
        return outer

    def interrupt(self) -> None:
        self._actor.interrupt.remote()

    def _listen(self, inner: Future[Any], outer: Future[Any], on_event: OnEvent) -> None:
        """Pass on what a task says, and then what it gives."""
        heard = False
        with contextlib.suppress(self._ray.exceptions.RayError):  # `inner` has it, too
            while not heard:
                done = inner.done()  # then nothing is said after the next call
                said, over = self._ray.get(self._actor.events.remote())
                for event in said:
                    on_event(event)
                heard = done and over
        try:
            outer.set_result(inner.result())
        except Exception as error:
            outer.set_exception(error)

    def stop(self) -> None:
        """Kill the actor: what it was doing may take minutes."""
        self._ray.kill(self._actor)

    def _unwrapped(self, reference: Any) -> Future[Any]:  # noqa: ANN401 - an ObjectRef
        """Return a future of a remote call that raises what the call itself raised."""
        outer: Future[Any] = Future()

        def pass_on(inner: Future[Any]) -> None:
            error = inner.exception()
            if error is None:
                outer.set_result(inner.result())
            elif isinstance(error, self._ray.exceptions.RayTaskError):
                outer.set_exception(error.cause)
            else:
                outer.set_exception(error)

        reference.future().add_done_callback(pass_on)
        return outer
