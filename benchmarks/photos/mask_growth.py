"""By how many pixels a mask is best widened, one that was found and one that is exact.

    python -m benchmarks mask-growth PHOTOGRAPHS... [--artefacts ZIP] [--images 80] [--enlarged 1]
        [--seed 5] [--model damage-finder]

Damages held-out photographs as `python -m benchmarks damage` does, widens masks by 0 to 6 pixels
and as `--mask auto` does, fills them (OpenCV's Telea, which takes everything from the rim) and
compares with the photograph before it was damaged, within 6 pixels of the damage. Of what was found
only what lies at the damage counts: false alarms are another matter. Last, which masks
`aleph.damage.rim` takes for too narrow.
With --enlarged N all of it is N times as large and as soft, and a little noisy, as scans are.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole, Pixels
from aleph.damage.auto import with_rim
from aleph.damage.find import marked
from aleph.damage.rim import shows_damage
from aleph.damage.tiles import damage_probability
from aleph.evaluation.classical import classical_fill
from aleph.masks.read import widened
from aleph.models.zoo import DEFAULT_DAMAGE_MODEL, load_damage_model
from aleph.training.samples.damaged import DAMAGE, Damager
from benchmarks.photos.damage_found import SIDE, held_out, held_out_artefacts
from benchmarks.photos.sensitivity import enlarged

GROWTHS = range(7)
KINDS = ("cracks", "craze", "fold", "scratches", "hairs", "ink", "flakes", "mould", "blots")


@dataclass(frozen=True)
class Case:
    """A damaged picture, the same before, and where it is damaged."""

    image: Pixels
    intact: Pixels
    damage: Hole


def cases(options: argparse.Namespace) -> list[Case]:
    """Damage the held-out photographs, one kind after the other."""
    pictures = held_out(options.photographs)
    damager = Damager(SIDE, held_out_artefacts(options.artefacts))
    rng = np.random.default_rng(options.seed)
    made = []
    for number in range(options.images):
        picture, kind = pictures[number % len(pictures)], KINDS[number % len(KINDS)]
        sample, intact = damager.pair(picture, rng, [kind])
        damage = np.asarray(sample.label == DAMAGE)
        if damage.sum() >= 60:
            made.append(scanned(Case(sample.image, intact, damage), options.enlarged, rng))
    return made


def scanned(case: Case, times: int, rng: np.random.Generator) -> Case:
    """Return a case as a scanner makes it at N times its size."""
    if times == 1:
        return case
    intact = cv2.resize(case.intact, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    damage = case.damage.repeat(times, axis=0).repeat(times, axis=1)
    return Case(enlarged(case.image, times, rng), np.asarray(intact, np.uint8), damage)


def psnr(case: Case, hole: Hole) -> float:
    """Return how near the fill of a hole comes to the picture before, dB, about the damage."""
    fill = classical_fill("telea", case.image, hole)
    squared = (fill.astype(np.float64) - case.intact) ** 2
    error = squared[widened(case.damage, max(GROWTHS))].mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def narrowed(hole: Hole, pixels: int) -> Hole:
    """Take so many pixels off a mask's rim."""
    disk = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * pixels + 1, 2 * pixels + 1))
    kept: NDArray[np.uint8] = np.asarray(cv2.erode(hole.astype(np.uint8), disk))
    return np.asarray(kept > 0)


def main() -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", nargs="+", help="folders or zips, split by name")
    parser.add_argument("--artefacts", help="zip of artefacts, split by name")
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--enlarged", type=int, default=1, help="times")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--model", default=DEFAULT_DAMAGE_MODEL)
    options = parser.parse_args()
    model = load_damage_model(options.model)
    values: dict[str, list[list[float]]] = {"found": [], "exact": []}
    told: dict[str, list[bool]] = defaultdict(list)
    for case in cases(options):
        found = marked(damage_probability(case.image, model)) & widened(case.damage, 3)
        for name, hole in (("found", found), ("exact", case.damage)):
            if hole.any():
                tried = [*(widened(hole, growth) for growth in GROWTHS), with_rim(hole)]
                values[name].append([psnr(case, one) for one in tried])
        for change in (-2, -1, 0, 1, 2):
            hole = widened(case.damage, change) if change >= 0 else narrowed(case.damage, -change)
            if hole.sum() >= 40:
                told[f"{change:+d}"].append(shows_damage(case.image, hole))
        elsewhere = np.roll(case.damage, len(case.damage) // 2, (0, 1))
        told["laid over the intact picture"].append(shows_damage(case.intact, elsewhere))
    print("| widened by | " + " | ".join(map(str, GROWTHS)) + " | as by `auto` |")
    print("| --- " * (len(GROWTHS) + 2) + "|")
    for name, rows in values.items():
        print(f"| {name} | " + " | ".join(f"{v:.2f}" for v in np.mean(rows, axis=0)) + " |")
    for name, answers in told.items():
        print(f"\nmask {name}: told to be too narrow in {np.mean(answers):.0%} of {len(answers)}")


if __name__ == "__main__":
    main()
