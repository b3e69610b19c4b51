from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from aleph.errors import EmptyMaskError, InputError, MaskWarning
from aleph.masks.named import NAMED_MASKS, named_hole
from aleph.masks.read import Mask, MaskLike, read_damaged, read_hole
from aleph.photo.metadata import Metadata
from aleph.photo.photo import Photo, read_photo, stored, turned
from helpers import noise, some_hole, write_mask

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
        (np.full((4, 4), -0.5), "none may be below 0"),
        (np.full((4, 4), 1e6), "from 1e\\+06 to 1e\\+06"),
        (np.linspace(0, 0.4, 16).reshape(4, 4), "brightest value is 0.4"),
        (np.zeros((4, 4), "U3"), "array of numbers"),
        (np.arange(48).reshape(4, 4, 3), "shape"),
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


# --- masks as people have them ----------------------------------------------------------------


def photo_with_alpha(hole: NDArray[np.bool_]) -> Image.Image:
    picture = Image.fromarray(noise(*hole.shape))
    picture.putalpha(Image.fromarray(np.where(hole, 0, 255).astype(np.uint8)))
    return picture


def test_the_transparent_pixels_are_missing_and_become_opaque() -> None:
    hole = some_hole(12, 16)
    photo, found = read_damaged(photo_with_alpha(hole), "alpha")
    assert np.array_equal(found, hole)
    assert photo.alpha is not None
    assert (photo.alpha == 255).all()


def test_with_another_mask_the_alpha_channel_is_left_alone() -> None:
    hole = some_hole(12, 16)
    erased = hole.copy()
    erased[:6] = False
    picture = photo_with_alpha(erased)
    with pytest.warns(MaskWarning, match="transparent in the photo and stays so"):
        photo, _ = read_damaged(picture, hole)
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha == 0, erased)


def test_where_all_but_the_hole_is_transparent_there_is_nothing_to_go_by() -> None:
    hole = some_hole(12, 16)
    with pytest.raises(InputError, match="nothing to go by"):
        read_damaged(photo_with_alpha(~hole), hole)


def test_all_that_a_soft_eraser_has_touched_is_missing_and_becomes_opaque() -> None:
    picture = Image.fromarray(noise(1, 4)).convert("RGBA")
    picture.putalpha(Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8)))
    assert read_damaged(picture, "alpha")[1].tolist() == [[True, True, True, False]]


@pytest.mark.parametrize("mask", ["alpha", Mask("alpha", grow=2)])
def test_a_photo_without_alpha_has_no_such_mask(mask: object) -> None:
    with pytest.raises(InputError, match="needs a photo with an alpha channel"):
        read_damaged(noise(8, 8), mask)  # type: ignore[arg-type]


@pytest.mark.parametrize("color", ["#ff00ff", "magenta", (255, 0, 255)])
def test_a_colour_painted_over_the_damage_marks_it(color: str | tuple[int, int, int]) -> None:
    hole = some_hole(12, 16)
    pixels = noise(12, 16) // 2
    pixels[hole] = (250, 9, 255)
    assert np.array_equal(read_damaged(pixels, Mask(color=color, tolerance=9))[1], hole)
    with pytest.raises(InputError, match="no pixel as missing"):
        read_damaged(pixels, Mask(color=color, tolerance=8))


def test_the_colour_may_be_painted_on_another_picture_even_of_another_size() -> None:
    hole = some_hole(12, 16)
    painted = np.where(hole[:, :, None], (0, 255, 0), (90, 80, 70)).astype(np.uint8)
    large = Image.fromarray(painted).resize((64, 48), Image.Resampling.NEAREST)
    found = read_damaged(noise(12, 16), Mask(large, color="lime"))[1]
    assert np.array_equal(found, hole)


def test_a_painted_colour_is_found_again_after_jpeg(tmp_path: Path) -> None:
    smooth = np.linspace(20, 200, 96 * 96 * 3).reshape(96, 96, 3).astype(np.uint8)
    hole = np.zeros((96, 96), bool)
    hole[20:40, 10:80] = hole[50:90, 60:68] = True
    plain = smooth.copy()
    smooth[hole] = (255, 0, 255)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=75)
    with Image.open(tmp_path / "a.jpg") as picture:
        tinted = np.abs(np.array(picture).astype(int) - plain).max(axis=2) > 40
    found = read_damaged(tmp_path / "a.jpg", Mask(color="#ff00ff"))[1]
    assert found[hole].all()
    assert not (tinted & ~found).any()
    assert found.sum() < 2.2 * hole.sum()


@given(factor=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_larger_mask_of_the_same_proportions_is_scaled(factor: int, seed: int) -> None:
    hole = named_hole("pattern", (9, 14), seed)
    large = Image.fromarray(np.kron(hole, np.full((factor, factor), 255)).astype(np.uint8))
    assert np.array_equal(read_hole(large, (9, 14)), hole)


@pytest.mark.parametrize(
    ("mask", "image"), [((75, 100), (301, 402)), ((301, 402), (75, 100)), ((10, 10), (20, 21))]
)
def test_proportions_may_differ_by_a_rounding(
    mask: tuple[int, int], image: tuple[int, int]
) -> None:
    found = read_hole(Image.fromarray(some_hole(*mask)), image)
    assert found.shape == image
    assert abs(found.mean() - some_hole(*mask).mean()) < 0.05


@pytest.mark.parametrize(("mask", "image"), [((75, 100), (100, 75)), ((64, 64), (64, 70))])
def test_other_proportions_are_refused(mask: tuple[int, int], image: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="same proportions"):
        read_hole(Image.fromarray(some_hole(*mask)), image)


def test_a_mask_lies_on_the_photo_as_it_is_seen(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(12, 16)).save(tmp_path / "photo.jpg", exif=exif)
    photo, found = read_damaged(tmp_path / "photo.jpg", Image.fromarray(some_hole(16, 12)))
    assert photo.shape == (16, 12)
    assert np.array_equal(found, some_hole(16, 12))


def test_an_inverted_mask_is_the_other_pixels() -> None:
    hole = some_hole(9, 12)
    assert np.array_equal(read_hole(Mask(~hole, invert=True), (9, 12)), hole)


@given(grow=st.integers(0, 6), seed=st.integers(0, 99))
def test_a_grown_hole_is_all_that_is_no_farther_than_that(grow: int, seed: int) -> None:
    hole = named_hole("strokes", (14, 17), seed)
    rows, columns = np.indices(hole.shape)
    places = np.argwhere(hole)
    away = np.hypot(rows[:, :, None] - places[:, 0], columns[:, :, None] - places[:, 1]).min(2)
    expected = away <= grow
    if expected.all():
        with pytest.raises(InputError, match="every pixel"):
            read_hole(Mask(hole, grow=grow), hole.shape)
    elif expected.mean() <= 0.9:
        assert np.array_equal(read_hole(Mask(hole, grow=grow), hole.shape), expected)


def test_a_mask_that_looks_inverted_is_used_but_remarked_upon() -> None:
    hole = some_hole(20, 20)
    hole[:, 8:] = False
    with pytest.warns(MaskWarning, match="use --invert-mask"):
        assert np.array_equal(read_hole(~hole, (20, 20)), ~hole)
    with pytest.warns(MaskWarning, match="leave out --invert-mask"):
        read_hole(Mask(hole, invert=True), (20, 20))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "nothing says what is missing"),
        ({"color": "#ff00f"}, "no colour"),
        ({"color": "puce?"}, "no colour"),
        ({"color": (1, 2)}, "no colour"),
        ({"color": (1, 2, 300)}, "no colour"),
        ({"source": "alpha", "color": "red"}, "not both"),
        ({"source": "center", "color": "red"}, "not both"),
        ({"source": "center", "grow": -1}, "grow"),
        ({"source": "center", "grow": 1.5}, "grow"),
        ({"color": "red", "tolerance": 256}, "tolerance"),
    ],
)
def test_a_mask_with_a_wrong_option_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        Mask(**wrong)
    assert "\n" not in str(caught.value)


# --- layers, labels, numbers ------------------------------------------------------------------


def layer(hole: NDArray[np.bool_], colour: tuple[int, int, int], under: int = 0) -> Image.Image:
    """Strokes of a colour on nothing."""
    pixels = np.full((*hole.shape, 4), under, np.uint8)
    pixels[:, :, 3] = 0
    pixels[hole] = (*colour, 255)
    return Image.fromarray(pixels)


STROKES = named_hole("strokes", (48, 64), 3)
PHOTO = Photo(np.array(Image.fromarray(noise(6, 8)).resize((64, 48))), "RGB", Metadata())


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (255, 0, 0), (30, 90, 160)])
@pytest.mark.parametrize("under", [0, 255])
def test_strokes_of_any_colour_painted_on_nothing_are_missing(
    colour: tuple[int, int, int], under: int, tmp_path: Path
) -> None:
    layer(STROKES, colour, under).save(tmp_path / "mask.png")
    for mask in (layer(STROKES, colour, under), tmp_path / "mask.png"):
        assert np.array_equal(read_hole(mask, STROKES.shape), STROKES)
    assert np.array_equal(
        read_hole(Mask(tmp_path / "mask.png", invert=True), STROKES.shape), ~STROKES
    )


def test_a_layer_of_a_palette_is_a_layer(tmp_path: Path) -> None:
    picture = Image.fromarray(STROKES.astype(np.uint8), "P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    for ending in ("gif", "png"):
        picture.save(tmp_path / f"mask.{ending}", transparency=0)
        assert np.array_equal(read_hole(tmp_path / f"mask.{ending}", STROKES.shape), STROKES)


def test_a_soft_brush_is_cut_half_way() -> None:
    pixels = np.full((48, 64, 4), 255, np.uint8)
    pixels[:, :, 3] = np.linspace(0, 255, 64).astype(np.uint8)
    pixels[:, 40:, 3] = 0
    hole = read_hole(Image.fromarray(pixels), (48, 64))
    assert np.array_equal(hole, (pixels[:, :, 3] >= 128))


@pytest.mark.parametrize("under", [0, 255])
def test_a_copy_of_the_photo_with_its_damage_erased_marks_what_was_erased(under: int) -> None:
    pixels = np.dstack([PHOTO.pixels, np.where(STROKES, 0, 255)]).astype(np.uint8)
    pixels[STROKES, :3] = under
    for photo in (PHOTO, None):  # the photo need not be the same file
        assert np.array_equal(
            read_hole(Image.fromarray(pixels), STROKES.shape, photo=photo), STROKES
        )


def test_of_a_copy_all_that_is_not_opaque_is_erased_even_most_of_it() -> None:
    pixels = np.dstack([PHOTO.pixels, np.full(STROKES.shape, 255)]).astype(np.uint8)
    pixels[:, 20:, 3] = np.linspace(254, 0, 44).astype(np.uint8)
    hole = read_hole(Image.fromarray(pixels), STROKES.shape, photo=PHOTO)
    assert np.array_equal(hole, pixels[:, :, 3] < 255)


def test_a_sheet_of_one_colour_with_holes_marks_the_holes_with_a_word() -> None:
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[~STROKES, 3] = 255
    with pytest.warns(MaskWarning, match="what is transparent is missing"):
        assert np.array_equal(read_hole(Image.fromarray(pixels), STROKES.shape), STROKES)


def test_a_mask_of_black_white_and_nothing_marks_the_white() -> None:
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[:, :50, 3] = 255
    pixels[STROKES, :3] = 255
    with pytest.warns(MaskWarning, match="what is white is missing"):
        hole = read_hole(Image.fromarray(pixels), STROKES.shape)
    assert np.array_equal(hole, STROKES & (pixels[:, :, 3] == 255))


@pytest.mark.parametrize("strength", [20, 76, 127])
def test_strokes_of_a_translucent_brush_are_strokes(strength: int) -> None:
    pixels = np.zeros((*STROKES.shape, 4), np.uint8)
    pixels[STROKES] = (255, 0, 0, strength)
    assert np.array_equal(read_hole(Image.fromarray(pixels), STROKES.shape), STROKES)


def test_a_mask_the_wrong_way_round_is_told_of_but_not_one_of_ours() -> None:
    pixels = np.where(STROKES, 0, 255).astype(np.uint8)
    assert STROKES.mean() > 0.1
    with pytest.warns(MaskWarning, match="wrong way round"):
        read_hole(Image.fromarray(pixels), STROKES.shape)
    assert read_hole("random", (64, 64)).mean() > 2 / 3  # without a warning


def test_an_empty_layer_is_refused_as_such() -> None:
    empty = Image.new("RGBA", (64, 48), (255, 255, 255, 0))
    with pytest.raises(EmptyMaskError, match="wholly transparent: nothing is painted"):
        read_hole(empty, (48, 64))


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((48, 64), bool),
        np.zeros((48, 64), np.float32),
        np.zeros((48, 64, 1), np.uint16),
        *(Image.new(mode, (64, 48)) for mode in ("1", "L", "P", "RGB", "I;16", "F")),
        Image.new("RGBA", (64, 48), (0, 0, 0, 255)),
        Image.new("LA", (64, 48), (0, 255)),
        Mask(np.ones((48, 64), bool), invert=True),
    ],
    ids=[
        *("booleans", "fractions", "an axis of channels"),
        *("1", "L", "P", "RGB", "I;16", "F", "RGBA", "LA", "inverted"),
    ],
)
def test_a_mask_that_marks_nothing_raises_an_error_of_its_own(mask: MaskLike) -> None:
    with pytest.raises(EmptyMaskError, match="marks no pixel as missing: there is nothing to fill"):
        read_damaged(noise(48, 64), mask)


def test_colours_on_nothing_that_are_no_strokes_are_refused_with_what_was_seen() -> None:
    pixels = np.dstack([noise(48, 64), np.zeros((48, 64), np.uint8)])
    pixels[:, :20, 3] = 255
    with pytest.raises(InputError, match=r"transparent for the most part \(69%\) and has many"):
        read_hole(Image.fromarray(pixels), (48, 64), photo=PHOTO)


def test_a_colour_under_transparency_is_not_the_colour_of_the_damage() -> None:
    hole = read_hole(Mask(layer(STROKES, (0, 0, 0), 0), color="black"), STROKES.shape)
    assert np.array_equal(hole, STROKES)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("high", [1, 200, 255])
def test_of_two_values_the_one_that_is_not_0_is_missing(
    dtype: Any,  # noqa: ANN401
    high: int,
    tmp_path: Path,
) -> None:
    values = STROKES.astype(dtype) * dtype(high)
    assert np.array_equal(read_hole(values, STROKES.shape), STROKES)
    Image.fromarray(values).save(tmp_path / "mask.tif")
    assert np.array_equal(read_hole(tmp_path / "mask.tif", STROKES.shape), STROKES)
    assert np.array_equal(read_hole(Image.fromarray(values), STROKES.shape), STROKES)


def test_0_and_1_are_known_and_missing_in_every_mode(tmp_path: Path) -> None:
    faint = STROKES.astype(np.uint8)
    pictures = {
        "grey": Image.fromarray(faint),
        "colour": Image.fromarray(np.dstack([faint] * 3)),
        "opaque": Image.fromarray(np.dstack([faint] * 3 + [np.full_like(faint, 255)])),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png")
        assert np.array_equal(read_hole(tmp_path / f"{name}.png", STROKES.shape), STROKES), name


def test_labels_are_missing_but_0_with_a_word() -> None:
    labels = np.zeros((48, 64), np.uint8)
    labels[5:20, 5:20], labels[30:40, 30:50] = 1, 15
    with pytest.warns(MaskWarning, match="the numbers 0, 1, 15, as labels do"):
        assert np.array_equal(read_hole(Image.fromarray(labels), labels.shape), labels > 0)
    labels[4, 5:20] = 255  # the edges of the labels
    with pytest.warns(MaskWarning, match="the numbers 0, 1, 15, 255"):
        assert np.array_equal(read_hole(Image.fromarray(labels), labels.shape), labels > 0)


def test_labels_in_the_colours_of_a_palette_are_missing_but_black() -> None:
    labels = np.zeros((48, 64), np.uint8)
    labels[5:20, 5:20], labels[30:40, 30:50] = 1, 2
    picture = Image.fromarray(labels, "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 0, 128])  # both are darker than 128
    with pytest.warns(MaskWarning, match="2 colours on black"):
        assert np.array_equal(read_hole(picture, labels.shape), labels > 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_strokes_of_a_colour_on_black_are_missing(kind: str, tmp_path: Path) -> None:
    hole = np.kron(STROKES, np.ones((4, 4), bool))
    pixels = np.zeros((*hole.shape, 3), np.uint8)
    pixels[hole] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "mask", kind, quality=95)
    found = read_hole(tmp_path / "mask", hole.shape)
    assert (found != hole).mean() < (0.02 if kind == "JPEG" else 1e-9)


@pytest.mark.parametrize(
    ("ground", "says"), [((255, 255, 255), "white and no black"), ((0, 0, 200), "neither black")]
)
def test_colours_that_are_not_on_black_are_named(ground: tuple[int, int, int], says: str) -> None:
    pixels = np.full((48, 64, 3), ground, np.uint8)
    pixels[STROKES] = (255, 0, 0)
    with pytest.raises(InputError, match=rf"{says}.*#ff0000.*--mask-color"):
        read_hole(Image.fromarray(pixels), STROKES.shape)


def test_a_copy_of_the_photo_is_no_mask() -> None:
    painted = PHOTO.pixels.copy()
    painted[STROKES] = (255, 0, 0)
    with pytest.raises(InputError, match=r"a copy of the photo.*--mask-color"):
        read_hole(Image.fromarray(painted), STROKES.shape, photo=PHOTO)
    with pytest.raises(InputError, match="many colours"):
        read_hole(Image.fromarray(painted), STROKES.shape)
    grey = Image.fromarray(PHOTO.pixels).convert("L")
    with pytest.raises(InputError, match="a copy of the photo"):
        read_hole(grey, STROKES.shape, photo=read_photo(grey))


def test_a_mask_that_is_everywhere_dark_says_where_white_begins(tmp_path: Path) -> None:
    shades = np.linspace(0, 100, 64 * 48).reshape(48, 64).astype(np.uint8)
    with pytest.raises(InputError, match=r"brightest value is 100, and from 127\.5 up"):
        read_hole(Image.fromarray(shades), shades.shape)


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_fractions_are_cut_half_way(white: float, tmp_path: Path) -> None:
    values = (np.linspace(0, 1, 64 * 48).reshape(48, 64) * white).astype(np.float32)
    expected = values >= white / 2
    for mask in (values, Image.fromarray(values)):
        assert (read_hole(mask, values.shape) != expected).sum() <= 1
    Image.fromarray(values).save(tmp_path / "mask.tif")
    assert (read_hole(tmp_path / "mask.tif", values.shape) != expected).sum() <= 1


@pytest.mark.parametrize(
    "shape", [(48, 64, 1), (1, 48, 64), (48, 64, 3), (3, 48, 64), (1, 48, 64, 1)]
)
def test_an_array_may_have_further_axes_that_say_nothing(shape: tuple[int, ...]) -> None:
    plane = STROKES if shape[-1] == 64 else STROKES[..., None]
    mask = np.broadcast_to(plane, shape).astype(np.uint8)
    assert np.array_equal(read_hole(mask, STROKES.shape), STROKES)


def test_an_array_of_colours_is_read_as_a_picture() -> None:
    assert np.array_equal(read_hole(np.array(layer(STROKES, (255, 0, 0))), STROKES.shape), STROKES)


# --- masks that lie otherwise than the photo --------------------------------------------------


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_drawn_on_the_photo_as_it_is_stored_is_turned_with_it(
    orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise(48, 64)).save(tmp_path / "photo.jpg", exif=exif)
    expected = turned(STROKES, orientation)
    write_mask(STROKES, tmp_path / "mask.png")
    for mask in (tmp_path / "mask.png", STROKES):
        photo, hole = read_damaged(tmp_path / "photo.jpg", mask)
        assert photo.shape == (64, 48)
        assert np.array_equal(hole, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_with_an_orientation_of_its_own_is_turned_by_it(
    orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = stored(STROKES.astype(np.uint8) * np.uint8(255), orientation)
    Image.fromarray(np.ascontiguousarray(lying)).save(tmp_path / "mask.png", exif=exif)
    assert np.array_equal(read_hole(tmp_path / "mask.png", STROKES.shape), STROKES)


def test_an_orientation_that_was_copied_to_an_upright_mask_is_not_heeded(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.fromarray(STROKES.astype(np.uint8) * np.uint8(255))
    upright.save(tmp_path / "mask.png", exif=exif)
    assert np.array_equal(read_hole(tmp_path / "mask.png", STROKES.shape), STROKES)


# --- files of masks ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_a_file_of_numpys_is_read_as_the_array_that_it_holds(dtype: type, tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", STROKES.astype(dtype))
    assert np.array_equal(read_hole(tmp_path / "mask.npy", STROKES.shape), STROKES)


@pytest.mark.parametrize(
    "data", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': 3}    ", b"x"]
)
def test_a_damaged_file_of_numpys_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "mask.npy").write_bytes(data)
    with pytest.raises(InputError, match=r"mask '.*mask.npy' is damaged"):
        read_hole(tmp_path / "mask.npy", STROKES.shape)


def test_nothing_is_unpickled_and_no_memory_is_taken_for_what_is_not_there(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"evil": 1}], object))
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000)}"
    header += b" " * (117 - len(header)) + b"\n"
    (tmp_path / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + header)
    for name in ("objects.npy", "huge.npy"):
        with pytest.raises(InputError, match="no array of numbers, or not all of it"):
            read_hole(tmp_path / name, STROKES.shape)


def test_a_mask_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    hole = np.kron(STROKES, np.ones((8, 8), bool))
    Image.fromarray(hole.astype(np.uint8) * np.uint8(255)).save(tmp_path / "mask.jpg")
    whole = (tmp_path / "mask.jpg").read_bytes()
    (tmp_path / "mask.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut short"):  # what is missing of it would be grey
        read_hole(tmp_path / "mask.jpg", hole.shape)


def test_a_mask_of_several_pictures_is_read_with_a_word(tmp_path: Path) -> None:
    first, second = (Image.fromarray(h.astype(np.uint8) * 255) for h in (STROKES, ~STROKES))
    first.save(tmp_path / "mask.tif", save_all=True, append_images=[second])
    with pytest.warns(MaskWarning, match="the mask: it has 2 pages: only the first is taken$"):
        assert np.array_equal(read_hole(tmp_path / "mask.tif", STROKES.shape), STROKES)
