"""The demonstration: a portrait, aged and cracked; its damage is found, and filled."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aleph.files import make_folder
from aleph.inpainter import Inpainter
from aleph.masks.read import AUTO
from aleph.photo.pixels import write_image
from aleph.pictures import cracks, old_print, paper_through, portrait
from aleph.search.latent import OnStep
from aleph.visual.figure import side_by_side

_WRITTEN = (
    "an old print",
    "the same, cracked",
    "the damage that was found: white = missing",
    "filled",
    "all side by side",
    "the search, animated",
)
"""What the written files show."""


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


def run_demo(
    out: str | os.PathLike[str], model: str, seed: int = 0, on_step: OnStep | None = None
) -> DemoOutcome:
    """Age and crack a portrait, find the damage, fill it, write everything into a folder.

    The portrait is NASA's of Eileen Collins, in the public domain; scikit-image ships it.

    Args:
        out: Folder; made if it is not there. Files of an earlier demonstration are replaced.
        model: A model's name or folder.
        seed: Seed of the cracks and of the search.
        on_step: Called with every step of the search.

    Raises:
        OutputError: if the folder cannot be written.
        ModelError: if the model cannot be loaded.
    """
    folder = Path(out)
    make_folder(folder)
    before = old_print(portrait(), seed)
    damaged = paper_through(before, cracks(before.shape[:2], seed))
    inpainter = Inpainter.from_pretrained(model)
    result = inpainter(damaged, AUTO, seed=seed, on_step=on_step)
    names = ("original.png", "damaged.png", "mask.png", "filled.png", "figure.png", "search.gif")
    files = dict(zip((folder / name for name in names), _WRITTEN, strict=True))
    original, cracked, mask, filled, figure, animation = files
    write_image(before, original)
    write_image(damaged, cracked)
    write_image(np.repeat(result.hole[:, :, None], 3, 2).astype(np.uint8) * np.uint8(255), mask)
    result.save(filled)
    row = [damaged, result.damaged, result.image, before]
    write_image(side_by_side([row], ["damaged", "found", "filled", "before"]), figure)
    result.animate(animation)
    return DemoOutcome(files, result.seconds, inpainter.model.name)
