"""The residual of a guess, continued from the known pixels into the hole: batched, on any device.

With r = y − G(ẑ) known outside the hole, r̂ is the expectation of a Matérn field of smoothness 1,
the `matern` blend of `aleph.blending.blend` (Lindgren et al. 2011, eq. 2 and 10): r̂ minimises
‖A v‖² over the missing pixels, v being r where it is known and A = κ²I + L. There it is solved
exactly, picture by picture; here nearly, for a batch: the start is a pyramid of means of the known
pixels (pull and push; Gortler et al. 1996, doi:10.1145/237170.237200, section 3.4), which settles
what is coarse, and some steps of conjugate gradients settle what is fine.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

STEPS = 8
"""Steps of the conjugate gradients."""


@torch.no_grad()
def extend_residual(
    residual: Tensor, hole: Tensor, kappa: Tensor | float, steps: int = STEPS
) -> Tensor:
    """Continue a residual into holes.

    Args:
        residual: float32 (N, C, H, W); its values in the hole are not looked at.
        hole: Boolean (N, 1, H, W), True = missing.
        kappa: κ per pixel, a number or (N, 1, 1, 1), above 0: some 1/κ pixels away from the known
            ones r̂ is nearly 0.
        steps: Steps of the conjugate gradients.

    Returns:
        float32 (N, C, H, W): r̂ in the hole, `residual` elsewhere.
    """
    kappa = torch.as_tensor(kappa, dtype=residual.dtype, device=residual.device)
    missing = hole.to(residual.dtype)
    known = 1.0 - missing
    field = _pyramid(residual * known, known, kappa)
    direction = remainder = -missing * _apply(_apply(field, kappa), kappa)
    power = _squares(remainder)
    for _ in range(steps):
        image = _apply(direction, kappa)
        length = power / _squares(image).clamp(min=1e-20)
        field = field + length * direction
        remainder = remainder - length * missing * _apply(image, kappa)
        last, power = power, _squares(remainder)
        direction = remainder + (power / last.clamp(min=1e-20)) * direction
    return field


def _squares(field: Tensor) -> Tensor:
    """Sum of squares over each channel's pixels, (N, C, 1, 1)."""
    return field.square().sum(dim=(2, 3), keepdim=True)


def _apply(field: Tensor, kappa: Tensor) -> Tensor:
    """Return (κ²I + L) of (N, C, H, W); nothing flows over the border."""
    result = (kappa**2) * field
    down = field[:, :, 1:] - field[:, :, :-1]
    across = field[:, :, :, 1:] - field[:, :, :, :-1]
    result[:, :, 1:] += down
    result[:, :, :-1] -= down
    result[:, :, :, 1:] += across
    result[:, :, :, :-1] -= across
    return result


def _pyramid(values: Tensor, share: Tensor, kappa: Tensor) -> Tensor:
    """Return means of the known pixels where none is known, the fainter the further away.

    Args:
        values: (N, C, H, W), 0 where nothing is known.
        share: (N, 1, H, W), how much is known of every pixel, 0 to 1.
        kappa: κ per pixel of this level.
    """
    height, width = values.shape[2:]
    # A graph that is written to a file has no `if`: there the pyramid always goes to its top.
    complete = not torch.compiler.is_compiling() and bool((share > 0).all())
    if max(height, width) <= 2 or complete:
        return values / share.clamp(min=1e-6) * (share > 0)
    even = (0, width % 2, 0, height % 2)
    known = functional.avg_pool2d(functional.pad(share, even), 2)
    coarse = functional.avg_pool2d(functional.pad(values, even), 2)
    mean = coarse / known.clamp(min=1e-6)
    full = (known * 4).clamp(max=1.0)
    below = _pyramid(mean * full, full, 2 * kappa)
    size = (2 * below.shape[2], 2 * below.shape[3])
    above = functional.interpolate(below, size=size, mode="bilinear")[:, :, :height, :width]
    fading = _memory(1.5 * kappa) / _memory(0.75 * kappa)
    return values + (1.0 - share) * above * fading


def _memory(distance: Tensor) -> Tensor:
    """Return how much is left of the residual at a distance from a straight rim, in units of 1/κ.

    It is what ‖A v‖² is smallest for in one dimension, with v = 1 and no slope at the rim.
    """
    return (1.0 + distance) * torch.exp(-distance)
