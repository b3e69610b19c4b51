"""Framing: where the square that a model sees lies in a picture; there and back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.errors import InputError
from aleph.images import Pixels
from aleph.masks import Hole

_KNOWN_SHARE = 1 / 8
"""A frame's pixel is known if at least this share of what it covers in the picture is known."""


@dataclass(frozen=True)
class Frame:
    """What a model sees of a picture.

    Attributes:
        pixels: uint8 (R, R, 3), R the model's resolution; means of known pixels only.
        hole: Boolean (R, R), True = missing.
        near: Boolean (R, R), the pixels that distances are measured to: the hole or, where
            scaling made a fine hole vanish, the pixels that it touches.
        size: (height, width) of the picture.
    """

    pixels: Pixels
    hole: Hole
    near: Hole
    size: tuple[int, int]

    def back(self, generated: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scale a generated frame, float (R, R, 3), to the picture's size."""
        height, width = self.size
        if generated.shape[:2] == self.size:
            return generated
        shrinking = height < generated.shape[0]
        how = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(generated, (width, height), interpolation=how), np.float32)


def frame_whole(image: Pixels, hole: Hole, resolution: int) -> Frame:
    """Frame the whole of a square picture.

    Args:
        image: uint8 (H, W, 3); its values in the hole are not looked at.
        hole: Boolean (H, W).
        resolution: Side of the model's frame in pixels.

    Raises:
        InputError: if the picture is not square, or too little of it is known.
    """
    height, width = hole.shape
    if height != width:
        raise InputError(
            f"the image is {width}×{height} pixels; only square images, the object filling the "
            "square as in the model's training images, are supported: crop it to a square first"
        )
    if height == resolution:
        pixels = np.where(hole[:, :, None], 0, image).astype(np.uint8)
        return Frame(pixels, hole.copy(), hole.copy(), hole.shape)
    how = cv2.INTER_AREA if height > resolution else cv2.INTER_LINEAR
    known = (~hole).astype(np.float32)
    total = cv2.resize(image * known[:, :, None], (resolution, resolution), interpolation=how)
    share = cv2.resize(known, (resolution, resolution), interpolation=how)
    pixels = np.rint(total / np.maximum(share, 1e-6)[:, :, None]).clip(0, 255).astype(np.uint8)
    framed = share < _KNOWN_SHARE
    if framed.all():
        raise InputError(
            f"too little of the image is known: at the model's {resolution}×{resolution} pixels "
            "nothing is left to go by"
        )
    near = framed if framed.any() else share < 1 - 1e-6
    if near.all():
        near = np.zeros_like(framed)  # equally near everywhere: every pixel counts alike
    pixels[framed] = 0
    return Frame(pixels, framed, near, (height, width))
