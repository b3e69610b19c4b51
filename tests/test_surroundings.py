from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from aleph.arrays import Floats, Hole, Pixels
from aleph.blending import surroundings
from aleph.blending.compose import Outside, compose, filled_shares
from aleph.blending.refine import DETAIL, Refine, with_detail
from aleph.blending.surroundings import Around, fill_surroundings
from aleph.blending.texture import DetailSource, continue_texture, texture_available
from aleph.frames.frame import frame_at
from aleph.frames.placement import Placement
from aleph.models.zoo import load_surroundings_model
from helpers import noise

needs_texture = pytest.mark.skipif(not texture_available(), reason="PyPatchMatch is not there")


def nothing(hole: Hole) -> Around:
    return Around(np.zeros_like(hole), np.zeros_like(hole))


def filled(
    pixels: Pixels,
    hole: Hole,
    around: Around | None = None,
    seed: int = 0,
    refine: Refine | None = None,
) -> Pixels:
    fill = np.array(pixels)
    fill_surroundings(fill, hole, around or nothing(hole), seed=seed, refine=refine)
    return fill


def red(image: Pixels, hole: Hole, guess: Floats, kappa: float) -> Floats:
    """A refiner that fills everything with red."""
    assert image.shape == guess.shape == (*hole.shape, 3)
    assert 0 < kappa < 1
    return np.where(hole[:, :, None], np.float32([200, 40, 40]), image).astype(np.float32)


def stripes(height: int, width: int, period: int = 8) -> Pixels:
    row = np.where(np.arange(width) // (period // 2) % 2, 220, 40).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def disc(height: int, width: int, radius: int) -> Hole:
    y, x = np.mgrid[:height, :width]
    return np.hypot(y - height / 2, x - width / 2) < radius


@needs_texture
@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    box=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    grey=st.booleans(),
)
def test_known_pixels_stay_whatever_the_hole_and_the_size(
    height: int, width: int, box: tuple[float, float, float, float], grey: bool
) -> None:
    image, hole = noise(height, width), np.zeros((height, width), bool)
    if grey:
        image[:] = image[:, :, :1]
    (top, bottom), (left, right) = sorted(box[:2]), sorted(box[2:])
    hole[int(top * height) : int(bottom * height) + 1, int(left * width) : int(right * width)] = (
        True
    )
    if hole.all():
        return
    fill = filled(image, hole)
    assert np.array_equal(fill[~hole], image[~hole])
    if grey:
        assert np.abs(fill.astype(int) - fill[:, :, :1]).max() <= 1


@needs_texture
def test_a_hole_that_touches_every_border_is_filled() -> None:
    image = stripes(80, 90)
    hole = np.ones((80, 90), bool)
    hole[30:60, 20:70] = False
    fill = filled(np.where(hole[:, :, None], np.uint8(255), image), hole)
    assert np.array_equal(fill[~hole], image[~hole])
    assert fill[hole].std() > 30


@needs_texture
def test_a_pattern_goes_on_through_a_wide_hole() -> None:
    image, hole = stripes(160, 160), disc(160, 160, 30)
    error = np.abs(filled(image, hole).astype(int) - image)[hole]
    (smooth,) = compose(image, hole, [], [[]], outside=Outside(texture=False))
    assert error.mean() < 0.5 * np.abs(smooth.astype(int) - image)[hole].mean()


@needs_texture
def test_what_the_hole_holds_has_no_influence() -> None:
    image, hole = np.ascontiguousarray(data.coffee()[:200, :200]), disc(200, 200, 25)
    fills = [filled(np.where(hole[:, :, None], np.uint8(v), image), hole)[hole] for v in (0, 255)]
    assert np.array_equal(*fills)


@needs_texture
def test_the_same_seed_gives_the_same_fill_and_another_seed_another() -> None:
    image, hole = np.ascontiguousarray(data.coffee()[:200, :200]), disc(200, 200, 25)
    first, again, other = (filled(image, hole, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@needs_texture
def test_what_is_barred_is_not_copied_and_what_is_unseen_not_continued() -> None:
    image, hole = np.full((120, 160, 3), 90, np.uint8), np.zeros((120, 160), bool)
    hole[40:80, 60:100] = True
    face = np.zeros_like(hole)
    face[45:75, 10:50] = True
    image[face] = noise(120, 160)[face]
    fill = filled(image, hole, Around(np.zeros_like(hole), face))
    assert np.abs(fill[hole].astype(int) - 90).max() <= 2
    clear = np.zeros_like(hole)
    clear[:, 80:] = True
    for under in (0, 255):
        seen = np.where(clear[:, :, None], np.uint8(under), image)
        fill = filled(seen, hole & ~clear, Around(clear, face))
        assert np.abs(fill[hole & ~clear].astype(int) - 90).max() <= 2


@needs_texture
def test_where_nothing_can_be_copied_the_fill_is_smooth() -> None:
    image, hole = np.full((60, 60, 3), 70, np.uint8), disc(60, 60, 15)
    fill = filled(image, hole, Around(np.zeros_like(hole), ~hole))
    assert np.abs(fill.astype(int) - 70).max() <= 2
    assert np.array_equal(continue_texture(image, hole, ~hole), image)


@needs_texture
@pytest.mark.parametrize("height", [2, 9, 20, 26, 40, 47, 63, 200])
@pytest.mark.parametrize("known", ["a part at the right", "one row"])
def test_a_flat_picture_of_any_size_stays_flat_and_nothing_of_the_hole_shows(
    height: int, known: str
) -> None:
    hole = np.ones((height, 150), bool)
    hole[:, 37:] = known == "one row"
    hole[-1] &= known != "one row"
    pixels = np.full((height, 150, 3), 255, np.uint8)
    pixels[hole] = (255, 0, 255)
    fill = filled(pixels, hole)
    assert np.abs(fill.astype(int) - 255).max() <= 2


@needs_texture
def test_a_large_hole_is_filled_by_way_of_a_reduced_size(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.repeat(data.grass()[:300, :300, None], 3, axis=2)
    hole = disc(300, 300, 60)
    monkeypatch.setattr(surroundings, "_REACH", 24)
    fill = filled(image, hole)
    assert np.array_equal(fill[~hole], image[~hole])
    inside = disc(300, 300, 50)
    sharp = [np.diff(p.astype(float), axis=1)[inside[:, 1:]].std() for p in (fill, image)]
    assert 0.5 < sharp[0] / sharp[1] < 1.3


def test_detail_is_taken_from_where_it_looks_alike() -> None:
    rng = np.random.default_rng(0)
    low = np.zeros((64, 128, 3), np.float32)
    low[:, 64:] = 200
    fine = np.where(low > 0, 9.0, 1.0).astype(np.float32)
    source = DetailSource(low, fine, np.ones((64, 128), bool), rng)
    hole = np.ones((32, 32), bool)
    for level, wanted in ((0, 1.0), (200, 9.0)):
        found = source(np.full((32, 32, 3), level, np.float32), hole)
        assert np.allclose(found[8:-8, 8:-8], wanted, atol=0.01)


@needs_texture
def test_the_fill_can_be_ended_between_its_pieces_and_says_how_far_it_is() -> None:
    image, hole = np.full((90, 400, 3), 90, np.uint8), np.zeros((90, 400), bool)
    hole[30:60, 20:50] = hole[30:60, 340:370] = True
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) > 2:
            raise KeyboardInterrupt

    fill_surroundings(np.array(image), hole, nothing(hole), on_piece=tell)
    assert told == [(900, 1800), (1800, 1800)]
    with pytest.raises(KeyboardInterrupt):
        fill_surroundings(np.array(image), hole, nothing(hole), on_piece=tell)


@needs_texture
def test_what_frames_show_is_continued_but_the_face_in_it_is_not_copied() -> None:
    image, hole = np.full((200, 200, 3), 90, np.uint8), disc(200, 200, 80)
    hole[96:104, 96:104] = False  # the frame needs something to go by
    frame = frame_at(image, hole, Placement(100, 100, 90), 16)
    generated = np.full((16, 16, 3), 90, np.float32)
    generated[4:12, 4:12, 0] = np.tile([0, 255], (8, 4))
    (fill,) = compose(image, hole, [frame], [[generated]], grain=False)
    outside = hole & ~disc(200, 200, 70)
    assert np.abs(fill[outside].astype(int) - 90).max() <= 4
    shares = filled_shares(hole, [frame])
    assert shares.generated + shares.continued == pytest.approx(1)
    assert 0 < shares.guessed < shares.continued


def strengthened(image: Pixels, hole: Hole) -> Pixels:
    """What `red` fills a hole with, its finest detail made stronger as in the frames of a photo."""
    fill = with_detail(red(image, hole, image.astype(np.float32), 0.1), DETAIL, 1.0)
    return np.clip(np.rint(fill), image[~hole].min(axis=0), image[~hole].max(axis=0))


def test_thin_damage_is_filled_by_the_refiner_alone() -> None:
    image = stripes(60, 90)
    hole = np.zeros((60, 90), bool)
    hole[:, 40:48] = True
    fill = filled(image, hole, refine=red)
    assert np.array_equal(fill[hole], strengthened(image, hole)[hole])
    assert np.abs(fill[hole].astype(int) - [200, 40, 40]).mean() < 10
    assert np.array_equal(fill[~hole], image[~hole])


@needs_texture
def test_the_middle_of_a_wide_hole_is_texture_and_its_rim_is_the_refiners() -> None:
    image, hole = stripes(120, 120), disc(120, 120, 30)
    fill = filled(image, hole, refine=red).astype(float)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    redness = fill[:, :, 0] - fill[:, :, 1]
    assert redness[hole & (depth < 2)].mean() > redness[depth > 20].mean() + 30
    assert fill[depth > 20].std() > 40


@needs_texture
def test_a_thin_crack_that_ends_in_a_wide_hole_is_filled_as_well() -> None:
    image, hole = noise(120, 160), disc(120, 160, 25)
    hole[58:62, :] = True
    fill = filled(image, hole, refine=red)
    assert np.array_equal(fill[58:62, :40], strengthened(image, hole)[58:62, :40])
    assert (fill[hole] != image[hole]).any(axis=-1).mean() > 0.95
    assert np.array_equal(fill[~hole], image[~hole])


def test_what_is_refined_stays_within_the_tones_around_it() -> None:
    image, hole = np.full((40, 60, 3), 120, np.uint8), np.zeros((40, 60), bool)
    image[:, 30:] = 140
    hole[:, 28:32] = True
    fill = filled(image, hole, refine=red)
    assert (fill[hole] == [140, 120, 120]).all()


def test_the_refiner_is_told_what_lies_under_transparent_pixels_is_missing() -> None:
    image, hole = noise(40, 40), np.zeros((40, 40), bool)
    hole[:, 18:22] = True
    around = nothing(hole)
    around.unseen[:, 22:30] = True
    seen: list[Hole] = []

    def refine(image: Pixels, hole: Hole, guess: Floats, kappa: float) -> Floats:
        seen.append(hole.copy())
        return red(image, hole, guess, kappa)

    fill = filled(image, hole, around, refine=refine)
    assert all(mask[:, 18:30].all() for mask in seen)
    assert np.array_equal(fill[:, 22:], image[:, 22:])


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99))
def test_the_shipped_refiner_fills_photos_of_any_size(height: int, width: int, seed: int) -> None:
    image = noise(height, width)
    hole = np.random.default_rng(seed).random((height, width)) < 0.3
    if hole.all():
        return
    fill = filled(image, hole, refine=load_surroundings_model(device="cpu").refine)
    assert np.array_equal(fill[~hole], image[~hole])
