"""How good fills of intact images are: PSNR of the hole, texture, sharpness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aleph.arrays import Hole, Pixels
from aleph.evaluation.metrics import psnr
from aleph.evaluation.realism import sharpness, texture_distance, texture_features


class Quality(NamedTuple):
    """Means over the images of a set.

    Attributes:
        psnr: Of the hole, in dB.
        texture: Texture distance, 0 is right; None for too few images.
        sharpness: 1 is right.
    """

    psnr: float
    texture: float | None
    sharpness: float


def fill_quality(
    images: Sequence[Pixels], fills: Sequence[Pixels], holes: Sequence[Hole]
) -> Quality:
    """Compare the fills of some images with the originals, uint8 (H, W, 3) each."""
    ratios = [psnr(i, f, h) for i, f, h in zip(images, fills, holes, strict=True)]
    before, after = (
        np.stack([texture_features(p, h) for p, h in zip(pictures, holes, strict=True)])
        for pictures in (images, fills)
    )
    texture = texture_distance(before, after)
    return Quality(float(np.mean(ratios)), texture, sharpness(before, after))
