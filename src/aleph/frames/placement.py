"""Placement: where a square frame lies in a picture, turned and scaled (a similarity transform).

Coordinates are continuous: the picture spans [0, width] × [0, height], x to the right and y down,
and the centre of pixel (row i, column j) lies at (j + ½, i + ½). A frame spans the unit square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aleph.errors import InputError

EYES = ((0.33, 0.32), (0.67, 0.32))
"""Where the two eyes of an aligned face lie in its frame, the one at the left first (CelebA)."""


@dataclass(frozen=True)
class Placement:
    """A square in a picture.

    Attributes:
        x: Its centre, in pixels from the picture's left border.
        y: Its centre, in pixels from the upper border.
        side: Its side in pixels.
        angle: Degrees by which its upper edge is turned clockwise, as seen in the picture.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def from_box(cls, left: float, top: float, right: float, bottom: float) -> Placement:
        """Place a frame over an upright box; of a box that is no square the middle square.

        Raises:
            InputError: if the box has no inside.
        """
        width, height = right - left, bottom - top
        if not (width > 0 and height > 0 and math.isfinite(left + top + right + bottom)):
            raise InputError(
                f"a frame is left,top,right,bottom with left < right and top < bottom, "
                f"not {left:g},{top:g},{right:g},{bottom:g}"
            )
        return cls((left + right) / 2, (top + bottom) / 2, min(width, height))

    @classmethod
    def from_eyes(cls, x1: float, y1: float, x2: float, y2: float) -> Placement:
        """Place a frame so that the two eyes of a face lie where the model saw them in training.

        Args:
            x1: Centre of the eye at the left of the upright face, in pixels.
            y1: The same.
            x2: Centre of the other eye.
            y2: The same.

        Raises:
            InputError: if the eyes are less than two pixels apart.
        """
        across, down = x2 - x1, y2 - y1
        apart = math.hypot(across, down)
        if not (apart >= 2 and math.isfinite(apart)):
            raise InputError(
                f"eyes are x1,y1,x2,y2, two different points: {x1:g},{y1:g},{x2:g},{y2:g} are not"
            )
        (left, high), (right, _) = EYES
        side, angle = apart / (right - left), math.degrees(math.atan2(down, across))
        placed = cls((x1 + x2) / 2, (y1 + y2) / 2, side, angle)
        x, y = placed.points(np.array([[0.5, 1.0 - high]]))[0]
        return cls(float(x), float(y), side, angle)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The transform, (2, 3): (u, v, 1) in the unit square → (x, y) in the picture."""
        cosine = self.side * math.cos(math.radians(self.angle))
        sine = self.side * math.sin(math.radians(self.angle))
        linear = np.array([[cosine, -sine], [sine, cosine]])
        shift = np.array([self.x, self.y]) - linear @ [0.5, 0.5]
        return np.concatenate([linear, shift[:, None]], axis=1)

    def points(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (n, 2) of the unit square into the picture."""
        matrix = self.matrix
        return np.asarray(unit @ matrix[:, :2].T + matrix[:, 2])

    @property
    def corners(self) -> NDArray[np.float64]:
        """The corners in the picture, (4, 2): upper left first, then clockwise."""
        return self.points(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))

    @property
    def eyes(self) -> NDArray[np.float64]:
        """Where the eyes of an aligned face lie in the picture, (2, 2)."""
        return self.points(np.array(EYES))

    def scaled(self, factor: float) -> Placement:
        """Return the same place in the picture enlarged by `factor`."""
        return Placement(self.x * factor, self.y * factor, self.side * factor, self.angle)

    def shifted(self, across: float, down: float) -> Placement:
        """Return the same place when the picture's origin moves: x and y grow by these."""
        return Placement(self.x + across, self.y + down, self.side, self.angle)
