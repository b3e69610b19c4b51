"""Tone curves: whether a photo is monochrome, and which colour each of its luminances has.

A grey, sepia or otherwise toned photo has one colour for every luminance: its pixels lie on a curve
in colour space. The curve is measured from the known pixels by a robust regression of the chroma on
the luminance. Means over small cells are used, because the chroma of a JPEG is accurate only on
average.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from aleph.arrays import Doubles, Floats, Hole, Pixels

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the luminance (ITU-R BT.601)."""

_CELL = 8
"""Side in pixels of the cells that are averaged: JPEG codes colours in such blocks."""

_CELLS = 64
"""Largest number of cells across the longer side of a photo."""

_KNOWN_SHARE = 1 / 8
"""Share of a cell that must be known."""

_FEWEST = 12
"""Smallest number of cells from which a curve is measured."""

_MOST_OFF = 3.2
"""A photo is monochrome if 95 % of its cells are nearer to the curve than this, in grey levels of
chroma. In 500 colour portraits the smallest distance was twice that; see docs/photos.md."""

_GREY = 2.0
"""Chroma in grey levels up to which a curve counts as grey."""

_SAMPLES = 1 << 16
"""Largest number of pixels that a curve is fitted to."""

_ROUNDS = 8
"""Rounds of reweighting in a robust fit."""


@dataclass(frozen=True, eq=False)
class ToneCurve:
    """The colour of each tone of a monochrome photo.

    Attributes:
        chroma: Colour minus luminance at the luminances 0 to 255, in grey levels, float32 (256, 3).
            All 0 for a grey photo.
    """

    chroma: Floats

    @property
    def grey(self) -> bool:
        """Whether all its tones are grey."""
        return not self.chroma.any()

    @cached_property
    def colours(self) -> Pixels:
        """The colours of the luminances 0 to 255, uint8 (256, 1, 3)."""
        levels = np.arange(256, dtype=np.float32)[:, None] + self.chroma
        return np.asarray(np.rint(levels).clip(0, 255), np.uint8)[:, None]

    def toned(self, pixels: Pixels) -> Pixels:
        """Return pixels, uint8 (…, 3), each in the colour that the curve has at its luminance."""
        levels = np.rint(luminance(pixels)).clip(0, 255).astype(np.uint8)
        return np.asarray(self.colours[levels, 0], np.uint8)


def luminance(pixels: Pixels | Doubles) -> Doubles:
    """Return the luminance of colours (…, 3), in their own units, float64."""
    return np.asarray(np.asarray(pixels, np.float64) @ np.array(LUMA))


def measure_tone_curve(pixels: Pixels, hole: Hole) -> ToneCurve | None:
    """Measure the tone curve of a photo from its known pixels; None if it is in colour.

    A few coloured spots, such as stains and pen marks, do not matter: the fit is robust.

    Args:
        pixels: uint8 (H, W, 3); its values in the hole are ignored.
        hole: Boolean (H, W), True = missing.
    """
    stride = max(1, int(np.sqrt(hole.size / _SAMPLES) / 2))
    pixels, known = pixels[::stride, ::stride], ~hole[::stride, ::stride]
    colours = pixels[known]
    if not len(colours):
        return None
    if (colours == colours[:, :1]).all():
        return ToneCurve(np.zeros((256, 3), np.float32))
    cells = _cell_means(pixels, known)
    if len(cells) < _FEWEST:
        return None
    light = luminance(cells)
    off = np.linalg.norm(_chroma(cells) - _powers(light) @ _fit(cells), axis=1)
    if np.quantile(off, 0.95) > _MOST_OFF:
        return None
    return fit_tone_curve(colours)


def _cell_means(pixels: Pixels, known: Hole) -> Doubles:
    """Return the mean colours of the cells of which enough is known, (n, 3)."""
    height, width = known.shape
    side = max(min(_CELL, min(height, width) // 8), -(-max(height, width) // _CELLS), 1)
    size = (max(1, width // side), max(1, height // side))
    cut = np.s_[: size[1] * side, : size[0] * side]
    weight = known[cut].astype(np.float32)
    share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(pixels[cut] * weight[:, :, None], size, interpolation=cv2.INTER_AREA)
    total = total.reshape(*share.shape, 3)
    enough = share >= _KNOWN_SHARE
    return np.asarray(total[enough] / share[enough][:, None], np.float64)


def _chroma(colours: Doubles) -> Doubles:
    """Return red and blue minus the luminance, (n, 2)."""
    return np.asarray((colours - luminance(colours)[:, None])[:, ::2])


def _powers(light: Doubles) -> Doubles:
    """Return 1, x, x², x³ of luminances, (n, 4), x from −1 to 1."""
    return np.vander(light / 127.5 - 1.0, 4, increasing=True)


def _fit(colours: Doubles, rounds: int = _ROUNDS) -> Doubles:
    """Fit the chroma as a cubic polynomial of the luminance: coefficients (4, 2).

    Iteratively reweighted least squares with Cauchy's weights (Holland & Welsch 1977), robust to
    outliers if there are several rounds. A small ridge penalty keeps the higher powers at 0 where
    the luminances span too small a range to determine them.
    """
    powers, chroma = _powers(luminance(colours)), _chroma(colours)
    ridge = len(colours) * np.diag([0.0, 1e-6, 1e-5, 1e-4])
    weight, fit = np.ones(len(colours)), np.zeros((4, 2))
    for _ in range(rounds):
        weighted = powers * weight[:, None]
        fit = np.linalg.solve(weighted.T @ powers + ridge + 1e-9 * np.eye(4), weighted.T @ chroma)
        off = np.linalg.norm(chroma - powers @ fit, axis=1)
        scale = max(3.0 * float(np.median(off)), 0.5)
        weight = 1.0 / (1.0 + np.square(off / scale))
    return np.asarray(fit)


def fit_tone_curve(colours: Pixels, *, robust: bool = True) -> ToneCurve:
    """Fit a tone curve to colours; beyond the range of their luminances it is constant.

    Args:
        colours: uint8 (n, 3).
        robust: Whether outliers are ignored; else it is an ordinary least-squares fit.
    """
    some = colours[:: max(1, len(colours) // _SAMPLES)].astype(np.float64)
    low, high = np.quantile(luminance(some), [0.002, 0.998])
    red, blue = (_powers(np.arange(256.0).clip(low, high)) @ _fit(some, _ROUNDS if robust else 1)).T
    green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1]
    chroma = np.stack([red, green, blue], axis=1)
    if np.abs(chroma).max() <= _GREY:
        chroma = np.zeros_like(chroma)
    return ToneCurve(chroma.astype(np.float32))
