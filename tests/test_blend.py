from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aleph.blending.blend import Blender
from aleph.config import Blending
from aleph.errors import InputError
from helpers import noise, some_hole

BLENDINGS = [name for name in get_args(Blending) if name != "refined"]


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image, what a generator made of it, and any hole, of any shape."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    image = draw(arrays(np.uint8, (height, width, 3)))
    hole = draw(arrays(bool, (height, width)))
    seed = draw(st.integers(0, 1000))
    generated = np.random.default_rng(seed).uniform(-30, 285, (height, width, 3))
    return image, generated.astype(np.float32), hole


@pytest.mark.parametrize("blending", BLENDINGS)
@given(scene=scenes())
def test_known_pixels_stay_as_they_were_and_no_input_changes(
    blending: str, scene: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    image, generated, hole = scene
    copies = [array.copy() for array in scene]
    for array in scene:
        array.flags.writeable = False
    filled = Blender(hole, blending)(image, generated)  # type: ignore[arg-type]
    assert filled.dtype == np.uint8
    assert filled.shape == image.shape
    assert np.array_equal(filled[~hole], image[~hole])
    for array, copy in zip(scene, copies, strict=True):
        assert np.array_equal(array, copy)


@pytest.mark.parametrize("blending", BLENDINGS)
def test_views_into_larger_arrays_are_blended_without_touching_these(blending: str) -> None:
    big, big_generated = noise(20, 30), noise(20, 30, 1).astype(np.float32)
    big_hole = np.kron(some_hole(10, 15), np.ones((2, 2), bool))
    before = (big.copy(), big_generated.copy(), big_hole.copy())
    image, generated, hole = big[::2, 1::2], big_generated[::2, 1::2], big_hole[::2, 1::2]
    filled = Blender(hole, blending)(image, generated)  # type: ignore[arg-type]
    whole = Blender(hole.copy(), blending)(image.copy(), generated.copy())  # type: ignore[arg-type]
    assert np.array_equal(filled, whole)
    filled[:] = 0
    for array, copy in zip((big, big_generated, big_hole), before, strict=True):
        assert np.array_equal(array, copy)


def test_paste_puts_the_generated_pixels_in_rounded_and_clipped() -> None:
    image = np.zeros((1, 5, 3), np.uint8)
    generated = np.array([9.0, -20.0, 300.0, 99.4, 99.6])[None, :, None].repeat(3, 2)
    hole = np.array([[False, True, True, True, True]])
    filled = Blender(hole, "paste")(image, generated)
    assert filled[0, :, 0].tolist() == [0, 0, 255, 99, 100]


@pytest.mark.parametrize("blending", BLENDINGS)
@pytest.mark.parametrize("shape", [(6, 11), (11, 6)])
def test_an_image_on_its_side_is_filled_on_its_side(blending: str, shape: tuple[int, int]) -> None:
    image, generated = noise(*shape), noise(*shape, 1).astype(np.float64)
    hole = some_hole(*shape)
    upright = Blender(hole, blending)(image, generated)  # type: ignore[arg-type]
    turned = Blender(hole.T, blending)(  # type: ignore[arg-type]
        image.transpose(1, 0, 2), generated.transpose(1, 0, 2)
    )
    apart = turned.transpose(1, 0, 2).astype(int) - upright.astype(int)
    assert np.abs(apart).max() <= 1  # a half may be rounded either way


def ragged_hole(height: int, width: int) -> np.ndarray:
    """A hole of ragged outline that does not touch the border, and a pixel beside it."""
    hole = np.random.default_rng(5).random((height, width)) < 0.6
    hole[[0, -1]] = hole[:, [0, -1]] = False
    return hole


def as_picture(values: np.ndarray) -> np.ndarray:
    assert values.min() >= 0 and values.max() <= 255
    return values[:, :, None].repeat(3, 2).astype(np.uint8)


def test_poisson_restores_a_linear_ramp_exactly() -> None:
    y, x = np.mgrid[:12, :17]
    ramp = as_picture(5 * x + 11 * y + 7)
    hole = ragged_hole(12, 17)
    damaged = np.where(hole[:, :, None], np.uint8(0), ramp)
    assert np.array_equal(Blender(hole, "poisson")(damaged, np.zeros(ramp.shape)), ramp)


def test_poisson_restores_a_curved_harmonic_surface_exactly() -> None:
    y, x = np.mgrid[-6:7, -8:9]
    surface = as_picture(100 + x**2 - y**2 + x * y)  # its four-neighbour Laplacian is 0
    hole = ragged_hole(13, 17)
    damaged = np.where(hole[:, :, None], np.uint8(255), surface)
    assert np.array_equal(Blender(hole, "poisson")(damaged, np.zeros(surface.shape)), surface)


def test_poisson_lets_nothing_flow_over_the_border_of_the_image() -> None:
    y, x = np.mgrid[:8, :20]
    ramp = as_picture(9 * x + 0 * y)  # level along the columns, so the upper border is no edge
    hole = np.zeros((8, 20), bool)
    hole[:5, 6:13] = True
    damaged = np.where(hole[:, :, None], np.uint8(0), ramp)
    assert np.array_equal(Blender(hole, "poisson")(damaged, np.zeros(ramp.shape)), ramp)


@given(scene=scenes())
def test_poisson_solves_the_equation_of_the_paper(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Pérez et al. 2003, eq. 7: |N| f − Σ f(missing neighbours) = Σ y(known ones) + |N| G − Σ G."""
    image, generated, hole = scene
    if not hole.any() or hole.all():
        return
    missing = [tuple(place) for place in np.argwhere(hole)]
    left = np.zeros((len(missing), len(missing)))
    right = np.zeros((len(missing), 3))
    for row, (y, x) in enumerate(missing):
        for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= place[0] < hole.shape[0] and 0 <= place[1] < hole.shape[1]):
                continue
            left[row, row] += 1
            right[row] += generated[y, x].astype(float) - generated[place]
            if hole[place]:
                left[row, missing.index(place)] -= 1
            else:
                right[row] += image[place]
    exact = np.clip(np.linalg.solve(left, right), 0, 255)
    filled = Blender(hole, "poisson")(image, generated)[hole]
    assert np.abs(filled - exact).max() <= 0.5 + 1e-3


def expected_residual(residual: np.ndarray, hole: np.ndarray, kappa: float) -> np.ndarray:
    """r̂ of a Matérn field, Q = (κ²I + L)² over the whole picture at once: −Q_hh⁻¹ Q_hk r_k."""
    height, width = hole.shape
    laplacian = np.zeros((hole.size, hole.size))
    for y in range(height):
        for x in range(width):
            for v, u in ((y, x + 1), (y + 1, x)):
                if v < height and u < width:
                    ends = [y * width + x, v * width + u]
                    laplacian[np.ix_(ends, ends)] += [[1, -1], [-1, 1]]
    operator = laplacian + kappa**2 * np.eye(hole.size)
    precision = operator @ operator
    missing = hole.ravel()
    right = precision[np.ix_(missing, ~missing)] @ residual[~hole]
    return -np.linalg.solve(precision[np.ix_(missing, missing)], right)


@pytest.mark.parametrize("kappa", [0.1, 0.8])
def test_matern_expects_the_residual_of_its_field_in_every_piece_of_the_hole(kappa: float) -> None:
    hole = np.zeros((13, 16), bool)
    hole[1:4, 2:5] = hole[6:9, 9:12] = True  # two pieces inside, and others
    hole[0, 13:] = hole[11:, 0] = hole[5, 5] = hole[7, 7] = True  # at the border and close by
    image, generated = noise(13, 16), noise(13, 16, 1).astype(np.float64)
    expected = generated[hole] + expected_residual(image - generated, hole, kappa)
    # `forgetting` is κ times the longer side, so that it means the same at every size.
    filled = Blender(hole, "matern", kappa * 16, softening=0)(image, generated)[hole]
    assert np.abs(filled - np.clip(expected, 0, 255)).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("offset", [-40.0, 37.0])
def test_poisson_removes_a_constant_offset_of_the_generated_image(offset: float) -> None:
    truth = noise(13, 9) // 2 + np.uint8(60)
    hole = some_hole(13, 9)
    damaged = np.where(hole[:, :, None], np.uint8(0), truth)
    filled = Blender(hole, "poisson")(damaged, truth + offset)
    assert np.array_equal(filled, truth)


def test_poisson_removes_a_tilt_of_the_generated_image() -> None:
    truth = noise(13, 17) // 2 + np.uint8(40)
    y, x = np.mgrid[:13, :17]
    hole = ragged_hole(13, 17)
    filled = Blender(hole, "poisson")(truth, truth + (3.0 * x - 2.0 * y)[:, :, None])
    assert np.array_equal(filled, truth)


@pytest.mark.parametrize("blending", BLENDINGS)
def test_what_the_image_holds_in_its_hole_does_not_matter(blending: str) -> None:
    image, generated, hole = noise(12, 9), noise(12, 9, 1).astype(float), some_hole(12, 9)
    other = np.where(hole[:, :, None], noise(12, 9, 2), image)
    blender = Blender(hole, blending)  # type: ignore[arg-type]
    assert np.array_equal(blender(image, generated), blender(other, generated))


@pytest.mark.parametrize("blending", BLENDINGS)
def test_an_empty_hole_gives_the_image_and_a_full_one_the_generated_image(blending: str) -> None:
    image, generated = noise(6, 7), noise(6, 7, 1)
    empty = Blender(np.zeros((6, 7), bool), blending)  # type: ignore[arg-type]
    full = Blender(np.ones((6, 7), bool), blending)  # type: ignore[arg-type]
    assert np.array_equal(empty(image, generated.astype(float)), image)
    assert np.array_equal(full(image, generated.astype(float)), generated)


def test_a_hole_changed_after_the_blender_was_made_changes_nothing() -> None:
    hole = some_hole(12, 9)
    blender = Blender(hole, "poisson")
    image, generated = noise(12, 9), noise(12, 9, 1).astype(float)
    before = blender(image, generated)
    hole[:] = True
    assert np.array_equal(blender(image, generated), before)


def test_an_unknown_blending_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'poisson'"):
        Blender(np.ones((2, 2), bool), "poison")  # type: ignore[arg-type]


@pytest.mark.parametrize("blending", ["poisson", "matern"])
def test_a_large_picture_is_filled_as_if_it_were_solved_at_once(
    blending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    y, x = np.mgrid[:320, :290].astype(np.float64)
    surface = np.stack([120 + 60 * np.sin(x / 30), 90 + 0.3 * y, 128 + 50 * np.cos((x + y) / 40)])
    image = as_picture_of_three(surface)
    generated = np.full(image.shape, 100.0)
    hole = (x - 150) ** 2 + (y - 170) ** 2 < 70**2
    hole |= np.abs(x - y) < 3
    parted = Blender(hole, blending)(image, generated)  # type: ignore[arg-type]
    monkeypatch.setattr("aleph.blending.blend._WHOLE", 10_000)
    whole = Blender(hole, blending)(image, generated)  # type: ignore[arg-type]
    apart = np.abs(parted.astype(int) - whole)
    assert apart.mean() < 0.5
    assert apart.max() <= 6
    assert np.abs(whole.astype(int) - 100)[hole].mean() > 5  # there was something to carry over


def as_picture_of_three(channels: np.ndarray) -> np.ndarray:
    return np.rint(channels.transpose(1, 2, 0)).clip(0, 255).astype(np.uint8)


def test_the_side_of_the_frame_says_how_far_is_far() -> None:
    image, hole = np.full((20, 20, 3), 200, np.uint8), np.zeros((20, 20), bool)
    hole[:, 3:17] = True
    generated = np.full((20, 20, 3), 100.0)
    near, far = (Blender(hole, "matern", side=s)(image, generated)[10, 10, 0] for s in (10, 1000))
    assert near < 110  # ten pixels are a whole frame: the residual is forgotten
    assert far > 190
    same = Blender(hole, "matern", side=20)(image, generated)
    assert np.array_equal(same, Blender(hole, "matern")(image, generated))


def test_beside_known_pixels_the_finest_detail_of_the_generated_image_is_not_trusted() -> None:
    y, x = np.mgrid[:64, :64]
    checks = 100.0 + 80 * ((x + y) % 2)[:, :, None].repeat(3, 2)
    image = np.full((64, 64, 3), 140, np.uint8)
    hole = np.zeros((64, 64), bool)
    hole[8:56, 8:56] = True
    hole[2, 4:60] = True
    filled = Blender(hole, "matern")(image, checks).astype(float)
    assert filled[24:40, 24:40].std() > 39  # deep inside it is all there
    assert filled[2, 4:60].std() < 26
