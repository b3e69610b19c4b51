"""Scenes for a detector: aligned images pasted at random places onto backgrounds, and damaged.

The network must learn to recognise the class, not the traces of pasting. So crops are blended in
with soft ellipses, with squares, or by repeating their border outwards; and negatives (shuffled,
overturned or greatly enlarged crops, crops of backgrounds) are pasted in the same ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole, Pixels
from aleph.frames.placement import Placement
from aleph.training.samples.backgrounds import Backdrops, Texture, blow_up
from aleph.training.samples.damage import draw_damage
from aleph.training.samples.degradation import degraded, tinted

SMALLEST, LARGEST = 0.62, 1.6
"""Sides of the frames in scenes, as shares of the model's resolution: more than an octave, so that
an image pyramid of octaves misses none."""

TILT = 50.0
"""Degrees by which frames are turned, at most."""

_COUNTS = (0.28, 0.40, 0.20, 0.08, 0.04)
"""Shares of scenes with 0, 1, 2, 3 and 4 objects."""

_INNER = Placement(0.5, 0.5, 0.64)
"""The part of a frame in which the visible share of the object is measured."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A synthetic picture with its ground truth.

    Attributes:
        image: uint8 (S, S, 3).
        hole: Boolean (S, S), True = missing.
        placements: Where the objects' frames lie.
        visible: Share of each object, from 0 to 1, that is neither covered nor missing.
    """

    image: Pixels
    hole: Hole
    placements: list[Placement]
    visible: list[float]


class Composer:
    """Composes scenes of aligned images.

    Args:
        frame: The model's resolution; scenes are twice as wide.
        backdrops: Draws backgrounds.
    """

    def __init__(self, frame: int, backdrops: Backdrops) -> None:
        self.frame = frame
        self.side = 2 * frame
        self.backdrops = backdrops

    def compose(self, first: int, images: NDArray[np.uint8], rng: np.random.Generator) -> Scene:
        """Compose one scene.

        Args:
            first: Index of the image to show first, if the scene shows any.
            images: Aligned images, uint8 (N, R, R, 3).
            rng: Source of the randomness.
        """
        canvas = self.backdrops.draw(self.side, images, rng).astype(np.float32)
        owner = np.full((self.side, self.side), -1)
        objects = int(rng.choice(len(_COUNTS), p=_COUNTS))
        decoys = int(rng.integers(0, 3))
        placements: list[Placement] = []
        # Decoys first or last: either may cover the other.
        order = rng.permutation([True] * objects + [False] * decoys)
        taken: list[Placement] = []
        owners: list[int] = []
        for number, is_object in enumerate(order):
            placement = self._free_place(taken, rng)
            if placement is None:
                continue
            taken.append(placement)
            chosen = first if not placements else int(rng.integers(len(images)))
            patch = images[chosen]
            if is_object:
                placements.append(placement)
                owners.append(number)
            else:
                patch, placement = self._decoy(patch, placement, images, rng)
            _paste(canvas, owner, number, patch, placement, rng)
        picture = degraded(canvas, rng)
        hole = draw_damage(self.side, placements, rng)
        # Missing pixels beside known ones count as visible, as an object under scattered ones is.
        nothing = cv2.erode(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        seen = [
            _visible(p, (owner == n) & ~nothing) for p, n in zip(placements, owners, strict=True)
        ]
        return Scene(picture, hole, placements, seen)

    def _free_place(self, taken: list[Placement], rng: np.random.Generator) -> Placement | None:
        """Draw a place that covers none of the others' centres; None if there is hardly room."""
        for _ in range(6):
            size = self.frame * SMALLEST * (LARGEST / SMALLEST) ** rng.random()
            x, y = rng.uniform(0.02, 0.98, 2) * self.side
            turn = float(np.clip(rng.normal(0, 18), -TILT, TILT))
            angle = turn if rng.random() < 0.6 else float(rng.uniform(-TILT, TILT))
            place = Placement(float(x), float(y), float(size), angle)
            if all(
                np.hypot(place.x - t.x, place.y - t.y) > 0.45 * (place.side + t.side) for t in taken
            ):
                return place
        return None

    def _decoy(
        self,
        patch: Pixels,
        place: Placement,
        images: NDArray[np.uint8],
        rng: np.random.Generator,
    ) -> tuple[Pixels, Placement]:
        """Return something to paste that is no object, and where."""
        kind = rng.random()
        if kind < 0.25:
            return _shuffled(patch, rng), place
        if kind < 0.45:
            overturned = place.angle + float(rng.uniform(95, 265))
            return patch, Placement(place.x, place.y, place.side, overturned)
        if kind < 0.65:
            return blow_up(patch, len(patch), rng), place
        if kind < 0.75:
            factor = float(rng.uniform(2.6, 4.5))
            return patch, Placement(place.x, place.y, place.side * factor, place.angle)
        return self.backdrops.draw(len(patch), images, rng), place


def _shuffled(patch: Pixels, rng: np.random.Generator) -> Pixels:
    """Swap the blocks of a grid of 2×2 to 4×4 so that none stays where it was."""
    blocks = int(rng.integers(2, 5))
    size = len(patch) // blocks
    order = np.roll(rng.permutation(blocks * blocks), 1)
    shuffled = np.empty((size * blocks, size * blocks, 3), np.uint8)
    for source, target in zip(np.roll(order, 1), order, strict=True):
        (i, j), (k, m) = divmod(int(source), blocks), divmod(int(target), blocks)
        part = patch[i * size : (i + 1) * size, j * size : (j + 1) * size]
        shuffled[k * size : (k + 1) * size, m * size : (m + 1) * size] = part
    return shuffled


def _from_middle(side: int, placement: Placement) -> tuple[Texture, Texture]:
    """How far each pixel of a scene lies from a frame's middle, to a side and up or down.

    Returns:
        Two arrays, float32 (side, side), in sides of the frame.
    """
    inverse = np.asarray(cv2.invertAffineTransform(placement.matrix), np.float32)
    place = np.arange(side, dtype=np.float32) + np.float32(0.5)
    middle = inverse[:, 2] - np.float32(0.5)
    across, down = (
        np.abs(place * inverse[axis, 0] + (place * inverse[axis, 1] + middle[axis])[:, None])
        for axis in (0, 1)
    )
    return across, down


def _paste(
    canvas: Texture,
    owner: NDArray[np.int64],
    number: int,
    patch: Pixels,
    placement: Placement,
    rng: np.random.Generator,
) -> None:
    """Put an image onto the scene, in place, within a border of random shape and softness."""
    side = len(canvas)
    if placement.side < 0.62 * len(patch):
        half = (len(patch) // 2, len(patch) // 2)
        patch = np.asarray(cv2.resize(patch, half, interpolation=cv2.INTER_AREA), np.uint8)
    # Pixel centres lie at half numbers in placements, at whole ones in OpenCV.
    matrix = placement.matrix @ np.diag([1 / len(patch), 1 / len(patch), 1.0])
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    beyond = cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_REFLECT_101
    warped = cv2.warpAffine(patch, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=beyond)
    pasted = tinted(np.asarray(warped, np.float32), rng)
    across, down = _from_middle(side, placement)
    shape, feather = rng.random(), np.float32(rng.uniform(0.01, 0.3))
    extent = rng.uniform(0.4, 0.62, 2).astype(np.float32)
    if shape < 0.4:
        # The picture goes on as the crop's border does: blurred, for streaks give it away.
        extent = np.asarray(extent * rng.uniform(1.2, 4.0), np.float32)
        blurred = cv2.GaussianBlur(pasted, (0, 0), float(rng.uniform(1.5, 6)))
        outside = np.clip((np.maximum(across, down) - 0.5) * 8, 0, 1)[:, :, None]
        pasted = pasted + outside * (np.asarray(blurred) - pasted)
    across, down = across / extent[0], down / extent[1]
    distance = np.maximum(across, down) if shape > 0.75 else np.hypot(across, down) / 1.1
    alpha = np.clip((1 - distance) / feather + 0.5, 0, 1)
    canvas += alpha[:, :, None] * (pasted - canvas)
    owner[alpha > 0.6] = number


def _visible(placement: Placement, seen: NDArray[np.bool_]) -> float:
    """Return which share of a grid of 81 points in the middle of a frame is visible."""
    ticks = np.linspace(0, 1, 9)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    spots = np.floor(placement.points(_INNER.points(grid))).astype(int)
    inside = ((spots >= 0) & (spots < len(seen))).all(axis=1)
    x, y = spots[inside].T
    return float(seen[y, x].sum()) / len(grid)
