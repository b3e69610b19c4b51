from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from aleph import pictures
from aleph.arrays import Hole, Pixels
from aleph.inpainter import Inpainter
from aleph.photo.photo import Photo
from aleph.photo.tone import ToneCurve, luminance, measure_tone_curve
from aleph.search.tone import NaturalTones, tone_map

SEPIA = np.array([1.0, 0.87, 0.68])


def face(side: int = 128) -> Pixels:
    return cv2.resize(pictures.face(), (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)


def in_tones(image: Pixels, tones: np.ndarray) -> Pixels:
    return np.rint(luminance(image)[:, :, None] * tones).clip(0, 255).astype(np.uint8)


def faded(image: Pixels) -> Pixels:
    return np.rint(image * 0.5 + (70, 64, 55)).astype(np.uint8)


def through_jpeg(image: Pixels) -> Pixels:
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, 1), np.uint8)[:, :, ::-1])


def middle(side: int = 128) -> Hole:
    hole = np.zeros((side, side), bool)
    hole[side // 4 : -side // 4, side // 4 : -side // 4] = True
    return hole


def test_a_photo_in_colour_has_no_tone_curve_faded_or_not() -> None:
    for image in (face(), faded(face()), face(512), face(64)):
        assert measure_tone_curve(image, middle(len(image))) is None


@pytest.mark.parametrize("side", [24, 64, 128, 700])
def test_grey_is_measured_as_grey_whatever_the_hole_holds(side: int) -> None:
    grey, hole = in_tones(face(side), np.ones(3)), middle(side)
    grey[hole] = (255, 0, 0)
    curve = measure_tone_curve(grey, hole)
    assert curve is not None
    assert curve.grey
    toned = curve.toned(face(side))
    assert (toned == toned[:, :, :1]).all()


def test_a_jpeg_of_grey_pixels_and_pen_marks_on_it_are_still_grey() -> None:
    rng = np.random.default_rng(0)
    grey = in_tones(face(), np.ones(3)).astype(float)
    grey += rng.normal(0, 3, (128, 128, 1)) + rng.normal(0, 1.5, grey.shape)
    marked = np.rint(grey).clip(0, 255).astype(np.uint8)
    marked[20:22, 5:60] = (20, 40, 200)
    curve = measure_tone_curve(through_jpeg(marked), middle())
    assert curve is not None
    assert curve.grey


@pytest.mark.parametrize("tones", [SEPIA, np.array([0.8, 0.95, 1.1])])
def test_a_duotone_comes_back_on_its_own_curve(tones: np.ndarray) -> None:
    image = through_jpeg(in_tones(face(), tones))
    curve = measure_tone_curve(image, middle())
    assert curve is not None
    assert not curve.grey
    difference = np.abs(curve.toned(image).astype(int) - image)
    assert difference.mean() < 2
    assert np.abs(luminance(curve.toned(image)) - luminance(image)).mean() < 1


def test_nothing_known_says_nothing() -> None:
    assert measure_tone_curve(face(), np.ones((128, 128), bool)) is None


def natural() -> NaturalTones:
    chroma = np.tile(np.array([[20.0, -6.0, -21.5]], np.float32), (256, 1))
    ends = np.array([[10.0, 5, 5, 6], [230, 220, 210, 222]])
    return NaturalTones(ToneCurve(chroma), ends)


def as_tensor(image: Pixels) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


def test_ordinary_tones_need_no_map() -> None:
    def not_needed() -> NaturalTones:
        raise AssertionError

    assert tone_map([face()], [middle()], [None], not_needed) is None


def test_what_the_model_sees_of_aged_frames_and_back() -> None:
    grey = measure_tone_curve(in_tones(face(), np.ones(3)), middle())
    frames = [in_tones(face(), np.ones(3)), faded(face()), face()]
    tones = tone_map(frames, [middle()] * 3, [grey, None, None], natural)
    assert tones is not None
    target = torch.cat([as_tensor(frame) for frame in frames])
    seen = tones.seen(target)
    assert (seen[0, 0] - seen[0, 2]).mean() > 0.2  # in natural colours
    spread = seen[1].std() / target[1].std()
    assert 1.3 < spread < 2.5  # contrast given back
    assert torch.equal(seen[2], target[2])
    shown = tones.shown(seen.repeat_interleave(2, 0))
    assert shown.shape[0] == 6
    assert torch.equal(shown[4], target[2])
    assert (shown[0] - shown[0, :1]).abs().max() < 1e-6  # grey again
    inside = (seen.abs() < 0.999).all(dim=1, keepdim=True).expand_as(seen)
    for row in (0, 1):
        assert (shown[2 * row] - target[row])[inside[row]].abs().max() < 0.01


def test_gradients_go_through_the_photos_tones() -> None:
    image = in_tones(face(), SEPIA)
    tones = tone_map([image], [middle()], [measure_tone_curve(image, middle())], natural)
    assert tones is not None
    generated = as_tensor(face()).requires_grad_(True)
    (gradient,) = torch.autograd.grad(tones.shown(generated)[:, :1].sum(), generated)
    step = 0.01 * torch.sign(gradient)
    rise = (tones.shown(generated + step) - tones.shown(generated))[:, :1].mean()
    assert rise > 0.003


@pytest.mark.filterwarnings("ignore::aleph.FrameWarning")
@pytest.mark.parametrize("size", [(40, 40), (60, 90)])
def test_the_fill_of_a_monochrome_photo_is_monochrome(
    each_kind: Inpainter, size: tuple[int, int]
) -> None:
    height, width = size
    image = cv2.resize(pictures.face(), (width, height), interpolation=cv2.INTER_AREA)
    image = image.astype(np.uint8)
    hole = np.zeros(size, bool)
    hole[10:26, 12:30] = True
    for preset in ("fast", "yeh2017"):
        grey = in_tones(image, np.ones(3))
        result = each_kind(grey, hole, preset=preset, steps=2)
        assert (result.image == result.image[:, :, :1]).all()
        sepia = in_tones(image, SEPIA)
        filled = each_kind(sepia, hole, preset=preset, steps=2).image
        tones = SEPIA / float(luminance(SEPIA))
        off = filled[hole] - luminance(filled)[hole][:, None] * tones
        assert np.abs(off).mean() < 2.5
        assert np.array_equal(filled[~hole], sepia[~hole])


def test_a_monochrome_frame_on_a_coloured_page_keeps_its_tones(each_kind: Inpainter) -> None:
    page = np.zeros((120, 120, 3), np.uint8)
    page[:, :60], page[:, 60:] = (200, 120, 40), (40, 90, 200)
    page[::7] //= 2
    page[30:90, 30:90] = in_tones(face(60), np.ones(3))
    hole = np.zeros((120, 120), bool)
    hole[50:70, 50:75] = True
    result = each_kind(page, hole, frame=(30, 30, 90, 90), preset="fast", steps=0)
    assert (result.image[hole] == result.image[hole][:, :1]).all()


def test_a_profile_leaves_grey_samples_grey() -> None:
    from PIL import ImageCms

    from aleph.photo.metadata import Metadata

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    samples = in_tones(face(), np.ones(3))
    photo = Photo(samples, "RGB", Metadata(profile=profile))
    fill = in_tones(face(), np.ones(3))
    fill[::2] = np.minimum(fill[::2].astype(int) + np.array([0, 1, 0]), 255).astype(np.uint8)
    filled = photo.filled(fill, middle()).samples
    assert (filled == filled[:, :, :1]).all()
