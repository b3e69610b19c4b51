"""Surroundings: what no frame covers, continued from what lies around it.

What is thin a refiner fills by itself: a network that was trained on damaged photographs. In wide
holes texture is needed as well: PatchMatch at two patch sizes and the refined smooth fill are three
guesses of one hole, which `mix` brings together by how far known pixels are. All of it is done
piece by piece, so that time and memory grow with the hole and not with the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Floats, Hole, Pixels, Region, rounded
from aleph.blending.refine import DETAIL, Refine, with_detail
from aleph.blending.regions import enlarged, padded, rectangles, shrunk, split, whole, within
from aleph.blending.smooth import SmoothFill, carried_over
from aleph.blending.texture import DetailSource, continue_texture
from aleph.frames.frame import KNOWN_SHARE

OnPiece = Callable[[int, int], None]
"""Called after each piece with the pixels that are filled and all of them; what it raises ends the
fill."""

_REACH = 96
"""Pixels from a known one up to which PatchMatch finds the way into a hole."""

_PIXELS = 200_000
"""Missing pixels up to which a photo's hole is filled at its own size."""

_DETAIL = 4.0
"""Standard deviation in pixels of the blur that parts tones from detail."""

_TONES, _FAR_TONES = 0.5, 8.0
"""PatchMatch's share in the tones far from known pixels, and how many pixels far is."""

_FAR_DETAIL, _FAR = 1.1, 3.0
"""Its share in the detail far from known pixels, and how many pixels far is."""

_THIN = 4.0
"""Distance from known pixels up to which the refiner alone fills a hole."""

_NEARBY = 16
"""Known pixels this far beyond the nearest ones bound the refiner's tones."""

_RADII = (3, 5)
"""Radii of PatchMatch's patches; the fill has the texture of the first."""

_TILE = 512
"""Side in pixels of a piece."""

_MARGIN = 64
"""Pixels around a piece that are looked at, at least."""

_WINDOW = 128
"""Side in pixels of the windows around the hole that detail is taken from."""

_WINDOWS = 16
"""Windows that detail is taken from, at most."""


@dataclass(frozen=True, eq=False)
class Around:
    """What the fill may look at, and how.

    Attributes:
        unseen: Boolean (H, W), True = unknown though not to be filled (transparent): neither
            continued from nor copied.
        barred: Boolean (H, W), True = known, but not to be copied (faces).
    """

    unseen: Hole
    barred: Hole

    def __getitem__(self, region: Region) -> Around:
        return Around(self.unseen[region], self.barred[region])

    def shrunk(self, region: Region, factor: int) -> Around:
        """Return a region at a reduced size; what is partly unseen or barred is so wholly."""
        return Around(*(_any(mask[region], factor) for mask in (self.unseen, self.barred)))


def fill_surroundings(
    pixels: Pixels,
    hole: Hole,
    around: Around,
    refine: Refine | None = None,
    seed: int = 0,
    on_piece: OnPiece | None = None,
) -> None:
    """Fill a hole from what lies around it, in place.

    Args:
        pixels: uint8 (H, W, 3); changed in the hole alone, its values there are not looked at.
        hole: Boolean (H, W), True = to be filled.
        around: What may be looked at.
        refine: A refiner of surroundings; None leaves what lies beside known pixels smooth.
        seed: The same gives the same fill; some give others.
        on_piece: Called after each piece.
    """
    count = _Count(int(hole.sum()), on_piece)
    hole = hole.copy()
    if refine is not None:
        _fill_thin(pixels, hole, around, refine, count)
    parts = rectangles(hole) if hole.any() else []
    factor = _factor(hole, parts)
    work = _Work(pixels, hole, around, refine, seed, count)
    for rectangle in parts:
        if factor == 1:
            work.fill(rectangle)
        else:
            _fill_large(work, rectangle, factor)


class _Count:
    """Counts the pixels that are filled, and says so."""

    def __init__(self, total: float, on_piece: OnPiece | None, each: float = 1.0) -> None:
        self.total, self.on_piece, self.each, self.done = total, on_piece, each, 0.0

    def __call__(self, pixels: float) -> None:
        self.done += pixels * self.each
        if self.on_piece:
            self.on_piece(min(round(self.done), round(self.total)), round(self.total))


def _fill_thin(
    pixels: Pixels, left: Hole, around: Around, refine: Refine, count: Callable[[float], None]
) -> None:
    """Fill what is thin by the refiner alone, and take it out of what is left; both in place."""
    missing = left | around.unseen
    thin = left & ~_wide(missing)
    for rectangle in rectangles(thin) if thin.any() else []:
        for tile in split(rectangle, 0, _TILE**2, _TILE):
            core, there = tile.filled, thin[tile.filled]
            if there.any():
                near = padded(core, _MARGIN, thin.shape)
                coarse = SmoothFill(pixels, missing, near)
                guess, kappa = coarse.guess(near), coarse.kappa
                fill = _refined(refine, pixels[near], missing[near], guess, kappa)
                pixels[core][there] = rounded(fill[within(core, near)])[there]
                count(int(there.sum()))
    left &= ~thin


def _refined(refine: Refine, pixels: Pixels, missing: Hole, guess: Floats, kappa: float) -> Floats:
    """Refine a guess, no lighter and no darker than what is known around: flat stays flat.

    Its finest detail is made stronger, as in the frames of a photo (`aleph.blending.refine`).
    """
    fill = with_detail(refine(pixels, missing, guess, kappa), DETAIL, 1.0)
    if missing.all():
        return fill
    side = 2 * (int(_distance(missing).max()) + _NEARBY) + 1
    kernel, there = np.ones((side, side), np.uint8), missing[:, :, None]
    least = cv2.erode(np.where(there, np.uint8(255), pixels), kernel)
    most = cv2.dilate(np.where(there, np.uint8(0), pixels), kernel)
    return np.where(there, np.clip(fill, least, most), fill)


def _wide(hole: Hole) -> Hole:
    """Return what of a hole is too wide to be filled by the refiner alone."""
    cores = (_distance(hole) > _THIN).astype(np.uint8)
    if not cores.any():
        return np.zeros_like(hole)
    size = 2 * int(2 * _THIN) + 1
    reach = cv2.dilate(cores, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return np.asarray(hole & (reach > 0))


def _factor(hole: Hole, parts: list[Region]) -> int:
    """Return by which power of two a photo is shrunk so that PatchMatch can fill its hole."""
    reach = max((float(_distance(hole[r]).max()) for r in parts), default=0.0)
    area, factor = int(hole.sum()), 1
    while area > _PIXELS * factor**2 or reach > _REACH * factor:
        factor *= 2
    return factor


class _Work:
    """A picture whose hole is filled piece by piece; what is filled is known to the next."""

    def __init__(
        self,
        pixels: Pixels,
        hole: Hole,
        around: Around,
        refine: Refine | None,
        seed: int,
        count: Callable[[float], None],
    ) -> None:
        self.pixels, self.left, self.around, self.refine = pixels, hole, around, refine
        self.seed, self.count = seed, count

    def fill(self, rectangle: Region) -> None:
        """Fill a rectangle at its own size, in pieces."""
        missing = self.left | self.around.unseen
        coarse = SmoothFill(self.pixels, missing, padded(rectangle, _MARGIN, missing.shape))
        for tile in split(rectangle, 0, _TILE**2, _TILE):
            core = tile.filled
            missing_here = int(self.left[core].sum())
            if missing_here:
                self._fill_piece(core, coarse)
                self.count(missing_here)

    def _fill_piece(self, core: Region, coarse: SmoothFill) -> None:
        seen = self._seen(core)
        pixels, around = self.pixels[seen], self.around[seen]
        inside = np.zeros(self.left.shape, bool)[seen]
        inside[within(core, seen)] = self.left[core]
        later = self.left[seen] & ~inside
        missing = self.left[seen] | around.unseen
        if self.refine is None:
            smooth = np.asarray(coarse(pixels, seen, missing), np.float32)
        else:
            smooth = pixels.astype(np.float32)
            near = padded(core, _MARGIN, self.left.shape)
            own = within(near, seen)
            guess = coarse.guess(near)
            smooth[own] = _refined(self.refine, pixels[own], missing[own], guess, coarse.kappa)
        barred = around.unseen | around.barred | later
        # Where there is nothing to copy from, this is what stays.
        begun = np.where(inside[:, :, None], rounded(smooth), pixels)
        with ThreadPoolExecutor(len(_RADII)) as pool:  # the library lets go of the interpreter
            guesses = list(
                pool.map(
                    lambda radius: continue_texture(begun, inside, barred, radius, self.seed),
                    _RADII,
                )
            )
        continued = [np.where(inside[:, :, None], guess, smooth) for guess in guesses]
        pixels[inside] = mix(smooth, continued, missing)[inside]
        self.left[core] = False

    def _seen(self, core: Region) -> Region:
        """Return what of the picture is looked at: enough known pixels to copy from."""
        margin, need = _MARGIN, 4 * int(self.left[core].sum())
        while True:
            seen = padded(core, margin, self.left.shape)
            around = self.around[seen]
            usable = ~(self.left[seen] | around.unseen | around.barred)
            if usable.sum() >= need or margin >= 4 * _MARGIN:
                return seen
            margin *= 2


def mix(smooth: Floats, guesses: Sequence[Floats], missing: Hole) -> Pixels:
    """Bring a smooth or refined fill and PatchMatch's guesses of one hole together, by distance.

    Tones are the mean of all, the refined fill's alone beside known pixels. So is the detail there;
    far from them it is the first guess's, a little stronger than it is, for the mean of many
    patches has lost some. (Chosen on eleven photographs: `python -m benchmarks outside --choose`.)

    Args:
        smooth: float32 (H, W, 3), 0 to 255.
        guesses: The guesses, of the same shape, the first with a weight of 0.6.
        missing: Boolean (H, W).
    """
    distance = _distance(missing)[:, :, None]
    first, second = guesses
    far = 1 - np.exp(-distance / _FAR_TONES)
    mean = smooth + _TONES * far * _coarser(0.6 * first + 0.4 * second - smooth)
    fine = np.asarray(first - mean, np.float32)
    share = _FAR_DETAIL * (1 - np.exp(-np.square(distance / _FAR)))
    return rounded(mean + share * (fine - _coarser(fine)))


def _coarser(picture: NDArray[Any]) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), _DETAIL), np.float32)


def _fill_large(work: _Work, rectangle: Region, factor: int) -> None:
    """Fill a rectangle at a reduced size, then give it its own detail."""
    region = padded(rectangle, _MARGIN * factor, work.left.shape)
    around = work.around
    missing = work.left[region] | around.unseen[region]
    mean, share = shrunk(work.pixels[region], missing, whole(missing), factor)
    small = rounded(mean)
    lacking, few = around.shrunk(region, factor), share < KNOWN_SHARE
    hole = few & _any(work.left[region], factor)
    half = 0.5 * factor**2  # a pixel counts half when its guess is made and half when it is filled
    inner = _Work(
        small,
        hole,
        Around(few & ~hole, lacking.barred),
        work.refine,
        work.seed,
        lambda pixels: work.count(half * pixels),
    )
    for part in rectangles(hole) if hole.any() else []:
        inner.fill(part)
    detail = _detail_around(
        work.pixels[region], work.left[region], around[region], factor, work.seed
    )
    for tile in split(rectangle, 0, _TILE**2, _TILE):
        missing_here = int(work.left[tile.filled].sum())
        if missing_here:
            _fill_detail(work, region, tile.filled, small, factor, detail)
            work.count(0.5 * missing_here)
    work.left[rectangle] = False


def _fill_detail(
    work: _Work,
    region: Region,
    core: Region,
    small: Pixels,
    factor: int,
    detail: DetailSource | None,
) -> None:
    """Fill a piece from the small picture of a region, its own detail added."""
    seen = padded(core, 8 * factor, work.left.shape)
    missing = work.left[seen] | work.around.unseen[seen]
    guess = enlarged(small, region, seen, factor)
    filled = carried_over(work.pixels[seen], missing, guess, factor)
    if detail:
        share = 1 - np.exp(-np.square(_distance(missing) / (factor / 2)))
        filled = rounded(filled + share[:, :, None] * detail(guess, missing))
    own = within(core, seen)
    there = work.left[core]
    work.pixels[core][there] = filled[own][there]


def _detail_around(
    pixels: Pixels, left: Hole, around: Around, factor: int, seed: int
) -> DetailSource | None:
    """Cut windows out of a hole's surroundings, as a source of detail; None if none is known."""
    usable = ~(left | around.unseen | around.barred)
    rng = np.random.default_rng([seed, 0x7E57])
    side = min(_WINDOW, *usable.shape)
    inside = cv2.integral(usable.astype(np.uint8))
    rows, columns = (np.arange(0, n - side + 1, max(1, side // 2)) for n in usable.shape)
    counts = (
        inside[np.ix_(rows + side, columns + side)]
        - inside[np.ix_(rows, columns + side)]
        - inside[np.ix_(rows + side, columns)]
        + inside[np.ix_(rows, columns)]
    )
    places = np.argwhere(counts > side**2 / 2)
    if not len(places):
        return None
    low, fine, clean = [], [], []
    for i, k in places[rng.permutation(len(places))[:_WINDOWS]]:
        window = (slice(rows[i], rows[i] + side), slice(columns[k], columns[k] + side))
        own, known = pixels[window].astype(np.float32), usable[window]
        low.append(_low(own, known, factor))
        fine.append(own - low[-1])
        clean.append(cv2.erode(known.astype(np.uint8), np.ones((2 * factor + 1,) * 2, np.uint8)))
        clean[-1][0] = 0  # no block reaches over two windows
    usable = np.concatenate(clean).astype(bool)
    return DetailSource(np.concatenate(low), np.concatenate(fine), usable, rng)


def _low(picture: Floats, known: Hole, factor: int) -> Floats:
    """Return what is left of a picture that is shrunk and enlarged."""
    height, width = known.shape
    mean = picture[known].mean(axis=0)
    picture = np.where(known[:, :, None], picture, mean).astype(np.float32)
    size = (max(1, width // factor), max(1, height // factor))
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    low = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(low, np.float32)


def _distance(missing: Hole) -> Floats:
    """Return how far each pixel is from a known one, float32 (H, W); 0 where it is known."""
    distance = cv2.distanceTransform(missing.astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(np.minimum(distance, max(missing.shape)), np.float32)


def _any(mask: Hole, factor: int) -> Hole:
    """Return which blocks hold any True pixel."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % factor), (0, -width % factor)))
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    return np.asarray(padded.reshape(rows, factor, columns, factor).any(axis=(1, 3)))
