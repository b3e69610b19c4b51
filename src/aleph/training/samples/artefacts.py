"""Artefacts of film and paper from a zip of opacities, laid over pictures at any size and angle."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.errors import InputError
from aleph.training.samples.strokes import Mask

HOLDOUT = 8
"""One picture or artefact in so many is held out, by its name."""


def is_held_out(name: str) -> bool:
    """Return whether what has this name is kept for choosing and measuring.

    Only the file's own name counts, so that it stays where it is when folders are renamed.
    """
    return zlib.crc32(PurePosixPath(name).name.encode()) % HOLDOUT == 0


class Artefacts:
    """Opacities by kind: pictures of a zip, 8-bit grey, 0 = clear, in a folder a kind.

    Args:
        path: The zip.
        held_out: Take the held-out ones; else the others.

    Raises:
        InputError: if there is no such zip or it holds none.
    """

    def __init__(self, path: str | os.PathLike[str], held_out: bool = False) -> None:
        self.files: dict[str, list[bytes]] = {}
        try:
            with zipfile.ZipFile(Path(path)) as archive:
                for name in sorted(archive.namelist()):
                    if name.lower().endswith(".png") and is_held_out(name) == held_out:
                        kind = PurePosixPath(name).parent.name
                        self.files.setdefault(kind, []).append(archive.read(name))
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"'{path}' is not a zip of artefacts: {error}") from None
        if not self.files:
            raise InputError(f"'{path}' holds no artefacts (PNG, a folder for each kind)")

    def draw(self, kind: str, side: int, rng: np.random.Generator) -> Mask:
        """Return an artefact of a kind at a random size, angle and place: float32 (side, side)."""
        files = self.files[kind]
        data = np.frombuffer(files[int(rng.integers(len(files)))], np.uint8)
        opacity = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        if opacity is None:
            return np.zeros((side, side), np.float32)
        return _placed(np.asarray(opacity, np.uint8), side, rng)


def _placed(opacity: NDArray[np.uint8], side: int, rng: np.random.Generator) -> Mask:
    """Turn, scale and move so that some of what is opaque comes to lie in the picture."""
    rows, columns = np.nonzero(opacity > 100)
    if len(rows) == 0:
        return np.zeros((side, side), np.float32)
    chosen = int(rng.integers(len(rows)))
    scale = float(0.35 * (2.4 / 0.35) ** rng.random())
    shrunk = min(1.0, scale)
    if shrunk < 0.9:  # an area filter, so that thin lines get fainter and do not break
        opacity = np.asarray(
            cv2.resize(opacity, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA), np.uint8
        )
        scale /= shrunk
    else:
        shrunk = 1.0
    turn = rng.uniform(0, 2 * np.pi)
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if rng.random() < 0.5:
        turned[:, 0] *= -1
    source = shrunk * np.array([columns[chosen], rows[chosen]])
    target = rng.uniform(0.05, 0.95, 2) * side
    matrix = np.column_stack([turned, target - turned @ source])
    placed = cv2.warpAffine(opacity, matrix, (side, side), flags=cv2.INTER_LINEAR)
    gain = rng.uniform(1.0, 1.8)
    return np.asarray(np.clip(placed * np.float32(gain / 255), 0, 1), np.float32)
