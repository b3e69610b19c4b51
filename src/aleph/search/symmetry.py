"""Symmetry: what the code cannot express, taken from the other side of a symmetric object.

A generator draws a face a little softer than it is, and so the eye that it puts into a hole does
not match the one that is known. But G(ẑ) says which place of the one half belongs to which of the
other: G(ẑ) and its mirror image are both whole, and optical flow (Kroeger et al. 2016, arXiv
1603.03590) leads from the one to the other. Along it goes to each missing pixel what the known
pixel opposite has beyond G(ẑ): detail in full, light and tone in part.

Where flow there and back does not end where it began, or does not lead to what looks alike, nothing
is symmetric and nothing is taken; where that is so in most of the frame, as of a turned head,
nothing is taken anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from torch import Tensor

from aleph.arrays import Floats, Hole, Pixels, rounded
from aleph.photo.tensors import from_levels, to_levels

_FINE = 0.03
"""Standard deviation, in sides of the frame, of the blur that parts detail from tone."""

_TONE = 0.5
"""Share of the tone that is taken: light mostly falls from one side."""

_UNLIKE = 0.4
"""Difference between a pixel of G(ẑ) and the one opposite, in deviations of the frame's tones, that
is trusted by 1/e."""

_ASTRAY = 0.06
"""Distance in sides from where it began at which flow there and back is trusted so."""

_SOFT = 0.02
"""Standard deviation in sides of the blur over which pixels are compared."""

_STIFF = 0.06
"""The same over which the flow is evened out by what is trusted: an object is bent smoothly."""

_MIDDLE = 0.2
"""Margin in sides around the middle of the frame, where the object is."""

_TURNED, _STRAIGHT = 0.45, 0.65
"""Mean trust in the middle up to which nothing is taken, and from which on all is: a face that
looks ahead has 0.6 to 0.95, one that is turned 0.2 to 0.45."""

_FOREIGN = 2.0
"""What a known pixel has beyond G(ẑ), over how much G(ẑ) varies about it, at which it is taken by
1/e: beside an eye much is its detail, on a cheek it is a speck or a strand of hair."""

_AROUND = 0.04
"""Standard deviation in sides of the blur over which G(ẑ) varies about a pixel."""

_PLAIN = 0.2
"""Variation, in deviations of the frame's tones, that even the plainest skin counts as having."""

_RIM = 1.5
"""Pixels from a hole over which known ones are taken less: damage may go on there unmarked."""

_LEAST = 16
"""Least side of a frame in pixels for which flow is measured."""


def with_other_sides(generated: Tensor, images: Sequence[Pixels], holes: Sequence[Hole]) -> Tensor:
    """Add to generated frames, in their holes, what is known of the other sides of their objects.

    Args:
        generated: float32 (N, K, 3, R, R) in [−1, 1]: K for each of N damaged frames.
        images: The damaged frames, uint8 (R, R, 3) each; values in holes are not read.
        holes: Boolean (R, R) each, True = missing.

    Returns:
        Of the same shape; equal outside the holes.
    """
    levels = to_levels(generated.flatten(0, 1))
    starts = generated.shape[1]
    for number, frame in enumerate(levels):
        levels[number] = with_other_side(frame, images[number // starts], holes[number // starts])
    return from_levels(levels).reshape(generated.shape).to(generated.device)


def with_other_side(generated: Floats, image: Pixels, hole: Hole) -> Floats:
    """Add to a generated frame, in its hole, what is known of the other side of its object.

    Args:
        generated: G(ẑ), float32 (R, R, 3) in 0 to 255.
        image: The damaged frame, uint8 (R, R, 3); its values in the hole are not read.
        hole: Boolean (R, R), True = missing.

    Returns:
        float32 (R, R, 3); equal to `generated` outside the hole, and everywhere if the frame is
        smaller than 16 pixels, not all of it is a number, or it is not symmetric.
    """
    if len(hole) < _LEAST or not np.isfinite(generated).all():
        return generated
    contrast = float(generated.mean(axis=2).std()) + 1.0
    there, trust = _to_other_side(generated, contrast)
    straight = _straight(trust)
    if straight == 0:
        return generated
    beyond = np.where(hole[:, :, None], 0, image - generated).astype(np.float32)
    usable = _usable(generated, beyond, hole, contrast)[:, :, None]
    counted = np.maximum(_blurred(usable[:, :, 0], _FINE), 1e-3)
    tone = _blurred(usable * beyond, _FINE) / counted[:, :, None]
    taken = np.asarray(usable * (beyond - (1 - _TONE) * tone), np.float32)
    share = straight * np.where(hole, trust, 0)
    change = share[:, :, None] * _along(there, _mirrored(taken))
    return np.asarray(generated + change, np.float32)


def _to_other_side(generated: Floats, contrast: float) -> tuple[Floats, Floats]:
    """Return where in the mirror image each pixel is found, and how far that is trusted.

    Args:
        generated: float32 (R, R, 3) in 0 to 255.
        contrast: Deviation of its tones, in levels.

    Returns:
        float32 (R, R, 2), pixels to go, and float32 (R, R) in [0, 1].
    """
    opposite = _mirrored(generated)

    def trust(there: Floats) -> Floats:
        again = np.linalg.norm(there + _along(there, _turned(there)), axis=2)
        unlike = np.abs(generated - _along(there, opposite)).mean(axis=2) / (_UNLIKE * contrast)
        return _near_zero(again / (_ASTRAY * len(again))) * _blurred(_near_zero(unlike), _SOFT)

    measured = _flow(generated, opposite)
    weight = trust(measured)[:, :, None] + np.float32(1e-3)
    there = _blurred(measured * weight, _STIFF) / _blurred(weight[:, :, 0], _STIFF)[:, :, None]
    return there, trust(there)


def _straight(trust: Floats) -> np.float32:
    """Return how far the frame's object is seen from the front, in [0, 1]."""
    margin = round(_MIDDLE * len(trust))
    middle = float(trust[margin:-margin, margin:-margin].mean())
    rise = np.clip((middle - _TURNED) / (_STRAIGHT - _TURNED), 0.0, 1.0)
    return np.float32(rise * rise * (3.0 - 2.0 * rise))


def _usable(generated: Floats, beyond: Floats, hole: Hole, contrast: float) -> Floats:
    """Return how far each known pixel shows the object itself, float32 (R, R) in [0, 1]."""
    grey = generated.mean(axis=2)
    spread = _blurred(np.square(grey), _AROUND) - np.square(_blurred(grey, _AROUND))
    varies = np.sqrt(np.maximum(spread, 0)) + _PLAIN * contrast
    size = np.asarray(cv2.GaussianBlur(np.abs(beyond).mean(axis=2), (0, 0), 1.0), np.float32)
    away = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    inside = np.float32(1) - _near_zero(np.asarray(away / _RIM, np.float32))
    return inside * _near_zero(np.asarray(size / (_FOREIGN * varies), np.float32))


def _near_zero(size: Floats) -> Floats:
    """Return 1 where something is 0, 1/e where it is 1, and next to nothing where it is more."""
    return np.exp(-np.square(size))


def _mirrored(values: Floats) -> Floats:
    return np.ascontiguousarray(values[:, ::-1])


def _flow(generated: Floats, opposite: Floats) -> Floats:
    """Measure where in the mirror image each pixel is found: float32 (R, R, 2), pixels to go.

    It is the mean of what is measured in the image and in its mirror image, so that both are
    filled alike.
    """
    grey, turned = (rounded(image.mean(axis=2)) for image in (generated, opposite))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    start = np.zeros((*grey.shape, 2), np.float32)
    own = np.asarray(search.calc(grey, turned, start.copy()), np.float32)
    other = np.asarray(search.calc(turned, grey, start), np.float32)
    return np.asarray((own + _turned(other)) / 2, np.float32)


def _turned(flow: Floats) -> Floats:
    """Return the same flow as the mirror images have it."""
    return _mirrored(flow) * np.array([-1, 1], np.float32)


def _along(flow: Floats, values: Floats) -> Floats:
    """Return what lies at the end of a flow: float32 (R, R, C) or (R, R), 0 beyond the frame."""
    rows, columns = np.indices(flow.shape[:2], np.float32)
    return np.asarray(
        cv2.remap(values, columns + flow[:, :, 0], rows + flow[:, :, 1], cv2.INTER_LINEAR),
        np.float32,
    )


def _blurred(values: Floats, deviation: float) -> Floats:
    """Blur (R, R) or (R, R, C) by a Gaussian, its deviation in sides."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), deviation * len(values)), np.float32)
