"""A photo → what is damaged in it, at a sensitivity."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole
from aleph.config import SENSITIVITY, Arithmetic, check_share
from aleph.damage.tiles import OnTile, damage_probability
from aleph.models.model import DamageModel
from aleph.models.zoo import DEFAULT_DAMAGE_MODEL, load_damage_model
from aleph.photo.photo import PhotoLike, read_photo


def find_damage(image: PhotoLike, *, sensitivity: float = SENSITIVITY) -> Hole:
    """Find the damage of a photo: scratches, cracks, folds, tears, flakes, blots, dust, ink.

    Args:
        image: uint8 array (H, W, 3) or (H, W), PIL image, path, or `Photo`. Never changed.
        sensitivity: From 0, which marks nothing but what is certain, to 1, which marks whatever
            is not certainly intact: a pixel is marked where its probability of being damaged is
            1 − sensitivity or more.

    Returns:
        Boolean array (H, W), True = damaged; all False where nothing was found.

    Raises:
        InputError: if the image cannot be read, or the sensitivity is out of range.
    """
    check_share("sensitivity", sensitivity)
    return marked(read_probability(image), sensitivity)


def read_probability(
    image: PhotoLike, model: DamageModel | None = None, on_tile: OnTile | None = None
) -> NDArray[np.uint8]:
    """Say how likely each pixel of a photo is damaged: uint8 (H, W), 255 = certainly.

    Args:
        image: As of `find_damage`.
        model: What looks at it; the shipped one by default.
        on_tile: Called after every tile with how many are done, and of how many.

    Raises:
        InputError: if the image cannot be read.
    """
    photo = read_photo(image)
    finder = model or kept_model(DEFAULT_DAMAGE_MODEL, "auto", "auto")
    return damage_probability(photo.pixels, finder, on_tile)


def marked(probability: NDArray[np.uint8], sensitivity: float = SENSITIVITY) -> Hole:
    """Mark what is damaged at a sensitivity.

    Args:
        probability: uint8 (H, W), 255 = certainly damaged.
        sensitivity: As of `find_damage`.

    Raises:
        InputError: if the sensitivity is out of range.
    """
    check_share("sensitivity", sensitivity)
    return np.asarray(probability >= max(1, math.ceil(255 * (1 - sensitivity))))


@functools.lru_cache(maxsize=1)
def kept_model(finder: str, device: str, precision: Arithmetic) -> DamageModel:
    """Load a finder, or return it if it is the one that was loaded last.

    Args:
        finder: Name or folder of the model.
        device: Where it computes.
        precision: Its arithmetic.

    Raises:
        ModelError: if there is none of that name that finds damage.
        InputError: if the device is not there.
    """
    return load_damage_model(finder, device, precision)
