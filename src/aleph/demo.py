"""The demonstration: scratches a public-domain portrait and fills the scratches."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from aleph.arrays import Hole, Pixels
from aleph.errors import OutputError
from aleph.inpainter import Inpainter
from aleph.photo.pixels import write_image
from aleph.search.latent import OnStep

FACE = (161, 60, 289, 188)
"""(left, top, right, bottom) in the portrait: eyes and mouth lie as in the training images."""


@dataclass(frozen=True)
class DemoOutcome:
    """What the demonstration did.

    Attributes:
        files: What was written, with a word on each.
        seconds: Time of the search and the blending.
        model: Name of the model.
    """

    files: dict[Path, str]
    seconds: float
    model: str


def portrait() -> Pixels:
    """Return the face of NASA's portrait of Eileen Collins, uint8 (128, 128, 3).

    Public domain; scikit-image ships it as `skimage.data.astronaut()`.
    """
    from skimage.data import astronaut

    left, top, right, bottom = FACE
    return np.array(
        astronaut()[  # type: ignore[no-untyped-call]
            top:bottom, left:right
        ],
        np.uint8,
    )


def scratches(shape: tuple[int, int], seed: int) -> Hole:
    """Draw a few long, slightly bent scratches across a picture: boolean (H, W)."""
    height, width = shape
    rng = np.random.default_rng([seed, 0x5C7A])
    canvas = np.zeros(shape, np.uint8)
    for _ in range(6):
        angle = rng.uniform(0, np.pi)
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        middle = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
        places = np.linspace(-0.6, 0.6, 12)[:, None] * max(shape)
        bend = (
            rng.normal(0, 0.03) * max(shape) * np.sin(places * 5 / max(shape) + rng.uniform(0, 6))
        )
        line = middle + places * along + bend * across
        thickness = int(rng.integers(1, 4))
        cv2.polylines(canvas, [np.rint(line).astype(np.int32)], False, 1, thickness)
    return canvas.astype(bool)


def run_demo(
    out: str | os.PathLike[str], model: str, seed: int = 0, on_step: OnStep | None = None
) -> DemoOutcome:
    """Scratch the portrait, fill it, write everything into the folder `out`.

    Args:
        out: Folder; made if it is not there. Files of an earlier demonstration are replaced.
        model: A model's name or folder.
        seed: Seed of the scratches and the search.
        on_step: Called with every step of the search.

    Raises:
        OutputError: if the folder cannot be written.
        ModelError: if the model cannot be loaded.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder '{folder}': {error.strerror}") from None
    image = portrait()
    hole = scratches(image.shape[:2], seed)
    inpainter = Inpainter.from_pretrained(model)
    result = inpainter(image, hole, seed=seed, on_step=on_step, frame="whole")
    names = ("original.png", "damaged.png", "mask.png", "filled.png", "figure.png", "search.gif")
    original, damaged, mask, filled, figure, animation = (folder / name for name in names)
    write_image(image, original)
    write_image(result.damaged, damaged)
    write_image(np.repeat(hole[:, :, None], 3, 2).astype(np.uint8) * np.uint8(255), mask)
    result.save(filled)
    result.figure(figure)
    result.animate(animation)
    files = {
        original: "the portrait",
        damaged: "scratched",
        mask: "the mask: white = missing",
        filled: "filled by latent search",
        figure: "all side by side",
        animation: "the search, animated",
    }
    return DemoOutcome(files, result.seconds, inpainter.model.name)
