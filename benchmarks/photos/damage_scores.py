"""How well damage is found: hits and false alarms, at some pixels' tolerance; top-hat beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole, Pixels
from aleph.training.samples.damaged import DAMAGE, INTACT

TOLERANCE = 2
"""Pixels by which what is marked may miss damage."""

WIDTHS = ((1, 2), (3, 5), (6, 12), (13, 40), (41, 999))
"""Classes of width in pixels, from and to."""

TOP_HATS = (5, 9, 15, 25, 41)
"""Diameters in pixels of the top-hats that are tried: each finds what is narrower."""

_DISK = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * TOLERANCE + 1, 2 * TOLERANCE + 1))


@dataclass
class Counts:
    """Pixels, summed over pictures.

    Attributes:
        right: Marked, within the tolerance of damage.
        false: Marked, and neither near damage nor where the label is unsure.
        hit: Damaged, within the tolerance of what is marked.
        missed: Damaged, the others.
    """

    right: int = 0
    false: int = 0
    hit: int = 0
    missed: int = 0

    def add(self, found: Hole, label: NDArray[np.uint8], among: Hole | None = None) -> None:
        """Count one picture.

        Args:
            found: What is marked.
            label: As of `aleph.training.samples.damaged.Damaged`.
            among: Pixels that count, of what is damaged and of what is marked; all if None.
        """
        damage = label == DAMAGE
        near, open_ = _near(damage), _near(label != INTACT)
        counted = np.ones_like(found) if among is None else among
        self.right += int((found & near & counted).sum())
        self.false += int((found & ~open_ & counted).sum())
        seen = _near(found)
        self.hit += int((damage & seen & counted).sum())
        self.missed += int((damage & ~seen & counted).sum())

    @property
    def precision(self) -> float:
        """Share of what is marked that is damaged."""
        return self.right / max(1, self.right + self.false)

    @property
    def recall(self) -> float:
        """Share of what is damaged that is marked."""
        return self.hit / max(1, self.hit + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    def row(self, name: str) -> str:
        """Return a row of a table."""
        return f"| {name} | {self.precision:.2f} | {self.recall:.2f} | {self.f1:.2f} |"


def _near(pixels: Hole) -> Hole:
    return np.asarray(cv2.dilate(pixels.astype(np.uint8), _DISK), bool)


def width_class(pixels: Hole) -> NDArray[np.int8]:
    """Return for each marked pixel which of `WIDTHS` it belongs to: int8 (H, W), −1 elsewhere.

    A pixel is as wide as the largest disk of marked pixels that covers it.
    """
    classes = np.where(pixels, np.int8(0), np.int8(-1))
    padded = cv2.copyMakeBorder(pixels.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5))[1:-1, 1:-1]
    for number, (least, _) in enumerate(WIDTHS):
        cores = (depth > least / 2).astype(np.uint8)
        if number and cores.any():
            away = cv2.distanceTransform(1 - cores, cv2.DIST_L2, 5)
            classes[pixels & (np.asarray(away) <= least / 2)] = number
    return classes


@dataclass(frozen=True)
class Case:
    """A picture whose damage is known.

    Attributes:
        image: uint8 (H, W, 3).
        label: uint8 (H, W), as of `Damaged`.
        kind: Kind of damage; `intact` for none.
    """

    image: Pixels
    label: NDArray[np.uint8]
    kind: str


@dataclass
class Scores:
    """What one method found in all pictures.

    Attributes:
        all: Over all pictures with damage, and what is wrongly marked in intact ones.
        kinds: By kind of damage.
        widths: By width: precision of what is marked that wide, recall of what is that wide.
        shares: Share of the pixels of each intact picture that is marked.
    """

    all: Counts = field(default_factory=Counts)
    kinds: dict[str, Counts] = field(default_factory=dict)
    widths: list[Counts] = field(default_factory=lambda: [Counts() for _ in WIDTHS])
    shares: list[float] = field(default_factory=list)

    def add(self, case: Case, found: Hole) -> None:
        """Count one picture."""
        self.all.add(found, case.label)
        if case.kind == "intact":
            self.shares.append(float(found.mean()))
            return
        self.kinds.setdefault(case.kind, Counts()).add(found, case.label)
        true, marked = width_class(case.label == DAMAGE), width_class(found)
        for number, counts in enumerate(self.widths):
            by_mark, by_truth = Counts(), Counts()
            by_mark.add(found, case.label, marked == number)
            by_truth.add(found, case.label, true == number)
            counts.right += by_mark.right
            counts.false += by_mark.false
            counts.hit += by_truth.hit
            counts.missed += by_truth.missed


def top_hat(image: Pixels, diameter: int) -> NDArray[np.uint8]:
    """Return by how much a pixel is lighter or darker than what is around it, uint8 (H, W)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
    white = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, disk)
    black = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, disk)
    return np.maximum(np.asarray(white, np.uint8), np.asarray(black, np.uint8))


def sweep(
    cases: Sequence[Case], levels: Sequence[NDArray[np.uint8]], thresholds: Iterable[int]
) -> dict[int, Counts]:
    """Return the counts at each threshold."""
    counts = {threshold: Counts() for threshold in thresholds}
    for case, level in zip(cases, levels, strict=True):
        for threshold, count in counts.items():
            count.add(level >= threshold, case.label)
    return counts
