"""How well damage is found, beside the best top-hat; what it costs, and what it wrongly marks.

    python -m benchmarks damage PHOTOGRAPHS... --artefacts ZIP [--intact DATA...] [--each 12]
        [--model damage-finder] [--sensitivity 0.6] [--seed 0] [--large 50] [--sheet OUT.png]

Ages and damages held-out photographs with held-out artefacts and with generated damage, as in
training but one kind at a time, and counts what is marked within 2 pixels of damage. Photographs
and artefacts are held out by their names, as `aleph train --model damage` holds them out; pictures
of --intact are all taken (100 at most), once as they are and once aged. A top-hat filter, white and
black, of the diameter and at the threshold that serve it best in this very run, is the baseline.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.arrays import Pixels
from aleph.config import SENSITIVITY
from aleph.damage.find import marked
from aleph.damage.tiles import damage_probability
from aleph.datasets import Source, find_sources, open_source
from aleph.models.model import DamageModel
from aleph.models.zoo import DEFAULT_DAMAGE_MODEL, load_damage_model
from aleph.photo.pixels import read_image
from aleph.training.samples.artefacts import Artefacts, is_held_out
from aleph.training.samples.damaged import DAMAGE, INTACT, UNSURE, Damager
from benchmarks.photos.damage_scores import TOP_HATS, WIDTHS, Case, Scores, sweep, top_hat

SIDE = 256
"""Side in pixels of the damaged pictures."""

_PLAIN = 320
"""Pictures smaller than this are enlarged to it, as in training."""

_THRESHOLDS = range(4, 255, 4)

_CONTENT = 0.33
"""Share of the pictures with drawn things that look like damage: more than in training."""


def read(source: Source) -> Pixels:
    """Read a picture; small ones are enlarged."""
    picture = open_source(source).convert("RGB")
    least = min(picture.size)
    if least < _PLAIN:
        size = [round(side * _PLAIN / least) for side in picture.size]
        picture = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    return read_image(picture)


def held_out(paths: Sequence[str]) -> list[Pixels]:
    """Read those photographs of folders or zips that trainings hold out by their names."""
    return [read(source) for source in find_sources(paths) if is_held_out(source.basename)]


def held_out_artefacts(path: str | None) -> Artefacts | None:
    """Open those artefacts of a zip that trainings hold out by their names; None without a zip."""
    return Artefacts(path, held_out=True) if path else None


def damaged_cases(
    pictures: Sequence[Pixels], artefacts: Artefacts | None, each: int, seed: int
) -> list[Case]:
    """Return pictures with damage of every kind, and four times as many intact as of a kind."""
    damager = Damager(SIDE, artefacts, content=_CONTENT)
    cases = []
    for number, kind in enumerate([*damager.kinds, *["intact"] * 4]):
        for turn in range(each):
            rng = np.random.default_rng([seed, number, turn])
            picture = pictures[int(rng.integers(len(pictures)))]
            made = damager.sample(picture, rng, [] if kind == "intact" else [kind])
            cases.append(Case(made.image, made.label, kind))
    return cases


def intact_cases(pictures: Sequence[Pixels], seed: int) -> dict[str, list[Case]]:
    """Return intact pictures as they are, and aged."""
    damager = Damager(SIDE, content=_CONTENT)
    aged, plain = [], []
    for number, picture in enumerate(pictures):
        made = damager.sample(picture, np.random.default_rng([seed, number]), [])
        aged.append(Case(made.image, made.label, "intact"))
        label = np.full(picture.shape[:2], INTACT, np.uint8)
        plain.append(Case(picture, label, "intact"))
    return {"as they are": plain, "aged": aged}


def best_top_hat(cases: Sequence[Case]) -> tuple[int, int]:
    """Return the diameter and the threshold of the top-hat with the highest F1."""
    best = (0.0, 0, 0)
    for diameter in TOP_HATS:
        levels = [top_hat(case.image, diameter) for case in cases]
        for threshold, counts in sweep(cases, levels, _THRESHOLDS).items():
            best = max(best, (counts.f1, diameter, threshold))
    return best[1], best[2]


def scores_of(cases: Sequence[Case], holes: Sequence[NDArray[np.bool_]]) -> Scores:
    """Count what a method has marked."""
    scores = Scores()
    for case, hole in zip(cases, holes, strict=True):
        scores.add(case, hole)
    return scores


def tables(finder: Scores, other: Scores) -> str:
    """Return the tables by kind and width, Markdown."""
    head = "| | precision | recall | F1 |\n| --- | --- | --- | --- |"
    lines = ["By kind of damage:", "", head, finder.all.row("**all**")]
    lines += [other.all.row("all, best top-hat")]
    lines += [counts.row(kind) for kind, counts in sorted(finder.kinds.items())]
    lines += ["", "By width in pixels:", "", head]
    for (least, most), counts in zip(WIDTHS, finder.widths, strict=True):
        lines.append(counts.row(f"{least} to {most}" if most < 999 else f"{least} and more"))
    return "\n".join(lines)


def at_same_recall(
    cases: Sequence[Case], levels: Sequence[NDArray[np.uint8]], other: Scores
) -> str:
    """Return how many pixels each marks wrongly at the top-hat's hit rate."""
    counts = sweep(cases, levels, range(2, 255, 2))
    enough = [c for c in counts.values() if c.recall >= other.all.recall]
    fewest = min(enough, key=lambda c: c.false)
    share = fewest.false / max(1, other.all.false)
    return (
        f"At the top-hat's hit rate ({other.all.recall:.2f}) the finder marks {fewest.false:,} "
        f"pixels wrongly, the top-hat {other.all.false:,}: {share:.3f} of them."
    )


def speed(model: DamageModel, megapixels: float, seed: int) -> str:
    """Return what a photo of a size costs."""
    side = int((megapixels * 1e6) ** 0.5)
    photo = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    damage_probability(photo[:256, :256], model)
    began = time.perf_counter()
    damage_probability(photo, model)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return f"| {megapixels:g} | {seconds:.1f} | {seconds / megapixels:.2f} | {peak:.2f} |"


def sheet(cases: Sequence[Case], holes: Sequence[NDArray[np.bool_]], path: Path) -> None:
    """Write a case of each kind: picture, truth (red; unsure blue), what was marked."""
    shown: dict[str, Pixels] = {}
    for case, hole in zip(cases, holes, strict=True):
        truth, found = case.image.copy(), case.image.copy()
        truth[case.label == DAMAGE], truth[case.label == UNSURE] = (255, 0, 0), (0, 150, 255)
        found[hole] = (255, 0, 0)
        shown.setdefault(case.kind, np.hstack([case.image, truth, found]))
    rows = list(shown.values())
    rows += [np.zeros_like(rows[0])] * (len(rows) % 2)
    half = len(rows) // 2
    Image.fromarray(np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])).save(path)


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", nargs="*", help="folders or zips, split by name")
    parser.add_argument("--artefacts", help="zip of artefacts, split by name")
    parser.add_argument("--intact", nargs="*", default=[], help="more pictures without damage")
    parser.add_argument("--each", type=int, default=12, help="pictures of every kind of damage")
    parser.add_argument("--model", default=DEFAULT_DAMAGE_MODEL)
    parser.add_argument("--sensitivity", type=float, default=SENSITIVITY)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", type=float, default=50, help="megapixels of the large photo")
    parser.add_argument("--sheet", type=Path, help="picture of examples to write")
    options = parser.parse_args()
    model = load_damage_model(options.model)
    print(
        "| megapixels | seconds | seconds a megapixel | peak memory, GiB |\n" + "| --- " * 4 + "|"
    )
    for megapixels in filter(None, (1.0, options.large)):
        print(speed(model, megapixels, options.seed), flush=True)
    pictures = held_out(options.photographs)
    found(model, pictures, options)
    intact = [read(source) for source in find_sources(options.intact)][:100]
    for name, some in (("held-out photographs", pictures), ("other pictures", intact)):
        report_intact(model, some[:100], name, options)


def found(model: DamageModel, pictures: Sequence[Pixels], options: argparse.Namespace) -> None:
    """Measure what is found of damage."""
    if not pictures:
        return
    artefacts = held_out_artefacts(options.artefacts)
    cases = damaged_cases(pictures, artefacts, options.each, options.seed)
    levels = [damage_probability(case.image, model) for case in cases]
    holes = [marked(level, options.sensitivity) for level in levels]
    diameter, threshold = best_top_hat(cases)
    hats = [top_hat(case.image, diameter) >= threshold for case in cases]
    finder, other = scores_of(cases, holes), scores_of(cases, hats)
    print(f"\n{len(cases)} pictures of {len(pictures)} photographs, {SIDE}×{SIDE} pixels\n")
    print(tables(finder, other))
    print(f"\nBest top-hat: {diameter} pixels, from {threshold} levels up.")
    print(at_same_recall(cases, levels, other), flush=True)
    if options.sheet:
        sheet(cases, holes, options.sheet)


def report_intact(
    model: DamageModel, pictures: Sequence[Pixels], name: str, options: argparse.Namespace
) -> None:
    """Measure what is marked where nothing is damaged."""
    if not pictures:
        return
    for how, cases in intact_cases(pictures, options.seed).items():
        holes = [
            marked(damage_probability(case.image, model), options.sensitivity) for case in cases
        ]
        shares = [float(hole.mean()) for hole in holes]
        print(
            f"\nIntact {name}, {how} ({len(cases)}): {np.mean(shares):.2%} of the pixels marked in "
            f"the mean, {max(shares):.2%} in the worst.",
            flush=True,
        )


if __name__ == "__main__":
    main()
