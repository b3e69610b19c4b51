"""Frames: cutting the square that a model sees out of a picture, and warping it back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Floats, Hole, Pixels, Region, known_mean, rounded
from aleph.errors import InputError
from aleph.frames.placement import Placement
from aleph.photo.tone import ToneCurve, measure_tone_curve

KNOWN_SHARE = 1 / 8
"""A frame's pixel is known if at least this share of what it covers in the picture is known."""

_TOUCHED = 1e-3
"""Share of missing pixels from which on a frame's pixel counts as touched by the hole."""

FEATHER = 0.06
"""Width of a frame's rim over which its content fades out, in sides."""

_INSET = 0.05
"""Share of a frame's sides that is left out where its tones are measured: it may be a print's
border."""

_MARGIN = 4
"""Pixels of the frame around a region that its interpolation needs."""


@dataclass(frozen=True, eq=False)
class Frame:
    """What a model sees of a picture.

    Attributes:
        pixels: uint8 (R, R, 3), R the model's resolution; means of known pixels only.
        hole: Boolean (R, R), True = missing: by the mask, or beyond the picture's border.
        near: Boolean (R, R), the pixels that the context weights measure distances to: the hole
            or, where scaling made a fine hole vanish, the pixels that it touches.
        size: (height, width) of the picture.
        placement: Where the frame lies in the picture.
        beyond: Boolean (R, R), what lies beyond the picture's border.
        touched: Whether any missing pixel of the picture lies in it.
        curve: The tone curve of the picture there; None if it is in colour or was not measured.
    """

    pixels: Pixels
    hole: Hole
    near: Hole
    size: tuple[int, int]
    placement: Placement
    beyond: Hole
    touched: bool
    curve: ToneCurve | None = None

    @property
    def resolution(self) -> int:
        """R."""
        return len(self.hole)

    @property
    def scale(self) -> float:
        """Pixels of the picture across a pixel of the frame."""
        return self.placement.side / self.resolution

    @property
    def whole(self) -> bool:
        """Whether the frame is the whole of a square picture."""
        return _is_whole(self.placement, self.size)

    @property
    def region(self) -> Region:
        """The rectangle of the picture that holds all of the frame that lies in it."""
        return _bounds(self.placement, self.size)

    @cached_property
    def alpha(self) -> Floats:
        """Opacity of the frame's content, float32 (R, R): 1 inside, falling to 0 at its edges.

        Edges along the picture's border and beyond it do not fade: the picture ends there.
        """
        side, rim = self.resolution, 2
        steps = (np.arange(-rim, side + rim) + 0.5) / side
        across, down = np.meshgrid(steps, steps)
        places = self.placement.points(np.stack([across.ravel(), down.ravel()], axis=1))
        height, width = self.size
        inside = ((places > 0) & (places < (width, height))).all(axis=1).reshape(across.shape)
        outside = inside & (np.abs(np.maximum(abs(across - 0.5), abs(down - 0.5))) > 0.5)
        if not outside.any():
            return np.ones((side, side), np.float32)
        distance = cv2.distanceTransform((~outside).astype(np.uint8), cv2.DIST_L2, 5)
        rise = np.clip((distance[rim:-rim, rim:-rim] - 1.0) / (FEATHER * side), 0.0, 1.0)
        return np.asarray(rise * rise * (3.0 - 2.0 * rise), np.float32)

    def back(self, generated: Floats, region: Region | None = None) -> Floats:
        """Warp a generated frame to where it lies in the picture, at the picture's size.

        Args:
            generated: Float (R, R, 3) or (R, R).
            region: The rectangle of the picture to return; by default all of it.

        Returns:
            float32 (h, w, 3) or (h, w) of the region; beyond the frame its edge is repeated.
        """
        height, width = self.size
        if self.whole and region in (None, (slice(0, height), slice(0, width))):
            if generated.shape[:2] == self.size:
                return generated
            how = cv2.INTER_AREA if height < generated.shape[0] else cv2.INTER_CUBIC
            return np.asarray(cv2.resize(generated, (width, height), interpolation=how), np.float32)
        return _unwarp(generated, self.placement, region or (slice(0, height), slice(0, width)))


def with_curve(frame: Frame, image: Pixels, hole: Hole, curve: ToneCurve | None) -> Frame:
    """Return a frame with the tone curve of its picture, or else its own.

    Args:
        frame: The frame.
        image: uint8 (H, W, 3), the picture.
        hole: Boolean (H, W).
        curve: The picture's tone curve; None if it is in colour as a whole.
    """
    if curve is None and not frame.whole:
        rows, columns = (
            slice(span.start + inset, max(span.stop - inset, span.start + inset + 1))
            for span in frame.region
            for inset in [round(_INSET * (span.stop - span.start))]
        )
        curve = measure_tone_curve(image[rows, columns], hole[rows, columns])
    return replace(frame, curve=curve)


def frame_whole(image: Pixels, hole: Hole, resolution: int) -> Frame:
    """Frame the whole of a square picture.

    Args:
        image: uint8 (H, W, 3); its values in the hole are ignored.
        hole: Boolean (H, W).
        resolution: Side of the model's frame in pixels.

    Raises:
        InputError: if the picture is not square, or too little of it is known.
    """
    height, width = hole.shape
    if height != width:
        raise InputError(
            f"the image is {width}×{height} pixels, and only a square one can be the model's whole "
            "frame: give the frame as left,top,right,bottom, or leave it to be found"
        )
    placement, inside = _whole(height, width), np.zeros((resolution, resolution), bool)
    if height == resolution:
        pixels = np.where(hole[:, :, None], 0, image).astype(np.uint8)
        return Frame(pixels, hole.copy(), hole.copy(), hole.shape, placement, inside, True)
    how = cv2.INTER_AREA if height > resolution else cv2.INTER_LINEAR
    known = (~hole).astype(np.float32)
    total = cv2.resize(image * known[:, :, None], (resolution, resolution), interpolation=how)
    share = cv2.resize(known, (resolution, resolution), interpolation=how)
    pixels, framed = _means(total, share)
    near = framed if framed.any() else share < 1 - 1e-6
    if near.all():
        near = np.zeros_like(framed)  # equally near everywhere: every pixel counts alike
    return Frame(pixels, framed, near, (height, width), placement, inside, True)


def frame_at(image: Pixels, hole: Hole, placement: Placement, resolution: int) -> Frame:
    """Frame a square of a picture, turned and scaled; it may reach beyond the picture's border.

    A pixel of the frame is the mean of the known pixels that it covers, each found by a linear
    filter where the picture is enlarged. Only the part of the picture under the frame is read.

    Args:
        image: uint8 (H, W, 3); its values in the hole are ignored.
        hole: Boolean (H, W).
        placement: Where the frame lies.
        resolution: Side of the model's frame in pixels.

    Raises:
        InputError: if too little of it is known.
    """
    if _is_whole(placement, hole.shape):
        return frame_whole(image, hole, resolution)
    rows, columns = _bounds(placement, hole.shape)
    known = ~hole[rows, columns]
    inside = np.ones(known.shape, np.float32)
    shares = np.stack([known.astype(np.float32), inside], axis=2)
    placed = placement.shifted(-columns.start, -rows.start)
    values = np.asarray(image[rows, columns] * shares[:, :, :1], np.float32)
    total = _warp(values, placed, resolution)
    share, within = np.moveaxis(_warp(shares, placed, resolution), 2, 0)
    pixels, framed = _means(total, share)
    touched = within - share > _TOUCHED
    caused = framed & touched
    beyond = within < KNOWN_SHARE
    near = caused if caused.any() else touched & ~beyond
    if (near | beyond).all():
        near = np.zeros_like(framed)
    covers = bool(touched.any())
    return Frame(pixels, framed, near, hole.shape, placement, beyond & ~caused, covers)


def _whole(height: int, width: int) -> Placement:
    return Placement(width / 2, height / 2, width)


def _is_whole(placement: Placement, size: tuple[int, int]) -> bool:
    height, width = size
    difference = placement.corners - _whole(height, width).corners
    return height == width and bool(np.abs(difference).max() < 1e-6 * width)


def _bounds(placement: Placement, size: tuple[int, int]) -> Region:
    """Return the rectangle of the picture under a frame; at least one pixel."""
    low, high = placement.corners.min(axis=0), placement.corners.max(axis=0)
    spans = []
    for first, last, length in ((low[1], high[1], size[0]), (low[0], high[0], size[1])):
        start = min(max(math.floor(first) - 1, 0), length - 1)
        spans.append(slice(start, min(max(math.ceil(last) + 1, start + 1), length)))
    return spans[0], spans[1]


def _means(total: NDArray[Any], share: NDArray[Any]) -> tuple[Pixels, Hole]:
    """Return the means of the known pixels, 0 where too few are known, and where that is."""
    framed = share < KNOWN_SHARE
    if framed.all():
        side = len(share)
        raise InputError(
            f"too little of the image is known: at the model's {side}×{side} pixels "
            "nothing is left to go by"
        )
    mean = rounded(known_mean(total, share))
    mean[framed] = 0
    return mean, framed


def _warp(values: Floats, placement: Placement, resolution: int) -> Floats:
    """Bring (H, W, C) into a frame (R, R, C), averaged where it is shrunk; 0 beyond the border.

    First whole blocks are averaged, then the result is sampled 2 to 4 times as finely as the frame
    and averaged again, so that nothing aliases at any scale and angle.
    """
    block = max(1, int(placement.side / resolution / 2))
    height, width, channels = values.shape
    if block > 1:
        values = np.pad(values, ((0, -height % block), (0, -width % block), (0, 0)))
        size = (values.shape[1] // block, values.shape[0] // block)
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small = placement.scaled(1 / block)
    fine = max(1, math.ceil(small.side / resolution - 1e-9))
    # With indices p of pixels' centres: position p + ½ in either picture.
    linear = small.matrix[:, :2] / (fine * resolution)
    shift = small.matrix[:, 2] + linear @ [0.5, 0.5] - 0.5
    side = fine * resolution
    warped = cv2.warpAffine(
        values,
        np.concatenate([linear, shift[:, None]], axis=1),
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    framed = cv2.resize(warped, (resolution, resolution), interpolation=cv2.INTER_AREA)
    return np.asarray(framed, np.float32).reshape(resolution, resolution, channels)


def _unwarp(values: Floats, placement: Placement, region: Region) -> Floats:
    """Bring (R, R, …) of a frame into a region of the picture; its edge is repeated beyond it.

    The part that is needed is enlarged by a whole factor first, because OpenCV rounds positions to
    1/32 of a pixel.
    """
    rows, columns = region
    if placement.side < len(values):
        side = max(1, round(placement.side))
        values = cv2.resize(values, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    side = len(values)
    inverse = np.linalg.inv(placement.matrix[:, :2]) * side
    border = np.array(
        [(x, y) for x in (columns.start, columns.stop) for y in (rows.start, rows.stop)], float
    )
    seen = (border - placement.matrix[:, 2]) @ inverse.T
    low = np.clip(np.floor(seen.min(axis=0)) - _MARGIN, 0, side - 1).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0)) + _MARGIN, low + 1, side).astype(int)
    part = np.ascontiguousarray(values[low[1] : high[1], low[0] : high[0]], np.float32)
    factor = max(1, int(placement.side / side))
    if factor > 1:
        size = (part.shape[1] * factor, part.shape[0] * factor)
        part = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    linear = inverse * factor
    corner = np.array([columns.start, rows.start]) + 0.5 - placement.matrix[:, 2]
    shift = linear @ corner - low * factor - 0.5
    warped = cv2.warpAffine(
        part,
        np.concatenate([linear, shift[:, None]], axis=1),
        (columns.stop - columns.start, rows.stop - rows.start),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.float32)
