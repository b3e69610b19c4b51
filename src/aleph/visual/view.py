"""Views: the part of a large photo that a figure or an animation shows, and how large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from aleph.arrays import Hole, Pixels, Region
from aleph.frames.frame import Frame

LONGEST = 512
"""Longer side in pixels of a view, at most."""

_AROUND = 0.15
"""Margin around the frames, in longer sides of the rectangle that holds them."""


@dataclass(frozen=True)
class View:
    """A rectangle of a photo, and the size at which it is shown.

    Attributes:
        region: The rectangle.
        size: (height, width) in pixels.
    """

    region: Region
    size: tuple[int, int]

    @property
    def _own_size(self) -> bool:
        rows, columns = self.region
        return (rows.stop - rows.start, columns.stop - columns.start) == self.size

    def picture(self, pixels: Pixels) -> Pixels:
        """Return the view of a photo, uint8 (h, w, 3)."""
        part = pixels[self.region]
        if self._own_size:
            return np.array(part)
        return cv2.resize(part, self.size[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8)

    def hole(self, hole: Hole) -> Hole:
        """Return the view of a hole: a pixel is missing if any that it covers is."""
        part = hole[self.region]
        if self._own_size:
            return np.array(part)
        share = cv2.resize(part.astype(np.float32), self.size[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(share > 1e-6)

    def frames(self, frames: Sequence[Frame]) -> list[Frame]:
        """Return frames as they lie in the view."""
        rows, columns = self.region
        factor = self.size[0] / (rows.stop - rows.start)
        whole = self._own_size and all(frame.size == self.size for frame in frames)
        if whole:
            return list(frames)
        return [
            replace(
                frame,
                size=self.size,
                placement=frame.placement.shifted(-columns.start, -rows.start).scaled(factor),
            )
            for frame in frames
        ]


def view_of(hole: Hole, frames: Sequence[Frame]) -> View:
    """Return a view of a whole small photo, or of a large one's part around its frames or hole."""
    height, width = hole.shape
    if max(height, width) <= LONGEST or (len(frames) == 1 and frames[0].whole):
        return _fitted((slice(0, height), slice(0, width)))
    regions = [frame.region for frame in frames] or [_bounds(hole)]
    top, left = (min(region[axis].start for region in regions) for axis in (0, 1))
    bottom, right = (max(region[axis].stop for region in regions) for axis in (0, 1))
    around = round(_AROUND * max(bottom - top, right - left))
    rows = slice(max(0, top - around), min(height, bottom + around))
    return _fitted((rows, slice(max(0, left - around), min(width, right + around))))


def _fitted(region: Region) -> View:
    height, width = (span.stop - span.start for span in region)
    factor = min(1.0, LONGEST / max(height, width))
    return View(region, (max(1, math.floor(height * factor)), max(1, math.floor(width * factor))))


def _bounds(hole: Hole) -> Region:
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    return (
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )
