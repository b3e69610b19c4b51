"""Batches: the packed training images, and which of them each step uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aleph.datasets import Source, load_squares
from aleph.files import make_folder, replacing


def pack(
    sources: Sequence[Source],
    resolution: int,
    path: Path,
    on_image: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Decode `sources` into the array file `path` (.npy); return a sentence per unreadable one.

    The file appears whole or not at all.

    Raises:
        OutputError: if it cannot be written.
    """
    make_folder(path.parent)
    shape = (len(sources), resolution, resolution, 3)
    with replacing(path) as temporary:
        array = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
        _reserve(temporary)
        squares, _, skipped = load_squares(sources, resolution, on_image=on_image, out=array)
        array.flush()
        if skipped:  # the header states the number of images, so write it again with fewer
            with replacing(temporary) as shorter, shorter.open("wb") as file:
                np.save(file, squares)
    return skipped


def _reserve(path: Path) -> None:
    """Take room on the disk for a whole file that is mapped, but not yet written.

    On a full disk the system would kill the process that writes into it.

    Raises:
        OSError: if there is not so much, where the system can tell.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


class Batches:
    """Batches as a pure function of the step, so that a resumed run gets the same ones.

    The stream of images is a random permutation of all n images for each epoch: position p is entry
    p mod n of the permutation of epoch p // n.
    """

    def __init__(self, images: NDArray[np.uint8], batch_size: int, seed: int) -> None:
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def indices(self, step: int, rank: int = 0, ranks: int = 1) -> NDArray[np.int64]:
        """Return the indices of this rank's share of the batch of `step` (from 0)."""
        n = len(self.images)
        share = self.batch_size // ranks
        first = step * self.batch_size + rank * share
        chosen = np.empty(share, np.int64)
        for i, position in enumerate(range(first, first + share)):
            epoch, place = divmod(position, n)
            if epoch != self._epoch:
                rng = np.random.default_rng([self.seed, 0xDA7A, epoch])
                self._order, self._epoch = rng.permutation(n), epoch
            chosen[i] = self._order[place]
        return chosen

    def __call__(self, step: int, rank: int = 0, ranks: int = 1) -> NDArray[np.uint8]:
        """Return this rank's share of the batch of `step`: uint8 (n, H, W, 3)."""
        return np.asarray(self.images[self.indices(step, rank, ranks)])
