"""Detection: where in a damaged photo objects of the class that a model fills are.

The detector runs over the surroundings of the hole in an image pyramid with two levels per octave.
Each candidate is then refined twice: the detector runs on a crop around it, turned upright and
scaled to the resolution that the detector was trained at. Time and memory grow with the hole and
its surroundings; the rest of the photo is only halved for the pyramid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from aleph.arrays import Hole, Pixels, known_mean, rounded
from aleph.frames.frame import KNOWN_SHARE
from aleph.frames.placement import Placement
from aleph.models.networks.detector import MULTIPLE
from aleph.models.zoo import load_detector
from aleph.photo.tensors import to_tensor

THRESHOLD = 0.45
"""Score from which a frame is reported."""

SMALLEST = 40
"""Side in pixels of the smallest frames that are looked for."""

SMALLEST_SHARE = 1 / 80
"""The same as a share of the photo's longer side; the larger of the two counts."""

_CANDIDATE = 0.2
"""Score from which a detection is refined."""

_MOST_CANDIDATES = 32
_STEP = math.sqrt(2)
"""Ratio of the frame sizes of two neighbouring levels of the pyramid."""

_TILE = 320
"""Side in pixels, at the detector's scale, of the part that one pass of the network covers."""

_REACH = 0.8
"""Distance from the hole, in sides of a frame, within which the centres of all frames that touch it
lie: half the diagonal of nearly the largest frame of a pyramid level."""

_CONTEXT = 0.65
"""Margin around that part that the network also sees, in sides of a frame."""

_SAME = 0.5
"""Two frames are one object if their centres are nearer than this, in sides of the larger."""

_ROUNDS = 2
"""How often a candidate is refined; each time the crop follows the last result."""

_AT_ONCE = 16
"""Crops in one pass of the network."""

_STEEPEST = 60.0
"""Tilt in degrees beyond which a detection is rejected; the network is trained on up to 50."""

_CERTAIN = 0.75
"""Score of an upright frame from which on the photo is not looked at lying on its side."""

_CERTAIN_TURNED, _LEAD = 0.70, 0.10
"""Score that a lying frame needs, and by how much it must lead over the upright ones: on portraits
that lie the true direction had 0.79 and more, the others up to 0.67."""


@dataclass(frozen=True)
class Detection:
    """A frame that a detector found.

    Attributes:
        placement: Where it lies.
        score: How sure the detector is, from 0 to 1.
    """

    placement: Placement
    score: float


class Detect(Protocol):
    """A detection network at its own scale; `aleph.models.model.Detector` is one."""

    @property
    def resolution(self) -> int:
        """Side in pixels of the frames that it was trained to find."""

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (N, h, w) and frames (N, h, w, 4) for pictures (N, 4, H, W)."""


Finder = Callable[[Pixels, Hole], Sequence[Detection]]
"""Finds a model's frames in a photo, uint8 (H, W, 3), with a hole, boolean (H, W); best first."""


def find_frames(
    detect: Detect, image: Pixels, hole: Hole, *, threshold: float = THRESHOLD
) -> list[Detection]:
    """Find the frames that touch a photo's hole.

    The photo may lie on its side: where no upright frame is certain, the three other directions
    are tried, and the best of them is believed if it clearly leads.

    Args:
        detect: The detector.
        image: uint8 (H, W, 3); its values in the hole are ignored.
        hole: Boolean (H, W), True = missing.
        threshold: Score from which a frame is reported.

    Returns:
        The frames, best first; no two of the same object. They may reach beyond the photo.
    """
    if not hole.any():
        return []
    upright = _find_upright(detect, image, hole, threshold)
    score = upright[0].score if upright else 0.0
    if score >= _CERTAIN:
        return upright
    least = max(_CERTAIN_TURNED, score + _LEAD)
    lying = {turns: _find_turned(detect, image, hole, turns, least) for turns in (1, 3, 2)}
    best = max(lying, key=lambda turns: lying[turns][0].score if lying[turns] else 0.0)
    return _find_turned(detect, image, hole, best, threshold) if lying[best] else upright


def _find_upright(detect: Detect, image: Pixels, hole: Hole, threshold: float) -> list[Detection]:
    """Find the frames that are tilted by less than `_STEEPEST`, best first."""
    pyramid = _Pyramid(image, hole)
    candidates: list[Detection] = []
    for side in _sides(hole.shape):
        for region in _regions(hole, side, _TILE / detect.resolution * side):
            candidates += _detect_at_level(detect, pyramid, region, side)
    found = _distinct(candidates)[:_MOST_CANDIDATES]
    for rounds in range(_ROUNDS, 0, -1):
        # Each round gives at most the root of the score, so the others cannot reach the threshold.
        hopeful = [one for one in found if one.score >= threshold ** (2**rounds)]
        found = _distinct(_refine(detect, pyramid, hopeful))
    return [f for f in found if f.score >= threshold and _credible(f.placement, hole)]


def _find_turned(
    detect: Detect, image: Pixels, hole: Hole, turns: int, threshold: float
) -> list[Detection]:
    """Find the frames of a photo that lies on its side or its head, as they lie in it.

    Args:
        detect: The detector.
        image: uint8 (H, W, 3).
        hole: Boolean (H, W).
        turns: Quarter turns counter-clockwise after which the frames would be upright.
        threshold: Score from which a frame is reported.
    """
    found = _find_upright(detect, np.rot90(image, turns), np.rot90(hole, turns), threshold)
    for turn in reversed(range(turns)):
        width = hole.shape[1 - turn % 2]  # before this turn
        found = [replace(one, placement=_turned_back(one.placement, width)) for one in found]
    return found


def _turned_back(placement: Placement, width: int) -> Placement:
    """Return where a frame lay before a photo of this width was turned counter-clockwise."""
    angle = (placement.angle + 90.0 + 180.0) % 360.0 - 180.0
    return Placement(width - placement.y, placement.x, placement.side, angle)


def _smallest(shape: tuple[int, int]) -> float:
    return max(SMALLEST, SMALLEST_SHARE * max(shape))


def _sides(shape: tuple[int, int]) -> Iterator[float]:
    """Yield the frame sides of the pyramid levels, from the smallest up to the whole photo's."""
    side = _smallest(shape) * _STEP
    while side < max(shape) * _STEP:
        yield side
        side *= _STEP


Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the photo."""


def _regions(hole: Hole, side: float, tile: float) -> Iterator[Box]:
    """Yield boxes that hold the centres of all frames of about `side` that touch the hole.

    Args:
        hole: Boolean (H, W).
        side: Side of the frames in pixels.
        tile: Largest side of a box.
    """
    reach = _REACH * side
    height, width = hole.shape
    whole = _around(hole, (0, 0, width, height), reach)
    if whole is None:
        return
    left, top, right, bottom = whole
    for y in np.arange(top, bottom, tile):
        for x in np.arange(left, right, tile):
            core = (x, y, min(x + tile, right), min(y + tile, bottom))
            part = _around(hole, core, reach)
            if part is not None:
                yield part


def _around(hole: Hole, box: Box, reach: float) -> Box | None:
    """Return the part of a box that lies within `reach` of the hole's bounding box there."""
    left, top, right, bottom = box
    x, y = max(int(left - reach), 0), max(int(top - reach), 0)
    cut = hole[y : math.ceil(bottom + reach), x : math.ceil(right + reach)]
    columns, rows = np.flatnonzero(cut.any(axis=0)), np.flatnonzero(cut.any(axis=1))
    if not len(columns):
        return None
    return (
        max(left, x + columns[0] - reach),
        max(top, y + rows[0] - reach),
        min(right, x + columns[-1] + 1 + reach),
        min(bottom, y + rows[-1] + 1 + reach),
    )


class _Pyramid:
    """The pyramid of a photo, from which crops for the detector are taken.

    Each level is (uint8 (h, w, 3) means of the known pixels, uint8 (h, w) known share · 255), half
    as large as the one before.
    """

    def __init__(self, image: Pixels, hole: Hole) -> None:
        self.levels = [(image, (~hole).view(np.uint8) * np.uint8(255))]
        while max(self.levels[-1][1].shape) > 96 and min(self.levels[-1][1].shape) > 1:
            self.levels.append(_halved(*self.levels[-1]))

    def crop(self, corner: Placement, width: int, height: int) -> Tensor:
        """Return a crop as the detector's input: float32 (1, 4, height, width).

        Args:
            corner: Placement of the crop's upper left pixel in the photo; its side and angle are
                the scale and the rotation of the whole crop.
            width: Width of the crop in its own pixels.
            height: Height of the crop in its own pixels.
        """
        level = min(max(int(math.log2(max(corner.side, 1.0))), 0), len(self.levels) - 1)
        image, share = self.levels[level]
        matrix = corner.matrix * 0.5**level  # of the unit square, so from pixel to pixel
        ends = np.array([[0, 0], [width, 0], [width, height], [0, height]])
        spots = ends @ matrix[:, :2].T + matrix[:, 2]
        low = np.maximum(np.floor(spots.min(axis=0)).astype(int) - 2, 0)
        high = np.maximum(np.ceil(spots.max(axis=0)).astype(int) + 2, low)
        cut = np.s_[low[1] : high[1], low[0] : high[0]]
        known = share[cut].astype(np.float32) / 255
        if not known.size:
            return _as_input(np.zeros((height, width, 3)), np.zeros((height, width)))
        matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5 - low
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        weighted = image[cut] * known[:, :, None]
        total = cv2.warpAffine(weighted, matrix, (width, height), flags=how)
        return _as_input(
            np.asarray(total), np.asarray(cv2.warpAffine(known, matrix, (width, height), flags=how))
        )


def _as_input(total: NDArray[np.floating], share: NDArray[np.floating]) -> Tensor:
    """Return the network's input from sums over known pixels and the known share."""
    missing = share < KNOWN_SHARE
    mean = rounded(known_mean(total, share))
    hole = torch.from_numpy(missing)[None, None]
    image = to_tensor(mean[None]).masked_fill(hole, 0.0)
    return torch.cat([image, hole.float()], dim=1).contiguous(memory_format=torch.channels_last)


def _halved(image: Pixels, share: NDArray[np.uint8]) -> tuple[Pixels, NDArray[np.uint8]]:
    """Halve a level, strip by strip; missing pixels do not bleed into known ones.

    An odd last row or column is left out.
    """
    height, width = share.shape[0] // 2, share.shape[1] // 2
    smaller, shares = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.uint8)
    for top in range(0, height, 256):
        rows = min(256, height - top)
        cut = np.s_[2 * top : 2 * (top + rows), : 2 * width]
        strip = (width, rows)
        part, known = np.ascontiguousarray(image[cut]), np.ascontiguousarray(share[cut])
        shares[top : top + rows] = cv2.resize(known, strip, interpolation=cv2.INTER_AREA)
        if known.min() < 255:
            weight = known.astype(np.float32)
            total = cv2.resize(part * weight[:, :, None], strip, interpolation=cv2.INTER_AREA)
            mean = cv2.resize(weight, strip, interpolation=cv2.INTER_AREA)
            part = rounded(known_mean(total, mean))
        smaller[top : top + rows] = cv2.resize(part, strip, interpolation=cv2.INTER_AREA)
    return smaller, shares


def _detect_at_level(
    detect: Detect, pyramid: _Pyramid, region: Box, side: float
) -> list[Detection]:
    """Return the detections at the pyramid level of frames of `side` in a region's surroundings."""
    unit = side / detect.resolution
    context = _CONTEXT * side
    left, top = region[0] - context, region[1] - context
    width, height = (
        math.ceil((end - begin + context) / unit / MULTIPLE) * MULTIPLE
        for begin, end in ((left, region[2]), (top, region[3]))
    )
    scores, frames = detect(pyramid.crop(_pixel(left, top, unit, 0.0), width, height))
    peaks = scores == functional.max_pool2d(scores[:, None], 3, 1, 1)[:, 0]
    wanted = peaks & (scores >= _CANDIDATE)
    return [
        Detection(Placement(left + x * unit, top + y * unit, size * unit, angle), score)
        for (x, y, size, angle), score in zip(
            frames[wanted].tolist(), scores[wanted].tolist(), strict=True
        )
    ]


def _pixel(left: float, top: float, unit: float, angle: float) -> Placement:
    """Return the placement of a pixel by its upper left corner."""
    corner = Placement(0.0, 0.0, unit, angle).points(np.zeros((1, 2)))[0]
    return Placement(left - float(corner[0]), top - float(corner[1]), unit, angle)


def _refine(detect: Detect, pyramid: _Pyramid, found: list[Detection]) -> list[Detection]:
    """Refine detections on upright crops at the detector's own scale and on their mirror images.

    Returns:
        As many detections; a score is the geometric mean of the two new ones and twice the old.
    """
    again: list[Detection] = []
    for first in range(0, len(found), _AT_ONCE):
        some = found[first : first + _AT_ONCE]
        arounds = [replace(one.placement, side=2 * one.placement.side) for one in some]
        crops = torch.cat(
            [_upright_crop(pyramid, around, 2 * detect.resolution) for around in arounds]
        )
        scores, frames = detect(torch.cat([crops, crops.flip(3)]))
        seen = [_central(s, f) for s, f in zip(scores, frames, strict=True)]
        for old, around, one, mirrored in zip(some, arounds, seen, seen[len(some) :], strict=False):
            placement = _mean_detection(around, one, mirrored, 2 * detect.resolution)
            again.append(Detection(placement, (old.score**2 * one.score * mirrored.score) ** 0.25))
    return again


def _upright_crop(pyramid: _Pyramid, around: Placement, pixels: int) -> Tensor:
    left, top = around.corners[0]
    corner = _pixel(float(left), float(top), around.side / pixels, around.angle)
    return pyramid.crop(corner, pixels, pixels)


@dataclass(frozen=True)
class _InCrop:
    """A detection in a crop: its score, and the frame in pixels of the crop."""

    score: float
    x: float
    y: float
    side: float
    angle: float


def _mean_detection(around: Placement, one: _InCrop, mirrored: _InCrop, pixels: int) -> Placement:
    """Return the mean of a detection in a crop and one in its mirror image, in the photo.

    Args:
        around: Placement of the crop.
        one: The detection in the crop.
        mirrored: The detection in the crop's mirror image.
        pixels: Side of the crop in its own pixels.
    """
    x, y = (one.x + pixels - mirrored.x) / 2, (one.y + mirrored.y) / 2
    spot = around.points(np.array([[x, y]]) / pixels)[0]
    side = math.sqrt(one.side * mirrored.side) * around.side / pixels
    angle = around.angle + (one.angle - mirrored.angle) / 2
    return Placement(float(spot[0]), float(spot[1]), side, angle)


def _central(scores: Tensor, frames: Tensor) -> _InCrop:
    """Return the best score near the middle of a crop, and the mean frame of the cells around it.

    Args:
        scores: (h, w).
        frames: (h, w, 4).
    """
    height, width = scores.shape
    middle = scores[height // 4 : -(height // 4), width // 4 : -(width // 4)]
    row, column = divmod(int(middle.argmax()), middle.shape[1])
    row, column = row + height // 4, column + width // 4
    near = np.s_[row - 1 : row + 2, column - 1 : column + 2]
    weight = scores[near].reshape(-1, 1)
    x, y, side, angle = (
        (frames[near].reshape(-1, 4) * weight).sum(dim=0) / weight.sum().clamp(min=1e-9)
    ).tolist()
    return _InCrop(float(scores[row, column]), x, y, side, angle)


def _distinct(found: list[Detection]) -> list[Detection]:
    """Return the frames, best first, without those of an object that a better one has found."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda f: -f.score):
        if not any(_same_object(one.placement, other.placement) for other in kept):
            kept.append(one)
    return kept


def _same_object(one: Placement, other: Placement) -> bool:
    apart = math.hypot(one.x - other.x, one.y - other.y)
    return apart < _SAME * max(one.side, other.side)


def _credible(placement: Placement, hole: Hole) -> bool:
    """Return whether a frame has a size and tilt that are searched for, and touches the hole."""
    fits = placement.side >= _smallest(hole.shape) / _STEP and abs(placement.angle) <= _STEEPEST
    return fits and _touches(placement, hole)


def _touches(placement: Placement, hole: Hole) -> bool:
    """Return whether a frame covers a missing pixel."""
    corners = placement.corners
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.maximum(np.ceil(corners.max(axis=0)).astype(int) + 1, low)
    cut = hole[low[1] : high[1], low[0] : high[0]]
    inside = np.zeros(cut.shape, np.uint8)
    if cut.size:
        cv2.fillConvexPoly(inside, np.rint(corners - low - 0.5).astype(np.int32), 1)
    return bool((cut & (inside > 0)).any())


def load_finder(name: str, device: str = "cpu") -> Finder | None:
    """Load the detector that a model's configuration names.

    Args:
        name: Its name; empty for none.
        device: Where it shall run.

    Returns:
        What finds the model's frames in a photo; None if the model names none.

    Raises:
        ModelError: if there is no such detector.
    """
    if not name:
        return None
    detector = load_detector(name, device)
    return lambda pixels, hole: find_frames(detector, pixels, hole)
