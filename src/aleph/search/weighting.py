"""The context weight W: how much each known pixel counts in the context loss.

`inverse` and `inverse-square` weigh a known pixel i by its distance to the hole: W_i = 1/γ_i and
1/γ_i², γ_i being the Euclidean distance to the nearest missing pixel. The work that they are taken
from shows them as pictures only and says that the weight falls with the distance γ, then that 'we
take the square of the distance'. The formulas are our reading of that.

`box` is Yeh et al. 2017 (arXiv 1607.07539), eq. 3. `uniform` is 'without weighted context'.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from aleph.arrays import Hole
from aleph.config import Weighting, check_choice

BOX = 7
"""Side of Yeh's window in pixels."""


def hole_distance(hole: Hole) -> NDArray[np.float64]:
    """Return γ: the Euclidean distance of each pixel (centre) to the nearest missing pixel's.

    0 in the hole, at least 1 outside; infinite everywhere if nothing is missing.
    """
    if not hole.any():
        return np.full(hole.shape, np.inf)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~hole)
    return distance


def _uniform(hole: Hole) -> NDArray[np.float64]:
    return np.ones(hole.shape)


def _box(hole: Hole) -> NDArray[np.float64]:
    """W_i = Σ_{j∈N(i)} [j missing] / |N(i)|, N(i) the 7×7 window cut off by the image's border."""
    missing = ndimage.uniform_filter(hole.astype(float), BOX, mode="constant")
    inside = ndimage.uniform_filter(np.ones(hole.shape), BOX, mode="constant")
    # The filter's running sums leave rounding errors where the exact value is 0.
    return np.where(missing < 0.5 / BOX**2, 0.0, missing / inside)


def _inverse(hole: Hole) -> NDArray[np.float64]:
    return 1.0 / np.maximum(hole_distance(hole), 1.0)


def _inverse_square(hole: Hole) -> NDArray[np.float64]:
    return _inverse(hole) ** 2


_WEIGHTINGS: dict[str, Callable[[Hole], NDArray[np.float64]]] = {
    "uniform": _uniform,
    "box": _box,
    "inverse": _inverse,
    "inverse-square": _inverse_square,
}


def context_weight(
    hole: Hole, weighting: Weighting, beyond: Hole | None = None
) -> NDArray[np.float32]:
    """Return W for one hole.

    Args:
        hole: Boolean (H, W), True = missing.
        weighting: `uniform`, `box`, `inverse` or `inverse-square`.
        beyond: Boolean (H, W), pixels beyond the picture's border. They are unknown too, but not
            to be filled, so no distance is measured to them.

    Returns:
        float32 (H, W), at least 0, 0 in the hole and beyond the border, with Σ W = 1, so that λ
        means the same for every mask. If nothing is missing W is uniform; if nothing is known W is
        0 everywhere.

    Raises:
        InputError: if the weighting is unknown.
    """
    check_choice("weighting", weighting, Weighting)
    unknown = hole if beyond is None else hole | beyond
    if not unknown.any():
        return np.full(hole.shape, 1.0 / hole.size, np.float32)
    usual = _WEIGHTINGS[weighting](hole) if hole.any() else np.ones(hole.shape)
    weight = np.where(unknown, 0.0, usual)
    total = weight.sum()
    return (weight / total if total > 0 else weight).astype(np.float32)
