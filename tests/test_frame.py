from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleph.errors import InputError
from aleph.frames.frame import Frame, frame_at, frame_whole
from aleph.frames.placement import Placement
from helpers import noise, some_hole

HEIGHT, WIDTH = 180, 240


def smooth(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A picture without edges, uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width] + 0.5
    channels = [127 + 90 * np.sin(x / 37), 127 + 90 * np.cos(y / 31), (x + y) / 2]
    return np.clip(np.stack(channels, axis=2), 0, 255).astype(np.uint8)


def no_hole(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.zeros((height, width), bool)


def returned(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """What a frame's own pixels give back in its region, and how far they are seen there."""
    back = frame.back(frame.pixels.astype(np.float32), frame.region)
    return back, frame.back(frame.alpha, frame.region)


@settings(max_examples=30, deadline=None)
@given(
    x=st.floats(70, 170),
    y=st.floats(60, 120),
    side=st.floats(12, 110),
    angle=st.floats(-180, 180),
)
def test_a_smooth_picture_survives_the_way_into_a_frame_and_back(
    x: float, y: float, side: float, angle: float
) -> None:
    image = smooth()
    frame = frame_at(image, no_hole(), Placement(x, y, side, angle), 32)
    back, alpha = returned(frame)
    seen = alpha > 0.5
    difference = np.abs(back - image[frame.region])[seen]
    assert seen.any()
    assert difference.mean() < 2.0
    assert difference.max() < 12.0


def test_a_frame_over_whole_pixels_holds_those_pixels() -> None:
    image = noise(40, 50)
    frame = frame_at(image, no_hole(40, 50), Placement.from_box(7, 3, 39, 35), 32)
    assert np.array_equal(frame.pixels, image[3:35, 7:39])
    back = frame.back(frame.pixels.astype(np.float32), frame.region)
    rows, columns = frame.region
    assert (rows.start, columns.start) <= (3, 7)
    inner = back[3 - rows.start : 35 - rows.start, 7 - columns.start : 39 - columns.start]
    np.testing.assert_allclose(inner, image[3:35, 7:39], atol=1e-3)


@pytest.mark.parametrize("side", [64, 100, 333])
def test_a_shrunk_pixel_is_the_mean_of_the_known_pixels_that_it_covers(side: int) -> None:
    image, hole = smooth(360, 360) // 2 + noise(360, 360) // 16, no_hole(360, 360)
    hole[np.random.default_rng(0).random(hole.shape) < 0.4] = True
    image[hole] = 255  # must not count
    frame = frame_at(image, hole, Placement(180, 180, side), 16)
    y, x = np.mgrid[:360, :360] + 0.5
    unit = side / 16
    for row, column in ((0, 0), (3, 12), (8, 7), (15, 15)):
        left, top = 180 - side / 2 + column * unit, 180 - side / 2 + row * unit
        inside = (x > left) & (x < left + unit) & (y > top) & (y < top + unit)
        mean = image[inside & ~hole].mean(axis=0)
        assert np.abs(frame.pixels[row, column] - mean).max() < 4
    assert not frame.hole.any()


def test_fine_stripes_do_not_alias_when_they_are_shrunk() -> None:
    image = np.zeros((300, 300, 3), np.uint8)
    image[:, ::2] = 200
    for angle in (0.0, 17.0, 90.0):
        frame = frame_at(image, no_hole(300, 300), Placement(150, 150, 190, angle), 16)
        assert np.abs(frame.pixels.astype(int) - 100).max() < 12


def test_what_the_hole_holds_is_not_looked_at() -> None:
    image, hole = noise(90, 90), some_hole(90, 90)
    other = np.where(hole[:, :, None], np.uint8(255), image)
    for placement in (Placement(40, 40, 30, 20), Placement(50, 40, 70, -33), Placement(45, 45, 8)):
        first, second = (frame_at(picture, hole, placement, 16) for picture in (image, other))
        assert np.array_equal(first.pixels, second.pixels)
        assert np.array_equal(first.hole, second.hole)


def test_what_lies_beyond_the_border_is_missing_but_no_hole_to_be_filled() -> None:
    hole = no_hole()
    hole[100:130, 10:40] = True
    frame = frame_at(smooth(), hole, Placement(0, 90, 80), 16)
    assert frame.hole[:, :8].all()
    assert frame.beyond[:, :8].all()
    assert not frame.beyond[:, 8:].any()
    assert not frame.near[:, :8].any()
    assert frame.near.any()
    assert (frame.hole | ~frame.near).all()
    assert (frame.alpha[4:12, 8] == 1).all()  # the picture ends there: nothing to fade into


def test_a_frame_that_the_hole_does_not_touch_says_so() -> None:
    hole = no_hole()
    hole[5:9, 5:9] = True
    assert not frame_at(smooth(), hole, Placement(180, 120, 60), 16).touched
    assert frame_at(smooth(), hole, Placement(20, 20, 40), 16).touched
    # The corner of its bounding rectangle is not in a turned frame.
    assert not frame_at(smooth(), hole, Placement(30, 30, 45, 45), 16).touched


def test_a_scratch_too_fine_for_the_frame_is_near_but_known() -> None:
    hole = no_hole()
    hole[90, :] = True
    frame = frame_at(smooth(), hole, Placement(120, 90, 160), 16)
    assert not frame.hole.any()
    assert frame.near.any()
    assert not frame.near.all()


def test_alpha_is_one_inside_and_nothing_at_the_edges() -> None:
    frame = frame_at(smooth(), no_hole(), Placement(120, 90, 90, 30), 64)
    assert (frame.alpha[8:-8, 8:-8] == 1).all()
    assert frame.alpha[[0, -1]].max() == 0
    assert frame.alpha[:, [0, -1]].max() == 0


def test_the_whole_of_a_square_picture_never_fades() -> None:
    image, hole = noise(50, 50), some_hole(50, 50)
    frame = frame_at(image, hole, Placement(25, 25, 50), 16)
    assert frame.whole
    assert (frame.alpha == 1).all()
    same = frame_whole(image, hole, 16)
    assert np.array_equal(frame.pixels, same.pixels)
    assert np.array_equal(frame.near, same.near)


def test_any_region_is_part_of_the_whole() -> None:
    generated = noise(16, 16).astype(np.float32)
    for placement in (Placement(90, 70, 130, 15), Placement(120, 90, 9, -50)):
        frame = frame_at(smooth(), no_hole(), placement, 16)
        everything = frame.back(generated)
        assert everything.shape == (HEIGHT, WIDTH, 3)
        part = frame.back(generated, (slice(60, 100), slice(80, 130)))
        # Where the frame is, that is; beyond it each goes on with its own nearest pixel.
        alpha = frame.back(frame.alpha, (slice(60, 100), slice(80, 130))) > 0.1
        difference = np.abs(part - everything[60:100, 80:130])[alpha]
        assert difference.size == 0 or difference.max() < 6.0


def test_a_frame_of_which_nothing_is_known_is_refused() -> None:
    hole = ~no_hole()
    hole[:, :20] = False
    with pytest.raises(InputError, match="too little of the image is known"):
        frame_at(smooth(), hole, Placement(180, 90, 60), 16)
    with pytest.raises(InputError, match="too little of the image is known"):
        frame_at(smooth(), no_hole(), Placement(-400, 90, 60), 16)


def test_only_a_square_picture_can_be_the_whole_frame() -> None:
    with pytest.raises(InputError, match="240×180 pixels, and only a square"):
        frame_whole(smooth(), no_hole(), 16)
