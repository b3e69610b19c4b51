"""The PSNR of the fill at some steps of a search, recorded while it runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from aleph.evaluation.metrics import psnr
from aleph.photo.tensors import to_pixels
from aleph.search.latent import SearchStep
from aleph.search.losses import lowest_first

Curve = dict[str, list[float]]
"""`step`, `context_loss` and `psnr_hole`, lists of one length."""


def is_recorded(step: int, last: int) -> bool:
    """Return whether a step is recorded: about six to a factor of ten, and the last.

    >>> [step for step in range(61) if is_recorded(step, 60)]
    [0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 60]
    """
    digits = str(step).rstrip("0")
    return digits in ("", "1", "15", "2", "3", "5", "7") or step == last


class CurveRecorder:
    """Callback of a search that records the PSNR in the hole of the pasted G(z) at some steps.

    Of several starts the one with the lowest total loss at the step counts.

    Args:
        originals: uint8 (N, R, R, 3), at the model's resolution.
        holes: Boolean (N, R, R), True = missing.
    """

    def __init__(self, originals: NDArray[np.uint8], holes: NDArray[np.bool_]) -> None:
        self._originals, self._holes = originals, holes
        self._groups: list[dict[int, list[float]]] = []
        self._first = 0
        self._count = 0

    def __call__(self, step: SearchStep) -> None:
        """Record a step; step 0 begins the next group of images."""
        if step.step == 0:
            self._first += self._count
            self._count = len(step.generated)
            self._groups.append({})
        if is_recorded(step.step, step.steps):
            self._groups[-1][step.step] = self._psnr(step)

    def _psnr(self, step: SearchStep) -> list[float]:
        """Return dB for each image of the current group."""
        best = lowest_first(step.losses["total"])[:, 0]
        pixels = to_pixels(step.generated[torch.arange(len(best), device=best.device), best])
        group = slice(self._first, self._first + self._count)
        return [
            psnr(original, filled, hole)
            for original, filled, hole in zip(
                self._originals[group], pixels, self._holes[group], strict=True
            )
        ]

    def of(self, index: int, history: Mapping[str, NDArray[np.float32]]) -> Curve | None:
        """Return the curve of an image.

        Args:
            index: Number of the image, from 0.
            history: Its losses at every step by name, float32 (steps + 1,).

        Returns:
            The curve; None if the groups seen do not add up to the images.
        """
        if self._first + self._count != len(self._originals):
            return None
        for group in self._groups:
            size = len(group[0])
            if index < size:
                steps = [step for step in group if step < len(history["context"])]
                return {
                    "step": [float(step) for step in steps],
                    "context_loss": [float(history["context"][step]) for step in steps],
                    "psnr_hole": [group[step][index] for step in steps],
                }
            index -= size
        return None
