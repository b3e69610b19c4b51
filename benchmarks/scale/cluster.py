"""Several workers: throughput, killed nodes, the driver's memory, a server with workers.

    python -m benchmarks cluster [--photos 200] [--kills 10] [--listed 100000] [--seconds 60]
        [--only throughput,kills,memory,serving,groups] [--doc docs/scale.md]

Nodes are simulated on this machine by `ray.cluster_utils.Cluster`, one core each. The exit code is
1 if a result differs, a job is lost, or anything but 200 and 429 is answered. `--doc` writes the
table between the comments `measured` of that document.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.photo.pixels import read_image
from benchmarks.document import replace_section
from benchmarks.options import options_parser, words
from benchmarks.scale.folder import kill_nodes, measure_throughput, watch_driver
from benchmarks.scale.nodes import write_photos
from benchmarks.scale.service import serve

PARTS = "throughput,kills,memory,serving,groups"


class Report:
    """Lines of a table, and what was wrong."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []
        self.wrong: list[str] = []

    def add(self, what: str, found: str) -> None:
        """Add a line, and print it."""
        self.rows.append((what, found))
        print(f"{what}: {found}", flush=True)

    def table(self) -> str:
        """Return the lines as Markdown."""
        lines = ["| measured | |", "| --- | --- |"]
        return "\n".join([*lines, *(f"| {what} | {found} |" for what, found in self.rows)]) + "\n"


def tell_throughput(report: Report, photos: int, rounds: int, model: str, preset: str) -> None:
    """Compare one worker, two, and two nodes."""
    rates = measure_throughput(photos, rounds, model, preset)
    pairs = list(zip(rates["one"], rates["two"], rates["nodes"], strict=True))
    two = [b / a for a, b, _ in pairs]
    ray = [c / b for _, b, c in pairs]
    one = statistics.median(rates["one"])
    report.add(f"{photos} photos, `{model}`, `{preset}`: one worker, one thread", f"{one:.3f}/s")
    report.add("two workers, times one", f"{statistics.median(two):.2f} {_range(two)}")
    report.add("two Ray nodes, times two workers", f"{statistics.median(ray):.2f} {_range(ray)}")


def _range(found: list[float]) -> str:
    return f"({min(found):.2f} to {max(found):.2f}, {len(found)} rounds)"


def tell_serving(report: Report, clients: int, seconds: float) -> None:
    """Compare a server with one worker and with two, one of which is killed."""
    one = serve(1, clients, seconds, kill=False)
    two = serve(2, clients, seconds, kill=False)
    struck = serve(2, clients, seconds, kill=True)
    for served, what in ((one, "1"), (two, "2"), (struck, "2, one killed")):
        counts = sorted(served.outcomes.statuses.items())
        answers = ", ".join(f"{count} × {status}" for status, count in counts)
        report.add(
            f"`serve --workers {what}`, {clients} clients for {seconds:.0f} s",
            f"{answers}; {served.rate:.2f} fills/s",
        )
        report.wrong += served.outcomes.problems
    report.add("two workers, times one", f"{two.rate / one.rate:.2f}")
    if struck.killed != 1:
        report.wrong.append("no worker was killed")


def tell_groups(report: Report, count: int, model: str, preset: str, folder: Path) -> None:
    """Compare photos that are searched together with photos that are filled alone."""
    write_photos(folder, count)
    inpainter = Inpainter.from_pretrained(model)
    photos = [read_image(path) for path in sorted((folder / "photos").iterdir())]
    holes = [named_hole("center", photo.shape[:2]) for photo in photos]
    inpainter(photos[0], holes[0], preset=preset)
    began = time.process_time()
    together = [one.image for one in inpainter.batch(photos, holes, preset=preset)]
    batch, began = time.process_time() - began, time.process_time()
    alone = [
        inpainter(photo, hole, preset=preset, record=False).image
        for photo, hole in zip(photos, holes, strict=True)
    ]
    single = time.process_time() - began
    other = [np.abs(a.astype(int) - b).max() for a, b in zip(together, alone, strict=True)]
    report.add(
        f"{count} photos filled alone, times as one group (processor seconds)",
        f"{single / batch:.2f}",
    )
    report.add(
        "of these the group fills otherwise",
        f"{sum(one > 0 for one in other)}, by {max(other)} grey levels at most",
    )


def main() -> None:
    """Measure, and fail where something was lost."""
    parser = options_parser(__doc__, data=False, model="faces-128", preset="balanced", seed=0)
    parser.add_argument("--photos", type=int, default=200, help="photos to fill (200)")
    parser.add_argument("--rounds", type=int, default=4, help="parts that these are filled in (4)")
    parser.add_argument("--kills", type=int, default=10, help="nodes to kill (10)")
    parser.add_argument("--killed-photos", type=int, default=24, help="photos of such a run (24)")
    parser.add_argument("--listed", type=int, default=100_000, help="photos to list (100000)")
    parser.add_argument("--clients", type=int, default=16, help="that ask at once (16)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for which they ask (60)")
    parser.add_argument("--grouped", type=int, default=16, help="photos of a group (16)")
    parser.add_argument("--only", default=PARTS, help=f"comma-separated parts ({PARTS})")
    parser.add_argument("--doc", type=Path, help="document to write the table to")
    options = parser.parse_args()
    report, parts = Report(), words(options.only)
    how = options.model, options.preset
    if "throughput" in parts:
        tell_throughput(report, options.photos, options.rounds, *how)
    if "kills" in parts:
        exact = kill_nodes(options.killed_photos, options.kills, *how, options.seed)
        report.add("runs with a node killed, the same files as by one worker",
                   f"{exact} of {options.kills}")  # fmt: skip
        report.wrong += ["a run with a killed node left other files"] * (exact < options.kills)
    if "memory" in parts:
        sizes = watch_driver(options.listed)
        report.add(f"the driver's memory over {options.listed:,} photos: after 10 %, 50 %, 100 %",
                   ", ".join(f"{sizes[i]:.0f} MiB" for i in (9, 49, 99)))  # fmt: skip
    if "serving" in parts:
        tell_serving(report, options.clients, options.seconds)
    if "groups" in parts:
        with tempfile.TemporaryDirectory() as folder:
            tell_groups(report, options.grouped, *how, Path(folder))
    if options.doc:
        replace_section(options.doc, "measured", report.table())
    for sentence in report.wrong:
        print(sentence, file=sys.stderr)
    sys.exit(bool(report.wrong))
