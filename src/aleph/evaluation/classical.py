"""Classical fills to compare with: they know nothing about the class of images.

All have one call shape: image uint8 (H, W, 3) and hole boolean (H, W) in, uint8 (H, W, 3) out.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from aleph.arrays import Hole, Pixels
from aleph.errors import InputError, unknown_name

RADIUS = 3
"""Neighbourhood of OpenCV's fills in pixels, the value of its documentation."""


def _mean(image: Pixels, hole: Hole) -> Pixels:
    colour = image[~hole].mean(axis=0)
    return np.broadcast_to(np.rint(colour).astype(np.uint8), image.shape)


def _telea(image: Pixels, hole: Hole) -> Pixels:
    filled: Pixels = cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)  # type: ignore[assignment]
    return filled


def _navier_stokes(image: Pixels, hole: Hole) -> Pixels:
    filled: Pixels = cv2.inpaint(image, hole.astype(np.uint8), RADIUS, cv2.INPAINT_NS)  # type: ignore[assignment]
    return filled


def _biharmonic(image: Pixels, hole: Hole) -> Pixels:
    from skimage.restoration import inpaint_biharmonic

    filled = inpaint_biharmonic(image / 255.0, hole, channel_axis=-1)
    scaled: Pixels = np.rint(np.clip(filled, 0, 1) * 255).astype(np.uint8)
    return scaled


CLASSICAL: dict[str, Callable[[Pixels, Hole], Pixels]] = {
    "mean": _mean,
    "telea": _telea,
    "navier-stokes": _navier_stokes,
    "biharmonic": _biharmonic,
}
"""The fills by name: the mean colour of the known pixels; OpenCV's fast marching (Telea 2004,
doi:10.1080/10867651.2004.10487596) and its Navier-Stokes (Bertalmio et al. 2001,
doi:10.1109/CVPR.2001.990497), both with radius 3; scikit-image's biharmonic (Damelin and Hoang
2018, doi:10.1155/2018/3950312)."""


def classical_fill(name: str, image: Pixels, hole: Hole) -> Pixels:
    """Fill a hole by one of `CLASSICAL`.

    Args:
        name: `mean`, `telea`, `navier-stokes` or `biharmonic`.
        image: uint8 (H, W, 3); its values in the hole are not looked at, and it is not changed.
        hole: Boolean (H, W), True = missing.

    Returns:
        New uint8 (H, W, 3), equal to `image` wherever `hole` is False.

    Raises:
        InputError: if the name is unknown, or no pixel is known.
    """
    if name not in CLASSICAL:
        raise InputError(unknown_name("baseline", name, CLASSICAL))
    if hole.all():
        raise InputError("the mask marks every pixel as missing: there is nothing to go by")
    filled = np.array(image)
    # Not every method promises not to look: what it cannot see it cannot use.
    filled[hole] = 0
    if hole.any():
        filled[hole] = CLASSICAL[name](filled.copy(), hole)[hole]
    return filled
