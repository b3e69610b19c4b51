"""Photos in which there is no face, filled by the shipped models: none is painted into them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

import aleph
from aleph.arrays import Hole, Pixels
from aleph.inpainter import Inpainter
from aleph.pictures import face


@pytest.fixture(scope="module")
def shipped() -> Inpainter:
    return Inpainter.from_pretrained("faces-64", device="cpu")


def in_the_middle(side: int) -> Hole:
    hole = np.zeros((side, side), bool)
    hole[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = True
    return hole


def square(name: str, side: int) -> Pixels:
    picture = np.asarray(getattr(data, name)())
    colour = np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture
    return cv2.resize(colour[:512, :512], (side, side), interpolation=cv2.INTER_AREA).astype(
        np.uint8
    )


@pytest.mark.parametrize("side", [64, 200])
def test_a_flat_square_stays_flat(side: int, shipped: Inpainter) -> None:
    flat = np.full((side, side, 3), (150, 128, 90), np.uint8)
    hole = in_the_middle(side)
    hole[:, : side // 4] = True
    with pytest.warns(aleph.FrameWarning):
        result = shipped(flat, hole, preset="fast")
    assert np.abs(result.image.astype(int) - flat).max() <= 1


@pytest.mark.parametrize(
    ("name", "side"), [("brick", 96), ("grass", 128), ("gravel", 160), ("moon", 64)]
)
def test_no_face_is_painted_into_a_square_of_something_else(
    name: str, side: int, shipped: Inpainter
) -> None:
    with pytest.warns(aleph.FrameWarning):
        result = shipped(square(name, side), in_the_middle(side), preset="fast")
    assert result.report()["regions"]["generated"] == 0.0


@pytest.mark.parametrize("mask", ["half", "center", "strokes"])
def test_an_aligned_face_keeps_its_frame(mask: str, shipped: Inpainter) -> None:
    crop = cv2.resize(face(), (64, 64), interpolation=cv2.INTER_AREA).astype(np.uint8)
    report = shipped(crop, mask, preset="fast").report()
    assert report["regions"]["generated"] == 1.0
