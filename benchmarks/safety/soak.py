"""A server for half an hour under clients who hang up, cancel, send junk, dawdle and pry.

    python -m benchmarks soak [--minutes 30] [--clients 8] [--serve "--queue 8"]

Every client has an address of its own (127.0.0.2, …) and does one thing after the other: most ask
for a fill, wait for it and look at what comes. Those who behave may be answered 200, 202, 204, and
429 where all places are taken; those who do not, besides, what says that it is their fault (4xx).
Where searches run in processes of their own one of these is killed at a quarter, a half and three
quarters of the time. The exit code is 1 if anything else was answered, if the server's memory was
not flat within `GROWTH` after its warm-up, if descriptors or files were left, or if the server
wrote a traceback.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from benchmarks.safety.clients import LATE, PATIENCE, UNASKED, Answers, Client
from benchmarks.safety.processes import children
from benchmarks.serving.served import serving

GROWTH = 32.0
"""MiB by which the memory may grow from the first quarter after the warm-up to the last."""

WARM_UP = 0.2
"""Share of the time in which models are loaded and allocators find their size."""

MODEL = "faces-dcgan-64"

_NOTHING = {UNASKED: "not waited for", LATE: "no answer in time"}

_PENDING = ("aleph_jobs_waiting ", "aleph_jobs_running ")
"""Beginnings of the lines of /metrics that say how many jobs there are."""


@dataclass
class Watch:
    """What was seen of the server's processes.

    Attributes:
        process: Number of the server's process.
        memory: Seconds since the start, and MiB of all its processes.
        killed: How many of its workers were killed.
    """

    process: int
    memory: list[tuple[float, float]] = field(default_factory=list)
    killed: int = 0

    def look(self, seconds: float) -> None:
        """Note the memory now."""
        processes = [self.process, *children(self.process)]
        self.memory.append((seconds, sum(map(resident, processes))))

    def kill_a_worker(self) -> bool:
        """Kill the first of its own processes; return whether it has any."""
        workers = children(self.process)[:1]
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
            self.killed += 1
        return bool(workers)

    def growth(self, seconds: float) -> tuple[float, float]:
        """Return the mean memory over the first quarter after the warm-up, and over the last."""
        warm = [size for at, size in self.memory if at >= WARM_UP * seconds]
        quarter = max(1, len(warm) // 4)
        return float(np.mean(warm[:quarter])), float(np.mean(warm[-quarter:]))


def resident(process: int) -> float:
    """Return the memory of a process in MiB; none if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return 0.0


def descriptors(process: int) -> int:
    """Return how many files and sockets a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def soak(address: str, process: int, options: argparse.Namespace) -> tuple[Answers, Watch]:
    """Let the clients do what they do until the time is over."""
    answers, watch, seconds = Answers(), Watch(process), 60.0 * options.minutes
    began = time.monotonic()
    clients = [
        Client(address, f"127.0.0.{2 + number}", options.seed + number, answers)
        for number in range(options.clients)
    ]
    threads = [
        threading.Thread(target=client.run, args=(began + seconds,), daemon=True)
        for client in clients
    ]
    for thread in threads:
        thread.start()
    moments = [0.25, 0.5, 0.75]
    while (passed := time.monotonic() - began) < seconds:
        watch.look(passed)
        if moments and passed > moments[0] * seconds and watch.kill_a_worker():
            moments.pop(0)
        time.sleep(min(2.0, seconds / 100))
    end = time.monotonic() + PATIENCE + 30
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            answers.fault("a client has not come to an end")
    return answers, watch


def settled(address: str, seconds: float = 60.0) -> bool:
    """Wait until no job waits or runs: those who hung up are forgotten after half a minute."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = httpx.get(f"{address}metrics", timeout=30).text
        jobs = [line for line in text.splitlines() if line.startswith(_PENDING)]
        if all(float(line.split()[-1]) == 0 for line in jobs):
            return True
        time.sleep(1)
    return False


def _is_of_torch(path: Path) -> bool:
    """Return whether a path is the empty folder that torch makes for its compiler."""
    return path.name.startswith("torchinductor_") and not files_below(path)


def files_below(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (30)")
    parser.add_argument("--clients", type=int, default=8, help="that ask at once (8)")
    parser.add_argument("--seed", type=int, default=0, help="of what they do (0)")
    parser.add_argument("--serve", default="", help="further options of aleph serve")
    return parser.parse_args(words)


def main() -> None:
    """Soak, and say what was seen, as Markdown."""
    options = parse()
    with tempfile.TemporaryDirectory(prefix="soak-") as root:
        temporary, log = Path(root) / "tmp", Path(root) / "log"
        temporary.mkdir()
        words = ("--model", MODEL, *options.serve.split())
        with serving(*words, temporary=temporary, log=log) as (address, process):
            before = descriptors(process)
            answers, watch = soak(address, process, options)
            faults = [] if settled(address) else ["jobs are left that nobody waits for"]
            faults += [f"left by a client: {name}" for name in files_below(temporary)]
            after = descriptors(process)
        left = [path.name for path in temporary.iterdir() if not _is_of_torch(path)]
        faults += [f"left by the server: {name}" for name in left]
        said = log.read_text(errors="replace")
    if "Traceback" in said:
        faults.append(f"a traceback: {said[said.index('Traceback') :][:3000]}")
    if after > before + 16:
        faults.append(f"{after} descriptors are open, and {before} were")
    first, last = watch.growth(60.0 * options.minutes)
    if last - first > GROWTH:
        faults.append(f"the memory grew from {first:.0f} to {last:.0f} MiB")
    _tell(answers, watch, (first, last), (before, after))
    for fault in [*answers.problems, *faults]:
        print(f"fault: {fault}", file=sys.stderr)
    sys.exit(bool(faults or answers.problems))


def _tell(
    answers: Answers, watch: Watch, memory: tuple[float, float], handles: tuple[int, int]
) -> None:
    """Print what was seen."""
    print("| what clients did | times | answers |")
    print("| --- | --- | --- |")
    for name, statuses in sorted(answers.statuses.items()):
        shown = ", ".join(f"{n} × {_NOTHING.get(status, status)}"
                          for status, n in sorted(statuses.items()))  # fmt: skip
        print(f"| {name} | {sum(statuses.values())} | {shown} |")
    percentiles = np.percentile(answers.seconds or [0.0], [50, 95, 99, 100])
    shown = ", ".join(f"{value:.2f}" for value in percentiles)
    print(f"\n{len(answers.seconds)} fills; seconds for one: p50, p95, p99, longest: {shown}")
    largest = max(size for _, size in watch.memory)
    print(f"memory after the warm-up: {memory[0]:.0f} MiB over the first quarter, "
          f"{memory[1]:.0f} over the last, {largest:.0f} at most")  # fmt: skip
    print(f"descriptors: {handles[0]} before, {handles[1]} after")
    print(f"workers killed: {watch.killed}" if watch.killed else "workers killed: none, for "
          "searches run in the server's own process")  # fmt: skip
