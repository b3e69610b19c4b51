"""Composing: generated frames and their surroundings, brought together at the photo's own size.

The hole is filled rectangle by rectangle, so that memory grows with the hole and its frames and not
with the photo. First comes what the frames cover: G(ẑ), enlarged, is the guess, and one blend
carries the photo's own detail into it. Then what they do not cover is continued from what lies
around it, the frames' fill among it, so that nothing shows where the one ends and the other begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from aleph.arrays import Floats, Hole, Pixels, Region, rounded
from aleph.blending.blend import FORGETTING, Blender
from aleph.blending.grain import grain_share, make_grain, measure_grain, without_grain
from aleph.blending.refine import Refine, RefinedBlender, Refinement
from aleph.blending.regions import Tile, overlap, padded, rectangles, split, whole, within
from aleph.blending.smooth import SmoothFill
from aleph.blending.surroundings import Around, OnPiece, fill_surroundings
from aleph.blending.texture import texture_available
from aleph.blending.toning import tone_fill
from aleph.config import Blending
from aleph.frames.frame import FEATHER, Frame
from aleph.frames.placement import Placement
from aleph.photo.tone import ToneCurve

_AT_ONCE = 1 << 21
"""Pixels of a rectangle up to which it is filled in one piece."""

_TILE = 1024
"""Side in pixels of the pieces of a larger rectangle; half of it where there are several frames,
for a piece is blended as suits that frame which has most of its hole."""

_NEAREST = 0.2
"""Distance from its centre, in its sides, over which a frame yields to a nearer one."""

_CONTEXT = 96
"""Pixels around a rectangle in which the grain is measured."""

_SMOOTH_SCALE = 4.0
"""Scale of the detail that the smooth fill lacks in pixels; coarser it would be made up."""

_SEEN = 0.5
"""How far a frame must be seen in a pixel to fill it; where less, its surroundings go on."""

_TRACE = 1e-3
"""How far a frame must be seen in a pixel to be taken into account there."""

_FAR = 0.02
"""Distance from known pixels, in the photo's longer side, beyond which a fill is a guess."""

_FAR_PIXELS = 16
"""The same in pixels, at least."""

_FACE, _FILLED_FACE = (0.4, 0.5), (0.4, 0.5 - FEATHER / 2)
"""Half axes of the ellipse in a frame, in its sides, that is never copied elsewhere, nor filled by
copies; and the same of a face that is filled, up to where its frame fills."""


@dataclass(frozen=True, eq=False)
class Outside:
    """How that part of a hole is filled which no frame covers.

    Attributes:
        texture: Whether its surroundings' texture is continued; if not, it is filled smoothly.
        refine: A refiner of surroundings, for what lies beside known pixels; None for none.
        unseen: Boolean (H, W), what is unknown though not in the hole: transparent pixels.
        faces: Frames beside those that are filled from, in which nothing may be copied.
        on_piece: Called with the pieces that are done and all of them; what it raises ends it.
        filled: uint8 (H, W, 3), a fill that is there already, whose outside is to be taken.
    """

    texture: bool = True
    refine: Refine | None = None
    unseen: Hole | None = None
    faces: Sequence[Placement] = ()
    on_piece: OnPiece | None = None
    filled: Pixels | None = None


def compose(
    pixels: Pixels,
    hole: Hole,
    frames: Sequence[Frame],
    generated: Sequence[Sequence[Floats]],
    blending: Blending = "matern",
    *,
    refinement: Refinement | None = None,
    grain: bool = True,
    seed: int = 0,
    curve: ToneCurve | None = None,
    outside: Outside = Outside(),
) -> list[Pixels]:
    """Fill the hole of a photo from what was generated in its frames.

    Args:
        pixels: uint8 (H, W, 3); its values in the hole are not looked at.
        hole: Boolean (H, W), True = missing.
        frames: The frames; may be none.
        generated: For each fill that is asked for, G(ẑ) of every frame, float (R, R, 3), 0 to 255.
        blending: How they are put into the hole.
        refinement: The model's refiner, for the blending `refined`.
        grain: Whether the grain of the surroundings is added where an enlarged frame lacks it.
        seed: Of the grain and the texture; the k-th fill has the texture of seed + k.
        curve: The photo's tone curve, if it is monochrome.
        outside: How the part is filled that no frame covers.

    Returns:
        For each, a new uint8 (H, W, 3), equal to `pixels` wherever `hole` is False.
    """
    fills = [np.array(pixels) for _ in generated]
    unknown = hole if outside.unseen is None else hole | outside.unseen
    texture = outside.texture and texture_available()
    left = np.zeros_like(hole)
    for number, rectangle in enumerate(_parts(hole, frames)):
        part = _Part(pixels, hole, unknown, rectangle, frames, blending, refinement, grain, texture)
        for place, tile in enumerate(part.tiles()):
            if texture:
                left[tile.filled] = _uncovered(part, tile)
            if (left[tile.filled] == hole[tile.filled]).all():
                continue
            painter = _Painter(part, tile, np.random.default_rng([seed, number, place, 0x6A11]))
            for fill, images in zip(fills, generated, strict=True):
                painter.fill(fill, images)
    for fill in fills:
        tone_fill(fill, hole, frames, curve)
    if left.any() and outside.filled is not None:
        for fill in fills:
            fill[left] = outside.filled[left]
    elif left.any():
        around = Around(unknown & ~hole, _barred(frames, outside.faces, hole.shape))
        for number, fill in enumerate(fills):
            own = seed + number
            fill_surroundings(fill, left, around, outside.refine, own, outside.on_piece)
            tone_fill(fill, left, [], curve)
    return fills


@dataclass(frozen=True)
class Shares:
    """What a hole was filled from, in shares of it.

    Attributes:
        generated: By the model.
        continued: From its surroundings.
        guessed: That part of the latter which lies far from all that is known: more than 2 % of
            the photo's longer side, and 16 pixels.
    """

    generated: float
    continued: float
    guessed: float


def filled_shares(hole: Hole, frames: Sequence[Frame]) -> Shares:
    """Return which shares of a hole are filled from what."""
    total = max(1, int(hole.sum()))
    generated, guessed = 0.0, 0
    far = max(_FAR_PIXELS, _FAR * max(hole.shape))
    for region in _parts(hole, frames):
        left = hole[region].copy()
        for tile in split(region, 0, _AT_ONCE, _TILE):
            covered = _weights(frames, tile.filled).sum(axis=0)
            generated += float(covered[hole[tile.filled]].sum())
            left[within(tile.filled, region)] &= covered < _SEEN
        distance = cv2.distanceTransform(left.astype(np.uint8), cv2.DIST_L2, 5)
        guessed += int((left & (distance > far)).sum())
    share = min(1.0, generated / total)
    return Shares(share, 1.0 - share, min(1.0 - share, guessed / total))


def _parts(hole: Hole, frames: Sequence[Frame]) -> list[Region]:
    """Return the rectangles that are filled by themselves; a small photo is one."""
    if len(frames) <= 1 and hole.size <= _AT_ONCE:
        return [whole(hole)]
    return rectangles(hole)


def _uncovered(part: _Part, tile: Tile) -> Hole:
    """Return what of a tile's hole no frame fills, (h, w) of what the tile fills."""
    there = part.hole[tile.filled]
    if part.whole:
        return np.zeros_like(there)
    return np.asarray(there & (_weights(part.frames, tile.filled).sum(axis=0) < _SEEN))


def _barred(frames: Sequence[Frame], faces: Sequence[Placement], size: tuple[int, int]) -> Hole:
    """Return the ellipses of all faces: they are no source of texture.

    Args:
        frames: The frames that are filled from.
        faces: All faces that were found.
        size: Height and width of the photo.
    """
    canvas = np.zeros(size, np.uint8)
    filled = [frame.placement for frame in frames if not frame.whole]
    others = [place for place in faces if place not in filled]
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for axes, places in ((_FILLED_FACE, filled), (_FACE, others)):
        for place in places:
            outline = place.points(0.5 + np.array(axes) * circle)
            cv2.fillPoly(canvas, [np.rint(outline).astype(np.int32)], 1)
    return canvas.astype(bool)


class _Part:
    """A rectangle of the photo with all that is the same in its tiles.

    `cut` says that the frames do not fade into the smooth fill: where they end, another fill goes
    on from them.
    """

    def __init__(
        self,
        pixels: Pixels,
        hole: Hole,
        unknown: Hole,
        rectangle: Region,
        frames: Sequence[Frame],
        blending: Blending,
        refinement: Refinement | None,
        grain: bool,
        cut: bool,
    ) -> None:
        self.pixels, self.rectangle, self.cut = pixels, rectangle, cut
        self.hole, self.unknown = hole, unknown
        self.frames = [f for f in frames if overlap(f.region, rectangle)]
        self.numbers = [n for n, f in enumerate(frames) if overlap(f.region, rectangle)]
        self.blending, self.refinement, self.grain = blending, refinement, grain

    @cached_property
    def coarse(self) -> SmoothFill:
        """The smooth fill of the rectangle; made when it is first needed."""
        return SmoothFill(self.pixels, self.unknown, self.rectangle)

    @property
    def whole(self) -> bool:
        """Whether one frame is all of the photo."""
        return len(self.frames) == 1 and self.frames[0].whole

    def tiles(self) -> Iterator[Tile]:
        """Yield the tiles that have missing pixels."""
        side = max((frame.placement.side for frame in self.frames), default=0.0)
        margin = min(max(64.0, 3 * side / FORGETTING), 512.0)
        if self.blending == "poisson":  # which forgets nothing
            margin = 512.0
        alone = len(self.frames) <= 1
        at_once, tile_side = (_AT_ONCE, _TILE) if alone else (_TILE**2 // 4, _TILE // 2)
        for tile in split(self.rectangle, round(margin), at_once, tile_side):
            if self.hole[tile.filled].any():
                yield tile


class _Painter:
    """Fills a tile; what does not depend on what was generated is prepared once."""

    def __init__(self, part: _Part, tile: Tile, rng: np.random.Generator) -> None:
        self.part, self.tile = part, tile
        self.hole, self.image = part.unknown[tile.seen], part.pixels[tile.seen]
        self.weights = None if part.whole else _weights(part.frames, tile.seen)
        self.covered = np.ones(self.hole.shape, np.float32)
        if self.weights is not None:
            self.covered = self.weights.sum(axis=0)
        self.shown = (self.covered > _TRACE).astype(np.float32) if part.cut else self.covered
        inside = self.covered[self.hole]
        smooth, generated = (inside < 1 - _TRACE).any(), (inside > _TRACE).any()
        main = max(part.frames, key=lambda f: _shared(f, part.hole, tile.seen), default=None)
        self.scale = main.scale if main is not None and generated else 1.0
        self.own_spots = self._measured(self.scale)
        self.smooth_spots = self._measured(_SMOOTH_SCALE) if smooth else []
        self.clean = self._cleaned()
        self.smooth: Pixels | None = None
        if smooth:
            self.smooth = part.coarse(self.clean, tile.seen)
        self.blender: Blender | RefinedBlender | None = None
        self.around: Blender | None = None
        if main is not None and generated:
            self.blender, self.around = self._blenders(main, bool(smooth))
        self.texture = self._texture(rng)

    def _blenders(
        self, main: Frame, smooth: bool
    ) -> tuple[Blender | RefinedBlender, Blender | None]:
        """Return what blends the guess, and what blends it where no frame is seen.

        The refiner knows faces; where the guess is the smooth fill it has nothing to say.
        """
        side = main.placement.side
        if self.part.blending != "refined":
            return Blender(self.hole, self.part.blending, side=side), None
        refinement = self.part.refinement
        assert refinement is not None
        seen = self.hole & (self.covered > 1e-3)
        detail = refinement.strength(self.part.whole)
        refined = RefinedBlender(self.hole, refinement.fill, side, main.resolution, seen, detail)
        return refined, Blender(self.hole, "matern", side=side) if smooth else None

    def _measured(self, scale: float) -> list[Floats]:
        """Measure the grain around the tile that enlarging by a scale loses."""
        if not self.part.grain or scale <= 1:
            return []
        around = padded(self.tile.seen, _CONTEXT, self.part.hole.shape)
        return measure_grain(self.part.pixels[around], self.part.unknown[around], scale)

    def _cleaned(self) -> Pixels:
        """Return the tile without its grain where grain will be added; any value in the hole."""
        spots = self.own_spots or self.smooth_spots
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
            (self.smooth_spots, _SMOOTH_SCALE, 1 - self.covered),
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
            assert self.smooth is not None
            painted = self.smooth
        if self.texture is not None:
            painted = rounded(painted + self.texture)
        core = painted[within(self.tile.filled, self.tile.seen)]
        there = self.part.hole[self.tile.filled]
        fill[self.tile.filled][there] = core[there]

    def _guess(self, images: Sequence[Floats]) -> Floats:
        """Return what the frames show, and the smooth fill where there is none."""
        frames, seen = self.part.frames, self.tile.seen
        if self.weights is None:
            return frames[0].back(images[0], seen)
        base = self.clean if self.smooth is None else self.smooth
        guess = base * (1.0 - self.shown)[:, :, None]
        for frame, image, weight in zip(frames, images, self.weights, strict=True):
            if weight.any():
                share = weight * (self.shown / np.maximum(self.covered, 1e-6))
                guess += frame.back(image, seen) * share[:, :, None]
        return np.asarray(guess, np.float32)


def _shared(frame: Frame, hole: Hole, rectangle: Region) -> int:
    """Count the missing pixels of a rectangle that lie under a frame."""
    both = overlap(frame.region, rectangle)
    return 0 if both is None else int(np.count_nonzero(hole[both]))


def _weights(frames: Sequence[Frame], region: Region) -> Floats:
    """Return how far each frame is seen in a region, float32 (frames, h, w), summing up to 1.

    A pixel of several frames belongs mainly to that whose centre is nearest, in its own sides.
    """
    height, width = (span.stop - span.start for span in region)
    alphas = np.zeros((len(frames), height, width), np.float32)
    claims = np.zeros_like(alphas)
    for number, frame in enumerate(frames):
        both = overlap(frame.region, region)
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
