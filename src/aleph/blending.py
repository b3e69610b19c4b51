"""Blending: putting the generated pixels into the hole so that no rim shows.

All blends are of one form. With r = y − G(ẑ) the residual, known outside the hole, the fill is
G(ẑ) + r̂, and r̂ is what r is expected to be in the hole, given what it is around it, if r is a
Gaussian Markov random field with precision matrix Q: r̂_h = −Q_hh⁻¹ Q_hk r_k (Rue & Held 2005,
Gaussian Markov Random Fields, eq. 2.22). The blend is the choice of Q:

- `paste`: no residual is carried over, r̂ = 0.
- `poisson`: Q = L, the Laplacian. Q_hh r̂ = −Q_hk r_k is Δr̂ = 0 in the hole with r̂ = r around it,
  hence Δf = ΔG with f = y around it: Poisson blending (Pérez et al. 2003, eq. 2 to 4; Yeh et al.
  2017, eq. 7). The residual is stretched over the hole like a membrane.
- `matern`: Q = (κ²I + L)², a Matérn field of smoothness 1 (Lindgren et al. 2011, eq. 2 and 10).
  Near known pixels it continues the residual as smoothly as a thin plate does, and some 1/κ pixels
  away it has forgotten it and trusts G(ẑ): right for both thin holes and wide ones.

Known pixels are never changed by any of these.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import linalg

from aleph.config import Blending, check_choice
from aleph.masks import Hole

Floats = NDArray[np.float32] | NDArray[np.float64]

FORGETTING = 25.6
"""κ of `matern`, times the side of the frame."""

_REACH = 2
"""Pixels around the hole that a precision matrix of these couples it to."""


class Blender:
    """Blends any number of generated images into one hole.

    What depends on the hole alone is prepared once, so that further candidates and the frames of
    an animation cost a back-substitution each.

    Args:
        hole: Boolean (H, W), True = missing.
        blending: `paste`, `poisson` or `matern`; see the module.
        forgetting: κ of `matern` times the side of the frame that `hole` is of, from 0 (never
            forgets) up. 25.6 was chosen on validation images: see docs/models.md.

    Raises:
        InputError: if the blending is unknown.
    """

    def __init__(
        self, hole: Hole, blending: Blending = "matern", forgetting: float = FORGETTING
    ) -> None:
        check_choice("blending", blending, Blending)
        self.hole = np.array(hole)
        self.blending = blending
        self._parts: list[_Part] = []
        if blending != "paste" and hole.any() and not hole.all():
            self._parts = _parts(self.hole, blending, forgetting / max(hole.shape))

    def __call__(self, image: NDArray[np.uint8], generated: Floats) -> NDArray[np.uint8]:
        """Return `image` with its hole filled.

        Args:
            image: uint8 (H, W, 3); its values in the hole are not looked at.
            generated: Float (H, W, 3), in units of uint8 (0 to 255), not rounded.

        Returns:
            New uint8 (H, W, 3), equal to `image` wherever `hole` is False. An empty hole gives
            the image, a full one the generated image.
        """
        fill = np.array(generated, np.float64)
        for part in self._parts:
            part.add_residual(image, fill)
        filled = np.array(image)
        filled[self.hole] = np.clip(np.rint(fill[self.hole]), 0, 255).astype(np.uint8)
        return filled


class _Part:
    """One piece of the hole that no coupling ties to the others, factorised on its own."""

    def __init__(
        self, window: tuple[slice, slice], hole: Hole, precision: sparse.csr_matrix
    ) -> None:
        self.window = window
        self.hole = hole
        inside, outside = np.flatnonzero(hole), np.flatnonzero(~hole)
        rows = precision[inside]
        self._coupling = rows[:, outside]
        self._solve = linalg.splu(
            rows[:, inside].tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,  # the matrix is symmetric and positive definite
            options={"SymmetricMode": True},
        ).solve

    def add_residual(self, image: NDArray[np.uint8], fill: NDArray[np.float64]) -> None:
        """Add r̂ to the part's missing pixels of `fill`, in place; known ones are only read."""
        there = fill[self.window]
        residual = (image[self.window] - there)[~self.hole]
        there[self.hole] += self._solve(-(self._coupling @ residual))


def _parts(hole: Hole, blending: Blending, forgetting: float) -> list[_Part]:
    """Split the hole where it falls apart, so that work grows with its pieces, not the picture."""
    reach = ndimage.binary_dilation(hole, np.ones((3, 3), bool), iterations=_REACH)
    labels, _ = ndimage.label(reach, np.ones((3, 3), int))
    parts = []
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        piece = hole[window] & (labels[window] == label)
        # Whatever else is missing in the window is too far away to be coupled to this piece.
        parts.append(_Part(window, piece, _precision(piece.shape, blending, forgetting)))
    return parts


def _precision(shape: tuple[int, ...], blending: Blending, forgetting: float) -> sparse.csr_matrix:
    """Return Q over all pixels of a window.

    The window ends at the picture's border, where the field is free (no flux), for nothing is
    known beyond it, or so far from the hole that its end is not felt.
    """
    height, width = shape
    laplacian = sparse.kron(_path_laplacian(height), sparse.identity(width)) + sparse.kron(
        sparse.identity(height), _path_laplacian(width)
    )
    if blending == "poisson":
        return laplacian.tocsr()
    operator = (laplacian + forgetting**2 * sparse.identity(height * width)).tocsr()
    return (operator @ operator).tocsr()


def _path_laplacian(length: int) -> sparse.dia_matrix:
    """Return the Laplacian of a row of pixels with free ends: degree minus neighbours."""
    degree = np.full(length, 2.0)
    degree[0] -= 1
    degree[-1] -= 1
    links = -np.ones(max(length - 1, 0))
    return sparse.diags([links, degree, links], [-1, 0, 1], shape=(length, length))
