"""The network that sees damage, run over a photo of any size tile by tile."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Pixels, Region
from aleph.models.model import DamageModel

_TILE = 768
"""Side in pixels of the part of a tile that is kept: memory grows with it, and not with a photo."""

_MARGIN = 96
"""Pixels round it that the network sees besides; what lies farther away changes hardly anything."""

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
    found = np.empty(image.shape[:2], np.uint8)
    tiles = list(_tiles(*image.shape[:2]))
    for done, tile in enumerate(tiles, 1):
        found[tile] = _look(image, tile, model)
        if on_tile:
            on_tile(done, len(tiles))
    return found


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
