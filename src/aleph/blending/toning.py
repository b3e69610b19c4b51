"""Toning: giving the fill of a monochrome photo exactly the photo's own tones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aleph.arrays import Hole, Pixels
from aleph.frames.frame import Frame
from aleph.photo.tone import ToneCurve

_AT_ONCE = 256
"""Number of rows that are toned at once, to save memory."""


def tone_fill(
    fill: Pixels, hole: Hole, frames: Sequence[Frame], curve: ToneCurve | None = None
) -> None:
    """Give every filled pixel of a monochrome photo the tone curve's colour at its luminance.

    Args:
        fill: The filled photo, uint8 (H, W, 3), changed in place, in the hole alone.
        hole: Boolean (H, W).
        frames: The frames; each may have a tone curve of its own, as the photos on an album page.
        curve: The photo's tone curve; None if it is in colour.
    """
    if curve is not None:
        _tone(fill, hole, curve)
        return
    for frame in frames:
        if frame.curve is not None:
            own = hole[frame.region] & (frame.back(frame.alpha, frame.region) > 0.5)
            _tone(fill[frame.region], own, frame.curve)


def _tone(fill: Pixels, there: Hole, curve: ToneCurve) -> None:
    for top in range(0, len(fill), _AT_ONCE):
        part, wanted = fill[top : top + _AT_ONCE], there[top : top + _AT_ONCE]
        if wanted.any():
            part[wanted] = curve.toned(np.asarray(part[wanted]))
