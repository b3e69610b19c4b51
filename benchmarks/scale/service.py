"""`aleph serve` with workers under many clients, one of the workers killed."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.load import MODEL, QUEUE, Outcomes, ask_at_once, upload, watch_memory
from benchmarks.serving.served import serving


@dataclass(frozen=True)
class Served:
    """What clients were answered by a server.

    Attributes:
        outcomes: Their answers.
        rate: Fills per second.
        killed: Workers that were killed.
    """

    outcomes: Outcomes
    rate: float
    killed: int


def serve(workers: int, clients: int, seconds: float, kill: bool) -> Served:
    """Let clients ask a server with so many workers; kill one of these in the middle."""
    files, killed = upload(), 0
    options = ("--queue", str(max(QUEUE, clients // 2)), "--model", MODEL)
    with serving(*options, "--workers", str(workers)) as (address, process):
        watch_memory(address, process, 2 * workers, files)

        def strike() -> None:
            nonlocal killed
            os.kill(worker_processes(process)[0], signal.SIGKILL)
            killed += 1

        timer = threading.Timer(seconds / 2, strike)
        if kill:
            timer.start()
        outcomes = ask_at_once(address, clients, seconds, files)
        timer.cancel()
    return Served(outcomes, len(outcomes.seconds) / seconds, killed)


def worker_processes(parent: int) -> list[int]:
    """Return the numbers of a server's workers (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            above = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if above == parent and b"spawn_main" in words:
            found.append(int(path.name))
    return sorted(found)
