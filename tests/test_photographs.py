"""Whole photos through the pipeline: several faces, any size, what is told about them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aleph
from aleph.frames.detect import Finder
from aleph.frames.placement import Placement
from aleph.frames.select import MOST_UNEXPLAINED
from aleph.inpainter import Inpainter
from conftest import RunCli
from helpers import noise, some_hole, write_mask
from test_frame import smooth
from test_frame_selection import finder

LEFT, RIGHT = Placement(40, 45, 40, 15), Placement(95, 60, 50, -10)


def a_photo() -> tuple[np.ndarray, np.ndarray]:
    image, hole = smooth(110, 150), np.zeros((110, 150), bool)
    hole[40:52, 20:120] = True
    hole[95:100, 130:145] = True
    return image, hole


def with_finder(tiny: Inpainter, find: Finder) -> Inpainter:
    return Inpainter(tiny.model, find)


def test_a_photo_of_any_shape_is_filled_and_its_known_pixels_stay(tiny: Inpainter) -> None:
    image, hole = a_photo()
    for options in (
        {},
        {"frame": (20, 20, 90, 90)},
        {"eyes": [(30, 40, 50, 44), (80, 55, 110, 50)]},
    ):
        result = tiny(image, hole, steps=2, **options)  # type: ignore[arg-type]
        assert result.image.shape == image.shape
        assert np.array_equal(result.image[~hole], image[~hole])
        assert len(result.frames_used) == (2 if "eyes" in options else 1)


def test_frames_of_all_photos_are_searched_together(tiny: Inpainter) -> None:
    image, hole = a_photo()
    seen: list[aleph.SearchedFrame] = []
    rows: set[int] = set()
    inpainter = with_finder(tiny, lambda p, h: finder(LEFT, RIGHT)(p, h) if p.size > 20_000 else [])
    square, square_hole = noise(20, 20), some_hole(20, 20)
    # An untrained model explains nothing: whatever is found is given up, so nothing is asserted
    # of the fill here but that each photo comes back.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", aleph.FrameWarning)
        results = inpainter.batch(
            [image, square],
            [hole, square_hole],
            steps=1,
            on_frames=seen.extend,
            on_step=lambda step: rows.add(len(step.generated)),
        )
    assert [(f.image, f.placement) for f in seen[:2]] == [(0, LEFT), (0, RIGHT)]
    assert [f.image for f in seen] == [0, 0, 1]
    assert rows == {3}
    assert [r.image.shape for r in results] == [image.shape, square.shape]


def test_a_frame_that_the_model_cannot_explain_is_dropped_and_the_user_told(
    tiny: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, hole = a_photo()
    inpainter = with_finder(tiny, finder(LEFT, RIGHT))
    monkeypatch.setitem(MOST_UNEXPLAINED, "dcgan", 0.0)
    with pytest.warns(aleph.FrameWarning, match="--eyes x1,y1,x2,y2"):
        result = inpainter(image, hole, steps=1)
    report = result.report()
    assert [frame["dropped"] for frame in report["frames"]] == [True, True]
    assert report["regions"]["continued"] == 1.0
    assert len(report["warnings"]) == 1
    assert np.array_equal(result.image[~hole], image[~hole])
    assert np.abs(result.image.astype(int) - image)[hole].mean() < 10  # still a good fill
    monkeypatch.setitem(MOST_UNEXPLAINED, "dcgan", 1e9)
    kept = inpainter(image, hole, steps=1).report()
    assert [frame["dropped"] for frame in kept["frames"]] == [False, False]
    assert kept["regions"]["generated"] > 0.5
    assert kept["warnings"] == []


def test_without_any_frame_everything_still_works(tiny: Inpainter, tmp_path: Path) -> None:
    image, hole = a_photo()
    with pytest.warns(aleph.FrameWarning):
        result = with_finder(tiny, finder())(image, hole, candidates=3)
    assert len(result.candidates) == 1
    assert result.candidates[0].losses == {}
    assert result.frames == []
    result.save_all(tmp_path / "filled.png")
    result.figure(tmp_path / "figure.png")
    report = json.loads(json.dumps(result.report()))
    assert report["steps"] == 0
    assert report["frames"] == []


def test_the_report_says_where_each_frame_lay_and_what_it_filled(tiny: Inpainter) -> None:
    image, hole = a_photo()
    eyes = [tuple(place.eyes.ravel()) for place in (LEFT, RIGHT)]
    report = json.loads(json.dumps(tiny(image, hole, steps=3, eyes=eyes).report()))
    for place, frame in zip((LEFT, RIGHT), report["frames"], strict=True):
        assert frame["found_by"] == "eyes"
        np.testing.assert_allclose(frame["eyes"], place.eyes.ravel(), atol=0.01)
        np.testing.assert_allclose(frame["corners"], place.corners, atol=0.01)
        assert frame["side"] == pytest.approx(place.side, abs=0.01)
        assert frame["angle"] == pytest.approx(place.angle, abs=0.01)
        assert frame["losses"]["total"] > 0
        assert frame["unexplained"] > 0
    regions = report["regions"]
    assert regions["generated"] + regions["continued"] == pytest.approx(1)
    assert 0.5 < regions["generated"] < 1


def test_candidates_differ_in_every_frame(tiny: Inpainter) -> None:
    image, hole = a_photo()
    result = tiny(
        image, hole, steps=2, candidates=3, eyes=[tuple(p.eyes.ravel()) for p in (LEFT, RIGHT)]
    )
    assert len({c.image.tobytes() for c in result.candidates}) == 3
    for number in (0, 1):
        assert len({c.z[number].tobytes() for c in result.candidates}) == 3
    totals = [c.losses["total"] for c in result.candidates]
    assert totals == sorted(totals)


def test_a_large_photo_is_animated_around_its_frames(tiny: Inpainter, tmp_path: Path) -> None:
    image, hole = smooth(700, 1000), np.zeros((700, 1000), bool)
    hole[300:330, 200:300] = True
    place = Placement(250, 320, 120)
    result = tiny(image, hole, steps=3, eyes=[tuple(place.eyes.ravel())])
    assert result.image.shape == image.shape
    result.animate(tmp_path / "search.gif")
    with Image.open(tmp_path / "search.gif") as animation:
        width, height = animation.size
    assert max(width, height) <= 512
    shown = result.frames[-1].shape
    assert 120 <= shown[1] < 250
    assert shown[0] < 250


def test_grain_can_be_left_out(tiny: Inpainter) -> None:
    rng = np.random.default_rng(0)
    image = np.clip(smooth(200, 200) * 0.5 + rng.normal(60, 8, (200, 200, 3)), 0, 255)
    hole = np.zeros((200, 200), bool)
    hole[70:130, 70:130] = True
    with_grain, bare = (
        tiny(image.astype(np.uint8), hole, steps=1, grain=grain) for grain in (True, False)
    )
    assert np.diff(with_grain.image[80:120, 80:120].astype(int), axis=0).std() > (
        2 * np.diff(bare.image[80:120, 80:120].astype(int), axis=0).std()
    )
    assert with_grain.report()["grain"]
    assert not bare.report()["grain"]


def test_the_command_line_takes_eyes_and_boxes(
    call_cli: RunCli, tiny_folder: Path, tmp_path: Path
) -> None:
    image, hole = a_photo()
    Image.fromarray(image).save(tmp_path / "photo.png")
    write_mask(hole, tmp_path / "mask.png")
    usual = ("inpaint", "photo.png", "-m", "mask.png", "-o", "out.png", "--steps", "1", "--json")
    usual = (*usual, "--model", str(tiny_folder))
    first, second = (",".join(f"{v:.2f}" for v in p.eyes.ravel()) for p in (LEFT, RIGHT))
    outcome = call_cli(*usual, "--eyes", first, "--eyes", second, "--no-grain")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert [frame["found_by"] for frame in report["frames"]] == ["eyes", "eyes"]
    assert not report["grain"]
    outcome = call_cli(*usual, "--frame", "20,10,100,90")
    assert json.loads(outcome.out)["frames"][0]["side"] == 80
    with Image.open(tmp_path / "out.png") as written:
        assert np.array_equal(np.asarray(written)[~hole], image[~hole])


@pytest.mark.filterwarnings("default::aleph.FrameWarning")
def test_the_command_line_says_when_nothing_of_the_model_is_at_the_hole(
    call_cli: RunCli, tiny_folder: Path, tmp_path: Path
) -> None:
    image, hole = a_photo()
    Image.fromarray(image).save(tmp_path / "photo.png")
    write_mask(hole, tmp_path / "mask.png")
    outcome = call_cli(
        *("inpaint", "photo.png", "-m", "mask.png", "-o", "out.png", "-q"),
        *("--model", str(tiny_folder), "--eyes", "5,100,12,100"),
    )
    assert outcome.code == 0
    assert outcome.err.count("\n") == 1
    assert "no face was found at the hole" in outcome.err
    assert (tmp_path / "out.png").exists()


def test_a_fill_without_a_search_is_animated_too(tiny: Inpainter, tmp_path: Path) -> None:
    image, hole = a_photo()
    with pytest.warns(aleph.FrameWarning):
        result = with_finder(tiny, finder())(image, hole, frame="face")
    result.animate(tmp_path / "fill.gif")
    with Image.open(tmp_path / "fill.gif") as animation:
        assert animation.n_frames == 2
