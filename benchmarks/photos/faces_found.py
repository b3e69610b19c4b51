"""Detection of damaged faces: share found, alignment error and false frames.

    python -m benchmarks faces-found DATA... [--images 200] [--backgrounds FOLDER] [--seed 0]
        [--detector faces-detector] [--threshold 0.45] [--sheet OUT.png] [--only RUN/holdout.txt]

Lays aligned faces at known places, sizes (40 to 440 pixels) and tilts (up to 30° either way) over
photographs, damages each in one of eight ways, and asks the detector, and beside it OpenCV's
default Haar cascade on a copy whose holes were filled by Navier-Stokes. A face counts as found if
a frame's eyes and mouth lie within 25 of 128 frame pixels of the true ones in the mean; a frame
that fits no face is false. As many damaged pictures without any face are searched besides.

Photographs are those of --backgrounds and two of scikit-image that no detector was trained on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from aleph.arrays import Hole, Pixels
from aleph.frames.detect import THRESHOLD, Detection, find_frames
from aleph.frames.placement import EYES, Placement
from aleph.masks.named import named_hole
from aleph.models.zoo import DEFAULT_DETECTOR, load_detector
from aleph.photo.pixels import read_image, write_image
from aleph.pictures import scratches
from aleph.visual.figure import side_by_side
from benchmarks.options import options_parser, spread_squares

LANDMARKS = np.array([*EYES, (0.51, 0.70)])
"""Eyes and mouth of an aligned face, in its frame."""

TOLERANCE = 25.0
SMALLEST, LARGEST = 40.0, 440.0
_ON_FRAME = 256
"""Pixels across a hole that is drawn for a face."""

HAAR_SIDE, HAAR_DOWN = 1.19, 0.08
"""The frame of a face in sides of the cascade's box, and how far down its centre lies (medians over
undamaged validation faces)."""

Locate = Callable[[Pixels, Hole], list[Placement]]


def stain(seed: int) -> Hole:
    """Mark mouth and chin: a blot with a ragged edge."""
    rng = np.random.default_rng([seed, 1])
    canvas = np.zeros((_ON_FRAME, _ON_FRAME), np.uint8)
    for _ in range(7):
        centre = (np.array([0.51, 0.80]) + rng.normal(0, 0.07, 2)) * _ON_FRAME
        axes = rng.uniform(0.10, 0.24, 2) * _ON_FRAME
        spot, size = tuple(map(int, centre)), tuple(map(int, axes))
        cv2.ellipse(canvas, spot, size, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return canvas.astype(bool)


def on_face(kind: str, seed: int) -> Hole:
    """Draw a hole in a face's frame."""
    if kind == "stain":
        return stain(seed)
    if kind == "scratches":
        return scratches((_ON_FRAME, _ON_FRAME), seed)
    return named_hole(kind, (_ON_FRAME, _ON_FRAME), seed)


KINDS = ("torn", "stain", "scratches", "strokes", "center", "half", "pattern", "random")


@dataclass(frozen=True)
class Case:
    """A damaged picture, its face's frame if it has one, and the kind of damage."""

    image: Pixels
    hole: Hole
    truth: Placement | None
    kind: str


def compose(face: Pixels | None, photographs: Sequence[Pixels], seed: int) -> Case:
    """Lay a face over a photograph and damage it; without a face, damage the same place."""
    rng = np.random.default_rng([seed, 0xFACE])
    side = float(SMALLEST * (LARGEST / SMALLEST) ** rng.random())
    width, height = (int(v) for v in np.maximum(rng.uniform(400, 1100, 2), 1.3 * side))
    image = background(photographs, width, height, rng)
    x, y = rng.uniform(0.5 * side, [width - 0.5 * side, height - 0.5 * side])
    place = Placement(float(x), float(y), side, float(rng.uniform(-30, 30)))
    if face is not None:
        image = laid_over(image, face, place, rng)
    kind = KINDS[seed % len(KINDS)]
    hole = torn((height, width), place, rng) if kind == "torn" else warped(kind, place, image, seed)
    image[hole] = rng.integers(0, 256, 3)
    return Case(image, hole, None if face is None else place, kind)


def background(
    photographs: Sequence[Pixels], width: int, height: int, rng: np.random.Generator
) -> Pixels:
    """Cut a part of the wanted proportions out of a photograph and scale it."""
    photograph = photographs[int(rng.integers(len(photographs)))]
    rows, columns = photograph.shape[:2]
    share = rng.uniform(0.5, 1.0) * min(columns / width, rows / height)
    wide, high = int(width * share), int(height * share)
    left, top = rng.integers(0, columns - wide + 1), rng.integers(0, rows - high + 1)
    cut = photograph[top : top + high, left : left + wide]
    if rng.random() < 0.5:
        cut = np.ascontiguousarray(cut[:, ::-1])
    return np.array(cv2.resize(cut, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def per_pixel(place: Placement, pixels: int) -> NDArray[np.float64]:
    """Return the transform (2, 3) from a frame's pixels to the picture's, as OpenCV counts them."""
    matrix = place.matrix @ np.diag([1 / pixels, 1 / pixels, 1.0])
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return np.asarray(matrix)


def laid_over(image: Pixels, face: Pixels, place: Placement, rng: np.random.Generator) -> Pixels:
    """Put a face into a picture, with a soft border."""
    height, width = image.shape[:2]
    shrunk = max(16, min(len(face), round(place.side * 1.5)))
    face = np.asarray(cv2.resize(face, (shrunk, shrunk), interpolation=cv2.INTER_AREA))
    across = np.abs(np.linspace(-1, 1, 128, dtype=np.float32))
    power = float(rng.choice([2.0, 4.0, 8.0]))
    radius = (across**power + across[:, None] ** power) ** (1 / power)
    alpha = np.clip((1.0 - radius) / float(rng.uniform(0.05, 0.25)), 0, 1).astype(np.float32)
    pasted = cv2.warpAffine(
        face,
        per_pixel(place, shrunk),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    share = np.asarray(cv2.warpAffine(alpha, per_pixel(place, 128), (width, height)))[:, :, None]
    return np.asarray(np.rint(image + share * (pasted.astype(np.float32) - image)), np.uint8)


def warped(kind: str, place: Placement, image: Pixels, seed: int) -> Hole:
    """Draw a hole in a frame and lay it over the picture."""
    own = on_face(kind, seed).astype(np.uint8)
    size = (image.shape[1], image.shape[0])
    matrix = per_pixel(place, _ON_FRAME)
    return np.asarray(cv2.warpAffine(own, matrix, size, flags=cv2.INTER_NEAREST), bool)


def torn(shape: tuple[int, int], place: Placement, rng: np.random.Generator) -> Hole:
    """Mark all of the picture beyond a ragged line through the middle of the frame."""
    turn = rng.uniform(0, 2 * np.pi)
    columns, rows = np.arange(shape[1]) - place.x, (np.arange(shape[0]) - place.y)[:, None]
    along = np.cos(turn) * columns + np.sin(turn) * rows
    across = np.cos(turn) * rows - np.sin(turn) * columns
    return np.asarray(along > 0.03 * place.side * np.sin(across / (0.1 * place.side)))


def error(found: Placement, truth: Placement) -> float:
    """Return the mean distance of eyes and mouth in pixels of a 128-pixel frame."""
    apart = found.points(LANDMARKS) - truth.points(LANDMARKS)
    return float(np.hypot(*apart.T).mean() / truth.side * 128)


class Cascade:
    """OpenCV's default frontal face cascade."""

    def __init__(self) -> None:
        path = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        self.classifier = cv2.CascadeClassifier(str(path))

    def __call__(self, image: Pixels, hole: Hole) -> list[Placement]:
        """Return the frames that touch the hole."""
        filled = cv2.inpaint(image, hole.astype(np.uint8), 3, cv2.INPAINT_NS)
        grey = cv2.cvtColor(filled, cv2.COLOR_RGB2GRAY)
        boxes = self.classifier.detectMultiScale(grey, 1.1, 4, minSize=(24, 24))
        frames = []
        for left, top, width, height in boxes:
            if hole[top : top + height, left : left + width].any():
                x, y = left + width / 2, top + height * (0.5 + HAAR_DOWN)
                frames.append(Placement(float(x), float(y), float(width * HAAR_SIDE)))
        return frames


@dataclass
class Tally:
    """What one method found."""

    errors: dict[str, list[float]] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    reported: int = 0
    false: int = 0
    in_empty: int = 0
    seconds: float = 0.0

    def add(self, case: Case, frames: list[Placement]) -> None:
        """Count the frames that were reported for a case."""
        if case.truth is None:
            self.in_empty += len(frames)
            return
        errors = [error(frame, case.truth) for frame in frames]
        self.reported += len(frames)
        self.false += sum(e >= TOLERANCE for e in errors)
        if min(errors, default=TOLERANCE) < TOLERANCE:
            self.errors.setdefault(case.kind, []).append(min(errors))
        else:
            self.missed[case.kind] = self.missed.get(case.kind, 0) + 1

    def report(self, name: str, empty: int) -> str:
        """Return the figures as lines of text."""
        good = [e for errors in self.errors.values() for e in errors]
        count = len(good) + sum(self.missed.values())
        half, most = np.percentile(good, [50, 90]) if good else (np.nan, np.nan)
        by_kind = ", ".join(
            f"{kind} {len(self.errors.get(kind, []))}/{total}"
            for kind in KINDS
            if (total := len(self.errors.get(kind, [])) + self.missed.get(kind, 0))
        )
        return (
            f"{name}: found {len(good) / count:.1%} of {count} faces; false frames "
            f"{self.false} of {self.reported} ({self.false / max(self.reported, 1):.1%}), and "
            f"{self.in_empty} in {empty} pictures without a face; alignment error median "
            f"{half:.2f}, 90th percentile {most:.2f} of 128 pixels; "
            f"{self.seconds / (count + empty):.2f} s a picture\n  found by damage: {by_kind}"
        )


def drawn(case: Case, frames: list[Placement]) -> Pixels:
    """Draw a case with its true frame in green and those found in magenta, 240 pixels across."""
    canvas = case.image.copy()
    width = max(2, max(canvas.shape) // 150)
    truth = [(case.truth, (0, 255, 0))] if case.truth else []
    for place, colour in [*truth, *((frame, (255, 0, 255)) for frame in frames)]:
        corners = np.rint(place.corners).astype(np.int32)
        cv2.polylines(canvas, [corners], True, colour, width)
        cv2.line(canvas, corners[0], corners[1], (255, 255, 0), width)
    small = Image.fromarray(canvas)
    small.thumbnail((240, 240))
    square = Image.new("RGB", (240, 240))
    square.paste(small)
    return np.asarray(square)


def main() -> None:
    """Parse, compose, measure, print."""
    parser = options_parser(__doc__, images=200, only=None, seed=0)
    parser.add_argument("--backgrounds", type=Path, help="folder of photographs to lay faces over")
    parser.add_argument("--detector", default=DEFAULT_DETECTOR)
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="least score of a frame")
    parser.add_argument("--sheet", type=Path, help="draw the first 48 cases, the missed ones first")
    parser.add_argument("--no-cascade", action="store_true", help="leave the Haar cascade out")
    options = parser.parse_args()
    files = sorted(options.backgrounds.iterdir()) if options.backgrounds else []
    shipped = [getattr(data, name)() for name in ("coffee", "grass")]
    photographs = [read_image(photograph) for photograph in [*files, *shipped]]
    faces = spread_squares(options.data, options.images, 128, options.only)
    detector = load_detector(options.detector)

    def detected(image: Pixels, hole: Hole) -> list[Placement]:
        found: list[Detection] = find_frames(detector, image, hole, threshold=options.threshold)
        return [one.placement for one in found]

    methods: dict[str, Locate] = {options.detector: detected}
    if not options.no_cascade:
        methods["Haar cascade"] = Cascade()
    tallies = {name: Tally() for name in methods}
    pictures: list[tuple[float, Pixels]] = []
    for number in range(2 * len(faces)):
        face = faces[number] if number < len(faces) else None
        case = compose(face, photographs, options.seed * 100_000 + number)
        for name, locate in methods.items():
            began = time.monotonic()
            frames = locate(case.image, case.hole)
            tallies[name].seconds += time.monotonic() - began
            tallies[name].add(case, frames)
            if locate is detected and options.sheet:
                pictures.append((worst_error(case, frames), drawn(case, frames)))
    for name, tally in tallies.items():
        print(tally.report(name, len(faces)), flush=True)
    if options.sheet:
        write_sheet(pictures, options.sheet)


def worst_error(case: Case, frames: list[Placement]) -> float:
    """Return how wrong the frames of a case are: a missed face is the worst."""
    errors = [error(f, case.truth) if case.truth else TOLERANCE for f in frames]
    return max(errors, default=99.0 if case.truth else 0.0)


def write_sheet(pictures: list[tuple[float, Pixels]], path: Path) -> None:
    """Write pictures of 240×240 pixels, those of the largest error first."""
    worst_first = [p for _, p in sorted(pictures, key=lambda entry: -entry[0])][:48]
    worst_first += [np.zeros_like(worst_first[0])] * (-len(worst_first) % 8)
    rows = [worst_first[first : first + 8] for first in range(0, len(worst_first), 8)]
    write_image(side_by_side(rows, [""] * 8, min_side=1), path)
