"""The same fills as ever: every model, preset and mask, against pictures that are kept beside it.

python tests/test_golden.py     draws the pictures anew, where a change of fills is meant
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from aleph.arrays import Pixels
from aleph.inpainter import Inpainter
from aleph.pictures import face

SHEETS = Path(__file__).parent / "golden"
MODELS = ("faces-dcgan-64", "faces-64", "faces-128")
PRESETS = {"fast": {}, "balanced": {"steps": 20}, "thorough": {"steps": 4}, "yeh2017": {"steps": 4}}
MASKS = ("center", "half", "random", "pattern", "strokes")


@cache
def inpainter(model: str) -> Inpainter:
    """Load a model in float32: its results differ least from machine to machine."""
    return Inpainter.from_pretrained(model, device="cpu", precision="fp32")


def rows(model: str) -> Iterator[Pixels]:
    """Yield the fills of each preset, side by side."""
    side = inpainter(model).model.config.resolution
    crop = cv2.resize(face(), (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
    for preset, overrides in PRESETS.items():
        blending = "poisson" if preset == "yeh2017" else "matern"
        yield np.hstack(
            [
                inpainter(model)(
                    crop,
                    mask,
                    preset=preset,
                    blending=blending,
                    adaptation_steps=0,
                    symmetry=False,
                    seed=3,
                    record=False,
                    **overrides,
                ).image
                for mask in MASKS
            ]
        )


@pytest.mark.parametrize("model", MODELS)
def test_fills_are_those_that_are_kept(model: str) -> None:
    """Other processors round otherwise: a grey level or two, more at a few pixels."""
    kept = np.asarray(Image.open(SHEETS / f"{model}.png"), np.int16)
    height = len(kept) // len(PRESETS)
    for preset, row, top in zip(PRESETS, rows(model), itertools.count(0, height), strict=False):
        difference = np.abs(row.astype(np.int16) - kept[top : top + height])
        assert difference.mean() < 0.5, preset
        assert np.quantile(difference, 0.999) <= 8, preset


if __name__ == "__main__":
    torch.set_num_threads(1)
    SHEETS.mkdir(exist_ok=True)
    for name in MODELS:
        Image.fromarray(np.vstack(list(rows(name)))).save(SHEETS / f"{name}.png", optimize=True)
