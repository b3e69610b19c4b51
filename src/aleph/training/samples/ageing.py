"""What the years, the print and the scanner do to a whole picture; none of it is damage."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Pixels
from aleph.training.samples.degradation import through_jpeg
from aleph.training.samples.strokes import Mask, clouds

Picture = NDArray[np.float32]
"""float32 (side, side, 3), 0 to 255."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def aged(picture: Picture, rng: np.random.Generator) -> tuple[Picture, float]:
    """Make a picture look like an old or an ordinary print.

    Args:
        picture: What was photographed.
        rng: Source of the randomness.

    Returns:
        The print, a new array, and the deviation of its grain.
    """
    if rng.random() < 0.35:
        picture = _soft(picture, rng)
    picture = _toned(_flat(picture, rng), rng)
    if rng.random() < 0.3:
        picture = _vignette(picture, rng)
    if rng.random() < 0.35:
        picture = _tinted(picture, rng)
    if rng.random() < 0.3:
        picture = _uneven(picture, rng)
    grain = 0.0
    if rng.random() < 0.6:
        grain = float(rng.uniform(1, 16) if rng.random() < 0.7 else rng.uniform(10, 28))
        picture = picture + _grain(picture.shape[0], grain, rng)
    draw = rng.random()
    if draw < 0.12:
        picture = _paper(picture, rng)
    elif draw < 0.18:
        picture = _halftone(picture, rng)
    return np.asarray(picture, np.float32), grain


def _soft(picture: Picture, rng: np.random.Generator) -> Picture:
    if rng.random() < 0.7:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.6))))
    side = len(picture)
    small = int(side * rng.uniform(0.3, 0.8))
    shrunk = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_CUBIC))


def _flat(picture: Picture, rng: np.random.Generator) -> Picture:
    """Bend the tones and take contrast away, as fading does."""
    share = np.clip(picture, 0, 255) / 255
    if rng.random() < 0.5:
        share = share ** float(np.exp(rng.uniform(-0.6, 0.6)))
    if rng.random() < 0.15:  # hard, as a copy of a copy
        share = np.clip((share - 0.5) * rng.uniform(1.2, 2.2) + 0.5, 0, 1)
    low, high = 0.0, 255.0
    if rng.random() < 0.6:
        low, high = rng.uniform(0, 70), rng.uniform(150, 255)
    return np.asarray(low + share * (high - low), np.float32)


def _toned(picture: Picture, rng: np.random.Generator) -> Picture:
    """Turn most pictures grey, sepia or another single tone; tint the others."""
    kind = rng.random()
    if kind < 0.28:
        return picture * rng.uniform(0.88, 1.1, 3).astype(np.float32)
    grey = (picture @ _LUMA)[:, :, None]
    if kind < 0.62:
        return np.repeat(grey, 3, axis=2)
    if kind < 0.9:
        dark, light = np.array([40.0, 25, 10]), np.array([255.0, 235, 195])
    else:
        dark, light = rng.uniform(0, 70, 3), rng.uniform(170, 255, 3)
    strength = rng.uniform(0.3, 1.0)
    dark, light = dark * strength, 255 - (255 - light) * strength
    return np.asarray(dark + grey / 255 * (light - dark), np.float32)


def _vignette(picture: Picture, rng: np.random.Generator) -> Picture:
    side = len(picture)
    x, y = rng.uniform(-0.3, 1.3, 2)
    place = np.linspace(0, 1, side, dtype=np.float32)
    away = (place - np.float32(x)) ** 2 + (place[:, None] - np.float32(y)) ** 2
    target = 255.0 if rng.random() < 0.4 else 0.0
    share = np.clip(away * rng.uniform(0.2, 0.9), 0, 0.75)[:, :, None]
    return np.asarray(picture + share * (target - picture), np.float32)


def _tinted(picture: Picture, rng: np.random.Generator) -> Picture:
    """Lay faint stains over a picture: they tint it, and hide nothing."""
    side = len(picture)
    field = clouds(side, int(rng.integers(2, 6)), rng, 0.5)
    edge = rng.uniform(0.05, 1.5)
    share = np.clip((field - rng.uniform(-0.5, 1.5)) / edge, 0, 1)[:, :, None]
    colour = rng.uniform(0.6, 1.2) * np.array([1.0, rng.uniform(0.8, 1.05), rng.uniform(0.55, 1.1)])
    if rng.random() < 0.3:
        return np.asarray(picture + share * rng.uniform(0.05, 0.25) * (225 - picture), np.float32)
    return np.asarray(picture * (1 + rng.uniform(0.1, 0.5) * share * (colour - 1)), np.float32)


def _uneven(picture: Picture, rng: np.random.Generator) -> Picture:
    """Let a print yellow more in one place than in another, or its silver come to the surface."""
    field = clouds(len(picture), int(rng.integers(1, 4)), rng, 0.4)[:, :, None]
    if rng.random() < 0.65:
        cast = rng.uniform(0.02, 0.09) * np.array([1.0, rng.uniform(0.2, 0.8), -1.0])
        return np.asarray(picture * (1 + field * cast), np.float32)
    share = np.clip(field - rng.uniform(-1.0, 1.5), 0, 1)  # a bluish sheen, strongest in the dark
    sheen = rng.uniform(10, 70) * np.array([0.85, 0.95, rng.uniform(1.0, 1.2)])
    return np.asarray(picture + share * (1 - picture / 255) * sheen, np.float32)


def _grain(side: int, deviation: float, rng: np.random.Generator) -> Picture:
    channels = 1 if rng.random() < 0.8 else 3
    size = int(side / rng.choice([1, 1, 1, 1.5, 2, 3]))
    noise = rng.standard_normal((size, size, channels), np.float32)
    if size < side:
        noise = np.asarray(cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC))
    return np.float32(deviation) * noise.reshape(side, side, channels)


def _paper(picture: Picture, rng: np.random.Generator) -> Picture:
    """Emboss the texture of paper or cloth, lit from one side."""
    side = len(picture)
    if rng.random() < 0.5:
        turn, period = rng.uniform(0, np.pi), rng.uniform(3, 9)
        place = np.arange(side, dtype=np.float32) * np.float32(2 * np.pi / period)
        sine, cosine = np.float32(np.sin(turn)), np.float32(np.cos(turn))
        relief = np.sin(cosine * place + sine * place[:, None])
        relief = relief * np.sin(cosine * place[:, None] - sine * place)
    else:
        height = clouds(side, side // 4, rng, 0.7)
        relief = height - np.roll(height, (1, 1), (0, 1))
        relief = relief / max(float(relief.std()), 1e-6)
    return np.asarray(picture + rng.uniform(2, 12) * relief[:, :, None], np.float32)


def _halftone(picture: Picture, rng: np.random.Generator) -> Picture:
    """Print the picture in dots."""
    side = len(picture)
    turn, period = rng.uniform(0, np.pi / 2), rng.uniform(2.5, 6)
    place = np.arange(side, dtype=np.float32) * np.float32(2 * np.pi / period)
    sine, cosine = np.float32(np.sin(turn)), np.float32(np.cos(turn))
    screen = np.cos(cosine * place + sine * place[:, None])
    screen = screen + np.cos(cosine * place[:, None] - sine * place)
    return np.asarray(picture + rng.uniform(8, 40) * screen[:, :, None], np.float32)


@dataclass(frozen=True)
class Scan:
    """What happens to a print, damaged or not, on its way into a file; by default nothing.

    Attributes:
        blur: Deviation of the blur in pixels; 0 for none.
        noise: float32 (side, side, 1 or 3) that is added; None for none.
        sharpening: Share of an unsharp mask; 0 for none.
        quality: JPEG quality; 0 for a lossless file.
    """

    blur: float = 0.0
    noise: Picture | None = None
    sharpening: float = 0.0
    quality: int = 0

    @classmethod
    def draw(cls, side: int, rng: np.random.Generator) -> Scan:
        """Draw a scan of pictures of one size."""
        blur = float(rng.uniform(0.3, 1.7)) if rng.random() < 0.6 else 0.0
        noise = None
        if rng.random() < 0.4:
            noise = _grain(side, float(rng.uniform(0.5, 6)), rng)
        sharpening = float(rng.uniform(0.2, 1.2)) if rng.random() < 0.2 else 0.0
        quality = int(rng.integers(30, 96)) if rng.random() < 0.6 else 0
        return cls(blur, noise, sharpening, quality)

    def __call__(self, picture: Picture) -> Pixels:
        """Return the file's pixels, uint8 (side, side, 3)."""
        if self.blur:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self.blur), np.float32)
        if self.sharpening:
            blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.2))
            picture = picture + self.sharpening * (picture - blurred)
        if self.noise is not None:
            picture = picture + self.noise
        pixels = np.clip(picture, 0, 255).astype(np.uint8)
        if self.quality:
            pixels = through_jpeg(pixels, self.quality)
        return pixels


def mottled(side: int, rng: np.random.Generator, lightest: float = 255.0) -> Picture:
    """Return bare paper: a light colour, uneven and rough."""
    level = rng.uniform(170, lightest) if rng.random() < 0.8 else rng.uniform(130, 200)
    colour = level * np.array([1.0, rng.uniform(0.92, 1.0), rng.uniform(0.78, 1.0)])
    if rng.random() < 0.4:
        colour[:] = level
    paper = np.broadcast_to(colour.astype(np.float32), (side, side, 3)).copy()
    if rng.random() < 0.6:
        rough: Mask = clouds(side, max(2, int(side / rng.uniform(3, 40))), rng, 0.7)
        paper += rng.uniform(1, 14) * rough[:, :, None]
    return paper
