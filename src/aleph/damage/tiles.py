"""The network that sees damage, run over a photo at several sizes, tile by tile.

What the network takes for damage depends on how large it is shown, and on how sharp. So every photo
is looked at four times: at its own size and at halves of it, where wide damage is seen best and a
soft scan is as sharp as what the network was trained on; a small one, whose cracks are fine, at
twice its size too. The mean of these looks errs less than each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Pixels, Region
from aleph.models.model import DamageModel

_TILE = 768
"""Side in pixels of the part of a tile that is kept: memory grows with it, and not with a photo."""

_MARGIN = 96
"""Pixels round it that the network sees besides; what lies farther away changes hardly anything."""

_LOOKS = (1.0, 0.5, 0.25, 0.125)
"""Sizes at which a photo is looked at, over its own."""

_SMALL = 500_000
"""Pixels of a photo up to which all looks are twice as large."""

OnTile = Callable[[int, int], None]
"""Called with the number of tiles done, and of all."""


def damage_probability(
    image: Pixels, model: DamageModel, on_tile: OnTile | None = None
) -> NDArray[np.uint8]:
    """Say how likely each pixel of a picture is damaged.

    Args:
        image: uint8 sRGB (H, W, 3).
        model: What looks at it.
        on_tile: Called after every tile.

    Returns:
        uint8 (H, W), 255 = certainly damaged.
    """
    sizes = _sizes(*image.shape[:2])
    looks = [list(_tiles(*size)) for size in sizes]
    done, all_of = 0, sum(len(tiles) for tiles in looks)
    total = np.zeros(image.shape[:2], np.uint16)
    for size, tiles in zip(sizes, looks, strict=True):
        shown, found = _resized(image, size), np.empty(size, np.uint8)
        for tile in tiles:
            found[tile] = _look(shown, tile, model)
            done += 1
            if on_tile:
                on_tile(done, all_of)
        total += _resized(found, image.shape[:2])
    total += len(sizes) // 2  # in place: a photo may have a hundred megapixels
    total //= len(sizes)
    return total.astype(np.uint8)


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes at which a photo is looked at."""
    own = 2.0 if height * width <= _SMALL else 1.0
    factors = [own * look for look in _LOOKS]
    return [(max(1, round(height * f)), max(1, round(width * f))) for f in factors]


def _resized(values: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W, …), the mean of pixels where it shrinks."""
    if values.shape[:2] == size:
        return values
    way = cv2.INTER_AREA if size[0] < values.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(values, size[::-1], interpolation=way), np.uint8)


def _look(image: Pixels, tile: Region, model: DamageModel) -> NDArray[np.uint8]:
    """Return the probabilities of one part of a picture."""
    import torch

    from aleph.models.networks.damage import MULTIPLE

    seen, padding, kept = [], [], []
    for part, size in zip(tile, image.shape[:2], strict=True):
        first, last = max(0, part.start - _MARGIN), min(size, part.stop + _MARGIN)
        # Mirrored beyond the photo's border: a picture that ended there would look torn.
        before = MULTIPLE if first == 0 else 0
        least = before + last - first + (MULTIPLE if last == size else 0)
        behind = -(-least // MULTIPLE) * MULTIPLE - before - (last - first)
        seen.append(slice(first, last))
        padding.append((before, behind))
        start = before + part.start - first
        kept.append(slice(start, start + part.stop - part.start))
    pixels = np.pad(image[tuple(seen)], [*padding, (0, 0)], "symmetric")
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    return np.asarray(model(tensor)[0].numpy()[tuple(kept)], np.uint8)


def _tiles(height: int, width: int) -> Iterator[Region]:
    """Part a picture into tiles that are all nearly the same size."""
    for rows in _parts(height):
        for columns in _parts(width):
            yield rows, columns


def _parts(size: int) -> Iterator[slice]:
    count = -(-size // _TILE)
    cuts = [size * i // count for i in range(count + 1)]
    for first, last in itertools.pairwise(cuts):
        yield slice(first, last)
