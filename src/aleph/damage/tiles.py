"""The network that sees damage, run over a photo at several sizes, tile by tile.

What the network takes for damage depends on how large it is shown, and on how sharp. So every photo
is looked at four times: at an eighth, a quarter, a half of its size, where wide damage is seen best
and a soft scan is sharp, and at its own; a small one, whose cracks are fine, at twice these sizes,
and a large one at the sizes of one of a megapixel. Each look is told what the one before it found,
and the mean of the last two counts.

What is fine in a large photo is seen only at its own size, at which a wide flake is just a plain
surface. So larger looks follow, each of up to twice the sides. Each is told what counts so far, and
the mean of that and of what it finds counts from there on. In the end everything is weighed by
whether it looks like the rest of the damage (`aleph.damage.likeness`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Pixels, Region
from aleph.damage.likeness import weighed_by_likeness, with_odds
from aleph.models.model import DamageModel

_TILE = 768
"""Side in pixels of the part of a tile that is kept: memory grows with it, and not with a photo."""

_MARGIN = 96
"""Pixels round it that the network sees besides; what lies farther away changes hardly anything."""

_LOOKS = (0.125, 0.25, 0.5, 1.0)
"""Sizes at which a photo is looked at, over its own, in this order."""

_DOUBT = 0.4
"""By how much the logit of what a look found is lowered when the next one is told of it: what is
marked wrongly over wide areas was mostly begun by a small look."""

_SMALL = 500_000
"""Pixels of a photo up to which these looks are twice as large."""

LARGE = 1_100_000
"""Pixels of a photo from which on it is seen at first like one of so many."""

_NEARLY = 0.2
"""Octaves by which the last look may be smaller than the photo: one more would show little more."""

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
    first, larger = _sizes(*image.shape[:2])
    done, all_of = 0, sum(len(_tiles(*size)) for size in (*first, *larger))

    def look(size: tuple[int, int], told: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        nonlocal done
        shown, found = _resized(image, size), np.empty(size, np.uint8)
        coarser = None if told is None else _resized(told, size)
        for tile in _tiles(*size):
            found[tile] = _look(shown, coarser, tile, model)
            done += 1
            if on_tile:
                on_tile(done, all_of)
        return found

    finds: list[NDArray[np.uint8]] = []
    for size in first:
        finds.append(look(size, _doubted(finds[-1]) if finds else None))
    seen = min(first[-1], image.shape[:2])  # a small photo was looked at larger than it is
    found = _mean(finds[-2], finds[-1], seen)
    for size in larger:
        found = _mean(found, look(size, found), size)
    return weighed_by_likeness(image, _resized(found, image.shape[:2]))


def _mean(
    coarser: NDArray[np.uint8], finer: NDArray[np.uint8], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the mean of what two looks found, at a size."""
    # in bytes: a photo may have a hundred megapixels
    same = [_resized(found, size) for found in (coarser, finer)]
    return np.asarray(cv2.addWeighted(same[0], 0.5, same[1], 0.5, 0), np.uint8)


def _doubted(found: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what the next look is told of probabilities: a little less of each."""
    less = with_odds(np.arange(256) / 255, -_DOUBT)
    told: NDArray[np.uint8] = np.rint(255 * less).astype(np.uint8)
    return np.asarray(told[found])


def _sizes(height: int, width: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the sizes at which a photo is looked at: the first four, and the larger ones."""
    pixels = height * width
    own = 2.0 if pixels <= _SMALL else min(1.0, math.sqrt(LARGE / pixels))
    more = max(0, math.ceil(-math.log2(own) - _NEARLY))
    factors = [own ** (1 - number / more) for number in range(1, more + 1)]

    def at(factor: float) -> tuple[int, int]:
        return max(1, round(height * factor)), max(1, round(width * factor))

    return [at(own * look) for look in _LOOKS], [at(factor) for factor in factors]


def _resized(values: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize (H, W, …), the mean of pixels where it shrinks."""
    if values.shape[:2] == size:
        return values
    way = cv2.INTER_AREA if size[0] < values.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(values, size[::-1], interpolation=way), np.uint8)


def _look(
    image: Pixels, coarser: NDArray[np.uint8] | None, tile: Region, model: DamageModel
) -> NDArray[np.uint8]:
    """Return the probabilities of one part of a picture.

    Args:
        image: The picture at the size of this look.
        coarser: What the look before found, at the same size; None for the first look.
        tile: The part.
        model: What looks at it.
    """
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

    def shown(values: NDArray[np.uint8]) -> torch.Tensor:
        more = [(0, 0)] * (values.ndim - 2)
        return torch.from_numpy(np.pad(values[tuple(seen)], [*padding, *more], "symmetric"))[None]

    told = None if coarser is None else shown(coarser)
    found = model(shown(image).permute(0, 3, 1, 2), told)[0].numpy()
    return np.asarray(found[tuple(kept)], np.uint8)


def _tiles(height: int, width: int) -> list[Region]:
    """Part a picture into tiles that are all nearly the same size."""
    return [(rows, columns) for rows in _parts(height) for columns in _parts(width)]


def _parts(size: int) -> Iterator[slice]:
    count = -(-size // _TILE)
    cuts = [size * i // count for i in range(count + 1)]
    for first, last in itertools.pairwise(cuts):
        yield slice(first, last)
