"""The array types that all packages share, and what every package does with them."""

from __future__ import annotations

from typing import Any

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


def rounded(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """Round grey levels of any shape to the nearest of 0 to 255."""
    return np.asarray(np.rint(levels).clip(0, 255).astype(np.uint8))


def known_mean(total: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
    """Return the mean of the known pixels that each pixel of a smaller picture covers.

    Args:
        total: Sums (or means) over all covered pixels, the missing ones being 0: (H, W, C).
        known: The number (or share) of known pixels among them, (H, W).

    Returns:
        (H, W, C), of the type of `total`; 0 where nothing is known.
    """
    return np.asarray(total / np.maximum(known, 1e-6)[:, :, None])
