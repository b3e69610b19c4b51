"""Candidates: the starts of a finished search, ranked by their losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aleph.photo.tensors import to_levels, to_pixels
from aleph.search.latent import OnStep, SearchResult, SearchStep
from aleph.search.losses import lowest_first

_RECORDED = 48
"""Steps of a search that are kept for its animation."""


class SearchRecorder:
    """Keeps the generated images of some steps, dense at the start, where the search moves most."""

    def __init__(self, steps: int, on_step: OnStep | None) -> None:
        self.wanted = {round(steps * (i / (_RECORDED - 1)) ** 2) for i in range(_RECORDED)}
        self.on_step = on_step
        self.kept: list[NDArray[np.uint8]] = []

    def __call__(self, step: SearchStep) -> None:
        """Keep the images of a step, if it is one of those to be kept, and pass the step on."""
        if step.step in self.wanted:
            flat = to_pixels(step.generated.flatten(0, 1).nan_to_num(0.0))
            self.kept.append(flat.reshape(*step.generated.shape[:2], *flat.shape[1:]))
        if self.on_step:
            self.on_step(step)


@dataclass(frozen=True, eq=False)
class CandidateFrames:
    """One candidate fill of a picture, frame by frame.

    Attributes:
        generated: G(ẑ) of each frame, float32 (R, R, 3) in 0 to 255.
        adapted: What the fill is made of, the same of the generator adapted to each frame.
        z: ẑ of each frame, float32 (latent_dim,).
        losses: By name, the mean over the frames.
    """

    generated: list[NDArray[np.float32]]
    adapted: list[NDArray[np.float32]]
    z: list[NDArray[np.float32]]
    losses: dict[str, float]


class RankedStarts:
    """A finished search: a row for each frame, and the order of its starts by their losses.

    It has no rows if there was no frame to search.
    """

    def __init__(self, result: SearchResult | None, recorder: SearchRecorder | None) -> None:
        self._result, self._recorder = result, recorder
        self._order: list[list[int]] = []
        if result is not None:
            totals = result.losses["total"]
            finite = totals.isfinite().sum(dim=1).tolist()
            order = lowest_first(totals).tolist()
            self._order = [row[:count] for row, count in zip(order, finite, strict=True)]

    @property
    def result(self) -> SearchResult:
        """The search."""
        assert self._result is not None
        return self._result

    def best(self, row: int) -> list[int]:
        """Return the starts of a row, that of the lowest total loss first.

        Starts whose losses are not finite are left out: there may be none.
        """
        return self._order[row]

    def generated(self, row: int, start: int) -> NDArray[np.float32]:
        """Return G(ẑ), float32 (R, R, 3) in 0 to 255."""
        return np.asarray(to_levels(self.result.generated[row, start][None])[0], np.float32)

    def adapted(self, row: int, start: int) -> NDArray[np.float32]:
        """Return what the fill is made of, float32 (R, R, 3) in 0 to 255."""
        return np.asarray(to_levels(self.result.adapted[row, start][None])[0], np.float32)

    def losses(self, row: int, start: int) -> dict[str, float]:
        """Return the losses of ẑ by name."""
        return {name: float(value[row, start]) for name, value in self.result.losses.items()}

    def fill(self, rows: Sequence[int], rank: int) -> CandidateFrames:
        """Return a candidate: in each of some rows the start of that rank, 0 the best."""
        chosen = [(row, self.best(row)[rank]) for row in rows]
        if not chosen:
            return CandidateFrames([], [], [], {})
        losses = [self.losses(*place) for place in chosen]
        mean = {name: float(np.mean([loss[name] for loss in losses])) for name in losses[0]}
        return CandidateFrames(
            [self.generated(*place) for place in chosen],
            [self.adapted(*place) for place in chosen],
            [self.result.z[place].cpu().numpy() for place in chosen],
            mean,
        )

    def history(self, rows: Sequence[int]) -> dict[str, NDArray[np.float32]]:
        """Return the losses of the best starts at every step, averaged over some rows."""
        if not rows:
            return {}
        best = [self.best(row)[0] for row in rows]
        return {
            name: values[:, list(rows), best].mean(dim=1).cpu().numpy()
            for name, values in self.result.history.items()
        }

    def recorded(self, rows: Sequence[int]) -> NDArray[np.uint8] | None:
        """Return the recorded images of the best starts: uint8 (steps kept, rows, R, R, 3)."""
        if self._recorder is None or not rows:
            return None
        best = [self.best(row)[0] for row in rows]
        return np.stack([kept[list(rows), best] for kept in self._recorder.kept])
