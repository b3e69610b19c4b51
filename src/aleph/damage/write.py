"""A photo → pictures of its damage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aleph.arrays import Hole, Pixels
from aleph.config import SENSITIVITY, Arithmetic, check_choice, check_share, check_whole
from aleph.damage.find import kept_model, marked, read_probability
from aleph.damage.tiles import OnTile
from aleph.errors import OutputError
from aleph.files import check_apart
from aleph.masks.read import widened
from aleph.models.folder import digest_model
from aleph.models.model import DamageModel
from aleph.models.zoo import DEFAULT_DAMAGE_MODEL, find_model
from aleph.photo.photo import PhotoLike, read_photo
from aleph.photo.pixels import check_image_path, write_image

LOSSY = (".jpg", ".jpeg", ".jfif", ".webp", ".avif")
"""Endings of formats that would blur the edges of a mask."""


@dataclass(frozen=True)
class DamageRequest:
    """What is asked of the finder, the same for every photo.

    Attributes:
        sensitivity: From 0 to 1 (`aleph.find_damage`).
        grow: Pixels by which what was found is widened.
        finder: Name or folder of the model that looks at the photos.
        device: Where it computes.
        precision: Its arithmetic.

    Raises:
        InputError: if a value is out of range.
    """

    sensitivity: float = SENSITIVITY
    grow: int = 0
    finder: str = DEFAULT_DAMAGE_MODEL
    device: str = "auto"
    precision: Arithmetic = "auto"

    def __post_init__(self) -> None:
        check_share("sensitivity", self.sensitivity)
        check_whole("grow", self.grow, 0, 10_000)
        check_choice("precision", self.precision, Arithmetic)

    def load(self) -> DamageModel:
        """Load the model, or return it if it is loaded.

        Raises:
            ModelError: if there is none of that name that finds damage.
            InputError: if the device is not there.
        """
        return kept_model(self.finder, self.device, self.precision)

    def digest(self) -> str:
        """Return the SHA-256 of the model's configuration and weights.

        Raises:
            ModelError: if there is no such model.
        """
        return digest_model(find_model(self.finder))


def check_mask_path(path: Path) -> None:
    """Refuse a path that no mask should be written to.

    Raises:
        OutputError: if the format would blur it, or the place cannot be written.
    """
    check_image_path(path)
    if path.suffix.lower() in LOSSY:
        raise OutputError(f"cannot write '{path}': a mask needs a lossless format, as .png")


def write_damage(
    image: PhotoLike,
    mask: Path,
    overlay: Path | None = None,
    request: DamageRequest | None = None,
    on_tile: OnTile | None = None,
) -> float:
    """Write where a photo is damaged.

    Args:
        image: The photo.
        mask: Where the mask is written: 8-bit grey, 255 = damaged, as large as the photo.
        overlay: Where the photo is written with its damage in red; not if None.
        request: What is asked for.
        on_tile: Called as the photo is looked at.

    Returns:
        Share of the pixels that is marked, from 0 to 1.

    Raises:
        InputError: if the photo cannot be read.
        OutputError: if a file cannot be written.
    """
    request = request or DamageRequest()
    check_mask_path(mask)
    if overlay:
        check_image_path(overlay)
    check_apart([mask, overlay] if overlay else [mask], [image])
    photo = read_photo(image)
    probability = read_probability(photo, request.load(), on_tile)
    hole = widened(marked(probability, request.sensitivity), request.grow)
    write_image(np.where(hole, np.uint8(255), np.uint8(0)), mask)
    if overlay:
        write_image(painted(photo.pixels, hole), overlay)
    return float(hole.mean())


def painted(pixels: Pixels, hole: Hole) -> Pixels:
    """Return a photo with its damage in red, through which it can be seen."""
    shown = pixels.copy()
    shown[hole] = (0.35 * shown[hole] + np.array([165.0, 0, 0])).astype(np.uint8)
    return shown
