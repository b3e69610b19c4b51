from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleph.blending.compose import Outside, compose, filled_shares
from aleph.blending.grain import grain_share, make_grain, measure_grain
from aleph.frames.frame import Frame, frame_at
from aleph.frames.placement import Placement
from helpers import noise, some_hole
from test_frame import smooth

PLACES = {
    "none": [],
    "one": [Placement(60, 50, 50, 12)],
    "two that overlap": [Placement(50, 45, 50), Placement(80, 50, 44, -20)],
    "beyond the border": [Placement(5, 40, 60, 30)],
    "smaller than the model's": [Placement(60, 50, 9)],
}


def framed(image: np.ndarray, hole: np.ndarray, places: list[Placement]) -> list[Frame]:
    return [frame_at(image, hole, place, 16) for place in places]


def plain(frames: list[Frame], shade: float) -> list[np.ndarray]:
    """What was generated: one grey."""
    return [np.full((16, 16, 3), shade, np.float32) for _ in frames]


@pytest.mark.parametrize("blending", ["paste", "poisson", "matern"])
@pytest.mark.parametrize("places", PLACES)
def test_known_pixels_come_back_bit_for_bit(places: str, blending: str) -> None:
    image, hole = noise(100, 130), some_hole(100, 130)
    frames = framed(image, hole, PLACES[places])
    before = image.copy()
    first, second = compose(image, hole, frames, [plain(frames, 9), plain(frames, 99)], blending)
    for fill in (first, second):
        assert fill.shape == image.shape
        assert np.array_equal(fill[~hole], image[~hole])
        assert not np.array_equal(fill[hole], image[hole])
    assert np.array_equal(image, before)
    if frames:
        assert not np.array_equal(first, second)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(2, 90),
    width=st.integers(2, 90),
    share=st.floats(0.02, 0.98),
    x=st.floats(-10, 100),
    y=st.floats(-10, 100),
    side=st.floats(2, 120),
    seed=st.integers(0, 9),
)
def test_any_hole_of_any_size_is_filled_and_nothing_else(
    height: int, width: int, share: float, x: float, y: float, side: float, seed: int
) -> None:
    image = noise(height, width, seed)
    hole = np.random.default_rng(seed).random((height, width)) < share
    if not hole.any() or hole.all():
        return
    known = image[~hole]
    image[hole] = 255 - np.median(known, axis=0).astype(np.uint8)
    try:
        frames = framed(image, hole, [Placement(x, y, side, 10 * seed)])
    except ValueError:
        frames = []
    (fill,) = compose(image, hole, frames, [plain(frames, 128)])
    assert np.array_equal(fill[~hole], known)


def test_what_the_hole_holds_has_no_influence() -> None:
    image, hole = noise(100, 130), some_hole(100, 130)
    other = np.where(hole[:, :, None], np.uint8(255), image)
    for places in PLACES.values():
        frames = framed(image, hole, places)
        fills = [compose(p, hole, frames, [plain(frames, 80)])[0] for p in (image, other)]
        assert np.array_equal(fills[0], fills[1])


def test_the_same_seed_gives_the_same_grain_and_another_seed_another() -> None:
    image, hole = noise(200, 200), np.zeros((200, 200), bool)
    hole[80:130, 80:130] = True
    frames = framed(image, hole, [Placement(100, 100, 120)])
    first, again, other = (
        compose(image, hole, frames, [plain(frames, 128)], seed=seed)[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_hole_shows_what_was_generated_inside_the_frame_and_not_outside() -> None:
    image = np.full((160, 200, 3), 60, np.uint8)
    hole = np.zeros((160, 200), bool)
    hole[30:130, 20:180] = True
    hole[75:85, 55:65] = False  # the frame needs something to go by
    frames = framed(image, hole, [Placement(60, 80, 64)])
    plainly = Outside(texture=False)
    (fill,) = compose(image, hole, frames, [plain(frames, 200)], "paste", outside=plainly)
    assert np.abs(fill[60:70, 50:70].astype(int) - 200).max() <= 1
    assert np.abs(fill[40:120, 110:170].astype(int) - 60).max() <= 1
    share = filled_shares(hole, frames).generated
    # Its rim is shared with the smooth fill.
    assert 0.7 * 64**2 < share * hole.sum() < 64**2


def test_nothing_shows_where_a_frame_ends() -> None:
    image = smooth(160, 200)
    hole = np.zeros((160, 200), bool)
    hole[40:120, 60:150] = True
    frames = framed(image, hole, [Placement(80, 80, 60, 20)])
    truth = [frame_at(image, hole & ~hole, frames[0].placement, 16).pixels.astype(np.float32)]
    for texture, most in ((False, 16), (True, 32)):
        outside = Outside(texture=texture)
        (fill,) = compose(image, hole, frames, [truth], grain=False, outside=outside)
        for axis in (0, 1):
            assert np.abs(np.diff(fill.astype(int), axis=axis)).max() < most


def test_the_texture_goes_on_up_to_where_a_frame_begins() -> None:
    """In the strip along its edge that a frame leaves, too, though a face may not be copied."""
    place = Placement(250, 300, 400)
    image, hole = grainy(560, 500, 25), np.zeros((560, 500), bool)
    hole[20:220, 180:320] = True  # across the middle of the frame's upper edge, at row 100
    frames = framed(image, hole, [place])
    outside = Outside(faces=[place])
    (fill,) = compose(image, hole, frames, [plain(frames, 128)], grain=False, outside=outside)
    above, strip = fill[60:95, 220:280], fill[101:108, 220:280]
    assert roughness(strip) > 0.6 * roughness(above) > 3
    assert roughness(fill[130:180, 220:280]) < 3  # there is what was generated


def test_each_pixel_belongs_mainly_to_the_nearer_frame() -> None:
    image = np.full((100, 200, 3), 128, np.uint8)
    hole = np.zeros((100, 200), bool)
    hole[20:80, 20:180] = True
    frames = framed(image, hole, [Placement(70, 50, 100), Placement(130, 50, 100)])
    dark, light = (np.full((16, 16, 3), shade, np.float32) for shade in (0, 255))
    (fill,) = compose(image, hole, frames, [[dark, light]], "paste")
    assert fill[50, 60].max() < 20
    assert fill[50, 140].min() > 235
    assert abs(int(fill[50, 100, 0]) - 128) < 20


def test_a_scratch_outside_any_frame_is_mended_as_sharply_as_its_surroundings() -> None:
    image = smooth(300, 300)
    image[:, 150:] = image[:, 150:] // 3  # an edge that crosses the scratch
    hole = np.zeros((300, 300), bool)
    hole[100:103, 20:280] = True
    (fill,) = compose(image, hole, [], [[]], grain=False)
    error = np.abs(fill.astype(int) - image)[hole]
    assert error.mean() < 2
    assert (np.abs(fill[101, 140:148].astype(int) - image[101, 140:148]) < 8).all()


def test_a_wide_hole_outside_any_frame_beats_the_mean_colour() -> None:
    image = smooth(300, 300)
    hole = np.zeros((300, 300), bool)
    hole[100:180, 90:200] = True
    (fill,) = compose(image, hole, [], [[]], grain=False)
    truth = image[hole].astype(float)
    plain_error = ((truth - image[~hole].mean(axis=0)) ** 2).mean()
    assert ((truth - fill[hole]) ** 2).mean() < plain_error / 20


def test_holes_far_apart_are_filled_as_if_each_were_alone() -> None:
    image = smooth(1500, 1500)
    hole = np.zeros((1500, 1500), bool)
    hole[40:52, 30:90] = True
    hole[1400:1410, 1300:1420] = True
    (both,) = compose(image, hole, [], [[]], grain=False)
    one = hole.copy()
    one[700:] = False
    (alone,) = compose(image, one, [], [[]], grain=False)
    assert np.array_equal(both[one], alone[one])
    assert np.abs(both.astype(int) - image)[hole].mean() < 2


def test_no_seam_shows_between_the_pieces_of_a_large_hole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = smooth(180, 300)
    hole = np.zeros((180, 300), bool)
    hole[70:100, 10:290] = True
    frames = framed(image, hole, [Placement(150, 90, 130, 8)])
    plainly = Outside(texture=False)
    (at_once,) = compose(image, hole, frames, [plain(frames, 90)], grain=False, outside=plainly)
    monkeypatch.setattr("aleph.blending.compose._AT_ONCE", 1 << 13)
    monkeypatch.setattr("aleph.blending.compose._TILE", 96)
    (in_pieces,) = compose(image, hole, frames, [plain(frames, 90)], grain=False, outside=plainly)
    difference = in_pieces.astype(int) - at_once
    assert difference.any()
    for axis in (0, 1):
        assert np.abs(np.diff(difference, axis=axis)).max() <= 3


def test_memory_grows_with_the_hole_and_not_with_the_photo() -> None:
    image = np.zeros((3000, 5000, 3), np.uint8)
    hole = np.zeros((3000, 5000), bool)
    hole[150:250, 150:250] = True
    hole[2700:2800, 4700:4800] = True
    frames = framed(image, hole, [Placement(200, 200, 200), Placement(4750, 2750, 200)])
    tracemalloc.start()
    try:
        compose(image, hole, frames, [plain(frames, 100)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < image.nbytes + 60e6  # the fill and what two small holes need; float64 has 360e6


def grainy(height: int, width: int, deviation: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (smooth(height, width) / 2 + 40 + rng.normal(0, deviation, (height, width, 3))).astype(
        np.uint8
    )


def roughness(picture: np.ndarray) -> float:
    """How much each pixel differs from its right neighbour, as a standard deviation."""
    return float(np.diff(picture.astype(float), axis=1).std())


def test_a_wide_fill_gets_the_grain_of_its_surroundings() -> None:
    image = grainy(240, 240, 6.0)
    hole = np.zeros((240, 240), bool)
    hole[80:160, 80:160] = True
    frames = framed(image, hole, [Placement(120, 120, 128)])
    generated = [[frame_at(image, hole & ~hole, frames[0].placement, 16).pixels.astype(np.float32)]]
    (rough,) = compose(image, hole, frames, generated)
    (bare,) = compose(image, hole, frames, generated, grain=False)
    inside = np.s_[90:150, 90:150]
    assert roughness(bare[inside]) < 0.4 * roughness(image[inside])
    assert 0.7 < roughness(rough[inside]) / roughness(image[inside]) < 1.3
    assert np.array_equal(rough[~hole], image[~hole])


def test_nothing_is_added_where_nothing_is_lost() -> None:
    hole = np.zeros((200, 200), bool)
    hole[80:120, 80:120] = True
    assert measure_grain(smooth(200, 200), hole, 4.0) == []
    assert measure_grain(grainy(200, 200, 6.0), hole, 1.0) == []
    assert measure_grain(np.full((200, 200, 3), 255, np.uint8), hole, 4.0) == []
    assert measure_grain(grainy(20, 20, 6.0), np.zeros((20, 20), bool), 4.0) == []


def test_grain_has_the_measured_strength_and_the_colours_go_together() -> None:
    grey = np.random.default_rng(0).normal(0, 5, (256, 256, 1))
    image = np.clip(128 + grey.repeat(3, axis=2), 0, 255).astype(np.uint8)
    spots = measure_grain(image, np.zeros((256, 256), bool), 8.0)
    grain = make_grain(spots, (200, 200), np.random.default_rng(1))
    assert 0.8 < grain.std() / 5 < 1.2
    assert np.corrcoef(grain[:, :, 0].ravel(), grain[:, :, 2].ravel())[0, 1] > 0.98


def test_edges_do_not_count_as_grain() -> None:
    image = grainy(256, 256, 2.0)
    image[:, 100:110] = 250
    image[::90] = 5
    hole = np.zeros((256, 256), bool)
    spots = measure_grain(image, hole, 4.0)
    deviation = np.sqrt(np.mean([np.square(spot).mean() for spot in spots]))
    assert deviation < 4


def test_the_flat_ground_of_a_cut_out_portrait_does_not_take_the_grain_away() -> None:
    image, hole = grainy(240, 240, 5.0), np.zeros((240, 240), bool)
    image[:, :140] = 203  # most of what is known, painted in one tone
    hole[90:150, 170:220] = True
    spots = measure_grain(image, hole, 2.0)
    assert spots
    assert min(float(spot.std()) for spot in spots) > 2
    in_the_ground = np.zeros((240, 240), bool)
    in_the_ground[90:150, 30:80] = True
    assert measure_grain(image, in_the_ground, 2.0) == []


def test_a_picture_that_shows_strands_everywhere_has_no_grain() -> None:
    """Spot noise of strands looks like leather, so nothing is better."""
    image, rng = np.full((128, 128, 3), 120, np.uint8), np.random.default_rng(0)
    for left in range(0, 128, 10):
        ends = (left + int(rng.integers(-8, 9)), 0), (left + int(rng.integers(-8, 9)), 127)
        cv2.line(image, *ends, (70, 60, 50), 1, cv2.LINE_AA)
    hole = np.zeros((128, 128), bool)
    hole[64:] = True
    assert measure_grain(image, hole, 2.0) == []
    grain = rng.normal(0, 5, image.shape)
    assert measure_grain(np.clip(image + grain, 0, 255).astype(np.uint8), hole, 2.0)


def test_grain_fades_in_with_the_distance_from_known_pixels() -> None:
    hole = np.zeros((60, 60), bool)
    hole[10:50, 10:50] = True
    share = grain_share(hole, 4.0)
    assert (share[~hole] == 0).all()
    assert 0 < share[30, 10] < 0.7 < share[30, 12]
    assert share[30, 30] > 0.99
