"""Composing: generated frames and the classical fill, brought together at the photo's own size.

The hole is filled rectangle by rectangle, so that memory grows with the hole and its frames and not
with the photo. In each the guess is made first: G(ẑ) of the frames, enlarged, and what no frame
covers from the classical fill, one fading into the other. Then one blend carries the photo's own
detail into it, so that nothing shows where the one ends and the other begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Floats, Hole, Pixels, Region, known_mean, rounded
from aleph.blending.blend import FORGETTING, Blender
from aleph.blending.grain import grain_share, make_grain, measure_grain, without_grain
from aleph.blending.refine import Refine, RefinedBlender
from aleph.blending.toning import tone_fill
from aleph.config import Blending
from aleph.frames.frame import KNOWN_SHARE, Frame
from aleph.photo.tone import ToneCurve

_AT_ONCE = 1 << 21
"""Pixels of a rectangle up to which it is filled in one piece."""

_TILE = 1024
"""Side in pixels of the pieces of a larger rectangle; half of it where there are several frames,
for a piece is blended as suits that frame which has most of its hole."""

_CELL = 32
"""Side in pixels of the cells by which the hole is parted: holes further apart are filled apart."""

_NEAREST = 0.2
"""Distance from its centre, in its sides, over which a frame yields to a nearer one."""

_CONTEXT = 96
"""Pixels around a rectangle in which the grain is measured."""

_COARSE = 1 << 18
"""Pixels at which a rectangle is filled classically, at most."""

_LEAST_FACTOR = 8
"""Factor by which a rectangle is shrunk for it, at least."""

_MEMORY = 1.25
"""1/κ of the blend that carries the finer detail over, in pixels of the shrunk rectangle."""

_CLASSICAL_SCALE = 4.0
"""Scale of the detail that the classical fill lacks in pixels; coarser it would be made up."""


@dataclass(frozen=True)
class _Tile:
    """What is filled in one piece.

    Attributes:
        seen: The rectangle of the photo that is looked at.
        filled: The rectangle whose hole is filled, inside the other.
    """

    seen: Region
    filled: Region


def compose(
    pixels: Pixels,
    hole: Hole,
    frames: Sequence[Frame],
    generated: Sequence[Sequence[Floats]],
    blending: Blending = "matern",
    *,
    refine: Refine | None = None,
    grain: bool = True,
    seed: int = 0,
    curve: ToneCurve | None = None,
) -> list[Pixels]:
    """Fill the hole of a photo from what was generated in its frames.

    Args:
        pixels: uint8 (H, W, 3); its values in the hole are not looked at.
        hole: Boolean (H, W), True = missing.
        frames: The frames; may be none.
        generated: For each fill that is asked for, G(ẑ) of every frame, float (R, R, 3), 0 to 255.
        blending: How they are put into the hole.
        refine: The model's refiner, for the blending `refined`.
        grain: Whether the grain of the surroundings is added where an enlarged frame lacks it.
        seed: Of the grain.
        curve: The photo's tone curve, if it is monochrome.

    Returns:
        For each, a new uint8 (H, W, 3), equal to `pixels` wherever `hole` is False.
    """
    fills = [np.array(pixels) for _ in generated]
    for number, rectangle in enumerate(_rectangles(hole, len(frames))):
        part = _Part(pixels, hole, rectangle, frames, blending, refine, grain)
        for place, tile in enumerate(part.tiles()):
            painter = _Painter(part, tile, np.random.default_rng([seed, number, place, 0x6A11]))
            for fill, images in zip(fills, generated, strict=True):
                painter.fill(fill, images)
    for fill in fills:
        tone_fill(fill, hole, frames, curve)
    return fills


def generated_share(hole: Hole, frames: Sequence[Frame]) -> float:
    """Return which share of the hole is filled by what was generated, 0 to 1."""
    total = 0.0
    for region in _rectangles(hole, len(frames)):
        for tile in _split(region, 0, _AT_ONCE, _TILE):
            there = hole[tile.filled]
            total += float(_weights(frames, tile.filled).sum(axis=0)[there].sum())
    return min(1.0, total / max(1, int(hole.sum())))


class _Part:
    """A rectangle of the photo with all that is the same in its tiles."""

    def __init__(
        self,
        pixels: Pixels,
        hole: Hole,
        rectangle: Region,
        frames: Sequence[Frame],
        blending: Blending,
        refine: Refine | None,
        grain: bool,
    ) -> None:
        self.pixels, self.hole, self.rectangle = pixels, hole, rectangle
        self.frames = [f for f in frames if _overlap(f.region, rectangle)]
        self.numbers = [n for n, f in enumerate(frames) if _overlap(f.region, rectangle)]
        self.blending, self.refine, self.grain = blending, refine, grain

    @cached_property
    def coarse(self) -> _Coarse:
        """The classical fill of the rectangle; made when it is first needed."""
        return _Coarse(self.pixels, self.hole, self.rectangle)

    def tiles(self) -> Iterator[_Tile]:
        """Yield the tiles that have missing pixels."""
        side = max((frame.placement.side for frame in self.frames), default=0.0)
        margin = min(max(64.0, 3 * side / FORGETTING), 512.0)
        if self.blending == "poisson":  # which forgets nothing
            margin = 512.0
        alone = len(self.frames) <= 1
        at_once, tile_side = (_AT_ONCE, _TILE) if alone else (_TILE**2 // 4, _TILE // 2)
        for tile in _split(self.rectangle, round(margin), at_once, tile_side):
            if self.hole[tile.filled].any():
                yield tile


class _Painter:
    """Fills a tile; what does not depend on what was generated is prepared once."""

    def __init__(self, part: _Part, tile: _Tile, rng: np.random.Generator) -> None:
        self.part, self.tile = part, tile
        self.hole, self.image = part.hole[tile.seen], part.pixels[tile.seen]
        whole = len(part.frames) == 1 and part.frames[0].whole
        self.weights = None if whole else _weights(part.frames, tile.seen)
        self.covered = np.ones(self.hole.shape, np.float32)
        if self.weights is not None:
            self.covered = self.weights.sum(axis=0)
        inside = self.covered[self.hole]
        classical, generated = (inside < 1 - 1e-3).any(), (inside > 1e-3).any()
        main = max(part.frames, key=lambda f: _shared(f, part.hole, tile.seen), default=None)
        self.scale = main.scale if main is not None and generated else 1.0
        self.own_spots = self._measured(self.scale)
        self.classical_spots = self._measured(_CLASSICAL_SCALE) if classical else []
        self.clean = self._cleaned()
        self.classical: Pixels | None = None
        if classical:
            guess = part.coarse.guess(tile.seen)
            self.classical = part.coarse.blender(tile.seen)(self.clean, guess)
        self.blender: Blender | RefinedBlender | None = None
        self.around: Blender | None = None
        if main is not None and generated:
            self.blender, self.around = self._blenders(main, bool(classical))
        self.texture = self._texture(rng)

    def _blenders(
        self, main: Frame, classical: bool
    ) -> tuple[Blender | RefinedBlender, Blender | None]:
        """Return what blends the guess, and what blends it where no frame is seen.

        The refiner knows faces; where the guess is the classical fill it has nothing to say.
        """
        side = main.placement.side
        if self.part.blending != "refined":
            return Blender(self.hole, self.part.blending, side=side), None
        assert self.part.refine is not None
        seen = self.hole & (self.covered > 1e-3)
        refined = RefinedBlender(self.hole, self.part.refine, side, main.resolution, seen)
        return refined, Blender(self.hole, "matern", side=side) if classical else None

    def _measured(self, scale: float) -> list[Floats]:
        """Measure the grain around the tile that enlarging by a scale loses."""
        if not self.part.grain or scale <= 1:
            return []
        around = _padded(self.tile.seen, _CONTEXT, self.part.hole.shape)
        return measure_grain(self.part.pixels[around], self.part.hole[around], scale)

    def _cleaned(self) -> Pixels:
        """Return the tile without its grain where grain will be added; any value in the hole."""
        spots = self.own_spots or self.classical_spots
        if not spots:
            return self.image
        guess = rounded(self.part.coarse.guess(self.tile.seen))
        smooth = without_grain(np.where(self.hole[:, :, None], guess, self.image), spots)
        if self.own_spots:
            return smooth
        share = self.covered[:, :, None]
        return rounded(share * self.image + (1 - share) * smooth)

    def _texture(self, rng: np.random.Generator) -> Floats | None:
        """Draw the grain of this tile's hole; None if it lacks none."""
        texture = None
        for spots, scale, share in (
            (self.own_spots, self.scale, self.covered),
            (self.classical_spots, _CLASSICAL_SCALE, 1 - self.covered),
        ):
            if spots:
                strength = (grain_share(self.hole, scale) * share)[:, :, None]
                grain = make_grain(spots, self.hole.shape, rng) * strength
                texture = grain if texture is None else texture + grain
        return texture

    def fill(self, fill: Pixels, images: Sequence[Floats]) -> None:
        """Fill the tile's hole in the photo's pixels `fill`, in place, from what was generated."""
        if self.blender is not None:
            own = [images[number] for number in self.part.numbers]
            guess = self._guess(own)
            painted = self.blender(self.clean, guess)
            if self.around is not None:
                share = self.covered[:, :, None]
                plain = self.around(self.clean, guess)
                painted = rounded(plain + share * (painted.astype(np.float32) - plain))
        else:
            assert self.classical is not None
            painted = self.classical
        if self.texture is not None:
            painted = rounded(painted + self.texture)
        rows, columns = self.tile.filled
        top, left = rows.start - self.tile.seen[0].start, columns.start - self.tile.seen[1].start
        core = painted[
            top : top + rows.stop - rows.start, left : left + columns.stop - columns.start
        ]
        there = self.part.hole[self.tile.filled]
        fill[self.tile.filled][there] = core[there]

    def _guess(self, images: Sequence[Floats]) -> Floats:
        """Return what the frames show, and the classical fill where there is none."""
        frames, seen = self.part.frames, self.tile.seen
        if self.weights is None:
            return frames[0].back(images[0], seen)
        base = self.clean if self.classical is None else self.classical
        guess = base * (1.0 - self.covered)[:, :, None]
        for frame, image, weight in zip(frames, images, self.weights, strict=True):
            if weight.any():
                guess += frame.back(image, seen) * weight[:, :, None]
        return np.asarray(guess, np.float32)


class _Coarse:
    """The classical fill of a rectangle: a membrane at a reduced size, finer detail on top of it.

    A membrane spans the widest holes without inventing anything; what is finer than the reduced
    size is carried over from the known pixels as smoothly as by a thin plate. On 36 holes in four
    photographs (strokes of 2 to 6 and of 10 to 23 pixels, ellipses of 60 to 140) that gave 26.6,
    21.8 and 19.8 dB, OpenCV's Navier-Stokes 25.7, 20.4 and 18.3, its Telea 25.3, 20.5 and 18.1
    (`python -m benchmarks classical-fill`).
    """

    def __init__(self, pixels: Pixels, hole: Hole, rectangle: Region) -> None:
        self.pixels, self.hole, self.rectangle = pixels, hole, rectangle
        height, width = (span.stop - span.start for span in rectangle)
        least = max(_LEAST_FACTOR, int(np.ceil(np.sqrt(height * width / _COARSE))))
        self.factor = min(max(1, min(height, width) // 4), least)
        mean, share = _shrunk(pixels, hole, rectangle, self.factor)
        small = rounded(mean)
        level = np.broadcast_to(np.float32(128), small.shape)
        self.small = Blender(share < KNOWN_SHARE, "poisson")(small, level)

    def blender(self, region: Region) -> Blender:
        """Return what carries the finest detail over into a region's hole."""
        side = FORGETTING * _MEMORY * self.factor
        return Blender(self.hole[region], "matern", FORGETTING, side, softening=0.0)

    def guess(self, region: Region) -> Floats:
        """Enlarge what belongs to a region, which may reach beyond the rectangle."""
        factor, spans = self.factor, []
        for span, own, length in zip(region, self.rectangle, self.small.shape[:2], strict=True):
            first = (span.start - own.start) // factor - 2
            last = -(-(span.stop - own.start) // factor) + 2
            spans.append((np.arange(first, last).clip(0, length - 1), first))
        (rows, top), (columns, left) = spans
        part = self.small[np.ix_(rows, columns)].astype(np.float32)
        size = (part.shape[1] * factor, part.shape[0] * factor)
        large = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)
        y = region[0].start - self.rectangle[0].start - top * factor
        x = region[1].start - self.rectangle[1].start - left * factor
        height, width = (span.stop - span.start for span in region)
        return np.asarray(large[y : y + height, x : x + width], np.float32)


def _shrunk(
    pixels: NDArray[np.uint8], hole: Hole, rectangle: Region, factor: int
) -> tuple[Floats, Floats]:
    """Average the known pixels of blocks: (h, w, C) means, (h, w) known shares; strip by strip."""
    rows, columns = rectangle
    means, shares = [], []
    strip = factor * max(1, 256 // factor)
    for top in range(rows.start, rows.stop, strip):
        part = (slice(top, min(top + strip, rows.stop)), columns)
        known = (~hole[part]).astype(np.float32)[:, :, None]
        stack = np.concatenate([pixels[part] * known, known], axis=2)
        height, width = stack.shape[:2]
        stack = np.pad(stack, ((0, -height % factor), (0, -width % factor), (0, 0)), "edge")
        size = (stack.shape[1] // factor, stack.shape[0] // factor)
        small = cv2.resize(stack, size, interpolation=cv2.INTER_AREA)
        shares.append(small[:, :, -1])
        means.append(known_mean(small[:, :, :-1], small[:, :, -1]))
    return np.concatenate(means), np.concatenate(shares)


def _rectangles(hole: Hole, frames: int) -> list[Region]:
    """Return rectangles that hold the hole, each filled by itself."""
    height, width = hole.shape
    if frames <= 1 and hole.size <= _AT_ONCE:
        return [(slice(0, height), slice(0, width))]
    padded = np.pad(hole, ((0, -height % _CELL), (0, -width % _CELL)))
    rows, columns = padded.shape[0] // _CELL, padded.shape[1] // _CELL
    touched = np.asarray(padded.reshape(rows, _CELL, columns, _CELL).any(axis=(1, 3)), np.uint8)
    cells: NDArray[Any] = cv2.dilate(touched, np.ones((3, 3), np.uint8))
    while True:  # what touches becomes one rectangle, which may touch others
        count, _, boxes, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
        full = np.zeros_like(cells)
        for left, top, across, down, _ in boxes[1:count]:
            full[top : top + down, left : left + across] = 1
        if (full == cells).all():
            break
        cells = full
    return [
        (
            slice(int(top) * _CELL, min(int(top + down) * _CELL, height)),
            slice(int(left) * _CELL, min(int(left + across) * _CELL, width)),
        )
        for left, top, across, down, _ in boxes[1:count]
    ]


def _split(rectangle: Region, margin: int, at_once: int, side: int) -> Iterator[_Tile]:
    """Cut a rectangle of more than `at_once` pixels into tiles that see `margin` beyond their own.

    What they see stays inside the rectangle.
    """
    height, width = (span.stop - span.start for span in rectangle)
    if height * width <= at_once:
        yield _Tile(rectangle, rectangle)
        return
    for top in range(rectangle[0].start, rectangle[0].stop, side):
        for left in range(rectangle[1].start, rectangle[1].stop, side):
            filled = (
                slice(top, min(top + side, rectangle[0].stop)),
                slice(left, min(left + side, rectangle[1].stop)),
            )
            rows, columns = (
                slice(max(span.start - margin, own.start), min(span.stop + margin, own.stop))
                for span, own in zip(filled, rectangle, strict=True)
            )
            yield _Tile((rows, columns), filled)


def _padded(region: Region, margin: int, size: tuple[int, int]) -> Region:
    rows, columns = (
        slice(max(span.start - margin, 0), min(span.stop + margin, length))
        for span, length in zip(region, size, strict=True)
    )
    return rows, columns


def _shared(frame: Frame, hole: Hole, rectangle: Region) -> int:
    """Count the missing pixels of a rectangle that lie under a frame."""
    both = _overlap(frame.region, rectangle)
    return 0 if both is None else int(np.count_nonzero(hole[both]))


def _overlap(first: Region, second: Region) -> Region | None:
    spans = [
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    ]
    return None if any(s.start >= s.stop for s in spans) else (spans[0], spans[1])


def _weights(frames: Sequence[Frame], region: Region) -> Floats:
    """Return how far each frame is seen in a region, float32 (frames, h, w), summing up to 1.

    A pixel of several frames belongs mainly to that whose centre is nearest, in its own sides.
    """
    height, width = (span.stop - span.start for span in region)
    alphas = np.zeros((len(frames), height, width), np.float32)
    claims = np.zeros_like(alphas)
    for number, frame in enumerate(frames):
        both = _overlap(frame.region, region)
        if both is None:
            continue
        rows, columns = both
        y, x = np.mgrid[both].astype(np.float32) + np.float32(0.5)
        place = frame.placement
        squared = (np.square(x - place.x) + np.square(y - place.y)) / place.side**2
        own = (
            number,
            slice(rows.start - region[0].start, rows.stop - region[0].start),
            slice(columns.start - region[1].start, columns.stop - region[1].start),
        )
        alphas[own] = frame.back(frame.alpha, both).clip(0.0, 1.0)
        claims[own] = alphas[own] * np.exp(-squared / _NEAREST**2)
    if len(frames) == 1:
        return alphas
    covered = 1.0 - np.prod(1.0 - alphas, axis=0)
    return np.asarray(claims * (covered / np.maximum(claims.sum(axis=0), 1e-12)), np.float32)
