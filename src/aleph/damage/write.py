"""Photos, one or a folder of them → pictures of their damage."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aleph.arrays import Hole, Pixels
from aleph.config import check_share, check_whole
from aleph.damage.find import SENSITIVITY, marked, read_probability
from aleph.damage.tiles import OnTile
from aleph.errors import AlephError, InputError, OutputError
from aleph.files import check_apart, check_outside, pictures_below
from aleph.masks.read import widened
from aleph.models.model import DamageModel
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
        model: What looks at the photos; the shipped one if None.

    Raises:
        InputError: if a value is out of range.
    """

    sensitivity: float = SENSITIVITY
    grow: int = 0
    model: DamageModel | None = None

    def __post_init__(self) -> None:
        check_share("sensitivity", self.sensitivity)
        check_whole("grow", self.grow, 0, 10_000)


@dataclass
class DamageOutcome:
    """What became of the photos of a folder, by their names below it.

    Attributes:
        found: Share of the pixels that is marked.
        failed: Those that could not be looked at, with the reason.
    """

    found: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


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
    probability = read_probability(photo, request.model, on_tile)
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


def write_damage_folder(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    overlay: str | os.PathLike[str] | None = None,
    request: DamageRequest | None = None,
    on_photo: Callable[[int, int], None] | None = None,
) -> DamageOutcome:
    """Write the masks of every photo below a folder: that of `a.jpg` is `a.png`.

    Args:
        source: Folder of the photos, with all folders in it. Nothing is written there.
        out: Folder for the masks; made if it is not there.
        overlay: Folder for the photos with their damage in red; none are written if None.
        request: What is asked for.
        on_photo: Called with how many photos are done, and of how many.

    Raises:
        InputError: if there is no photo.
        OutputError: if the results would lie among the photos.
    """
    folder = Path(source)
    names = sorted(pictures_below(folder))
    if not names:
        raise InputError(f"there is no picture in the folder '{source}'")
    places = [Path(place) for place in (out, overlay) if place is not None]
    for place in places:
        check_outside(place, [folder])
    check_apart(places, [])
    outcome = DamageOutcome()
    taken: dict[Path, str] = {}
    for done, name in enumerate(names, 1):
        target, key = name.with_suffix(".png"), name.as_posix()
        try:
            if taken.setdefault(target, key) != key:
                raise InputError(f"its mask would have the same name as that of '{taken[target]}'")
            mask, *red = [_place(root, target) for root in places]
            outcome.found[key] = write_damage(folder / name, mask, red[0] if red else None, request)
        except AlephError as error:
            outcome.failed[key] = str(error)
        if on_photo:
            on_photo(done, len(names))
    return outcome


def _place(root: str | os.PathLike[str], name: Path) -> Path:
    """Return where a file goes below a folder; its own folder is made."""
    target = Path(root) / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make '{target.parent}': {error.strerror}") from None
    return target
