"""At which sensitivity a photo comes back with the least error, beside what is found and marked.

    python -m benchmarks sensitivity PHOTOGRAPHS... [--artefacts ZIP] [--others DATA...]
        [--images 240] [--side 256] [--enlarged 1] [--seed 5] [--model damage-finder]

Damages held-out photographs as training does, several kinds at a time and a quarter of them not at
all, marks and widens what is found as `--mask auto` does, fills it (OpenCV's Telea), and counts the
pixels that are visibly off the photograph before it was damaged. What is overlooked stays off, and
what is marked wrongly is filled wrongly: both errors weigh what they cost. Every other picture is
one of --others where they are given; photographs and artefacts are held out by their names. With
--enlarged N what is looked at is N times as large, as soft as that makes it, and a little noisy:
damage grows with it. With a larger --side it does not: cracks are as thin as in a small picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole, Pixels, rounded
from aleph.damage.auto import with_rim
from aleph.damage.find import marked
from aleph.damage.tiles import damage_probability
from aleph.evaluation.classical import classical_fill
from aleph.models.model import DamageModel
from aleph.models.zoo import DEFAULT_DAMAGE_MODEL, load_damage_model
from aleph.training.samples.damaged import DAMAGE, Damaged, Damager, levels_apart
from benchmarks.options import spread_sources
from benchmarks.photos.damage_found import SIDE, held_out, held_out_artefacts, read
from benchmarks.photos.damage_scores import Counts

SENSITIVITIES = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)

VISIBLE = 25
"""Levels in the strongest channel by which a pixel must differ to be seen as off."""

NOISE = 3.0
"""Standard deviation in levels of the noise of an enlarged picture."""

_INTACT = 0.25
"""Share of the pictures that are not damaged."""

_CONTENT = 0.12
"""Share of the pictures with drawn things that look like damage: fewer than in training."""

_OTHERS = 60
"""Most pictures of --others that are taken, evenly spread."""


@dataclass(frozen=True)
class Case:
    """A sample, the same picture before it was damaged, and how likely each pixel is damaged."""

    sample: Damaged
    before: Pixels
    probability: NDArray[np.uint8]


def cases(options: argparse.Namespace, model: DamageModel) -> list[Case]:
    """Damage the pictures, and look at them."""
    pictures = held_out(options.photographs)
    others = spread_sources(options.others, _OTHERS) if options.others else []
    turns = [pictures, [read(source) for source in others] or pictures]
    artefacts = held_out_artefacts(options.artefacts)
    damager = Damager(options.side, artefacts, intact=_INTACT, content=_CONTENT)
    made = []
    for number in range(options.images):
        rng = np.random.default_rng([options.seed, number])
        some = turns[number % 2]
        sample, before = damager.pair(some[number // 2 % len(some)], rng)
        probability = damage_probability(enlarged(sample.image, options.enlarged, rng), model)
        made.append(Case(sample, before, reduced(probability, options.enlarged)))
    return made


def enlarged(image: Pixels, times: int, rng: np.random.Generator) -> Pixels:
    """Return what a scanner makes of a picture at more pixels than there is detail for."""
    if times == 1:
        return image
    large = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    return rounded(large + rng.normal(0, NOISE, (*large.shape[:2], 1)))


def reduced(probability: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Return the mean of each N×N pixels."""
    size = (probability.shape[1] // times, probability.shape[0] // times)
    return np.asarray(cv2.resize(probability, size, interpolation=cv2.INTER_AREA), np.uint8)


def share_off(picture: Pixels, before: Pixels) -> float:
    """Return the share of pixels that are visibly off."""
    return float((levels_apart(picture, before) > VISIBLE).mean())


def row(name: str, made: Sequence[Case], holes: Sequence[Hole]) -> str:
    """Return what one way to mark gave, as a row of the table."""
    counts, off, wrongly = Counts(), [], []
    for case, hole in zip(made, holes, strict=True):
        counts.add(hole, case.sample.label)
        fill = classical_fill("telea", case.sample.image, with_rim(hole))
        off.append(share_off(fill, case.before))
        if not case.sample.kinds:
            wrongly.append(float(hole.mean()))
    scores = f"{counts.precision:.3f} | {counts.recall:.3f} | {counts.f1:.3f}"
    return f"| {name} | {np.mean(off):.2%} | {scores} | {np.mean(wrongly):.2%} |"


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", nargs="+", help="folders or zips, split by name")
    parser.add_argument("--artefacts", help="zip of artefacts, split by name")
    parser.add_argument("--others", nargs="*", default=[], help="more pictures without damage")
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--side", type=int, default=SIDE, help="pixels, of the damaged pictures")
    parser.add_argument("--enlarged", type=int, default=1, help="times")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--model", default=DEFAULT_DAMAGE_MODEL)
    options = parser.parse_args()
    made = cases(options, load_damage_model(options.model))
    before = np.mean([share_off(case.sample.image, case.before) for case in made])
    print(f"Visibly off before the fill: {before:.2%} of the pixels of {len(made)} pictures\n")
    print("| sensitivity | off after it | precision | recall | F1 | of intact ones marked |")
    print("| --- " * 6 + "|")
    for sensitivity in SENSITIVITIES:
        holes = [marked(case.probability, sensitivity) for case in made]
        print(row(f"{sensitivity:g}", made, holes), flush=True)
    print(row("all damage known", made, [case.sample.label == DAMAGE for case in made]))


if __name__ == "__main__":
    main()
