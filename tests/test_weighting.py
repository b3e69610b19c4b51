from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from aleph.errors import InputError
from aleph.search.weighting import context_weight, hole_distance

WEIGHTINGS = ["uniform", "box", "inverse", "inverse-square"]

shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=13)
holes = arrays(bool, shapes)


def brute_distance(hole: np.ndarray) -> np.ndarray:
    """The distance of each pixel to the nearest missing one, looked for one by one."""
    missing = np.argwhere(hole)
    everywhere = np.argwhere(np.ones_like(hole))
    apart = everywhere[:, None] - missing[None]
    return np.sqrt((apart**2).sum(2)).min(1).reshape(hole.shape)


# A 5×5 image with its centre missing. The distance γ of each pixel to the centre is
#
#     √8  √5   2  √5  √8        4 pixels at 1, 4 at √2, 4 at 2, 8 at √5, 4 at √8
#     √5  √2   1  √2  √5
#      2   1   0   1   2
#     √5  √2   1  √2  √5
#     √8  √5   2  √5  √8
#
# so that one quadrant says all. The sums that W is divided by:
#
#   uniform         24 · 1                                               = 24
#   inverse         4/1 + 4/√2 + 4/2 + 8/√5 + 4/√8                       = 13.820350
#   inverse-square  4/1 + 4/2 + 4/4 + 8/5 + 4/8                          = 9.1
#
#   box: the centre is within 3 rows and columns of every pixel, so that each window holds exactly
#   one missing pixel; it differs by how many pixels the border leaves in the window. Rows (and
#   columns) 0 and 4 see 4 rows of the image, rows 1 to 3 see all 5:
#     corner 1/16, other pixels of the border 1/20, inner pixels 1/25
#     sum  4/16 + 12/20 + 8/25                                           = 1.17
QUADRANTS = {
    "uniform": np.array([[1, 1, 1], [1, 1, 1], [1, 1, 0]]) / 24,
    "inverse": np.array(
        [
            [8**-0.5, 5**-0.5, 0.5],
            [5**-0.5, 2**-0.5, 1.0],
            [0.5, 1.0, 0.0],
        ]
    )
    / 13.820350,
    "inverse-square": np.array([[0.125, 0.2, 0.25], [0.2, 0.5, 1.0], [0.25, 1.0, 0.0]]) / 9.1,
    "box": np.array([[1 / 16, 1 / 20, 1 / 20], [1 / 20, 1 / 25, 1 / 25], [1 / 20, 1 / 25, 0.0]])
    / 1.17,
}


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_weights_of_a_5_by_5_image_with_one_missing_pixel(weighting: str) -> None:
    hole = np.zeros((5, 5), bool)
    hole[2, 2] = True
    half = np.concatenate([QUADRANTS[weighting], QUADRANTS[weighting][:, 1::-1]], 1)
    expected = np.concatenate([half, half[1::-1]])
    weight = context_weight(hole, weighting)  # type: ignore[arg-type]
    assert weight.dtype == np.float32
    np.testing.assert_allclose(weight, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@given(hole=holes)
def test_weights_are_zero_in_the_hole_and_sum_to_one(weighting: str, hole: np.ndarray) -> None:
    weight = context_weight(hole, weighting)  # type: ignore[arg-type]
    assert weight.shape == hole.shape
    assert (weight >= 0).all()
    if hole.all():
        assert not weight.any()
        return
    assert weight.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)
    if hole.any():
        assert not weight[hole].any()


@pytest.mark.parametrize("weighting", ["uniform", "inverse", "inverse-square"])
@given(hole=holes)
def test_weights_never_grow_with_the_distance(weighting: str, hole: np.ndarray) -> None:
    if not hole.any() or hole.all():
        return
    order = np.argsort(brute_distance(hole)[~hole], kind="stable")
    falling = context_weight(hole, weighting)[~hole][order]  # type: ignore[arg-type]
    assert (np.diff(falling) <= 1e-7).all()


@pytest.mark.parametrize(("weighting", "power"), [("inverse", 1), ("inverse-square", 2)])
@given(hole=holes)
def test_weights_fall_as_the_stated_power_of_the_distance(
    weighting: str, power: int, hole: np.ndarray
) -> None:
    if not hole.any() or hole.all():
        return
    weight = context_weight(hole, weighting)[~hole]  # type: ignore[arg-type]
    product = weight * brute_distance(hole)[~hole] ** power
    np.testing.assert_allclose(product, product[0], rtol=1e-5)


@given(hole=holes)
def test_box_is_the_share_of_missing_pixels_in_the_window_counted_one_by_one(
    hole: np.ndarray,
) -> None:
    if not hole.any() or hole.all():
        return
    share = np.zeros(hole.shape)
    for row, column in np.argwhere(~hole):
        window = hole[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4]
        share[row, column] = window.sum() / window.size
    weight = context_weight(hole, "box")
    np.testing.assert_allclose(weight, share / share.sum(), rtol=1e-5, atol=1e-8)
    assert not weight[share == 0].any()


def test_box_is_exactly_zero_further_than_three_pixels_from_the_hole() -> None:
    hole = np.zeros((40, 30), bool)
    hole[10, 10] = True
    expected = np.zeros((40, 30), bool)
    expected[7:14, 7:14] = True
    expected[10, 10] = False
    assert np.array_equal(context_weight(hole, "box") > 0, expected)


@given(hole=holes)
def test_distances_are_those_to_the_nearest_missing_pixel(hole: np.ndarray) -> None:
    if hole.any():
        np.testing.assert_allclose(hole_distance(hole), brute_distance(hole))
    else:
        assert np.isinf(hole_distance(hole)).all()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_an_empty_hole_gives_every_pixel_the_same_weight(weighting: str) -> None:
    weight = context_weight(np.zeros((4, 5), bool), weighting)  # type: ignore[arg-type]
    np.testing.assert_allclose(weight, np.full((4, 5), 1 / 20))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_full_hole_gives_no_pixel_any_weight(weighting: str) -> None:
    weight = context_weight(np.ones((4, 5), bool), weighting)  # type: ignore[arg-type]
    assert np.array_equal(weight, np.zeros((4, 5)))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@given(hole=holes, data=st.data())
def test_an_image_on_its_side_has_its_weights_on_their_side(
    weighting: str, hole: np.ndarray, data: st.DataObject
) -> None:
    before = hole.copy()
    weight = context_weight(hole, weighting)  # type: ignore[arg-type]
    turned = context_weight(hole.T, weighting)  # type: ignore[arg-type]
    np.testing.assert_allclose(turned.T, weight, rtol=1e-5, atol=1e-8)
    assert np.array_equal(hole, before)


def test_an_unknown_weighting_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'inverse-square'"):
        context_weight(np.ones((2, 2), bool), "inverse_square")  # type: ignore[arg-type]


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_what_lies_beyond_the_border_has_no_weight_and_draws_none(weighting: str) -> None:
    hole, beyond = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    hole[4, 6] = True
    beyond[:, :3] = True
    weight = context_weight(hole, weighting, beyond)
    assert (weight[beyond | hole] == 0).all()
    assert weight.sum() == pytest.approx(1)
    usual = context_weight(hole, weighting)
    kept = ~(beyond | hole)
    np.testing.assert_allclose(weight[kept], usual[kept] / usual[kept].sum(), rtol=1e-5)
    nothing = np.zeros_like(hole)
    np.testing.assert_allclose(context_weight(nothing, weighting, beyond)[~beyond], 1 / 54)
