"""Backgrounds for a detector's scenes: photographs, synthetic textures, enlarged crops, collages.

None of them needs labels: photographs must not show the class, and everything else is synthetic,
or so small a crop of a training image that it shows no whole object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Pixels
from aleph.datasets import find_sources, load_squares
from aleph.errors import InputError
from aleph.photo.pixels import read_image

SHIPPED_PHOTOGRAPHS = (
    *("brick", "cell", "chelsea", "clock", "gravel", "hubble_deep_field"),
    *("immunohistochemistry", "moon", "page", "retina", "rocket", "text"),
)
"""Pictures without a face in scikit-image's own package (its `coffee` and `grass` are kept for
validation, its portrait for tests)."""

_SQUARE = 512
"""Side in pixels of the middle square that is taken of every photograph given."""

Texture = NDArray[np.float32]
"""float32 (side, side, 3) in about [0, 1]."""


def load_photographs(source: str | os.PathLike[str] = "") -> list[Pixels]:
    """Load the photographs of a folder or zip besides those that scikit-image ships.

    Raises:
        InputError: if the source does not exist or holds no picture that can be read.
    """
    from skimage import data

    photographs = [read_image(getattr(data, name)()) for name in SHIPPED_PHOTOGRAPHS]
    photographs += [np.asarray(view) for view in data.stereo_motorcycle()[:2]]  # type: ignore[no-untyped-call]
    if source:
        given, _, _ = load_squares(find_sources([source]), _SQUARE)
        if not len(given):
            raise InputError(f"'{source}' holds no photographs to use as backgrounds")
        photographs += list(given)
    return photographs


def _colour(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.random(3, dtype=np.float32)


def _octaves(side: int, channels: int, rng: np.random.Generator) -> Texture:
    """Sum noise over octaves with a random fall-off: clouds, cloth, foliage."""
    total = np.zeros((side, side, channels), np.float32)
    fall = rng.uniform(0.4, 1.0)
    for octave in range(1, int(np.log2(side)) + 1):
        grid = rng.standard_normal((2**octave, 2**octave, channels), np.float32)
        grid = np.asarray(cv2.resize(grid, (side, side), interpolation=cv2.INTER_LINEAR))
        total += fall**octave * grid.reshape(side, side, channels)
    return total / max(float(total.std()), 1e-6)


def _clouds(side: int, rng: np.random.Generator) -> Texture:
    noise = _octaves(side, 3, rng)
    grey = noise.mean(axis=2, keepdims=True)
    mixed = grey + rng.uniform(0.0, 0.7) * (noise - grey)
    return np.asarray(_colour(rng) + rng.uniform(0.05, 0.3) * mixed, np.float32)


def _ramp(side: int, rng: np.random.Generator) -> Texture:
    """Distance along a random direction, float32 (side, side), in pixels."""
    turn = rng.uniform(0, 2 * np.pi)
    place = np.arange(side, dtype=np.float32)
    return np.asarray(np.cos(turn) * place + np.sin(turn) * place[:, None], np.float32)


def _gradient(side: int, rng: np.random.Generator) -> Texture:
    ramp = _ramp(side, rng)
    share = (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-6)
    first, second = _colour(rng), _colour(rng)
    return np.asarray(first + share[:, :, None] * (second - first), np.float32)


def _stripes(side: int, rng: np.random.Generator) -> Texture:
    """Waves along one direction, or the product of two: stripes, checks, bricks, fences."""
    wave = np.sin(_ramp(side, rng) * (2 * np.pi / rng.uniform(5, 60)) + rng.uniform(0, 6))
    if rng.random() < 0.5:
        wave = wave * np.sin(_ramp(side, rng) * (2 * np.pi / rng.uniform(5, 60)))
    share = np.clip(wave * rng.uniform(0.5, 8.0) + 0.5, 0, 1)[:, :, None]
    first, second = _colour(rng), _colour(rng)
    return np.asarray(first + share * (second - first), np.float32)


def _shapes(side: int, rng: np.random.Generator) -> Texture:
    """Ellipses, polygons, lines and letters of related colours, few and large or many and small."""
    canvas = _gradient(side, rng)
    base, spread = _colour(rng), rng.uniform(0.05, 0.5)
    size = side * float(rng.choice([0.05, 0.12, 0.3]))
    for _ in range(int(min(60, rng.integers(3, 12) * side / (2 * size)))):
        colour = tuple(map(float, base + spread * rng.standard_normal(3)))
        x, y = map(int, rng.integers(0, side, 2))
        axes = tuple(int(v) for v in 1 + size * rng.random(2))
        kind = rng.integers(5)
        if kind < 2:
            cv2.ellipse(canvas, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        elif kind == 2:
            corners = rng.normal((x, y), size, (int(rng.integers(3, 6)), 2)).astype(np.int32)
            cv2.fillPoly(canvas, [corners], colour)
        elif kind == 3:
            end = (x + 3 * axes[0], y + axes[1] - int(size / 2))
            cv2.line(canvas, (x, y), end, colour, int(rng.integers(1, 6)))
        else:
            letters = "".join(chr(c) for c in rng.integers(33, 123, 4))
            font = int(rng.integers(0, 8))
            cv2.putText(canvas, letters, (x, y), font, float(rng.uniform(0.3, 1.5)), colour, 2)
    return canvas


_TEXTURES: tuple[Callable[[int, np.random.Generator], Texture], ...] = (
    *(_clouds, _clouds, _gradient, _stripes),
    *(_shapes, _shapes, _shapes),
)


class Backdrops:
    """Draws backgrounds; see the module's head for what they show."""

    def __init__(self, photographs: Sequence[Pixels]) -> None:
        self.photographs = list(photographs)

    def draw(self, side: int, images: NDArray[np.uint8], rng: np.random.Generator) -> Pixels:
        """Return a new background, uint8 (side, side, 3).

        Args:
            side: Its side in pixels.
            images: Training images (N, R, R, 3), of which crops are enlarged.
            rng: Source of the randomness.
        """
        one = self._plain(side, images, rng)
        if rng.random() < 0.25:
            other = self._plain(side, images, rng)
            ramp = _ramp(side, rng) if rng.random() < 0.6 else _octaves(side, 1, rng)[:, :, 0]
            apart = (ramp - rng.choice(ramp.ravel()))[:, :, None] * rng.choice([0.1, 1.0])
            one = one + np.clip(apart + 0.5, 0, 1) * (other.astype(np.float32) - one)
        return np.asarray(one).astype(np.uint8)

    def _plain(self, side: int, images: NDArray[np.uint8], rng: np.random.Generator) -> Pixels:
        draw = rng.random()
        if draw < 0.62 and self.photographs:
            return self.photograph(side, rng)
        if draw < 0.75:
            return blow_up(images[int(rng.integers(len(images)))], side, rng)
        texture = _TEXTURES[int(rng.integers(len(_TEXTURES)))](side, rng)
        if rng.random() < 0.3:
            texture = texture + rng.uniform(0.02, 0.15) * _octaves(side, 3, rng)
        return np.asarray(np.clip(texture, 0, 1) * 255).astype(np.uint8)

    def photograph(self, side: int, rng: np.random.Generator) -> Pixels:
        """Return a random square of a photograph at a random scale."""
        photograph = self.photographs[int(rng.integers(len(self.photographs)))]
        height, width = photograph.shape[:2]
        most = min(height, width)
        cut = int(min(most, side * 0.75) * (most / min(most, side * 0.75)) ** rng.random())
        rows, columns = (int(cut * (rng.uniform(0.6, 1.0) ** (rng.random() < 0.5))) for _ in "yx")
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        square = photograph[top : top + rows, left : left + columns]
        # Augmentation, because there are few: mirrored, upside down, transposed, recoloured.
        if rng.random() < 0.5:
            square = square[:, ::-1]
        if rng.random() < 0.15:
            square = square[::-1]
        if rng.random() < 0.15:
            square = square.transpose(1, 0, 2)
        if rng.random() < 0.15:
            square = square[:, :, rng.permutation(3)]
        how = cv2.INTER_AREA if cut > side else cv2.INTER_LINEAR
        square = np.ascontiguousarray(square)
        return np.asarray(cv2.resize(square, (side, side), interpolation=how), np.uint8)


def blow_up(image: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """Enlarge a crop of a training image too small to show the object: uint8 (side, side, 3)."""
    whole = len(image)
    cut = int(rng.uniform(0.12, 0.35) * whole)
    top, left = rng.integers(0, whole - cut + 1, 2)
    part = np.ascontiguousarray(image[top : top + cut, left : left + cut])
    return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
