"""Pictures to try things on, made of photographs in the public domain that scikit-image ships.

They are NASA's portrait of Eileen Collins and a photograph of a rocket on its launch pad; a group
is composed of both, and a print is aged and cracked.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from aleph.arrays import Hole, Pixels
from aleph.frames.placement import Placement

FACE = (161, 60, 289, 188)
"""(left, top, right, bottom) in the portrait: eyes and mouth lie as in the training images."""

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


def face() -> Pixels:
    """Return the portrait's face, uint8 (128, 128, 3)."""
    left, top, right, bottom = FACE
    return portrait()[top:bottom, left:right].copy()


def scratches(shape: tuple[int, int], seed: int) -> Hole:
    """Draw a few long, slightly bent scratches across a picture: boolean (H, W)."""
    height, width = shape
    rng = np.random.default_rng([seed, 0x5C7A])
    canvas = np.zeros(shape, np.uint8)
    for _ in range(6):
        angle = rng.uniform(0, np.pi)
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        middle = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
        places = np.linspace(-0.6, 0.6, 12)[:, None] * max(shape)
        bend = (
            rng.normal(0, 0.03) * max(shape) * np.sin(places * 5 / max(shape) + rng.uniform(0, 6))
        )
        line = middle + places * along + bend * across
        thickness = int(rng.integers(1, 4))
        cv2.polylines(canvas, [np.rint(line).astype(np.int32)], False, 1, thickness)
    return canvas.astype(bool)


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


def launch_pad() -> Pixels:
    """Return the photograph of the launch pad, uint8 (427, 640, 3)."""
    return np.ascontiguousarray(data.rocket())  # type: ignore[no-untyped-call]


def launch_pad_damage() -> Hole:
    """Scratch the launch pad: one long scratch through sky, tower and ground, and a few short."""
    size = (427, 640)
    hole = scratch(size, [(20, 60), (160, 118), (330, 140), (470, 196), (636, 226)], 2)
    hole |= scratch(size, [(520, 0), (500, 90), (512, 190), (486, 330), (495, 426)], 2)
    return hole | scratch(size, [(60, 330), (140, 300), (210, 310)], 2)


def old_print(picture: Pixels, seed: int) -> Pixels:
    """Age a photograph: sepia, faded, soft, with the grain of the paper and dark corners."""
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    soft = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.8))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    faded = (0.16 + 0.72 * soft) * (1 - 0.16 * np.clip(np.hypot(x, y) - 0.6, 0, None))
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 0.9)
    tone = np.array([1.04, 0.93, 0.74], np.float32)
    aged = (faded + 0.045 * grain)[:, :, None] * tone + np.array([0.03, 0.02, 0.0], np.float32)
    return np.asarray(np.clip(np.rint(255 * aged), 0, 255), np.uint8)


def cracks(shape: tuple[int, int], seed: int) -> Hole:
    """Draw the cracks of a dry print, which branch, and flakes that have come off along them."""
    rng = np.random.default_rng(seed)
    height, width = shape
    canvas = np.zeros(shape, np.uint8)
    ways = [
        (np.array([rng.uniform(0.25, 0.75) * width, 0.0]), np.pi / 2 + rng.normal(0, 0.3), 2)
        for _ in range(2)
    ]
    ways.append((np.array([0.0, rng.uniform(0.2, 0.5) * height]), rng.normal(0, 0.2), 2))
    while ways:
        place, heading, thick = ways.pop()
        for _ in range(int(rng.uniform(0.4, 1.0) * max(shape) / 6)):
            angle = heading + rng.normal(0, 0.4)
            heading += rng.normal(0, 0.05)
            ahead = place + 6 * np.array([np.cos(angle), np.sin(angle)])
            cv2.polylines(canvas, [np.rint([place, ahead]).astype(np.int32)], False, 1, thick)
            place = ahead
            if thick > 1 and rng.random() < 0.04:
                ways.append((place, heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.0), 1))
            if rng.random() < 0.04:
                size = (int(rng.uniform(2, 6)), int(rng.uniform(2, 5)))
                middle = (round(place[0]), round(place[1]))
                cv2.ellipse(canvas, middle, size, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return canvas.astype(bool)


def paper_through(picture: Pixels, hole: Hole) -> Pixels:
    """Show the bare paper where a print is damaged, with a shadow at its rim."""
    share = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 0.7)[:, :, None]
    shadow = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 1.6)[:, :, None]
    paper = np.array([240, 233, 216], np.float32)
    shown = picture * (1 - 0.35 * np.clip(shadow - share, 0, 1))
    shown = shown + share * (paper - shown)
    return np.asarray(np.clip(np.rint(shown), 0, 255), np.uint8)
