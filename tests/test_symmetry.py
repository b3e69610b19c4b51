"""What is known of an object's other side, given to the side that is missing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aleph.arrays import Floats, Hole, rounded
from aleph.inpainter import Inpainter
from aleph.photo.tensors import to_levels
from aleph.presets import PRESETS
from aleph.search.symmetry import with_other_side
from conftest import make_model
from helpers import KINDS, noise

SIDE = 64


def face(soft: float, middle: float = 32.0, eyes: tuple[float, ...] = (-14, 14)) -> Floats:
    """Draw a light oval with dark eyes as wide as `soft`, float32 (64, 64, 3) in 0 to 255."""
    rows, columns = np.indices((SIDE, SIDE), np.float32)
    oval = np.exp(-(((columns - middle) / 26) ** 4) - ((rows - 32) / 30) ** 4)
    grey = 40 + 160 * oval
    for away in eyes:
        spot = np.exp(-((columns - middle - away) ** 2 + (rows - 26) ** 2) / (2 * soft**2))
        grey -= 90 / (soft / 2) ** 2 * spot
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.float32)


def left_eye(middle: float = 32.0) -> Hole:
    hole = np.zeros((SIDE, SIDE), bool)
    hole[17:36, int(middle) - 23 : int(middle) - 5] = True
    return hole


def error(fill: Floats, original: Floats, hole: Hole) -> float:
    return float(np.abs(fill - original)[hole].mean())


@pytest.mark.parametrize("middle", [32.0, 29.0, 36.0])
def test_a_soft_eye_becomes_as_sharp_as_the_one_that_is_known(middle: float) -> None:
    """Also where the face is turned, and its two sides are not equally far from the border."""
    original, generated, hole = face(2.0, middle), face(4.0, middle), left_eye(middle)
    damaged = rounded(np.where(hole[:, :, None], 0, original))
    fill = with_other_side(generated, damaged, hole)
    assert error(fill, original, hole) < 0.5 * error(generated, original, hole)
    assert np.array_equal(fill[~hole], generated[~hole])


def test_what_lies_in_the_hole_is_not_read() -> None:
    generated, hole = face(4.0), left_eye()
    black, white = (rounded(np.where(hole[:, :, None], v, face(2.0))) for v in (0, 255))
    fills = [with_other_side(generated, image, hole) for image in (black, white)]
    assert np.array_equal(*fills)


def test_a_turned_head_takes_nothing() -> None:
    """Half of what the generator draws has no other side."""
    generated, hole = face(4.0, eyes=(-14, -3)), left_eye()
    generated[:, 34:] = np.random.default_rng(0).uniform(0, 255, (64, 30, 3))
    known = rounded(generated + noise(64, 64) % 30)
    assert np.array_equal(with_other_side(generated, known, hole), generated)


def test_a_profile_takes_nothing_from_where_it_has_no_other_side() -> None:
    """On the missing side the generator sees one eye, on the known one none but a bright wall."""
    generated, hole = face(4.0, eyes=(-14,)), left_eye()
    generated[:, 32:] = np.linspace(220, 250, 32)[:, None]
    known = generated.copy()
    known[20:32, 40:52] -= 60  # something on the wall
    fill = with_other_side(generated, rounded(known), hole)
    assert float(np.abs(fill - generated).max()) < 6


def test_a_strand_of_hair_stays_on_its_side() -> None:
    """It is far from all that the generator draws about it, an eye's shine is not."""
    generated, hole = face(4.0), left_eye()
    hole[36:52] = hole[30]  # down to the cheek
    shine, strand = generated.copy(), generated.copy()
    shine[25:27, 45:47] += 60
    strand[36:44, 38:44] -= 110
    given_, kept = (with_other_side(generated, rounded(i), hole) for i in (shine, strand))
    assert float((given_ - generated)[24:28, 16:20].max()) > 15
    assert float(np.abs(kept - generated).max()) < 15


@given(seed=st.integers(0, 1000), kind=st.sampled_from(["all", "none", "noise"]))
def test_any_frame_gives_numbers_and_keeps_what_is_known(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    hole = {"all": np.ones, "none": np.zeros}.get(kind, lambda shape, _: rng.random(shape) < 0.8)(
        (16, 16), bool
    )
    generated = rng.uniform(-20, 280, (16, 16, 3)).astype(np.float32)
    fill = with_other_side(generated, noise(16, 16, seed), hole)
    assert fill.shape == generated.shape and np.isfinite(fill).all()
    assert np.array_equal(fill[~hole], generated[~hole])
    if kind == "all":
        assert np.array_equal(fill, generated)


@pytest.mark.parametrize("side", [8, 16])
def test_what_is_no_number_and_what_is_too_small_stays(side: int) -> None:
    generated = np.full((side, side, 3), np.nan if side == 16 else 100.0, np.float32)
    hole = np.zeros((side, side), bool)
    hole[: side // 2] = True
    fill = with_other_side(generated, noise(side, side), hole)
    assert np.array_equal(fill, generated, equal_nan=True)


def test_an_eye_is_filled_like_the_other() -> None:
    """A face as the model draws it, with eyes that it does not draw."""
    inpainter = Inpainter.from_pretrained("faces-64", device="cpu", precision="fp32")
    drawn = to_levels(inpainter.model.generate(torch.zeros(1, 256)))[0]
    rows, columns = np.indices((64, 64))
    for x in (21, 42):
        drawn[np.hypot(columns - x, rows - 21) < 3] -= 20
    drawn = rounded(drawn)
    hole = np.zeros((64, 64), bool)
    hole[15:30, 11:30] = True
    fills = [inpainter(drawn, hole, frame="whole", symmetry=value).image for value in (False, True)]
    eye = np.hypot(columns - 21, rows - 21) < 3
    without, with_it = (np.abs(fill[eye].astype(float) - drawn[eye]).mean() for fill in fills)
    assert with_it < 0.8 * without
    assert all(np.array_equal(fill[~hole], drawn[~hole]) for fill in fills)


def test_a_model_that_knows_no_mirror_images_takes_nothing(tmp_path: Path) -> None:
    config = dataclasses.replace(KINDS["amortised"], mirrored=False)
    inpainter = Inpainter.from_pretrained(make_model(tmp_path / "model", config), device="cpu")
    fills = [
        inpainter(noise(16, 16), "half", frame="whole", symmetry=symmetry).image
        for symmetry in (False, True)
    ]
    assert np.array_equal(*fills)


def test_the_presets_that_search_use_it_and_yeh_does_not() -> None:
    used = {name: settings.search.symmetry for name, settings in PRESETS["amortised"].items()}
    assert used == {"fast": False, "balanced": True, "thorough": True, "yeh2017": False}
