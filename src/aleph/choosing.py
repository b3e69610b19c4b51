"""Choosing: which frames of a photo are to be searched, and which the search has shown to be none.

Frames are given by the user, as eyes or a box, or found by the model's detector; the search is the
judge of what was found: a frame whose known pixels the generator cannot explain holds no face.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from aleph.config import ModelConfig, ModelKind
from aleph.errors import InputError, shown
from aleph.framing import Frame, frame_at, frame_whole
from aleph.images import Pixels
from aleph.masks import Hole
from aleph.placement import Placement

How = Literal["whole", "square", "box", "eyes", "detector"]
"""How a frame was found: the whole of a square photo, the largest square over the hole, a box or
eyes that the user gave, or the model's detector."""

EyesLike = str | Sequence[float]
"""Two eyes, x1, y1, x2, y2 in pixels of the photo, as numbers or as one comma-separated word."""

FrameLike = str | Sequence[float]
"""`auto`, `face`, `whole`, or a box: left, top, right, bottom in pixels of the photo."""

MOST_UNEXPLAINED: dict[ModelKind, float] = {"amortised": 0.40, "dcgan": 1.03}
"""Share of the known pixels' variation that G(ẑ) may miss where it has found a face: some 98 of 100
damaged faces stay, placed exactly or 6 % of the side beside it, and of squares of pictures without
a face 4 of 5 are dropped (2 of 3 by a `dcgan`): see docs/photos.md."""

_LIKE_WHOLE = 0.12
"""Mean distance of the corners, in sides, up to which a frame in a square photo is all of it."""

_CROP = 2
"""Sides of the model's resolution up to which a square photo in which no other frame is found is
taken for a crop of what the model knows, and never dropped: half of it may be missing."""

_LEAST_KNOWN = 0.05
"""Share of a detected frame that must be known: the judge needs something to judge by."""


class Found(Protocol):
    """What a detector has found."""

    @property
    def placement(self) -> Placement:
        """Where."""

    @property
    def score(self) -> float:
        """How certain it is, up to 1."""


Finder = Callable[[Pixels, Hole], Sequence[Found]]
"""Finds a model's frames in a photo, uint8 (H, W, 3), with a hole, boolean (H, W); best first."""


@dataclass(frozen=True)
class Wish:
    """Which frames the user asks for.

    Attributes:
        frame: `auto`, `face`, `whole`, or a placement.
        eyes: Placements given by their eyes; they go before `frame`.
    """

    frame: Placement | Literal["auto", "face", "whole"] = "auto"
    eyes: tuple[Placement, ...] = ()

    @property
    def searches(self) -> bool:
        """Whether frames are to be found."""
        return not self.eyes and self.frame in ("auto", "face")


@dataclass(frozen=True)
class Chosen:
    """A frame to be searched.

    Attributes:
        frame: What the model sees.
        how: How it was found.
        limit: Share of the known pixels' variation from which on it is dropped if G(ẑ) misses it;
            None if it stays, whatever the search says.
        score: The detector's certainty; None for frames of other kinds.
        unexplained: What the search has said: the share of the known pixels' variation that G(ẑ)
            misses; None before.
    """

    frame: Frame
    how: How
    limit: float | None = None
    score: float | None = None
    unexplained: float | None = None

    @property
    def dropped(self) -> bool:
        """Whether the search has shown that it holds no face."""
        if self.limit is None or self.unexplained is None:
            return False
        return self.unexplained > self.limit

    def judged(self, generated: NDArray[np.float32]) -> Chosen:
        """Return it with what the search has said of it, G(ẑ) being float (R, R, 3)."""
        return replace(self, unexplained=unexplained(self.frame, generated))


def read_wish(frame: FrameLike = "auto", eyes: Sequence[EyesLike] | None = None) -> Wish:
    """Read what a user has said about the frames.

    Raises:
        InputError: if it is neither a known word nor four numbers that make a box, or two eyes.
    """
    placed = tuple(
        Placement.from_eyes(*_four(pair, "eyes are x1,y1,x2,y2")) for pair in _listed(eyes)
    )
    if isinstance(frame, str) and frame in ("auto", "face", "whole"):
        return Wish(frame, placed)  # type: ignore[arg-type]
    what = "a frame is 'auto', 'face', 'whole' or left,top,right,bottom"
    return Wish(Placement.from_box(*_four(frame, what)), placed)


def _listed(eyes: Sequence[EyesLike] | None) -> Sequence[EyesLike]:
    """Return a list of pairs of eyes; a single pair may be given without one."""
    if eyes is None:
        return []
    if isinstance(eyes, str) or (len(eyes) == 4 and all(np.isscalar(v) for v in eyes)):
        single: EyesLike = eyes if isinstance(eyes, str) else [float(v) for v in eyes]  # type: ignore[arg-type]
        return [single]
    return list(eyes)


def _four(value: EyesLike, what: str) -> tuple[float, float, float, float]:
    try:
        words = value.split(",") if isinstance(value, str) else list(value)
        numbers = [float(word) for word in words]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise InputError(f"{what}, four numbers in pixels of the photo: {shown(value)} is not that")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def choose(
    pixels: Pixels, hole: Hole, wish: Wish, config: ModelConfig, find: Finder | None
) -> list[Chosen]:
    """Return the frames of a photo that are to be searched: those that the hole touches.

    Args:
        pixels: uint8 (H, W, 3).
        hole: Boolean (H, W).
        wish: What the user has said.
        config: The model's configuration.
        find: The model's detector; None if it has none. Its frames then are the whole of a square
            photo, and of any other the largest square that lies over most of the hole.

    Raises:
        InputError: if a frame that the user gave, or the only one there is, has too little known;
            or if faces are to be found without a detector.
    """
    resolution, limit = config.resolution, MOST_UNEXPLAINED.get(config.kind, 1.0)
    if wish.eyes:
        return _given(pixels, hole, wish.eyes, "eyes", resolution)
    if isinstance(wish.frame, Placement):
        return _given(pixels, hole, [wish.frame], "box", resolution)
    if wish.frame == "whole":
        return [Chosen(frame_whole(pixels, hole, resolution), "whole")]
    if find is None:
        if wish.frame == "face":
            raise InputError(
                "the model names no detector to find faces with: point at them by their eyes, or "
                "give a box"
            )
        square = largest_square(hole)
        how: How = "whole" if hole.shape[0] == hole.shape[1] else "square"
        return [Chosen(frame_at(pixels, hole, square, resolution), how)]
    return _detected(pixels, hole, wish, resolution, limit, find)


def _detected(
    pixels: Pixels, hole: Hole, wish: Wish, resolution: int, limit: float, find: Finder
) -> list[Chosen]:
    """Return what the detector finds; for a square photo maybe all of it, if that is wished for."""
    tried = [(found.placement, found.score) for found in find(pixels, hole)]
    detected = _tried(pixels, hole, tried, "detector", resolution, limit)
    if wish.frame == "face" or hole.shape[0] != hole.shape[1]:
        return detected
    whole = largest_square(hole)
    alike = any(_alike(chosen.frame.placement, whole) for chosen in detected)
    if detected and not alike:
        return detected
    if len(hole) <= _CROP * resolution:
        return [Chosen(frame_whole(pixels, hole, resolution), "whole")]
    return _tried(pixels, hole, [(whole, None)], "whole", resolution, limit)


def _given(
    pixels: Pixels, hole: Hole, places: Sequence[Placement], how: How, resolution: int
) -> list[Chosen]:
    frames = [frame_at(pixels, hole, place, resolution) for place in places]
    return [Chosen(frame, how) for frame in frames if frame.touched]


def _tried(
    pixels: Pixels,
    hole: Hole,
    places: Sequence[tuple[Placement, float | None]],
    how: How,
    resolution: int,
    limit: float,
) -> list[Chosen]:
    """Return the frames that may be searched, leaving out those of which too little is known."""
    tried = []
    for place, score in places:
        try:
            frame = frame_at(pixels, hole, place, resolution)
        except InputError:
            continue
        if frame.touched and 1 - frame.hole.mean() >= _LEAST_KNOWN:
            tried.append(Chosen(frame, how, limit, score))
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


def unexplained(frame: Frame, generated: NDArray[np.float32]) -> float:
    """Return the share of the known pixels' variation that a generated frame misses.

    The mean squared difference from the known pixels over their variance, colour by colour; 0 is
    perfect agreement, 1 no better than their mean colour.
    """
    known = frame.pixels[~frame.hole].astype(np.float64)
    missed = np.square(known - generated[~frame.hole]).mean()
    return float(missed / max(np.square(known - known.mean(axis=0)).mean(), 1.0))
