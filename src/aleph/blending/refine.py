"""Refining: a blend that is learned, at the photo's own size.

A model's refiner (`aleph.models.networks.refiner`) was trained on frames of its resolution, and on
guesses that are a little blurred because a frame was enlarged. Where a frame covers many pixels of
a photo, the hole is refined from coarse to fine: first at about the frame's resolution, then at
twice the size, with what was found so far as the guess, and so on. What is finer than four pixels
of the photo to one of the frame the refiner knows nothing of; there the `matern` blend has the last
word.

Beside known pixels G(ẑ) is softened first, as for `matern`.

Only windows with missing pixels are looked at, one after the other, so memory does not grow with
the photo.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Floats, Hole, Region
from aleph.blending.blend import FORGETTING, Blender, Softness

_Scalar = TypeVar("_Scalar", bound=np.generic)

Refine = Callable[[NDArray[np.uint8], Hole, Floats, float], Floats]
"""(image, uint8 (h, w, 3); hole, boolean (h, w); guess, float32 (h, w, 3) in 0 to 255; κ per
pixel) → the fill, float32 (h, w, 3) in 0 to 255; equal to the image where the hole is not."""

COARSEST = 2.0
"""Pixels of the photo to one of the frame up to which the refiner is asked at once."""

FINEST = 4.5
"""Pixels of the photo to one of the frame beyond which the refiner is not asked."""

DETAIL = 1.3
"""Factor of the finest detail of a fill in a photo: a refiner that errs least leaves what it is not
sure of soft (docs/photos.md)."""

_WINDOW = 448
"""Side in pixels of the windows."""

_MARGIN = 48
"""Pixels around a window that the refiner sees: about as far as it looks."""


def with_detail(picture: Floats, factor: float, pixel: float) -> Floats:
    """Return a picture whose finest detail is stronger, by unsharp masking.

    Args:
        picture: float32 (H, W, 3).
        factor: Of the detail; 1 leaves it as it is.
        pixel: Standard deviation in pixels of the blur that takes the detail away.
    """
    finest = picture - cv2.GaussianBlur(picture, (0, 0), pixel)
    return np.asarray(picture + np.float32(factor - 1.0) * finest, np.float32)


@dataclass(frozen=True)
class Refinement:
    """A model's refiner, and how holes are filled with it.

    Attributes:
        refine: The refiner.
        resolution: Side of the model's frame in its own pixels.
        both_views: Whether picture and mirror image are both filled, and their mean is taken.
        detail: Factor of the finest detail of such a mean where a frame is all of the picture.
    """

    refine: Refine
    resolution: int
    both_views: bool
    detail: float

    @property
    def fill(self) -> Refine:
        """What fills a hole at a size."""
        return of_both_views(self.refine, self.resolution) if self.both_views else self.refine

    def strength(self, whole: bool) -> float:
        """Return the factor of a fill's finest detail.

        Args:
            whole: Whether the frame is all of the picture; if not, it was found in a photo.
        """
        if not whole:
            return DETAIL
        return self.detail if self.both_views else 1.0


def of_both_views(refine: Refine, resolution: int) -> Refine:
    """Return a refiner whose fill is the mean of the picture's and of its mirror image's.

    Each errs in its own way. What was found at about the size of the frame is made finer from the
    picture alone: there is little to err in, and most of the time is spent.

    Args:
        refine: The refiner of a model for which picture and mirror image are equally likely.
        resolution: Side of the model's frame in its own pixels.
    """
    coarse = FORGETTING / (COARSEST * resolution)

    def both(image: NDArray[np.uint8], hole: Hole, guess: Floats, kappa: float) -> Floats:
        fill = refine(image, hole, guess, kappa)
        if kappa < coarse:
            return fill
        turned = refine(_mirrored(image), _mirrored(hole), _mirrored(guess), kappa)
        return np.asarray((fill + _mirrored(turned)) / 2, np.float32)

    return both


def _mirrored(values: NDArray[_Scalar]) -> NDArray[_Scalar]:
    return np.ascontiguousarray(values[:, ::-1])


class RefinedBlender:
    """Blends any number of generated images into one hole, as `aleph.blending.Blender` does.

    Args:
        hole: Boolean (H, W), True = missing.
        refine: The model's refiner.
        side: Side of the model's frame in pixels of `hole`.
        resolution: Side of the model's frame in its own pixels.
        wanted: Boolean (H, W), the missing pixels that are to be refined; by default all.
        detail: Factor of the fill's finest detail, of about a pixel of the frame; 1 leaves it.
    """

    def __init__(
        self,
        hole: Hole,
        refine: Refine,
        side: float,
        resolution: int,
        wanted: Hole | None = None,
        detail: float = 1.0,
    ) -> None:
        self.hole = np.array(hole)
        self.detail, self.pixel = detail, min(max(1.0, side / resolution), FINEST)
        self.wanted = self.hole if wanted is None else wanted
        self.refine = refine
        self.kappa = FORGETTING / side
        scale = side / resolution
        self.coarser: RefinedBlender | None = None
        self.finest: Blender | None = None
        if scale > COARSEST and min(hole.shape) >= 4:
            self.coarser = RefinedBlender(
                _all_of_four(hole), refine, side / 2, resolution, _any_of_four(self.wanted)
            )
        self.softness: Softness | None = None
        if self.coarser is None:  # at the other sizes the guess is not G(ẑ) any more
            self.softness = Softness(self.hole, side)
        if scale > FINEST:
            self.finest = Blender(hole, "matern", side=side, softening=0.0)

    def __call__(self, image: NDArray[np.uint8], generated: Floats) -> NDArray[np.uint8]:
        """Return `image` with its hole filled.

        Args:
            image: uint8 (H, W, 3); its values in the hole are not looked at.
            generated: Float (H, W, 3), in units of uint8 (0 to 255), not rounded.

        Returns:
            New uint8 (H, W, 3), equal to `image` wherever `hole` is False.
        """
        fill = self.fill(image, np.asarray(generated, np.float32))
        if self.detail != 1.0:
            whole = np.where(self.hole[:, :, None], fill, image).astype(np.float32)
            fill = with_detail(whole, self.detail, self.pixel)
        filled = np.array(image)
        filled[self.hole] = np.clip(np.rint(fill[self.hole]), 0, 255).astype(np.uint8)
        return filled

    def fill(self, image: NDArray[np.uint8], guess: Floats) -> Floats:
        """Return the fill, float32 (H, W, 3), not rounded; any value outside the hole."""
        if not self.wanted.any():
            return guess
        if self.coarser is not None:
            guess = self._corrected(image, guess)
        if self.finest is not None:
            return np.asarray(self.finest(image, guess), np.float32)
        soft = guess
        if self.softness is not None:
            soft = np.asarray(self.softness(guess.astype(np.float64)), np.float32)
        fill = soft.copy()
        for seen, core in _windows(self.wanted):
            window = self.hole[seen]
            refined = self.refine(image[seen], window, soft[seen], self.kappa)
            inside = _within(core, seen)
            fill[core] = refined[inside]
        return fill

    def _corrected(self, image: NDArray[np.uint8], guess: Floats) -> Floats:
        """Return the guess with what half the size has to say about it."""
        assert self.coarser is not None
        small = _halved(guess)
        known = (~self.hole).astype(np.float32)[:, :, None]
        share = _halved(known)[:, :, None]
        mean = _halved(image * known) / np.maximum(share, 1e-6)
        pixels = np.clip(np.rint(mean), 0, 255).astype(np.uint8)
        found = self.coarser.fill(pixels, small)
        change = np.where(self.coarser.hole[:, :, None], found, mean) - small
        size = (2 * change.shape[1], 2 * change.shape[0])
        large = cv2.resize(change, size, interpolation=cv2.INTER_CUBIC)
        return np.asarray(guess + large[: guess.shape[0], : guess.shape[1]], np.float32)


def _halved(values: NDArray[np.float32]) -> Floats:
    """Average 2×2 pixels of (H, W, C); at an odd border the last ones are repeated."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.float32)


def _fours(pixels: Hole) -> NDArray[np.int64]:
    """Count the marked of 2×2 pixels; at an odd border the last ones are repeated."""
    even = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2)), "edge")
    fours = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2)
    return np.asarray(fours.sum(axis=(1, 3)), np.int64)


def _all_of_four(pixels: Hole) -> Hole:
    return np.asarray(_fours(pixels) == 4)


def _any_of_four(pixels: Hole) -> Hole:
    return np.asarray(_fours(pixels) > 0)


def _windows(hole: Hole) -> Iterator[tuple[Region, Region]]:
    """Yield (seen, filled): windows that together hold all of the hole."""
    spans = []
    for axis in (1, 0):
        places = np.flatnonzero(hole.any(axis=axis))
        spans.append((int(places[0]), int(places[-1]) + 1))
    (top, bottom), (left, right) = spans
    for rows in _cut(top, bottom):
        for columns in _cut(left, right):
            if hole[rows, columns].any():
                seen = tuple(
                    slice(max(0, span.start - _MARGIN), min(length, span.stop + _MARGIN))
                    for span, length in zip((rows, columns), hole.shape, strict=True)
                )
                yield (seen[0], seen[1]), (rows, columns)


def _cut(first: int, last: int) -> list[slice]:
    """Cut a span into equal parts of at most a window's side."""
    count = -(-(last - first) // _WINDOW)
    bounds = np.linspace(first, last, count + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(bounds)]


def _within(core: Region, seen: Region) -> Region:
    """Return where a region lies in the window that is seen of it."""
    rows, columns = (
        slice(inner.start - outer.start, inner.stop - outer.start)
        for inner, outer in zip(core, seen, strict=True)
    )
    return rows, columns
