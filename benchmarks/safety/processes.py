"""Commands of aleph as processes of their own, which can be killed at any moment.

They are forked from a process that has loaded the libraries already: a command begins its work at
once, and a random moment falls into the work, not into the loading.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

PRELOADED = ["torch", "cv2", "aleph.cli.app", "aleph.folders", "aleph.evaluation"]
PRELOADED += ["aleph.training.loop", "aleph.web.server", "benchmarks.safety.processes"]
"""What the process that forks has loaded."""

_OF_A_PHOTO = re.compile(r"aleph: (warning: |[^ ]+\.png: )")
"""Beginnings of lines that warn, or say why one of many photos failed."""

LONGEST = 300.0
"""Seconds after which a command is said to hang."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Exit code; a signal's number below 0.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
        seconds: From the beginning of its work.
    """

    code: int
    out: str
    err: str
    seconds: float

    @property
    def fault(self) -> str | None:
        """What no command may do, however it is ended; None if it did none of it."""
        if "Traceback" in self.err or "Exception ignored" in self.err:
            return f"a traceback: {self.err.strip().splitlines()[-1][:200]}"
        lines = [line for line in self.err.splitlines() if line.startswith("aleph: ")]
        said = [line for line in lines if not _OF_A_PHOTO.match(line)]
        if self.code in (2, 130, 143) and len(said) != 1:
            return f"exit code {self.code} without one sentence: {self.err[-200:]!r}"
        return None


class Command:
    """`aleph` with some arguments, begun in a folder.

    Args:
        words: The arguments.
        folder: Where it runs; its temporary files go into `tmp` in it.
        name: Of its logs, which are kept beside the folder.
    """

    def __init__(self, words: Sequence[str], folder: Path, name: str = "log") -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._logs = [folder.with_name(f"{name}.{end}") for end in ("out", "err")]
        (folder / "tmp").mkdir(exist_ok=True)
        ready, theirs = context.Pipe(duplex=False)
        given = (list(words), str(folder), [str(log) for log in self._logs], theirs)
        self._process = context.Process(target=_command, args=given)
        self._process.start()
        theirs.close()
        if not ready.poll(LONGEST):
            raise RuntimeError("the process that runs the commands does not start")
        with contextlib.suppress(EOFError):
            ready.recv()
        self._began = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    @property
    def pid(self) -> int:
        """Number of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def said(self) -> str:
        """Return what it has written to standard output so far."""
        return self._logs[0].read_text(errors="replace")

    def works_for(self, seconds: float) -> bool:
        """Wait until some seconds from its beginning; return whether it is still there."""
        self._process.join(max(0.0, self._began + seconds - time.monotonic()))
        return self._process.is_alive()

    def end_by(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = LONGEST) -> Ended:
        """Wait until it has ended; one that hangs is killed, which its code shows."""
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        took = time.monotonic() - self._began
        out, err = (log.read_text(errors="replace") for log in self._logs)
        return Ended(self._process.exitcode or 0, out, err, took)

    def left_processes(self, seconds: float = 15.0) -> bool:
        """Return whether a process that it started is still there after some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                os.killpg(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                return False
            time.sleep(0.05)
        os.killpg(self.pid, signal.SIGKILL)
        return True


def children(process: int) -> list[int]:
    """Return the processes that a process has started, but for Python's tracker (Linux)."""
    found: list[int] = []
    for listed in Path("/proc").glob(f"{process}/task/*/children"):
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            found += [int(word) for word in listed.read_text().split()]
    return [child for child in found if "resource_tracker" not in _command_line(child)]


def _command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return "resource_tracker"  # it has ended


def kill_a_child(process: int, rng: np.random.Generator) -> bool:
    """Kill one of the processes that a process has started; return whether there was any."""
    found = children(process)
    if not found:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(rng.choice(found)), signal.SIGKILL)
    return True


def run(words: Sequence[str], folder: Path) -> Ended:
    """Run a command to its end."""
    return Command(words, folder).wait()


def _command(words: list[str], folder: str, logs: list[str], ready: Connection) -> None:
    """Be `aleph` with these arguments: what a forked process does."""
    os.setsid()  # so that its own processes can be told
    os.chdir(folder)
    for handle, log in zip((1, 2), logs, strict=True):
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(file, handle)
        os.close(file)
    os.environ["TMPDIR"] = tempfile.tempdir = f"{folder}/tmp"
    # Ignored where the benchmark runs in the background of a shell, and handed down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["aleph", *words]
    from aleph.cli.app import main

    ready.send(None)
    ready.close()
    try:
        main()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what follows is no part of the command
