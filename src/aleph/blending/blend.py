"""Blending: putting the generated pixels into the hole so that no seam shows.

All blends are of one form. The residual r = y − G(ẑ) is known outside the hole; the fill is
G(ẑ) + r̂, r̂ being the conditional expectation of r in the hole, given r around it, under a
Gaussian Markov random field with precision matrix Q: r̂_h = −Q_hh⁻¹ Q_hk r_k (Rue & Held 2005,
Gaussian Markov Random Fields, eq. 2.22; h the missing pixels, k the known ones). A blend is a
choice of Q:

- `paste`: no residual is carried over, r̂ = 0.
- `poisson`: Q = L, the Laplacian. Q_hh r̂ = −Q_hk r_k is Δr̂ = 0 in the hole with r̂ = r around it,
  hence Δf = ΔG with f = y around it: Poisson blending (Pérez et al. 2003, eq. 2 to 4; Yeh et al.
  2017, eq. 7). The residual is stretched over the hole like a membrane.
- `matern`: Q = (κ²I + L)², a Matérn field of smoothness 1 (Lindgren et al. 2011, eq. 2 and 10).
  Near known pixels r̂ continues the residual as smoothly as a thin plate; at distances beyond 1/κ
  pixels it decays to 0, so that the fill is G(ẑ). This suits both thin holes and wide ones.

Both are solved with one factorisation, that of A = κ²I + L restricted to the hole: it is Q_hh of
`poisson`, and A⁻² is so good a preconditioner of Q_hh of `matern` that conjugate gradients need a
dozen steps. In a large picture only the band of missing pixels next to known ones is solved at full
resolution; further inside r̂ is smooth, and is interpolated from a solution at half the resolution.

`matern` also blurs G(ẑ) beside known pixels: a fine detail of G(ẑ) that is a little out of place
there is worse than none.

Known pixels are never changed by any of these.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg

from aleph.arrays import Doubles, Floats, Hole, known_mean, rounded
from aleph.config import Blending, check_choice

FORGETTING = 25.6
"""κ of `matern`, times the side of the frame."""

SOFTENING = 0.6 / 64
"""Blur of G(ẑ) beside known pixels, in sides of the frame."""

SOFT_REACH = 1 / 32
"""Distance from known pixels, in sides of the frame, over which that blur fades out."""

_WHOLE = 256
"""Longer side in pixels up to which all missing pixels are solved at full resolution."""

_BAND = 8
"""Width in pixels of the band that is solved at full resolution in a larger picture."""

_TOLERANCE = 0.02
"""Error in grey levels at which the conjugate gradients stop."""

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


class Blender:
    """Blends any number of generated images into one hole.

    What depends on the hole alone is prepared once, so that further candidates and the frames of
    an animation cost little each. Memory grows with the rectangle around the hole.

    Args:
        hole: Boolean (H, W), True = missing.
        blending: `paste`, `poisson` or `matern`; see the module.
        forgetting: κ of `matern` times `side`, at least 0 (the residual never decays). 25.6 was
            chosen on validation images: see docs/models.md.
        side: Side of the model's frame in pixels of `hole`; by default the longer side of `hole`.
        softening: Of `matern`: blur (standard deviation) of G(ẑ) beside known pixels, in sides of
            the frame; 0 for none. 1/128 was chosen on validation images: see docs/models.md.

    Raises:
        InputError: if the blending is unknown.
    """

    def __init__(
        self,
        hole: Hole,
        blending: Blending = "matern",
        forgetting: float = FORGETTING,
        side: float | None = None,
        softening: float = SOFTENING,
    ) -> None:
        check_choice("blending", blending, Blending)
        self.hole = np.array(hole)
        self.blending = blending
        self._window = (slice(0, 0), slice(0, 0))
        self._scales: list[_Scale] = []
        self._softness: Softness | None = None
        if blending != "paste" and hole.any() and not hole.all():
            self._window = _surroundings(self.hole)
            side = side or max(hole.shape)
            kappa = forgetting / side if blending == "matern" else None
            self._scales = _scales(self.hole[self._window], kappa)
            if blending == "matern" and softening > 0:
                self._softness = Softness(self.hole[self._window], side, softening)

    def __call__(self, image: NDArray[np.uint8], generated: Floats | Doubles) -> NDArray[np.uint8]:
        """Return `image` with its hole filled.

        Args:
            image: uint8 (H, W, 3); its values in the hole are ignored.
            generated: Float (H, W, 3), in units of uint8 (0 to 255), not rounded.

        Returns:
            New uint8 (H, W, 3), equal to `image` wherever `hole` is False. An empty hole gives
            the image, a full one the generated image.
        """
        filled = np.array(image)
        if self._scales:
            there = self.hole[self._window]
            guess = np.asarray(generated[self._window], np.float64)
            if self._softness:
                guess = self._softness(guess)
            residual = image[self._window] - guess
            residual[there] = 0.0
            _interpolate(residual, self._scales)
            fill = (guess + residual)[there]
        else:
            fill = np.asarray(generated, np.float64)[self.hole]
        filled[self.hole] = rounded(fill)
        return filled


def _surroundings(hole: Hole) -> tuple[slice, slice]:
    """Return the rectangle of the pixels on which the fill depends.

    At each scale these are the hole and two pixels around it, twice as large at half the size.
    """
    margin = 2 * max(1, max(hole.shape) // _WHOLE) * 2
    spans = []
    for axis in (1, 0):
        places = np.flatnonzero(hole.any(axis=axis))
        first, last = int(places[0]), int(places[-1])
        spans.append(slice(max(0, first - margin), min(hole.shape[1 - axis], last + margin + 1)))
    return spans[0], spans[1]


class Softness:
    """Blurs G(ẑ) beside known pixels, fading out with the distance from them."""

    def __init__(self, hole: Hole, side: float, softening: float = SOFTENING) -> None:
        self.blur = softening * side
        distance = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
        share = np.exp(-np.square(np.maximum(distance - 1, 0) / (SOFT_REACH * side)))
        self.share = share.astype(np.float64)[:, :, None]

    def __call__(self, guess: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a softened copy of (H, W, 3)."""
        soft = cv2.GaussianBlur(guess, (0, 0), self.blur, borderType=cv2.BORDER_REFLECT)
        return np.asarray(guess + self.share * (soft - guess), np.float64)


class _Scale:
    """One resolution of the picture: which pixels are solved at it, and which at half of it.

    Attributes:
        inner: Boolean (H, W), the pixels that are interpolated from half the resolution.
        known: Number of known pixels in each 2×2, (H/2, W/2); None if `inner` is empty.
        field: The solver of the other missing pixels.
    """

    def __init__(self, hole: Hole, kappa: float | None) -> None:
        self.inner = np.zeros_like(hole)
        if max(hole.shape) > _WHOLE:
            distance = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
            self.inner = distance > _BAND
        known = (~hole)[:, :, None].astype(np.float64)
        self.known = _halve(known)[:, :, 0] if self.inner.any() else None
        self.field = _Field(hole & ~self.inner, kappa)


def _scales(hole: Hole, kappa: float | None) -> list[_Scale]:
    """Prepare the full resolution and, as long as pixels are left to it, half of each."""
    scales = [_Scale(hole, kappa)]
    while (known := scales[-1].known) is not None:
        kappa = kappa and 2 * kappa
        scales.append(_Scale(known == 0, kappa))
    return scales


def _halve(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum 2×2 pixels of (H, W, C), padded with 0 to an even size."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    return even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]


def _interpolate(residual: NDArray[np.float64], scales: list[_Scale]) -> None:
    """Replace the residual (H, W, 3) in the hole, where it must be 0, by r̂; in place."""
    scale = scales[0]
    if scale.known is not None:
        coarse = known_mean(_halve(residual), scale.known)
        _interpolate(coarse, scales[1:])
        size = (2 * coarse.shape[1], 2 * coarse.shape[0])
        smooth = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
        residual[scale.inner] = smooth[: residual.shape[0], : residual.shape[1]][scale.inner]
    scale.field.extend(residual)


class _Field:
    """The conditional expectation of the residual at some missing pixels, given all others.

    The equations are set up for the missing pixels and their neighbours alone. At the picture's
    border the boundary condition is Neumann's (no flux), for nothing is known beyond it.

    Args:
        missing: Boolean (H, W).
        kappa: κ of `matern` per pixel; None for `poisson`.
    """

    def __init__(self, missing: Hole, kappa: float | None) -> None:
        self.missing = missing
        rows = missing if kappa is None else _with_neighbours(missing)
        columns = _with_neighbours(rows)
        operator = _operator(rows, columns, kappa or 0.0)
        inside = missing[columns]
        self._given = columns & ~missing
        self._within = operator[:, np.flatnonzero(inside)].tocsr()
        self._across = operator[:, np.flatnonzero(~inside)].tocsr()
        self._squared = kappa is not None
        self._solve = linalg.splu(
            self._within[np.flatnonzero(missing[rows])].tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,  # the matrix is symmetric and positive definite
            options={"SymmetricMode": True},
        ).solve

    def extend(self, values: NDArray[np.float64]) -> None:
        """Replace the missing pixels of `values` (H, W, 3) by their expectation, in place."""
        given = -(self._across @ values[self._given])
        if self._squared:
            values[self.missing] = self._conjugate_gradients(self._within.T @ given)
        else:
            values[self.missing] = self._solve(given)

    def _conjugate_gradients(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve Q_hh x = right, (n, 3), preconditioned by A_hh⁻² (Hestenes & Stiefel 1952).

        Q_hh = A_hh² + (a positive semidefinite part), so the eigenvalues of the preconditioned
        matrix are at least 1 and the preconditioned residual bounds the error.
        """
        x = np.zeros_like(right)
        residual, step, last = right.copy(), np.zeros_like(right), np.ones(right.shape[1])
        for _ in range(len(right) + 20):
            guess = self._solve(self._solve(residual))
            if np.abs(guess).max(initial=0.0) < _TOLERANCE:
                break
            product = (residual * guess).sum(axis=0)
            step = guess + step * (product / last)
            image = self._within.T @ (self._within @ step)
            length = product / np.maximum((step * image).sum(axis=0), 1e-300)
            x += length * step
            residual -= length * image
            last = np.maximum(product, 1e-300)
        return x


def _with_neighbours(pixels: Hole) -> Hole:
    """Add the four neighbours of every pixel."""
    return cv2.dilate(pixels.astype(np.uint8), _CROSS).astype(bool)


def _operator(rows: Hole, columns: Hole, kappa: float) -> sparse.csr_matrix:
    """Return κ²I + L for the pixels `rows`, over the pixels `columns`, which hold all neighbours.

    Both are numbered in the order of the picture. L is the degree minus the neighbours, the
    degree of a pixel at the picture's border being smaller.
    """
    height, width = rows.shape
    number = np.full(rows.shape, -1, np.int32)
    number[columns] = np.arange(np.count_nonzero(columns), dtype=np.int32)
    y, x = np.nonzero(rows)
    own = np.arange(len(y))
    degree = np.full(len(y), kappa**2)
    entries = []
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        there = (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
        degree += there
        entries.append((own[there], number[y[there] + dy, x[there] + dx], -np.ones(there.sum())))
    entries.append((own, number[y, x], degree))
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    shape = (len(y), int(np.count_nonzero(columns)))
    return sparse.csr_matrix((value, (row, column)), shape=shape)
