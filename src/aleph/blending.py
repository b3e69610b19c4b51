"""Blending: putting the generated pixels into the hole so that no rim shows.

Known pixels are never changed by any of these.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from aleph.config import Blending, check_choice
from aleph.masks import Hole

Floats = NDArray[np.float32] | NDArray[np.float64]


class Blender:
    """Blends any number of generated images into one hole.

    What depends on the hole alone is prepared once, so that further candidates and the frames of
    an animation cost a back-substitution each.

    Args:
        hole: Boolean (H, W), True = missing.
        blending: `paste` puts G(ẑ) into the hole as it is. `poisson` keeps the gradients of G(ẑ)
            and takes the colours at the rim from the image (Pérez et al. 2003, eq. 2 and 3; Yeh et
            al. 2017, eq. 7).

    Raises:
        InputError: if the blending is unknown.
    """

    def __init__(self, hole: Hole, blending: Blending = "poisson") -> None:
        check_choice("blending", blending, Blending)
        self.hole = np.array(hole)
        self.blending = blending
        solvable = bool(hole.any() and not hole.all())
        self._membrane = _Membrane(self.hole) if blending == "poisson" and solvable else None

    def __call__(self, image: NDArray[np.uint8], generated: Floats) -> NDArray[np.uint8]:
        """Return `image` with its hole filled.

        Args:
            image: uint8 (H, W, 3); its values in the hole are not looked at.
            generated: Float (H, W, 3), in units of uint8 (0 to 255), not rounded.

        Returns:
            New uint8 (H, W, 3), equal to `image` wherever `hole` is False. An empty hole gives
            the image, a full one the generated image.
        """
        filled = np.array(image)
        made = np.asarray(generated, np.float64)
        values = made[self.hole]
        if self._membrane is not None:
            values = values + self._membrane(image - made)
        filled[self.hole] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return filled


class _Membrane:
    """Harmonic interpolation from the known pixels into the hole.

    Poisson blending solves Δf = ΔG in the hole with f = y around it. With f = G + r that is
    Δr = 0 with r = y − G around it: the residual is stretched over the hole like a membrane. At
    the image's border the membrane is free (no flux), for nothing is known beyond it.
    """

    def __init__(self, hole: Hole) -> None:
        self.hole = hole
        number = np.full(hole.shape, -1)
        number[hole] = np.arange(int(hole.sum()))
        self.known_neighbours: list[tuple[NDArray[np.intp], tuple[NDArray[np.intp], ...]]] = []
        rows, columns, degree = [], [], np.zeros(int(hole.sum()))
        for here, there in _neighbour_pairs(hole.shape):
            inside = hole[here]
            both = inside & hole[there]
            rows.append(number[here][both])
            columns.append(number[there][both])
            np.add.at(degree, number[here][inside], 1.0)
            edge = inside & ~hole[there]
            place = tuple(
                index + (part.start or 0)
                for index, part in zip(np.nonzero(edge), there, strict=True)
            )
            self.known_neighbours.append((number[here][edge], place))
        row, column = np.concatenate(rows), np.concatenate(columns)
        shape = (degree.size, degree.size)
        links = sparse.coo_matrix((-np.ones(row.size), (row, column)), shape=shape)
        self._solve = linalg.splu(
            (links + sparse.diags(degree)).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,  # the matrix is symmetric and positive definite
            options={"SymmetricMode": True},
        ).solve

    def __call__(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the interpolated residual in the hole, (number of missing pixels, 3)."""
        right = np.zeros((int(self.hole.sum()), residual.shape[2]))
        for index, place in self.known_neighbours:
            np.add.at(right, index, residual[place])
        solution: NDArray[np.float64] = self._solve(right)
        return solution


def _neighbour_pairs(shape: tuple[int, ...]) -> list[tuple[tuple[slice, slice], ...]]:
    """Return the four shifts as pairs of slices (pixel, its neighbour) inside the image."""
    everything, front, back = slice(None), slice(None, -1), slice(1, None)
    pairs = [((front, everything), (back, everything)), ((everything, front), (everything, back))]
    return pairs + [(there, here) for here, there in pairs]
