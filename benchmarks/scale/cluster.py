"""Several workers: throughput, killed nodes, the driver's memory, a server with workers.

    python -m benchmarks cluster [--photos 200] [--kills 10] [--listed 100000] [--seconds 60]
        [--only throughput,kills,memory,serving,groups,training] [--doc docs/scale.md]

Nodes are simulated on this machine by `ray.cluster_utils.Cluster`, one core each. The exit code is
1 if a result differs, a job is lost, or anything but 200 and 429 is answered. `--doc` writes the
table between the comments `measured` of that document.
"""

from __future__ import annotations

import argparse
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
from benchmarks.scale.training import kill_a_rank

PARTS = "throughput,kills,memory,serving,groups,training"


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


def tell_kills(report: Report, photos: int, kills: int, how: tuple[str, str], seed: int) -> None:
    """Kill nodes and compare the files."""
    exact = kill_nodes(photos, kills, *how, seed)
    what = f"runs over {photos} photos with a node killed, the same files as by one worker"
    report.add(what, f"{exact} of {kills}")
    report.wrong += ["a run with a killed node left other files"] * (exact < kills)


def tell_memory(report: Report, listed: int) -> None:
    """Watch the driver."""
    sizes = watch_driver(listed)
    what = f"the driver's memory over {listed:,} photos: after 10 %, 50 %, 100 %"
    report.add(
        what, ", ".join(f"{sizes[len(sizes) * i // 100 - 1]:.0f} MiB" for i in (10, 50, 100))
    )


def tell_training(report: Report) -> None:
    """Kill a rank, go on, and compare the weights."""
    with tempfile.TemporaryDirectory() as folder:
        same = kill_a_rank(Path(folder))
    what = "training on two nodes, a rank killed, gone on with: the same weights as without"
    report.add(what, "yes" if same else "no")
    report.wrong += ["a run that was gone on with has other weights"] * (not same)


def main() -> None:
    """Measure, and fail where something was lost."""
    options = _options()
    report, parts, how = Report(), words(options.only), (options.model, options.preset)
    if "throughput" in parts:
        tell_throughput(report, options.photos, options.rounds, *how)
    if "kills" in parts:
        tell_kills(report, options.killed_photos, options.kills, how, options.seed)
    if "memory" in parts:
        tell_memory(report, options.listed)
    if "serving" in parts:
        tell_serving(report, options.clients, options.seconds)
    if "groups" in parts:
        with tempfile.TemporaryDirectory() as folder:
            tell_groups(report, options.grouped, *how, Path(folder))
    if "training" in parts:
        tell_training(report)
    if options.doc:
        replace_section(options.doc, "measured", report.table())
    for sentence in report.wrong:
        print(sentence, file=sys.stderr)
    sys.exit(bool(report.wrong))


def _options() -> argparse.Namespace:
    parser = options_parser(__doc__, data=False, model="faces-128", preset="balanced", seed=0)
    numbers = {
        "photos": (200, "photos to fill"),
        "rounds": (4, "parts that these are filled in"),
        "kills": (10, "nodes to kill"),
        "killed-photos": (24, "photos of such a run"),
        "listed": (100_000, "photos to list"),
        "clients": (16, "that ask at once"),
        "seconds": (60, "for which they ask"),
        "grouped": (16, "photos of a group"),
    }
    for name, (usual, text) in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=usual, help=f"{text} ({usual})")
    parser.add_argument("--only", default=PARTS, help=f"comma-separated parts ({PARTS})")
    parser.add_argument("--doc", type=Path, help="document to write the table to")
    return parser.parse_args()
