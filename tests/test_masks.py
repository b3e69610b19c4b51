from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aleph.errors import InputError
from aleph.masks import NAMED_MASKS, named_hole, read_hole
from helpers import some_hole, write_mask

NAMES = ["center", "half", "random", "pattern", "strokes"]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_an_array_is_missing_where_it_is_not_zero(dtype: type) -> None:
    mask = np.zeros((3, 4), dtype)
    mask[0, 1] = mask[2, 3] = 1
    expected = [[False, True, False, False], [False] * 4, [False, False, False, True]]
    assert read_hole(mask, (3, 4)).tolist() == expected


def test_a_pixel_of_1_is_missing_in_an_array_but_known_in_a_picture() -> None:
    faint = np.array([[1, 255], [0, 0]], np.uint8)
    assert read_hole(faint, (2, 2)).tolist() == [[True, True], [False, False]]
    assert read_hole(Image.fromarray(faint), (2, 2)).tolist() == [[False, True], [False, False]]


def test_a_picture_is_cut_at_128(tmp_path: Path) -> None:
    grey = np.array([[0, 127], [128, 255]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "mask.png")
    expected = [[False, False], [True, True]]
    assert read_hole(tmp_path / "mask.png", (2, 2)).tolist() == expected
    assert read_hole(str(tmp_path / "mask.png"), (2, 2)).tolist() == expected
    assert read_hole(Image.fromarray(grey), (2, 2)).tolist() == expected


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_a_black_and_white_picture_means_the_same_in_every_mode(mode: str) -> None:
    hole = some_hole(9, 12)
    picture = Image.fromarray(hole.astype(np.uint8) * np.uint8(255)).convert(mode)
    assert np.array_equal(read_hole(picture, (9, 12)), hole)


def test_an_array_with_one_channel_is_a_mask() -> None:
    hole = some_hole(9, 12)
    assert np.array_equal(read_hole(hole[:, :, None], (9, 12)), hole)


def test_a_mask_is_never_changed_nor_shared() -> None:
    big = np.zeros((12, 24), bool)
    big[3:7, 4:12] = True
    view = big[::2, 1::2]
    view.flags.writeable = False
    before = big.copy()
    hole = read_hole(view, view.shape)
    assert np.array_equal(hole, view)
    hole[:] = True
    assert np.array_equal(big, before)


@given(
    name=st.sampled_from(NAMES),
    height=st.integers(4, 70),
    width=st.integers(4, 70),
    seed=st.integers(0, 2**32),
)
def test_named_masks_always_leave_something_to_do_and_something_to_go_by(
    name: str, height: int, width: int, seed: int
) -> None:
    hole = named_hole(name, (height, width), seed)
    assert hole.shape == (height, width)
    assert hole.dtype == np.bool_
    assert 0 < hole.sum() < hole.size
    assert np.array_equal(hole, named_hole(name, (height, width), seed))
    assert np.array_equal(hole, read_hole(name, (height, width), seed))


def test_the_named_masks_are_those_of_the_protocol() -> None:
    assert list(NAMED_MASKS) == NAMES


def test_center_is_the_central_half_of_both_sides() -> None:
    expected = np.zeros((64, 64), bool)
    expected[16:48, 16:48] = True
    assert np.array_equal(named_hole("center", (64, 64)), expected)
    wide = named_hole("center", (8, 16))
    assert np.array_equal(np.argwhere(wide)[[0, -1]], [[2, 4], [5, 11]])


def test_half_is_one_of_the_four_halves_and_all_four_occur() -> None:
    quadrants = set()
    for seed in range(40):
        hole = named_hole("half", (6, 8), seed)
        corners = (hole[:3, :4], hole[:3, 4:], hole[3:, :4], hole[3:, 4:])
        assert all(part.all() or not part.any() for part in corners)
        quadrants.add(tuple(bool(part.all()) for part in corners))
    assert quadrants == {
        (True, False, True, False),
        (False, True, False, True),
        (True, True, False, False),
        (False, False, True, True),
    }


@pytest.mark.parametrize(("name", "share"), [("random", 0.80), ("pattern", 0.25)])
def test_random_misses_80_percent_and_pattern_25(name: str, share: float) -> None:
    assert named_hole(name, (64, 64), 3).sum() == round(share * 64 * 64)


def test_random_is_scattered_and_pattern_hangs_together() -> None:
    def rims(hole: np.ndarray) -> int:
        return int((hole[:, 1:] != hole[:, :-1]).sum())

    # 0.8 · 0.2 · 2 of 4032 pairs of neighbours differ if every pixel is drawn for itself: 1290.
    assert 1100 < rims(named_hole("random", (64, 64), 1)) < 1500
    assert rims(named_hole("pattern", (64, 64), 1)) < 500


@pytest.mark.parametrize("name", ["random", "pattern", "strokes"])
def test_another_seed_draws_another_mask(name: str) -> None:
    assert not np.array_equal(named_hole(name, (64, 64), 0), named_hole(name, (64, 64), 1))


def test_masks_of_the_same_seed_are_the_same_on_every_machine() -> None:
    # The known pixels, drawn once: numpy's PCG64 gives the same numbers everywhere.
    known = [[0, 1], [0, 2], [1, 1], [1, 2], [2, 3], [3, 7], [5, 0], [5, 5], [5, 7], [6, 2]]
    known += [[6, 3], [7, 4], [7, 6]]
    assert np.argwhere(~named_hole("random", (8, 8), 7)).tolist() == known


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.ones((4, 5), bool), "same size"),
        (np.zeros((4, 4), bool), "no pixel as missing"),
        (np.ones((4, 4), bool), "every pixel as missing"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.full((4, 4), 0.5), "boolean or uint8"),
        (np.ones((4, 4, 3), np.uint8), "shape"),
        (np.ones(4, np.uint8), "shape"),
        (None, "nothing says what is missing"),
        ("centre", "did you mean 'center'"),
        ("stroke", "did you mean 'strokes'"),
        ("no/such.png", "does not exist"),
        (Path("no such.png"), "does not exist"),
    ],
)
def test_a_mask_that_cannot_be_used_is_refused_with_the_reason(mask: object, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read_hole(mask, (4, 4))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_sizes_that_differ_are_both_named_width_first() -> None:
    with pytest.raises(InputError, match=r"mask is 7×5 pixels but the image 9×6"):
        read_hole(np.ones((5, 7), bool), (6, 9))


def test_a_mask_turned_on_its_side_is_refused() -> None:
    with pytest.raises(InputError, match="same size"):
        read_hole(some_hole(9, 12).T, (9, 12))


def test_a_damaged_mask_file_is_refused(tmp_path: Path) -> None:
    path = write_mask(some_hole(64, 64), tmp_path / "mask.png")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"mask '.*' is (damaged|not a picture)"):
        read_hole(path, (64, 64))


def test_a_damaged_mask_that_pil_has_only_begun_to_read_is_refused(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 90).save(tmp_path / "mask.png")
    whole = (tmp_path / "mask.png").read_bytes()
    (tmp_path / "mask.png").write_bytes(whole[: len(whole) // 2])
    with Image.open(tmp_path / "mask.png") as picture, pytest.raises(InputError):
        read_hole(picture, (64, 64))


def test_an_image_too_small_for_a_named_mask_is_refused() -> None:
    with pytest.raises(InputError, match="too small"):
        named_hole("center", (1, 1))
