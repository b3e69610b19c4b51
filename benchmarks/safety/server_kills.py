"""A server that is killed: nothing of it stays, and another takes its place on the same port."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.safety.api import PREFIX
from benchmarks.safety.processes import Command
from benchmarks.safety.subjects import temporary_files
from benchmarks.safety.tally import Tally

PATIENCE = 120.0
"""Seconds that a server has to open, to answer and to end."""

_SHORT = {"preset": "fast"}
_LONG = {"preset": "balanced", "steps": "250"}
"""What is asked for: a fill that is done at once, and one that takes seconds."""


@dataclass(frozen=True)
class Served:
    """A server, and what it is doing when it is killed.

    Attributes:
        name: What it is.
        doing: `starting`, `idle`, or `searching`.
        words: Its options.
    """

    name: str
    doing: str
    words: str = ""


def servers() -> list[Served]:
    """Return the servers that are killed."""
    workers = "--workers 2"
    return [
        Served("serve, starting", "starting"),
        Served("serve, idle", "idle"),
        Served("serve, searching", "searching"),
        Served("serve by 2 workers, starting", "starting", workers),
        Served("serve by 2 workers, searching", "searching", workers),
    ]


@dataclass(frozen=True)
class _Usual:
    """What a server does that is not disturbed.

    Attributes:
        opening: Seconds until it answers.
        searching: Seconds of the long fill.
        short: Bytes of the short fill.
        long: Bytes of the long fill.
    """

    opening: float
    searching: float
    short: bytes
    long: bytes


class _Server:
    """A server on a port, as a process of its own."""

    def __init__(self, served: Served, folder: Path, port: int) -> None:
        words = ["serve", "--model", "in/model", "--port", str(port), *served.words.split()]
        self.began = time.monotonic()
        self.command = Command(words, folder)
        self._files = {
            "image": (folder / "in/photos/00.png").read_bytes(),
            "mask": (folder / "in/mask.png").read_bytes(),
        }
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)

    @property
    def is_open(self) -> bool:
        return "open http" in self.command.said()

    def opens(self) -> bool:
        """Wait until it answers; return whether it does."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.command.alive:
            if self.is_open:
                return self.http.get("/readyz").status_code == 200
            time.sleep(0.02)
        return False

    def fill(self, options: dict[str, str]) -> httpx.Response:
        """Ask for a fill and wait for it."""
        return self.http.post(f"{PREFIX}/inpaint", files=self._files, data=options)

    def job(self) -> str:
        """Have the short fill done as a job; return where it is."""
        where = f"{PREFIX}/inpaint?wait=false"
        answer = self.http.post(where, files=self._files, data=_SHORT)
        answer.raise_for_status()
        with self.http.stream("GET", f"{answer.headers['location']}/events") as events:
            events.read()
        return str(answer.headers["location"])

    def wait_for_search(self) -> None:
        """Wait until a job runs."""
        end = time.monotonic() + PATIENCE
        while "aleph_jobs_running 1" not in self.http.get("/metrics").text:
            if time.monotonic() > end:
                raise RuntimeError("the server does not begin the search")
            time.sleep(0.01)


class _Waiting:
    """A client who waits for the long fill while the server is killed."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        with contextlib.suppress(httpx.HTTPError):  # it was hung up on
            self.answer = self._server.fill(_LONG)

    def fault(self, number: signal.Signals, wanted: bytes) -> str | None:
        """Return what is wrong with what the client was answered; None if nothing is."""
        self._thread.join(PATIENCE)
        answer = self.answer
        if self._thread.is_alive():
            return "a client still waits for an answer"
        if answer is not None and answer.status_code == 200:
            return None if answer.content == wanted else "a client was answered another picture"
        if number == signal.SIGTERM:  # the search that runs has its time to finish
            said = "nothing" if answer is None else f"{answer.status_code}: {answer.text[:200]}"
            return f"the search that ran was not finished: its client was answered {said}"
        if answer is not None and answer.status_code not in (409, 503):
            return f"a client was answered {answer.status_code}: {answer.text[:200]}"
        return None


class ServerBench:
    """The folder in which servers are started and killed.

    Args:
        given: What they read.
        folder: Where they run.
        rng: Of the moments.
    """

    def __init__(self, given: Path, folder: Path, rng: np.random.Generator) -> None:
        self._given, self._folder, self._rng = given, folder, rng

    def killed(self, served: Served, number: signal.Signals, each: int) -> Tally:
        """Kill a server so many times, and start another in its place each time."""
        usual, tally = self._undisturbed(served), Tally()
        for _ in range(each):
            self._prepare()
            port = _free_port()
            moment = float(self._rng.uniform(0, _longest(served, usual)))
            tally.trials += 1
            with _ended(_Server(served, self._folder, port)) as server:
                faults, job, met = self._kill(server, served, number, moment, usual)
            tally.at_work += met
            left = temporary_files(self._folder)
            tally.temporaries += bool(left)
            if left and number != signal.SIGKILL:
                faults.append(f"temporary files were left: {', '.join(left)}")
            faults += self._in_its_place(served, port, job, usual)
            tally.faults += [f"after {moment:.2f} s: {fault}" for fault in faults]
        return tally

    def _prepare(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.copytree(self._given, self._folder / "in")

    def _undisturbed(self, served: Served) -> _Usual:
        """Start a server, ask it, end it."""
        self._prepare()
        with _ended(_Server(served, self._folder, _free_port())) as server:
            if not server.opens():
                raise RuntimeError(f"{served.name}: it does not open: {server.command.wait(1).err}")
            opening = time.monotonic() - server.began
            short = server.fill(_SHORT).raise_for_status().content
            began = time.monotonic()
            long = server.fill(_LONG).raise_for_status().content
            return _Usual(opening, time.monotonic() - began, short, long)

    def _kill(
        self,
        server: _Server,
        served: Served,
        number: signal.Signals,
        moment: float,
        usual: _Usual,
    ) -> tuple[list[str], str | None, bool]:
        """Kill a server; return what is wrong, a job that it had done, and if the signal met it."""
        job, waiting = None, None
        if served.doing != "starting":
            if not server.opens():
                return [f"it does not open: {server.command.wait(1).err[-200:]!r}"], None, False
            job = server.job()
            if served.doing == "searching":
                waiting = _Waiting(server)
                server.wait_for_search()
        begun = 0.0 if served.doing == "starting" else time.monotonic() - server.began
        met = server.command.works_for(begun + moment)
        if served.doing == "starting":
            met = met and not server.is_open
        if waiting:
            met = met and waiting.answer is None
        server.command.end_by(number)
        ended = server.command.wait(PATIENCE)
        faults = [ended.fault] if ended.fault else []
        if ended.code not in (0, -number, 128 + number):
            faults.append(f"it ended with {ended.code}: {ended.err[-200:]!r}")
        if waiting and (fault := waiting.fault(number, usual.long)):
            faults.append(fault)
        if server.command.left_processes():
            faults.append("a process of its own is still there")
        return faults, job, met

    def _in_its_place(self, served: Served, port: int, job: str | None, usual: _Usual) -> list[str]:
        """Start a server on the port of one that was killed; return what is wrong with it."""
        before, faults = temporary_files(self._folder), []
        with _ended(_Server(served, self._folder, port)) as server:
            if not server.opens():
                return [f"another does not open: {server.command.wait(1).err[-200:]!r}"]
            if job is not None:
                answer = server.http.get(f"{job}/result")
                if answer.status_code != 404 or "detail" not in answer.json():
                    faults.append(f"of a job of the other it says {answer.status_code}")
            answer = server.fill(_SHORT)
            if answer.status_code != 200 or answer.content != usual.short:
                faults.append(f"it answers another fill ({answer.status_code})")
            server.command.end_by(signal.SIGTERM)
            ended = server.command.wait(PATIENCE)
            if ended.code != 0 or ended.fault:
                faults.append(f"stopped, it ended with {ended.code}: {ended.err[-200:]!r}")
            if server.command.left_processes():
                faults.append("a process of the second is still there")
        if temporary_files(self._folder) != before:
            faults.append("the second left temporary files")
        return faults


def _longest(served: Served, usual: _Usual) -> float:
    """Return the seconds within which the signal comes."""
    return {"starting": usual.opening, "idle": 0.5, "searching": usual.searching}[served.doing]


@contextlib.contextmanager
def _ended(server: _Server) -> Iterator[_Server]:
    """End a server in the end, if it has not ended by itself."""
    try:
        yield server
    finally:
        server.http.close()
        if server.command.alive:
            server.command.end_by(signal.SIGTERM)
            server.command.wait(PATIENCE)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
