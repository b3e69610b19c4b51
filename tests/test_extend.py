from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aleph.damage.auto import read_damaged_photo
from aleph.errors import InputError
from aleph.inpainter import Inpainter
from aleph.photo.extend import Extension, read_extension
from aleph.photo.photo import read_photo
from helpers import noise, some_hole


@given(
    left=st.integers(0, 40),
    top=st.integers(0, 30),
    right=st.integers(0, 40),
    down=st.integers(0, 30),
)
def test_pixels_and_shares_are_read(left: int, top: int, right: int, down: int) -> None:
    wanted = Extension(left, top, right, down)
    words = f"left={left}, top={top / 30:.6%},right={right},bottom={down}"
    given_as = {"left": left, "top": f"{top / 30:.6%}", "right": right, "bottom": float(down)}
    if wanted == Extension():
        with pytest.raises(InputError, match="says how far"):
            read_extension(words, (30, 40))
        return
    assert read_extension(words, (30, 40)) == wanted
    assert read_extension(given_as, (30, 40)) == wanted


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("up=20", "not one of them"),
        ("left=3,left=4", "not one of them"),
        ("left=-3", "is not from 0"),
        ("left=101%", "is not from 0"),
        ("left=nan", "is not from 0"),
        ("left", "is not from 0"),
        ("", "says how far"),
    ],
)
def test_what_is_no_extension_is_refused_in_a_sentence(wrong: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_extension(wrong, (30, 40))


def test_the_old_picture_stays_and_what_is_new_is_missing() -> None:
    image, hole = noise(30, 40), some_hole(30, 40)
    photo, found = read_damaged_photo(image, hole, extend="left=7,bottom=50%")
    assert photo.pixels.shape == (45, 47, 3)
    assert np.array_equal(photo.pixels[:30, 7:], image)
    assert np.array_equal(found[:30, 7:], hole)
    assert found.sum() == hole.sum() + 45 * 47 - 30 * 40
    for nothing in (None, np.zeros((30, 40), bool)):
        photo, found = read_damaged_photo(image, nothing, extend={"top": 5})
        assert found[:5].all()
        assert not found[5:].any()


def test_without_mask_and_extension_nothing_is_missing() -> None:
    with pytest.raises(InputError, match="nothing says what is missing"):
        read_damaged_photo(noise(30, 40), None)


def test_depth_alpha_and_what_the_file_says_survive(tiny: Inpainter, tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65535, (40, 50, 4)).astype(np.uint16)
    deep[:, :, 3] = 65535
    deep[:9, :9, 3] = 0
    cv2.imwrite(str(tmp_path / "deep.png"), deep[:, :, [2, 1, 0, 3]])
    result = tiny(tmp_path / "deep.png", extend="right=10,top=8")
    result.save(tmp_path / "out.png")
    back = read_photo(tmp_path / "out.png").samples
    assert back.shape == (48, 60, 4)
    assert back.dtype == np.uint16
    assert np.array_equal(back[8:, :50], deep)
    assert (back[:8, :, 3] == 65535).all()
    exif = Image.Exif()
    exif[0x010E] = "a portrait"
    Image.fromarray(noise(40, 50)).save(tmp_path / "one.jpg", exif=exif, dpi=(300, 300))
    tiny(tmp_path / "one.jpg", extend="left=10%").save(tmp_path / "two.jpg")
    with Image.open(tmp_path / "two.jpg") as wider:
        assert wider.size == (55, 40)
        assert wider.getexif()[0x010E] == "a portrait"
        assert wider.info["dpi"] == (300, 300)


def test_eyes_are_given_in_the_old_picture(tiny: Inpainter) -> None:
    image, hole = noise(60, 60), np.zeros((60, 60), bool)
    hole[25:35, 25:35] = True
    placed = [
        tiny(image, hole, eyes=[(22, 25, 38, 25)], **options).frames_used[0].frame.placement
        for options in ({}, {"extend": "left=12,top=5"})
    ]
    assert placed[1].x - placed[0].x == pytest.approx(12)
    assert placed[1].y - placed[0].y == pytest.approx(5)
