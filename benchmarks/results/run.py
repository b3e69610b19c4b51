"""Everything behind docs/results.md, and the document itself, by one command.

    python -m benchmarks results DATA... --out DIR [--images 500] [--stages dcgan] [--minutes 60]

runs the stages of `results_stages.STAGES` one after the other, most important first, each an
evaluation in a folder of its own below DIR; killed, or stopped by `--minutes`, and called again it
goes on. Then it writes the document, with every number and verdict computed from the rows in DIR,
and its figures beside it. `--minutes 0` only writes the document of what is there. A stage that
has finished no image is left out of the document, which says on how many images each one rests.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aleph.errors import AlephError, InputError, unknown_name
from aleph.files import replacing
from aleph.progress import Reporter
from benchmarks.results.document import document
from benchmarks.results.figures import draw
from benchmarks.results.stages import STAGES, Outcome, Stage, run_stage

IMAGES = "images/results"
"""Where the figures lie, beside the document."""


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", help="folders or zips of images, none trained on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the evaluations")
    parser.add_argument("--images", type=int, default=500, help="of each stage, at most (500)")
    parser.add_argument("--stages", default="", help=f"to run: {', '.join(s.name for s in STAGES)}")
    parser.add_argument("--minutes", type=float, help="begin no further search after these")
    parser.add_argument("--doc", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--precision", default="bf16", choices=("bf16", "fp32"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="auto")
    return parser.parse_args(words)


def command(options: argparse.Namespace) -> str:
    """Return the command that makes the document, without this machine's folders."""
    words = [*(Path(path).name for path in options.data), "--out", options.out.name]
    if options.images != 500:
        words += ["--images", str(options.images)]
    if options.precision != "bf16":
        words += ["--precision", options.precision]
    return " ".join(["python -m benchmarks results", *words])


def run(options: argparse.Namespace, stages: Sequence[Stage] = STAGES) -> list[Outcome]:
    """Run the stages that are asked for, and return what all of them have found so far.

    Raises:
        InputError: if a stage is unknown.
        AlephError: as `aleph.evaluation.evaluate`.
    """
    names = [stage.name for stage in stages]
    chosen = options.stages.split(",") if options.stages else names
    for name in chosen:
        if name not in names:
            raise InputError(unknown_name("stage", name, names))
    end = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    outcomes = []
    for stage in stages:
        left = None if end is None else max(0.0, end - time.monotonic())
        outcome = run_stage(
            stage,
            stage.plan(options.data, options.images, options.precision),
            options.out,
            seconds=left if stage.name in chosen else 0,
            workers=options.workers,
            device=options.device,
            reporter=Reporter(),
        )
        outcomes += [outcome] if outcome else []
    return outcomes


def write(outcomes: Sequence[Outcome], path: Path, made_by: str, wanted: Sequence[Stage]) -> None:
    """Write the document and its figures."""
    figures = draw(outcomes, path.parent / IMAGES)
    links = [(f"{IMAGES}/{file.name}", caption) for file, caption in figures.items()]
    with replacing(path) as temporary:
        temporary.write_text(document(outcomes, links, made_by, wanted), encoding="utf-8")


def main() -> None:
    """Parse, run, write."""
    options = parse()
    try:
        outcomes = run(options)
        if not outcomes:
            raise InputError(f"no image of '{options.out}' is finished yet: give more --minutes")
        options.doc.parent.mkdir(parents=True, exist_ok=True)
        write(outcomes, options.doc, command(options), STAGES)
    except AlephError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"written: {options.doc}")
