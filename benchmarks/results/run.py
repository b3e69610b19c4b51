"""Everything behind docs/results.md, and the document itself, by one command.

    python -m benchmarks results DATA... --out DIR [--images 500] [--stages dcgan] [--minutes 60]

runs the evaluations of `benchmarks/results/stages.py` one after the other, most important first,
each in a folder of its own below DIR; killed, or stopped by `--minutes`, and called again it goes
on. Then it writes the document and its figures from what is in DIR; `--minutes 0` does only that.
The document says on how many images each evaluation rests; one that has finished no image is named
as missing.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections.abc import Sequence
from pathlib import Path

from aleph.errors import InputError, UnfinishedError, unknown_name
from aleph.evaluation import Summary, evaluate
from aleph.evaluation.store import PLAN
from aleph.progress import Reporter
from benchmarks.document import command_text, write_document
from benchmarks.options import PROCESSORS, options_parser, words
from benchmarks.results.document import document
from benchmarks.results.figures import draw
from benchmarks.results.stages import STAGES, Stage

IMAGES = "images/results"
"""Folder of the figures, beside the document."""

Found = list[tuple[Stage, Summary]]
"""The stages that have finished an image, and what they say."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = options_parser(
        __doc__,
        out=None,
        images=500,
        doc=Path("docs/results.md"),
        precision="bf16",
        workers=PROCESSORS,
        device="auto",
    )
    names = ",".join(stage.name for stage in STAGES)
    parser.add_argument("--stages", default="", help=f"comma-separated stages to run ({names})")
    parser.add_argument("--minutes", type=float, help="begin no further search after these")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, stages: Sequence[Stage] = STAGES) -> Found:
    """Run the stages that are asked for, and return what all of them have found so far.

    Raises:
        InputError: if a stage is unknown.
        AlephError: as `aleph.evaluation.evaluate`.
    """
    names = [stage.name for stage in stages]
    chosen = words(options.stages) or names
    for name in chosen:
        if name not in names:
            raise InputError(unknown_name("stage", name, names))
    end = math.inf if options.minutes is None else time.monotonic() + 60 * options.minutes
    found: Found = []
    for stage in stages:
        left = max(0.0, end - time.monotonic()) if stage.name in chosen else 0.0
        folder = options.out / stage.name
        if left == 0 and not (folder / PLAN).exists():
            continue
        reporter = Reporter()
        reporter.say(f"stage {stage.name}")
        with contextlib.suppress(UnfinishedError):
            summary = evaluate(
                stage.plan(options.data, options.images, options.precision),
                folder,
                device=options.device,
                workers=options.workers,
                reporter=reporter,
                figures=stage.drawn,
                seconds=left,
            )
            found.append((stage, summary))
    return found


def write(found: Found, options: argparse.Namespace, stages: Sequence[Stage] = STAGES) -> None:
    """Write the document and its figures."""
    figures = draw(found, options.doc.parent / IMAGES)
    links = [(f"{IMAGES}/{file.name}", caption) for file, caption in figures.items()]
    there = [stage.name for stage, _ in found]
    missing = [stage.name for stage in stages if stage.name not in there]
    command = command_text("results", options.data, f"--out {options.out.name}")
    write_document(options.doc, document(found, missing, links, command))


def main() -> None:
    """Parse, run, write."""
    options = parse()
    found = run(options)
    if not found:
        raise InputError(f"no image of '{options.out}' is finished yet: give more --minutes")
    write(found, options)
    print(f"written: {options.doc}")
