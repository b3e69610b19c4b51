from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from aleph.errors import InputError
from aleph.frames.frame import frame_at
from aleph.frames.placement import Placement
from aleph.frames.request import FrameRequest, read_request
from aleph.frames.select import FrameCandidate, largest_square, select_frames, variance_unexplained
from helpers import KINDS, TINY, noise

HEIGHT, WIDTH = 60, 90


@dataclass(frozen=True)
class Seen:
    """What a detector might have found."""

    placement: Placement
    score: float


def a_hole() -> np.ndarray:
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[20:30, 60:70] = True
    return hole


def finder(*placements: Placement):  # noqa: ANN201 - a test's fake
    seen = [Seen(placement, 0.9 - 0.1 * number) for number, placement in enumerate(placements)]
    return lambda pixels, hole: seen


NEAR, FAR = Placement(62, 30, 30, 10), Placement(15, 30, 20)


def test_words_boxes_and_eyes_are_read_in_all_their_forms() -> None:
    assert read_request() == FrameRequest("auto")
    assert read_request("whole") == FrameRequest("whole")
    box = Placement(30, 40, 20)
    for given in (
        "20,30,40,50",
        (20, 30, 40, 50),
        [20.0, 30.0, 40.0, 50.0],
        np.array([20, 30, 40, 50]),
    ):
        assert read_request(given) == FrameRequest(box)
    eyes = Placement.from_eyes(10, 20, 30, 22)
    for given_eyes in (["10,20,30,22"], "10,20,30,22", [(10, 20, 30, 22)], (10, 20, 30, 22)):
        assert read_request(eyes=given_eyes) == FrameRequest("auto", (eyes,))
    assert len(read_request(eyes=["10,20,30,22", "1,2,9,2"]).eyes) == 2


@pytest.mark.parametrize("frame", ["wohle", "1,2,3", "a,b,c,d", (1, 2), 7, "5,5,5,9", "0,0,nan,9"])
def test_a_frame_that_is_none_is_refused(frame: object) -> None:
    with pytest.raises(InputError, match="frame"):
        read_request(frame)  # type: ignore[arg-type]


@pytest.mark.parametrize("eyes", ["1,2,3", "a,b,c,d", "5,5,5,5", "0,0,inf,0"])
def test_eyes_that_are_none_are_refused(eyes: str) -> None:
    with pytest.raises(InputError, match="x1,y1,x2,y2"):
        read_request(eyes=[eyes])


def test_what_the_user_points_at_goes_before_what_is_found_and_is_never_dropped() -> None:
    image, hole = noise(HEIGHT, WIDTH), a_hole()
    eyes = read_request(eyes=["55,25,70,27"])
    (chosen,) = select_frames(image, hole, eyes, TINY, finder(NEAR))
    assert (chosen.how, chosen.frame.placement) == ("eyes", eyes.eyes[0])
    assert not chosen.judged(255 - chosen.frame.pixels.astype(np.float32)).dropped
    (chosen,) = select_frames(image, hole, read_request("50,10,80,40"), TINY, finder(NEAR))
    assert (chosen.how, chosen.frame.placement) == ("box", Placement(65, 25, 30))


def test_only_frames_that_the_hole_touches_are_searched() -> None:
    image, hole = noise(HEIGHT, WIDTH), a_hole()
    found = select_frames(image, hole, FrameRequest(), TINY, finder(FAR, NEAR))
    assert [(c.how, c.frame.placement, c.score) for c in found] == [("detector", NEAR, 0.8)]
    assert select_frames(image, hole, FrameRequest(), TINY, finder(FAR)) == []
    assert select_frames(image, hole, read_request("0,0,20,20"), TINY, None) == []


def test_without_a_detector_the_whole_or_the_largest_square_over_the_hole_is_taken() -> None:
    hole = a_hole()
    (chosen,) = select_frames(noise(HEIGHT, WIDTH), hole, FrameRequest(), TINY, None)
    assert (chosen.how, chosen.limit) == ("square", None)
    assert chosen.frame.placement.side == HEIGHT
    (chosen,) = select_frames(noise(60, 60), hole[:, 30:], FrameRequest(), TINY, None)
    assert chosen.how == "whole"
    assert chosen.frame.whole


def test_the_largest_square_lies_over_the_hole_and_else_in_the_middle() -> None:
    hole = np.zeros((40, 100), bool)
    hole[10:20, 85:95] = True
    assert largest_square(hole).x + 20 >= 95
    assert largest_square(hole.T).y + 20 >= 95
    hole[:, :] = True
    assert largest_square(hole) == Placement(50, 20, 40)


def test_a_square_photo_is_its_own_frame_where_a_face_fills_it_or_none_is_found() -> None:
    image, hole = noise(60, 60), a_hole()[:, 30:]
    for find in (finder(Placement(31, 29, 62, 3)), finder()):
        (chosen,) = select_frames(image, hole, FrameRequest(), TINY, find)
        assert chosen.how == "whole"
        assert chosen.limit is not None
    (chosen,) = select_frames(image, hole, FrameRequest(), TINY, finder(Placement(33, 28, 30)))
    assert chosen.how == "detector"
    assert select_frames(image, hole, FrameRequest("face"), TINY, finder()) == []
    with pytest.raises(InputError, match="no detector"):
        select_frames(image, hole, FrameRequest("face"), TINY, None)
    assert select_frames(noise(HEIGHT, WIDTH), a_hole(), FrameRequest(), TINY, finder()) == []


@pytest.mark.filterwarnings("ignore::aleph.MaskWarning")
def test_a_small_square_photo_is_kept_as_a_crop_where_the_detector_says_so() -> None:
    side = 2 * TINY.resolution
    hole = np.zeros((side, side), bool)
    hole[: side // 2] = True
    image, large = noise(side, side), np.pad(hole, 1)
    filling = finder(Placement(side / 2 + 1, side / 2, side + 1, 2))
    (chosen,) = select_frames(image, hole, FrameRequest(), TINY, filling)
    assert (chosen.how, chosen.limit) == ("whole", None)
    (chosen,) = select_frames(image, hole, FrameRequest(), TINY, finder())
    assert chosen.limit is not None
    (chosen,) = select_frames(noise(side + 2, side + 2), large, FrameRequest(), TINY, filling)
    assert chosen.limit is not None


def test_a_square_that_a_smooth_surface_explains_as_well_is_dropped() -> None:
    config = KINDS["amortised"]
    side, hole = 32, np.zeros((32, 32), bool)
    hole[8:24, 8:24] = True
    ramp = np.linspace(60, 200, side)[:, None, None] + np.zeros((1, side, 3))
    sky = np.rint(ramp + np.random.default_rng(0).normal(0, 4, ramp.shape)).astype(np.uint8)
    (chosen,) = select_frames(sky, hole, FrameRequest(), config, finder())
    size = (config.resolution, config.resolution)
    small = cv2.resize(ramp.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    rough = small + np.random.default_rng(1).normal(0, 8, small.shape).astype(np.float32)
    judged = chosen.judged(rough)
    assert judged.unexplained is not None
    assert judged.unexplained < 0.1  # of the variance, and yet the ramp itself is nearer
    assert judged.dropped
    flat = np.full((side, side, 3), 128, np.uint8)
    (chosen,) = select_frames(flat, hole, FrameRequest(), config, finder())
    assert chosen.judged(small * 0 + 131).dropped
    face = noise(side, side)
    (chosen,) = select_frames(face, hole, FrameRequest(), config, finder())
    assert not chosen.judged(chosen.frame.pixels.astype(np.float32)).dropped


def test_a_found_frame_of_which_too_little_is_known_is_left_out() -> None:
    hole = np.ones((HEIGHT, WIDTH), bool)
    hole[:, :5] = False
    assert select_frames(noise(HEIGHT, WIDTH), hole, FrameRequest(), TINY, finder(NEAR)) == []


def test_the_search_is_the_judge() -> None:
    image = noise(HEIGHT, WIDTH)
    frame = frame_at(image, a_hole(), NEAR, 16)
    exact = frame.pixels.astype(np.float32)
    known = exact[~frame.hole]
    mean = np.broadcast_to(known.mean(axis=0), exact.shape).astype(np.float32)
    assert variance_unexplained(frame, exact) == 0
    assert variance_unexplained(frame, mean) == pytest.approx(1, abs=1e-3)
    ruined = np.where(frame.hole[:, :, None], 0, exact).astype(np.float32)
    assert variance_unexplained(frame, ruined) == 0  # what the hole holds says nothing
    chosen = FrameCandidate(frame, "detector", limit=0.4, score=0.7)
    assert not chosen.dropped
    assert not chosen.judged(exact).dropped
    assert chosen.judged(mean).dropped
    assert not FrameCandidate(frame, "eyes").judged(mean).dropped
