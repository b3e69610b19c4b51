from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from aleph.errors import OutputError
from aleph.visual.animation import search_timing, write_animation
from helpers import files_below, noise

PICTURES = [np.full((20, 28, 3), shade, np.uint8) for shade in (0, 60, 120, 180, 240)]
TIMED = [(picture, 80) for picture in PICTURES]


@pytest.mark.parametrize("ending", [".gif", ".webp", ".GIF"])
def test_an_animation_reopens_with_all_its_pictures(ending: str, tmp_path: Path) -> None:
    write_animation(TIMED, tmp_path / f"a{ending}")
    with Image.open(tmp_path / f"a{ending}") as animation:
        assert animation.format == ending[1:].upper()
        assert animation.n_frames == 5
        assert animation.size == (280, 200)  # enlarged tenfold, pixels kept square
        for number, picture in enumerate(PICTURES):
            animation.seek(number)
            shown = np.asarray(animation.convert("RGB")).astype(int)
            assert np.abs(shown - int(picture[0, 0, 0])).max() <= 4


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_each_picture_stays_as_long_as_it_should(ending: str, tmp_path: Path) -> None:
    times = [900, 70, 70, 70, 1800]
    write_animation(list(zip(PICTURES, times, strict=True)), tmp_path / f"a{ending}")
    with Image.open(tmp_path / f"a{ending}") as animation:
        assert animation.info.get("loop") == 0
        for number, time in enumerate(times):
            animation.seek(number)
            animation.load()
            assert animation.info["duration"] == time


@pytest.mark.parametrize("shape", [(20, 28), (255, 301)])
def test_a_film_reopens_with_its_size_its_length_and_its_pictures(
    shape: tuple[int, int], tmp_path: Path
) -> None:
    pictures = [np.full((*shape, 3), shade, np.uint8) for shade in (30, 220)]
    write_animation([(pictures[0], 400), (pictures[1], 200)], tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    # 25 pictures a second: 400 ms are 10, 200 ms are 5. Odd sides lose a pixel.
    assert len(frames) == 15
    expected = (200, 280) if shape == (20, 28) else (254, 300)
    assert {frame.shape[:2] for frame in frames} == {expected}
    assert abs(frames[0].mean() - 30) < 6
    assert abs(frames[-1].mean() - 220) < 6


def test_large_pictures_keep_their_size(tmp_path: Path) -> None:
    write_animation([(noise(300, 270), 50), (noise(300, 270, 1), 50)], tmp_path / "a.webp")
    with Image.open(tmp_path / "a.webp") as animation:
        assert animation.size == (270, 300)


def test_the_animation_of_a_search_begins_damaged_and_ends_filled() -> None:
    damaged, *frames, final = PICTURES
    timed = search_timing(damaged, frames, final)
    assert len(timed) == 5
    assert np.array_equal(timed[0][0], damaged)
    assert np.array_equal(timed[-1][0], final)
    times = [time for _, time in timed]
    assert min(times[0], times[-1]) > max(times[1:-1])  # time to look at both ends


@pytest.mark.parametrize("name", ["a.png", "a.avi", "a", "no/a.gif"])
def test_what_cannot_be_written_is_refused_and_nothing_is_left(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_animation(TIMED, tmp_path / name)
    assert not files_below(tmp_path)


def test_a_failing_write_leaves_the_old_animation(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_text("old")
    with pytest.raises((OutputError, ValueError, TypeError)):
        write_animation([(PICTURES[0], 80), (np.zeros((20, 28)), 80)], tmp_path / "a.gif")  # type: ignore[list-item]
    assert (tmp_path / "a.gif").read_text() == "old"
    assert files_below(tmp_path) == {"a.gif"}
