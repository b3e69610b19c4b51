"""The array types that all packages share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""uint8 array of shape (H, W, 3), RGB."""

Hole = NDArray[np.bool_]
"""Boolean array (H, W), True = missing."""

Floats = NDArray[np.float32]
"""float32 array of any shape."""

Doubles = NDArray[np.float64]
"""float64 array of any shape."""

Region = tuple[slice, slice]
"""A rectangle of a picture: its rows, its columns."""
