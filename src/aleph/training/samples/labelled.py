"""Photographs that are really damaged, with masks that somebody painted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Pixels
from aleph.datasets import Source, find_sources, open_source
from aleph.errors import InputError
from aleph.training.samples.ageing import Scan, aged
from aleph.training.samples.damaged import DAMAGE, INTACT, UNSURE, Damaged

_PHOTOS, _MASKS = "photos", "masks"

_LEAST_SIDE = 32
"""Photographs that are smaller show too little."""

_CLOSEST, _FURTHEST = 0.6, 1.6
"""Sides of the part of a photograph that a sample shows, over the side of the sample."""

_AGED = 0.3
"""Share of the samples that are aged further."""

_SCANNED = 0.5
"""Share of the samples that are scanned once more."""

_TURNED = 0.15
"""Share of the samples that stand on their head, and share of those that lie on a side."""

_ENOUGH, _SOME = 0.3, 0.1
"""Shares of a sample's pixel from which on it counts as damaged, and from which on as unsure."""


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """A photograph with real damage, and where it lies.

    Attributes:
        name: Its file's name, without the ending.
        image: uint8 (H, W, 3).
        label: uint8 (H, W): `DAMAGE`, `INTACT` or `UNSURE`.
    """

    name: str
    image: Pixels
    label: NDArray[np.uint8]


def read_labelled(path: str | os.PathLike[str]) -> list[LabelledPhoto]:
    """Read photographs and their masks from a folder or zip.

    Args:
        path: Holds `photos/NAME.…` and `masks/NAME.…`, a mask for each photograph, of its size:
            white where it is damaged, black where it is not, grey where that is open.

    Raises:
        InputError: if there are none, one cannot be read, or a photograph and its mask do not fit.
    """
    files: dict[str, dict[str, Source]] = {_PHOTOS: {}, _MASKS: {}}
    for source in find_sources([path]):
        place = PurePosixPath(source.member or source.container)
        if (named := files.get(place.parent.name)) is None:
            continue
        if place.stem in named:
            raise InputError(f"'{path}' has two files '{place.stem}' in '{place.parent.name}'")
        named[place.stem] = source
    photos, masks = files[_PHOTOS], files[_MASKS]
    if not photos:
        raise InputError(
            f"'{path}' holds no labelled photographs: put them into '{_PHOTOS}', and a mask of the "
            f"same name for each into '{_MASKS}'"
        )
    if alone := sorted(photos.keys() ^ masks.keys()):
        raise InputError(
            f"'{path}': '{alone[0]}' needs both a photograph in '{_PHOTOS}' and a mask in "
            f"'{_MASKS}', of the same name"
        )
    return [_read(name, photos[name], masks[name]) for name in sorted(photos)]


def _read(name: str, photo: Source, mask: Source) -> LabelledPhoto:
    with open_source(photo) as picture:
        image = np.asarray(picture.convert("RGB"))
    with open_source(mask) as picture:
        levels = np.asarray(picture.convert("L"))
    if levels.shape != image.shape[:2]:
        raise InputError(
            f"'{mask.name}' is {levels.shape[1]}×{levels.shape[0]} pixels large and its photograph "
            f"{image.shape[1]}×{image.shape[0]}: make them equally large"
        )
    if min(levels.shape) < _LEAST_SIDE:
        raise InputError(f"'{photo.name}' is smaller than {_LEAST_SIDE} pixels: leave it out")
    label = np.full(levels.shape, UNSURE, np.uint8)
    label[levels >= 192] = DAMAGE
    label[levels < 64] = INTACT
    return LabelledPhoto(name, image, label)


def labelled_sample(photo: LabelledPhoto, side: int, rng: np.random.Generator) -> Damaged:
    """Show a random part of a photograph at a random size, turned, aged and scanned anew.

    Args:
        photo: The photograph.
        side: Side of the sample in pixels.
        rng: Source of the randomness.
    """
    height, width = photo.label.shape
    shown = int(min(height, width, side * rng.uniform(_CLOSEST, _FURTHEST)))
    top, left = int(rng.integers(height - shown + 1)), int(rng.integers(width - shown + 1))
    part = (slice(top, top + shown), slice(left, left + shown))
    image, label = _turned(photo.image[part], photo.label[part], rng)
    way = cv2.INTER_AREA if shown > side else cv2.INTER_CUBIC
    resized = cv2.resize(image, (side, side), interpolation=way)
    scene = np.asarray(resized, np.float32)
    if rng.random() < _AGED:
        scene, _ = aged(scene, rng)
    scan = Scan.draw(side, rng) if rng.random() < _SCANNED else Scan()
    return Damaged(scan(scene), _resized(label, side), (photo.name,))


def _turned(
    image: Pixels, label: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.uint8]]:
    """Mirror both, and sometimes turn them."""
    if rng.random() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1]
    if rng.random() < _TURNED:
        image, label = image[::-1], label[::-1]
    if rng.random() < _TURNED:
        image, label = np.rot90(image), np.rot90(label)
    return np.ascontiguousarray(image), np.ascontiguousarray(label)


def _resized(label: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a square label at another size; a thin line stays damage when it is shrunk."""
    way = cv2.INTER_AREA if len(label) > side else cv2.INTER_LINEAR

    def share(value: int) -> NDArray[np.float32]:
        there = (label == value).astype(np.float32)
        return np.asarray(cv2.resize(there, (side, side), interpolation=way))

    damage, unsure = share(DAMAGE), share(UNSURE)
    resized = np.full((side, side), INTACT, np.uint8)
    resized[(damage >= _SOME) | (unsure >= 0.5)] = UNSURE
    resized[damage >= _ENOUGH] = DAMAGE
    return resized
