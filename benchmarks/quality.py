"""Fills of intact images, and how good they are: PSNR of the hole, texture, sharpness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from aleph.arrays import Hole, Pixels
from aleph.evaluation.metrics import psnr
from aleph.evaluation.realism import sharpness, texture_distance, texture_features
from aleph.inpainter import Inpainter

GROUP = 8
"""Images searched together."""


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

    def __str__(self) -> str:
        """Return the three as a cell of a table."""
        texture = "" if self.texture is None else f"{self.texture:.2f}"
        return f"{self.psnr:.2f}, {texture}, {self.sharpness:.3f}"


def fill_frames(
    inpainter: Inpainter,
    images: Sequence[Pixels],
    holes: Sequence[Hole],
    preset: str,
    **changed: Any,  # noqa: ANN401
) -> list[Pixels]:
    """Fill images whose frame they are, uint8 (R, R, 3) each; the k-th has the seed k.

    Args:
        inpainter: What fills them.
        images: uint8 (R, R, 3) each.
        holes: Boolean (R, R) each.
        preset: Preset to fill with.
        **changed: Settings that differ from the preset's.
    """
    fills: list[Pixels] = []
    for first in range(0, len(images), GROUP):
        group = slice(first, first + GROUP)
        results = inpainter.batch(
            images[group],
            holes[group],
            preset=preset,
            frame="whole",
            seeds=range(len(images))[group],
            **changed,
        )
        fills += [result.image for result in results]
    return fills


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
