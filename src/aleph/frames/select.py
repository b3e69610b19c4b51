"""Which frames of a photo are searched, and which of them are dropped after the search.

Frames are given by the user, as eyes or a box, or found by the model's detector. The search then
verifies a detection: a frame whose known pixels the generator cannot reproduce holds no face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole, Pixels
from aleph.config import ModelKind
from aleph.errors import InputError
from aleph.frames.detect import Finder
from aleph.frames.frame import Frame, frame_at, frame_whole
from aleph.frames.placement import Placement
from aleph.frames.request import FrameRequest
from aleph.models.config import ModelConfig

How = Literal["whole", "square", "box", "eyes", "detector"]
"""How a frame was found: the whole of a square photo, the largest square over the hole, a box or
eyes that the user gave, or the model's detector."""

MOST_UNEXPLAINED: dict[ModelKind, float] = {"amortised": 0.37, "dcgan": 1.03}
"""Largest fraction of the known pixels' variance that G(ẑ) may leave unexplained in a frame that
holds a face. About 98 of 100 damaged faces stay below, placed exactly or 6 % of the side beside it,
and of squares without a face 4 of 5 are above (2 of 3 with a `dcgan`): see docs/photos.md."""

_LIKE_WHOLE = 0.12
"""Mean distance of the corners, in sides, up to which a frame in a square photo is all of it."""

_CROP = 2
"""A square photo of up to this many times the model's resolution that is the detector's frame is a
crop of an object of the model's class; it is never dropped, for half of it may be missing."""

_UNDETECTED: dict[ModelKind, tuple[float, float]] = {"amortised": (0.28, 0.51)}
"""The same limit for a square photo in which the detector finds nothing, and the largest fraction
that G(ẑ) may leave unexplained of what a smooth surface leaves: sky, walls and cloth are as smooth
as any image that a generator draws, a face is not."""

_LEAST_KNOWN = 0.05
"""Share of a detected frame that must be known, so that the search can verify it."""


@dataclass(frozen=True)
class FrameCandidate:
    """A frame to be searched.

    Attributes:
        frame: What the model sees.
        how: How it was found.
        limit: The frame is dropped if `unexplained` exceeds this; None if it is never dropped.
        score: The detector's score, 0 to 1; None for frames that were found otherwise.
        unexplained: Fraction of the known pixels' variance that G(ẑ) leaves unexplained; None
            before the search.
        diverged: Whether no start of its search ended with finite losses.
    """

    frame: Frame
    how: How
    limit: float | None = None
    score: float | None = None
    unexplained: float | None = None
    diverged: bool = False

    @property
    def dropped(self) -> bool:
        """Whether it is not used: its search diverged, or G(ẑ) leaves too much unexplained."""
        if self.diverged:
            return True
        if self.limit is None or self.unexplained is None:
            return False
        return self.unexplained > self.limit

    def judged(self, generated: NDArray[np.float32]) -> FrameCandidate:
        """Return it with `unexplained` measured on G(ẑ), float (R, R, 3) in 0 to 255."""
        return replace(self, unexplained=variance_unexplained(self.frame, generated))


def select_frames(
    pixels: Pixels, hole: Hole, request: FrameRequest, config: ModelConfig, find: Finder | None
) -> list[FrameCandidate]:
    """Return the frames of a photo to be searched: those that the hole touches.

    Args:
        pixels: uint8 (H, W, 3).
        hole: Boolean (H, W).
        request: Which frames the user asks for.
        config: The model's configuration.
        find: The model's detector; None if it has none. Its frames then are the whole of a square
            photo, and of any other the largest square that lies over most of the hole.

    Raises:
        InputError: if a frame that the user gave, or the only one there is, has too little known;
            or if faces are to be found without a detector.
    """
    resolution = config.resolution
    if request.eyes:
        return _given(pixels, hole, request.eyes, "eyes", resolution)
    if isinstance(request.frame, Placement):
        return _given(pixels, hole, [request.frame], "box", resolution)
    if request.frame == "whole":
        return [FrameCandidate(frame_whole(pixels, hole, resolution), "whole")]
    if find is None:
        if request.frame == "face":
            raise InputError(
                "the model names no detector to find faces with: point at them by their eyes, or "
                "give a box"
            )
        square = largest_square(hole)
        how: How = "whole" if hole.shape[0] == hole.shape[1] else "square"
        return [FrameCandidate(frame_at(pixels, hole, square, resolution), how)]
    return _detected(pixels, hole, request, config, find)


def _detected(
    pixels: Pixels, hole: Hole, request: FrameRequest, config: ModelConfig, find: Finder
) -> list[FrameCandidate]:
    """Return the detector's frames, or the whole of a square photo in which it finds no other."""
    tried = [(found.placement, found.score) for found in find(pixels, hole)]
    detected = _tried(pixels, hole, tried, "detector", config)
    if request.frame == "face" or hole.shape[0] != hole.shape[1]:
        return detected
    whole = largest_square(hole)
    alike = [chosen for chosen in detected if _alike(chosen.frame.placement, whole)]
    if detected and not alike:
        return detected
    if alike and len(hole) <= _CROP * config.resolution:
        return [FrameCandidate(frame_whole(pixels, hole, config.resolution), "whole")]
    frames = _tried(pixels, hole, [(whole, None)], "whole", config)
    return frames if alike else [_undetected(candidate, config.kind) for candidate in frames]


def _undetected(candidate: FrameCandidate, kind: ModelKind) -> FrameCandidate:
    """Return a candidate with the limit for one that the detector knows nothing of."""
    if kind not in _UNDETECTED:
        return candidate
    most, share = _UNDETECTED[kind]
    return replace(candidate, limit=min(most, share * surface_unexplained(candidate.frame)))


def _given(
    pixels: Pixels, hole: Hole, places: Sequence[Placement], how: How, resolution: int
) -> list[FrameCandidate]:
    frames = [frame_at(pixels, hole, place, resolution) for place in places]
    return [FrameCandidate(frame, how) for frame in frames if frame.touched]


def _tried(
    pixels: Pixels,
    hole: Hole,
    places: Sequence[tuple[Placement, float | None]],
    how: How,
    config: ModelConfig,
) -> list[FrameCandidate]:
    """Return the frames that the hole touches and of which enough is known."""
    limit, tried = MOST_UNEXPLAINED.get(config.kind, 1.0), []
    for place, score in places:
        try:
            frame = frame_at(pixels, hole, place, config.resolution)
        except InputError:
            continue
        if frame.touched and 1 - frame.hole.mean() >= _LEAST_KNOWN:
            tried.append(FrameCandidate(frame, how, limit, score))
    return tried


def _alike(placement: Placement, whole: Placement) -> bool:
    distance = np.linalg.norm(placement.corners - whole.corners, axis=1).mean()
    return bool(distance < _LIKE_WHOLE * whole.side)


def largest_square(hole: Hole) -> Placement:
    """Place the largest square of a picture where it holds most of the hole.

    Of equally good places it takes the one nearest to the middle of the picture.
    """
    height, width = hole.shape
    side = min(height, width)
    counts = hole.sum(axis=0 if width > height else 1, dtype=np.int64)
    sums = np.concatenate([[0], np.cumsum(counts)])
    inside = sums[side:] - sums[:-side]
    best = np.flatnonzero(inside == inside.max())
    first = int(best[np.argmin(np.abs(best - (len(inside) - 1) / 2))])
    left, top = (first, 0) if width > height else (0, first)
    return Placement(left + side / 2, top + side / 2, side)


def variance_unexplained(frame: Frame, generated: NDArray[np.float32]) -> float:
    """Return the fraction of the known pixels' variance that a generated frame leaves unexplained.

    The mean squared difference from the known pixels over their variance, colour by colour; 0 is
    perfect agreement, 1 no better than their mean colour.
    """
    known = frame.pixels[~frame.hole].astype(np.float64)
    missed = np.square(known - generated[~frame.hole]).mean()
    return float(missed / max(np.square(known - known.mean(axis=0)).mean(), 1.0))


def surface_unexplained(frame: Frame) -> float:
    """Return the fraction of the known pixels' variance that a smooth surface leaves unexplained.

    The surface is the quadratic in x and y that fits the known pixels best, colour by colour.
    """
    side = frame.resolution
    y, x = (np.nonzero(~frame.hole)[axis] / side - 0.5 for axis in (0, 1))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    known = frame.pixels[~frame.hole].astype(np.float64)
    fit = np.linalg.lstsq(terms, known, rcond=None)[0]
    missed = np.square(known - terms @ fit).mean()
    return float(missed / max(np.square(known - known.mean(axis=0)).mean(), 1.0))
