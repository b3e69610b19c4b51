"""Degradation of pictures as by cameras, prints and age: colour, exposure, blur, grain, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Pixels

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SEPIA = np.array([1.0, 0.87, 0.68], np.float32)


def tinted(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change contrast, brightness and colour balance of float32 (H, W, 3) in 0 to 255, or not."""
    if rng.random() < 0.4:
        return image
    gain = (rng.uniform(0.6, 1.3) * rng.uniform(0.85, 1.15, 3)).astype(np.float32)
    shift = (rng.uniform(-30, 30) + rng.uniform(-12, 12, 3)).astype(np.float32)
    return image * gain + (128 * (1 - gain) + shift)


def degraded(image: NDArray[np.float32], rng: np.random.Generator) -> Pixels:
    """Return a picture as an ordinary or an old photograph might show it.

    Args:
        image: float32 (H, W, 3), 0 to 255.
        rng: Source of the randomness.

    Returns:
        uint8 (H, W, 3), a new array.
    """
    image = _aged(tinted(image, rng), rng)
    if rng.random() < 0.35:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6))))
    elif rng.random() < 0.2:
        image = _coarsened(image, rng)
    if rng.random() < 0.4:
        channels = 1 if rng.random() < 0.5 else 3
        noise = rng.standard_normal((*image.shape[:2], channels), np.float32)
        image = image + np.float32(rng.uniform(2, 18)) * noise
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        pixels = through_jpeg(pixels, int(rng.integers(25, 95)))
    return pixels


def through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Return what a JPEG file keeps of a picture, uint8 (H, W, 3).

    Args:
        pixels: uint8 (H, W, 3).
        quality: From 1 to 100.
    """
    _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1]


def _aged(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Turn some pictures grey or sepia, and bend the tones of others."""
    kind = rng.random()
    if kind < 0.3:
        grey = (image @ _LUMA)[:, :, None]
        tone = _SEPIA if kind < 0.1 else np.ones(3, np.float32)
        image = np.asarray(grey * tone, np.float32)
    if rng.random() < 0.4:
        gamma = float(np.exp(rng.uniform(-0.6, 0.6)))
        image = np.asarray(255 * (np.clip(image, 0, 255) / 255) ** gamma, np.float32)
    return image


def _coarsened(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Shrink and enlarge again."""
    height, width = image.shape[:2]
    factor = rng.uniform(0.35, 0.8)
    small = cv2.resize(
        image, (int(width * factor), int(height * factor)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
