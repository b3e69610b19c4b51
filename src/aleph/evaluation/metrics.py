"""PSNR and SSIM of a fill against the original, over the hole alone and over the whole image.

All images are uint8 (H, W, 3), RGB; the hole is boolean (H, W), True = missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from aleph.arrays import Hole, Pixels

PSNR_CAP = 100.0
"""dB of equal pixels, in place of infinity, so that means stay finite. For comparison: an error of
one grey level in every value is 48 dB."""

SSIM_SIDE = 11
"""Side in pixels of the window of SSIM, and of the smallest image that it is defined for."""


def psnr(original: Pixels, filled: Pixels, where: Hole | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB.

    PSNR = 10 log₁₀(255² / MSE), with MSE the mean of (original − filled)² over the pixels `where`
    and their three channels together. (Huynh-Thu and Ghanbari 2008, doi:10.1049/el:20080522.)

    Args:
        original: uint8 (H, W, 3).
        filled: uint8 (H, W, 3).
        where: Boolean (H, W), the pixels that count, at least one: give the hole for the PSNR of
            the hole alone. All pixels if None.

    Returns:
        dB, from 0 to `PSNR_CAP` (100), which stands for infinity as well: equal pixels get 100.
    """
    difference = original.astype(np.float64) - filled
    if where is not None:
        difference = difference[where]
    error = float(np.mean(difference**2))
    return min(PSNR_CAP, float(10 * np.log10(255.0**2 / error))) if error > 0 else PSNR_CAP


def ssim_map(original: Pixels, filled: Pixels) -> NDArray[np.float64]:
    """Return the structural similarity at every pixel, averaged over the three channels.

    SSIM = (2 μₓμᵧ + C₁)(2 σₓᵧ + C₂) / ((μₓ² + μᵧ² + C₁)(σₓ² + σᵧ² + C₂)), with C₁ = (0.01·255)²,
    C₂ = (0.03·255)² and the means, variances and covariance taken under a Gaussian window of
    σ = 1.5 pixels, 11 wide, without Bessel's correction (Wang et al. 2004,
    doi:10.1109/TIP.2003.819861, eq. 13). Computed by scikit-image.

    Args:
        original: uint8 (H, W, 3), at least 11 pixels on each side.
        filled: uint8 (H, W, 3).

    Returns:
        float64 (H, W), −1 to 1; 1 where the windows are equal. The image is mirrored at its edge.
    """
    _, full = structural_similarity(  # type: ignore[no-untyped-call]
        original,
        filled,
        data_range=255,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    similarity: NDArray[np.float64] = full.mean(axis=2)
    return similarity


def measure(original: Pixels, filled: Pixels, hole: Hole) -> dict[str, float]:
    """Return PSNR and SSIM of the hole and of the image.

    The SSIM of the hole is the mean of `ssim_map` over the hole's pixels; their windows reach up
    to 5 pixels beyond it, so a visible rim counts. The SSIM of the image is the mean over all
    pixels whose window lies inside the image, as Wang et al. and scikit-image have it.

    Args:
        original: uint8 (H, W, 3), at least 11 pixels on each side.
        filled: uint8 (H, W, 3).
        hole: Boolean (H, W), True = missing, at least one.

    Returns:
        `psnr_hole`, `psnr_image` in dB (see `psnr`), `ssim_hole`, `ssim_image` from −1 to 1.
    """
    similarity = ssim_map(original, filled)
    rim = SSIM_SIDE // 2
    height, width = hole.shape
    inner = similarity[rim : height - rim, rim : width - rim]
    return {
        "psnr_hole": psnr(original, filled, hole),
        "psnr_image": psnr(original, filled),
        "ssim_hole": float(similarity[hole].mean()),
        "ssim_image": float(inner.mean()),
    }
