"""A server under load: answers to many clients at once, then its memory over many jobs.

    python -m benchmarks load [--clients 8] [--seconds 60] [--jobs 100]

`aleph serve` runs on the loopback with room for `QUEUE` searches; every job is a fill with
`faces-64` and the preset `fast`. The exit code is 1 if anything but 200 and 429 with Retry-After
was answered, or if the memory grew by more than `GROWTH` from the first tenth of the jobs to the
last.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from aleph.masks.named import named_hole
from aleph.photo.pixels import encode_image
from aleph.pictures import face
from benchmarks.options import options_parser
from benchmarks.serving.served import serving

GROWTH = 32.0
"""MiB by which the process may be larger over the last tenth of the jobs than over the first: what
the allocator does not give back. On a machine that is busy with other work more than this was
seen."""

MODEL = "faces-64"
QUEUE = 4


@dataclass
class Outcomes:
    """What the clients were answered.

    Attributes:
        statuses: How often each status came.
        seconds: Time of every fill, in seconds.
        problems: What must not happen, one sentence each.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def ask(client: httpx.Client, outcomes: Outcomes, files: dict[str, bytes]) -> None:
    """Ask for a fill; where all places are taken, wait as long as the server says."""
    began = time.perf_counter()
    answer = client.post("inpaint", files=files, data={"preset": "fast"})
    outcomes.statuses[answer.status_code] += 1
    if answer.status_code == 200:
        outcomes.seconds.append(time.perf_counter() - began)
    elif answer.status_code == 429 and "retry-after" in answer.headers:
        time.sleep(int(answer.headers["retry-after"]))
    else:
        outcomes.problems.append(f"{answer.status_code}: {answer.text[:200]}")


def ask_at_once(address: str, clients: int, seconds: float, files: dict[str, bytes]) -> Outcomes:
    """Let clients ask at once, one fill after the other each."""
    outcomes = Outcomes()
    end = time.monotonic() + seconds

    def run() -> None:
        with httpx.Client(base_url=f"{address}api/v1/", timeout=120) as client:
            while time.monotonic() < end:
                try:
                    ask(client, outcomes, files)
                except httpx.HTTPError as error:
                    outcomes.problems.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def watch_memory(address: str, process: int, jobs: int, files: dict[str, bytes]) -> list[float]:
    """Return the resident memory after every one of so many jobs, in MiB."""
    outcomes, sizes = Outcomes(), []
    with httpx.Client(base_url=f"{address}api/v1/", timeout=120) as client:
        for _ in range(jobs):
            ask(client, outcomes, files)
            sizes.append(resident(process))
    if outcomes.problems:
        raise SystemExit(f"a job failed: {outcomes.problems[0]}")
    return sizes


def resident(process: int) -> float:
    """Return the resident memory of a process in MiB (Linux)."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def upload() -> dict[str, bytes]:
    """Return a damaged picture as the API takes it: 128×128 with a hole of a quarter."""
    hole = named_hole("center", (128, 128))
    mask = hole[:, :, None].repeat(3, 2).astype(np.uint8) * np.uint8(255)
    return {"image": encode_image(face(), ".png"), "mask": encode_image(mask, ".png")}


def tell_load(outcomes: Outcomes, seconds: float) -> None:
    """Print what the clients were answered."""
    counts = sorted(outcomes.statuses.items())
    middle, slow, slowest = np.percentile(outcomes.seconds, [50, 95, 100])
    print("answers:", ", ".join(f"{count} × {status}" for status, count in counts))
    print(f"fills per second: {len(outcomes.seconds) / seconds:.1f}")
    print(f"seconds for a fill: median {middle:.2f}, 95 % {slow:.2f}, longest {slowest:.2f}")


def main() -> None:
    """Measure, and fail where a bound is broken."""
    parser = options_parser(__doc__, data=False)
    parser.add_argument("--clients", type=int, default=8, help="that ask at once (8)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for which they ask (60)")
    parser.add_argument("--jobs", type=int, default=100, help="over which memory is watched (100)")
    options = parser.parse_args()
    files = upload()
    with serving("--queue", str(QUEUE), "--model", MODEL) as (address, process):
        watch_memory(address, process, 1, files)
        print(f"memory with the model loaded: {resident(process):.0f} MiB")
        outcomes = ask_at_once(address, options.clients, options.seconds, files)
        tell_load(outcomes, options.seconds)
        print(f"memory after that: {resident(process):.0f} MiB")
        sizes = watch_memory(address, process, options.jobs, files)
    tenth = max(1, len(sizes) // 10)
    first, last = float(np.mean(sizes[:tenth])), float(np.mean(sizes[-tenth:]))
    print(f"memory over {len(sizes)} jobs: {first:.0f} MiB over the first tenth,", end=" ")
    print(f"{last:.0f} over the last, {max(sizes):.0f} at most; it may grow by {GROWTH:.0f}")
    for problem in outcomes.problems:
        print(problem, file=sys.stderr)
    sys.exit(bool(outcomes.problems) or last - first > GROWTH)
