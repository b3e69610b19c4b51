"""Reading the user's options that say where the frames of a photo lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aleph.errors import InputError, shown
from aleph.frames.placement import Placement

EyesLike = str | Sequence[float]
"""Two eyes, x1, y1, x2, y2 in pixels of the photo, as numbers or as one comma-separated word."""

FrameLike = str | Sequence[float]
"""`auto`, `face`, `whole`, or a box: left, top, right, bottom in pixels of the photo."""


@dataclass(frozen=True)
class FrameRequest:
    """Which frames the user asks for.

    Attributes:
        frame: `auto`, `face`, `whole`, or a placement.
        eyes: Placements given by their eyes; they go before `frame`.
    """

    frame: Placement | Literal["auto", "face", "whole"] = "auto"
    eyes: tuple[Placement, ...] = ()

    @property
    def searches(self) -> bool:
        """Whether frames are to be detected."""
        return not self.eyes and self.frame in ("auto", "face")

    def shifted(self, across: int, down: int) -> FrameRequest:
        """Return the same request for a photo whose origin moved by these pixels."""
        frame = self.frame
        if isinstance(frame, Placement):
            frame = frame.shifted(across, down)
        return FrameRequest(frame, tuple(eyes.shifted(across, down) for eyes in self.eyes))


def read_request(frame: FrameLike = "auto", eyes: Sequence[EyesLike] | None = None) -> FrameRequest:
    """Read the options `frame` and `eyes`.

    Raises:
        InputError: if it is neither a known word nor four numbers that make a box, or two eyes.
    """
    placed = tuple(
        Placement.from_eyes(*_four(pair, "eyes are x1,y1,x2,y2")) for pair in _listed(eyes)
    )
    if isinstance(frame, str) and frame in ("auto", "face", "whole"):
        return FrameRequest(frame, placed)  # type: ignore[arg-type]
    what = "a frame is 'auto', 'face', 'whole' or left,top,right,bottom"
    return FrameRequest(Placement.from_box(*_four(frame, what)), placed)


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
