"""The figures of docs/photos.md: a portrait with three kinds of damage, and a group photograph.

    python -m benchmarks photographs --out docs/images

Both are made of pictures that scikit-image ships: NASA's portrait of Eileen Collins (public domain)
at its full size, and several of her, at different sizes and tilts, in front of a rocket. With
`--given-eyes` the faces are not looked for: the places where they were put are given.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from aleph.arrays import Hole, Pixels
from aleph.demo import FACE
from aleph.frames.placement import Placement
from aleph.inpainter import Inpainter
from aleph.inpainting import Inpainting
from aleph.photo.pixels import write_image
from aleph.visual.figure import side_by_side
from benchmarks.options import options_parser

IN_PORTRAIT = Placement.from_box(*FACE)
"""Where the face lies in the portrait."""

GROUP = (
    Placement(250, 330, 150, -12),
    Placement(520, 250, 112, 9),
    Placement(800, 420, 215, 4),
    Placement(1090, 240, 96, -22),
    Placement(1330, 400, 170, 24),
)
"""Where faces are put in the group photograph, those in front last."""

GROUP_SIZE = (900, 1600)

Polygon = Sequence[tuple[float, float]]


def portrait() -> Pixels:
    """Return the portrait, uint8 (512, 512, 3)."""
    return np.ascontiguousarray(data.astronaut())  # type: ignore[no-untyped-call]


def scratch(size: tuple[int, int], points: Polygon, width: int) -> Hole:
    """Draw a scratch through points."""
    canvas = np.zeros(size, np.uint8)
    cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, 1, width, cv2.LINE_8)
    return canvas.astype(bool)


def stain(size: tuple[int, int], place: Placement, seed: int) -> Hole:
    """Draw a stain: a round blot of wavy outline that fills a placement about half."""
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    radius = 0.27 + sum(
        0.05 / n * np.sin(n * turn + rng.uniform(0, 2 * np.pi)) for n in range(2, 9)
    )
    outline = 0.5 + np.stack([1.15 * radius * np.cos(turn), 0.85 * radius * np.sin(turn)], axis=1)
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [np.rint(place.points(outline)).astype(np.int32)], 1)
    return canvas.astype(bool)


def torn(size: tuple[int, int], place: Placement, seed: int) -> Hole:
    """Tear off the right half of a placement, along a ragged edge."""
    rng = np.random.default_rng(seed)
    steps = np.linspace(0.02, 0.98, 40)
    walk = np.cumsum(rng.normal(0, 0.018, len(steps)))
    edge = np.stack([0.52 + walk - np.linspace(walk[0], walk[-1], len(steps)), steps], axis=1)
    outline = np.concatenate([edge, [[0.9, 0.97], [0.94, 0.6], [0.9, 0.3], [0.93, 0.03]]])
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [np.rint(place.points(outline)).astype(np.int32)], 1)
    return canvas.astype(bool)


def damages() -> dict[str, Hole]:
    """Return the three kinds of damage to the portrait."""
    size = (512, 512)
    thin = scratch(size, [(120, 25), (188, 92), (232, 121), (262, 166), (330, 262), (352, 330)], 3)
    thin |= scratch(size, [(90, 196), (230, 128), (330, 66)], 2)
    chin = Placement(IN_PORTRAIT.x, IN_PORTRAIT.y + 0.24 * IN_PORTRAIT.side, 0.95 * 128)
    return {
        "a thin scratch": thin,
        "a coffee stain": stain(size, chin, 4),
        "torn off": torn(size, IN_PORTRAIT, 2),
    }


def group() -> Pixels:
    """Compose the group photograph, uint8 (900, 1600, 3)."""
    height, width = GROUP_SIZE
    rocket: Pixels = data.rocket()[:360]  # type: ignore[no-untyped-call]
    sheet = cv2.resize(rocket, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    sheet += np.random.default_rng(0).normal(0, 3.0, (height, width, 1)).astype(np.float32)
    source, cut = portrait().astype(np.float32), cut_out()
    for place in GROUP:
        matrix = _onto(place)
        shrink = max(1.0, IN_PORTRAIT.side / place.side)
        soft = cv2.GaussianBlur(source, (0, 0), 0.45 * shrink) if shrink > 1 else source
        person, alpha = (
            cv2.warpAffine(values, matrix, (width, height), flags=cv2.INTER_CUBIC)
            for values in (soft, cut)
        )
        alpha = np.clip(alpha, 0, 1)[:, :, None]
        sheet = alpha * person + (1 - alpha) * sheet
    return np.clip(np.rint(sheet), 0, 255).astype(np.uint8)


def cut_out() -> NDArray[np.float32]:
    """Return the alpha of head and shoulders in the portrait."""
    canvas = np.zeros((512, 512), np.float32)
    cv2.ellipse(canvas, (226, 104), (82, 96), 0, 0, 360, 1.0, -1)
    cv2.ellipse(canvas, (226, 330), (190, 178), 0, 180, 360, 1.0, -1)
    return cv2.GaussianBlur(canvas, (0, 0), 3).astype(np.float32)


def _onto(place: Placement) -> NDArray[np.float64]:
    """Return the transform of the portrait that puts its face to a place."""

    def full(placement: Placement) -> NDArray[np.float64]:
        return np.concatenate([placement.matrix, [[0.0, 0.0, 1.0]]])

    return np.asarray((full(place) @ np.linalg.inv(full(IN_PORTRAIT)))[:2])


def group_damage() -> Hole:
    """Damage the group photograph: a fold, stains on faces, a torn face, scratches."""
    size = GROUP_SIZE
    fold = [(0, 372), (250, 340), (520, 268), (810, 395), (1090, 250), (1340, 380), (1600, 352)]
    hole = scratch(size, fold, 5)
    hole |= scratch(size, [(640, 0), (760, 300), (850, 560), (960, 899)], 3)
    lower = [Placement(p.x, p.y + 0.2 * p.side, 0.8 * p.side, p.angle) for p in GROUP]
    hole |= stain(size, lower[0], 1) | stain(size, lower[3], 5)
    return hole | torn(size, GROUP[4], 3) | stain(size, Placement(950, 110, 150), 7)


def fill(
    inpainter: Inpainter,
    image: Pixels,
    hole: Hole,
    places: Sequence[Placement],
    given: bool,
    grain: bool = True,
) -> Inpainting:
    """Fill a picture; where the eyes are given, at these places."""
    eyes = [tuple(place.eyes.ravel().tolist()) for place in places] if given else None
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = inpainter(image, hole, eyes=eyes, grain=grain, record=False)
    assert np.array_equal(result.image[~hole], image[~hole])
    return result


def _cut(pictures: Sequence[Pixels], place: Placement, sides: float, side: int) -> list[Pixels]:
    """Cut the same square around a place out of pictures, scaled to a side."""
    half = round(place.side * sides / 2)
    top, left = (max(0, round(v) - half) for v in (place.y, place.x))
    squares = [p[top : top + 2 * half, left : left + 2 * half] for p in pictures]
    return [
        cv2.resize(np.array(s), (side, side), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
        for s in squares
    ]


def draw_portrait(inpainter: Inpainter, out: Path, given: bool) -> list[Inpainting]:
    """Write the portrait with its three kinds of damage, and its face closely."""
    image = portrait()
    rows, close, results = [], [], []
    for hole in damages().values():
        result = fill(inpainter, image, hole, [IN_PORTRAIT], given)
        plain = fill(inpainter, image, hole, [IN_PORTRAIT], given, grain=False)
        rows.append([result.damaged, result.image, image])
        shown = [result.damaged, plain.image, result.image, image]
        close.append(_cut(shown, IN_PORTRAIT, 1.25, 320))
        results.append(result)
    write_image(side_by_side(rows, ["damaged", "filled", "original"]), out / "photo-portrait.jpg")
    captions = ["damaged", "filled, no grain", "filled", "original"]
    write_image(side_by_side(close, captions), out / "photo-portrait-close.jpg")
    return results


def draw_group(inpainter: Inpainter, out: Path, given: bool) -> Inpainting:
    """Write the group photograph, and its damaged faces closely."""
    image, hole = group(), group_damage()
    result = fill(inpainter, image, hole, GROUP, given)
    write_image(np.concatenate([result.damaged, result.image]), out / "photo-group.jpg")
    pictures = [result.damaged, result.image, image]
    close = [_cut(pictures, place, 1.5, 300) for place in GROUP]
    rows = [list(row) for row in zip(*close, strict=True)]
    numbers = [str(number) for number in range(1, len(GROUP) + 1)]
    write_image(side_by_side(rows, numbers), out / "photo-group-close.jpg")
    return result


def main() -> None:
    """Fill, draw, print the reports."""
    parser = options_parser(__doc__, data=False, model="faces-128", out=None)
    parser.add_argument("--given-eyes", action="store_true", help="give the places of the faces")
    options = parser.parse_args()
    inpainter = Inpainter.from_pretrained(options.model)
    results = draw_portrait(inpainter, options.out, options.given_eyes)
    results.append(draw_group(inpainter, options.out, options.given_eyes))
    for name, result in zip([*damages(), "group"], results, strict=True):
        report = result.report()
        frames = [
            {key: frame[key] for key in ("found_by", "eyes", "score", "unexplained", "dropped")}
            for frame in report["frames"]
        ]
        print(name, json.dumps({"regions": report["regions"], "frames": frames}))
