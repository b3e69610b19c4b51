"""Pictures to try things on, with damage to mend."""

from __future__ import annotations

import numpy as np

from aleph.arrays import Hole
from aleph.demo import portrait, scratches
from aleph.masks.named import named_hole
from aleph.photo.pixels import encode_image
from aleph.web.schemas import Sample

_CREDIT = "Eileen Collins, NASA portrait, public domain"

SAMPLES = [
    Sample(name="scratches", title="Scratched", credit=_CREDIT),
    Sample(name="stain", title="Stained", credit=_CREDIT),
    Sample(name="half", title="Half torn off", credit=_CREDIT),
]


def sample_image() -> bytes:
    """Return the picture of every sample as a PNG."""
    return encode_image(portrait(), ".png")


def sample_mask(name: str) -> bytes | None:
    """Return a sample's mask as a PNG, white = missing; None if there is no such sample."""
    if name not in {sample.name for sample in SAMPLES}:
        return None
    hole = _hole(name, portrait().shape[:2])
    return encode_image(np.repeat(hole[:, :, None], 3, 2).astype(np.uint8) * np.uint8(255), ".png")


def _hole(name: str, shape: tuple[int, ...]) -> Hole:
    height, width = shape[:2]
    if name == "scratches":
        return scratches((height, width), 0)
    if name == "half":
        return named_hole("half", (height, width), 1)
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - 0.68 * height, x - 0.5 * width)
    radius = 0.24 * width * (1 + 0.1 * np.sin(3 * angle) + 0.06 * np.cos(7 * angle))
    return np.asarray(np.hypot(y - 0.68 * height, x - 0.5 * width) < radius)
