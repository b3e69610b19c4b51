"""Fills by workers: other processes of this machine, or actors of a Ray cluster.

The page, its queue and the results stay in one process. What a client sends goes to a worker; every
event of the search comes back, and at the end the fill. A worker that dies is replaced, and its job
is done again by another.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from aleph.arrays import Floats, Hole, Pixels
from aleph.blending.refine import Refine
from aleph.photo.photo import Photo
from aleph.web.engine import Engine, Fill
from aleph.web.jobs import Cancelled, Job
from aleph.web.schemas import FillOptions, PictureFormat
from aleph.web.uploads import Upload, read_image, read_mask
from aleph.workers.choose import WorkersWanted, choose_workers
from aleph.workers.dispatch import TRIES, Worker, dead_starts, deaths_at_work
from aleph.workers.line import Line, line

_LOOKING = 0.1
"""Seconds between two looks whether a job was cancelled."""

_ENDING = 10.0
"""Seconds that a cancelled search has to end by itself, before its worker is killed."""


@dataclass(frozen=True)
class _Sent:
    """An upload on its way to a worker.

    Attributes:
        photo: Bytes of the photo's file.
        marks: Bytes of the mask's file.
        format: What to answer in.
        pixels: Largest width × height of either.
        options: What is asked for.
    """

    photo: bytes
    marks: bytes
    format: PictureFormat
    pixels: int
    options: FillOptions

    def image(self) -> Photo:
        return read_image(self.photo, self.pixels)

    def mask(self) -> Image.Image:
        return read_mask(self.marks, self.pixels)


@dataclass
class Member:
    """A place in the crew, and the worker that holds it.

    Attributes:
        name: Number of the place, from 0.
        worker: Who holds it now; None before the start and after the end.
        jobs: Jobs that were done there.
        deaths: Workers that died there.
    """

    name: int
    worker: Worker | None = None
    jobs: int = 0
    deaths: int = 0

    @property
    def memory(self) -> int | None:
        """Resident bytes of its process; None where that is not known."""
        process = self.worker.process if self.worker else None
        with contextlib.suppress(OSError, StopIteration, ValueError):
            lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
            return int(next(one for one in lines if one.startswith("VmRSS")).split()[1]) * 1024
        return None


class Crew:
    """Workers that fill.

    Args:
        engine: Whose model is the default, and whose models animate what comes back.
        wanted: How many, and where.

    Attributes:
        members: The places; there are as many jobs at a time.

    Raises:
        InputError: if the cluster does not answer.
        MissingDependencyError: if Ray is wanted and not installed.
    """

    def __init__(self, engine: Engine, wanted: WorkersWanted) -> None:
        self._engine = engine
        setup = partial(_set_up, engine.device, engine.default_model, engine.interval)
        self._workers = choose_workers(setup, wanted, apart=True)
        self.members = [Member(number) for number in range(self._workers.count)]
        self._free = list(reversed(self.members))
        self._changed = threading.Condition()
        self._stopped = False

    def start(self) -> None:
        """Start all workers and wait until they have loaded the model.

        Raises:
            AlephError: if one cannot be set up.
        """
        for member in self.members:
            self._hire(member)
        wait([member.worker.ready for member in self.members if member.worker])
        for member in self.members:
            assert member.worker is not None
            try:
                member.worker.ready.result()
            except self._workers.deaths:
                raise dead_starts() from None

    def stop(self) -> None:
        """End all workers at once."""
        self._stopped = True
        for member in self.members:
            worker, member.worker = member.worker, None
            if worker is not None:
                worker.stop()

    def fill(self, upload: Upload, options: FillOptions, job: Job[Fill]) -> Fill:
        """Fill the hole of an upload by a worker, as `Engine.fill` does.

        Raises:
            AlephError: with one sentence, if it cannot be filled, or three workers died at it.
            Cancelled: if the job was.
        """
        sent = _Sent(
            (upload.folder / "image").read_bytes(),
            (upload.folder / "mask").read_bytes(),
            upload.format,
            upload.pixels,
            options,
        )
        for _ in range(TRIES):
            member = self._take(job)
            try:
                return self._fill(member, sent, job)
            except self._workers.deaths:
                if self._stopped:
                    raise Cancelled("cancelled: the server has stopped") from None
                member.deaths += 1
                self._hire(member)
            finally:
                member.jobs += 1
                self._give_back(member)
        raise deaths_at_work(TRIES)

    def _fill(self, member: Member, sent: _Sent, job: Job[Fill]) -> Fill:
        worker = member.worker
        assert worker is not None
        worker.ready.result()
        future = worker.submit(sent, lambda event: job.report(event[0], **event[1]))
        self._wait(future, member, job)
        return self._with_model(future.result(), sent.options.model)

    def _with_model(self, fill: Fill, name: str | None) -> Fill:
        """Give a fill the model, which has not come with it; it is loaded when it is needed."""
        load = self._engine.inpainter
        inpainting = fill.inpainting.with_model(
            _later(lambda: load(name).model.refine), _later(lambda: load(name).refine_outside)
        )
        return replace(fill, inpainting=inpainting)

    def _wait(self, future: Future[Any], member: Member, job: Job[Fill]) -> None:
        """Wait for a worker; one that does not heed that a job was cancelled is replaced."""
        patience = None
        worker = member.worker
        assert worker is not None
        while not future.done():
            wait([future], _LOOKING)
            try:
                job.check()
            except Cancelled:
                if patience is None:
                    worker.interrupt()
                    patience = time.monotonic() + _ENDING
                if time.monotonic() > patience:
                    self._hire(member)
                    raise
        future.result()

    def _take(self, job: Job[Fill]) -> Member:
        """Take a worker that is ready: those that are being replaced are not waited for.

        Raises:
            Cancelled: if the job was, meanwhile.
        """
        with self._changed:
            while True:
                for member in self._free:
                    if member.worker is not None and member.worker.ready.done():
                        self._free.remove(member)
                        return member
                self._changed.wait(_LOOKING)
                job.check()

    def _give_back(self, member: Member) -> None:
        with self._changed:
            self._free.append(member)
            self._changed.notify()

    def _hire(self, member: Member) -> None:
        """Start a worker for a place; the one that held it is ended."""
        if member.worker is not None:
            member.worker.stop()
        member.worker = self._workers.start()


class _Told:
    """What a search in a worker tells and asks of its job, in the place of the job."""

    def __init__(self, own: Line) -> None:
        self._line = own

    def report(self, name: str, **data: Any) -> None:  # noqa: ANN401 - JSON values
        self._line.report((name, data))

    def check(self) -> None:
        if self._line.ended:
            raise Cancelled("cancelled")


def _set_up(device: str, model: str, interval: float) -> Callable[[_Sent], Fill]:
    """Set up a worker."""
    engine = Engine(device, model, interval)
    engine.prepare()

    def fill(sent: _Sent) -> Fill:
        filled = engine.fill(sent, sent.options, _Told(line()))
        return replace(filled, inpainting=filled.inpainting.without_model())

    return fill


def _later(method: Callable[[], Refine]) -> Refine:
    """Return a method of a model that is loaded when the method is called."""

    def refine(image: Pixels, hole: Hole, guess: Floats, kappa: float) -> Floats:
        return method()(image, hole, guess, kappa)

    return refine
