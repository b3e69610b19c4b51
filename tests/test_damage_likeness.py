"""Damage that looks like the other damage of a photo, and ground that looks like the ground."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aleph.damage.likeness import weighed_by_likeness
from helpers import noise

PAPER, GROUND = (235, 228, 205), (120, 118, 110)


def print_with_patches(
    side: int = 160, doubtful: int = 70, rough: bool = True
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Ground with two patches of bare paper: one is found for sure, the other is doubtful."""
    image = np.full((side, side, 3), GROUND, np.uint8)
    found = np.full((side, side), 5, np.uint8)
    for top, probability in ((side // 8, 250), (side * 5 // 8, doubtful)):
        patch = np.s_[top : top + side // 4, side // 4 : side // 2]
        image[patch], found[patch] = PAPER, probability
    return image + noise(side, side) // 32 * rough, found


@pytest.mark.parametrize("side", [160, 1600])
def test_a_doubtful_patch_of_the_same_paper_is_found(side: int) -> None:
    image, found = print_with_patches(side)
    before = image.copy(), found.copy()
    weighed = weighed_by_likeness(image, found)
    rim = side // 40  # where its colour is mixed with the ground's
    other = np.s_[side * 5 // 8 + rim : side * 7 // 8 - rim, side // 4 + rim : side // 2 - rim]
    assert weighed.dtype == np.uint8
    assert (weighed[other] >= 128).all()
    assert (weighed[: side // 10] == 5).all()
    assert np.array_equal(image, before[0])
    assert np.array_equal(found, before[1])


def test_a_patch_in_doubt_is_weighed_by_bayes() -> None:
    """Odds 51 : 204, e⁴ times as high: 54.598 / 4 is 13.65, and 13.65 / 14.65 of 255 is 237.6."""
    image, found = print_with_patches(doubtful=51, rough=False)
    weighed = weighed_by_likeness(image, found)
    assert set(weighed[106:134, 46:74].flat) == {238}


def test_the_soft_rim_of_a_patch_is_found_with_it() -> None:
    image, found = print_with_patches(rough=False)
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), 2))
    weighed = weighed_by_likeness(image, found)
    around = np.s_[97:143, 37:83]
    assert (weighed[around] > found[around]).all()
    assert (weighed[90:92] == 5).all()


def test_ground_that_is_like_the_rest_of_the_ground_is_left_alone() -> None:
    image, found = print_with_patches()
    found[20:60, 110:150] = 160
    weighed = weighed_by_likeness(image, found)
    assert (weighed[23:57, 113:147] < 100).all()


def test_a_thin_crack_of_the_ground_s_own_colour_stays_found() -> None:
    image, found = print_with_patches()
    found[:, 100:103] = 160
    weighed = weighed_by_likeness(image, found)
    assert (weighed[:, 101] >= 160).all()


def test_patches_of_unlike_colour_stay_in_doubt() -> None:
    image, found = print_with_patches()
    image[100:140, 40:80] = (40, 60, 160)
    weighed = weighed_by_likeness(image, found)
    assert (weighed[106:134, 46:74] <= 70).all()


def test_a_small_patch_says_nothing() -> None:
    """One that is sure and covers a half per cent of the photo may be a mistake."""
    image, found = print_with_patches()
    found[20:60, 40:80] = 70
    found[20:32, 40:52] = 250
    assert np.array_equal(weighed_by_likeness(image, found), found)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 229), st.integers(0, 2**32 - 1))
def test_where_nothing_is_sure_nothing_changes(
    height: int, width: int, most: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    found = rng.integers(0, most + 1, (height, width)).astype(np.uint8)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    assert np.array_equal(weighed_by_likeness(image, found), found)


@pytest.mark.parametrize("probability", [0, 255])
def test_a_photo_that_is_all_damage_or_none_stays_so(probability: int) -> None:
    found = np.full((64, 64), probability, np.uint8)
    assert np.array_equal(weighed_by_likeness(noise(64, 64), found), found)
