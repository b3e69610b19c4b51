from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from skimage import data
from torch import Tensor

from aleph.arrays import Pixels
from aleph.errors import InputError, ModelError
from aleph.frames.detect import Detection, find_frames
from aleph.frames.placement import Placement
from aleph.inpainter import Inpainter
from aleph.models.config import ModelConfig
from aleph.models.model import Detector as LoadedDetector
from aleph.models.networks import build_networks
from aleph.models.networks.detector import CHANNELS, DetectorNetwork, decode
from aleph.models.zoo import list_models, load_detector
from aleph.pictures import FACE, scratches
from aleph.presets import resolve_settings
from aleph.progress import Reporter
from aleph.training.config import TrainConfig
from aleph.training.export import export_run
from aleph.training.loop import Devices, train
from aleph.training.recipes.detector import DetectorRecipe, _mark
from aleph.training.run import create_run, read_run
from aleph.training.samples.backgrounds import Backdrops
from aleph.training.samples.scenes import Composer, _paste, _shuffled, _visible
from conftest import RunCli, make_model
from helpers import TINY, noise

TINY_DETECTOR = ModelConfig.default("detector", resolution=16, encoder_width=4, maximum_width=8)
Hole = NDArray[np.bool_]


@dataclass
class BarFinder:
    """Finds one white bar, twice as wide as high, on black: what a perfect detector would say.

    The bar's frame is the square of its width. It is seen where it is of about the size that is
    known, and whole.
    """

    resolution: int = 64
    shown: int = 0
    views: list[Tensor] = field(default_factory=list)

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        self.shown += image.shape[0] * image.shape[2] * image.shape[3]
        self.views.append(image)
        scores = torch.zeros(image.shape[0], image.shape[2] // 8, image.shape[3] // 8)
        frames = torch.zeros(*scores.shape, 4)
        for n, one in enumerate(image):
            # Missing and never seen are 0: grey.
            share = ((one[:3].mean(dim=0) + 1) / 2 * (1 - one[3])).clamp(0, 1).numpy()
            found = self._bar(np.asarray(share))
            if found is None:
                continue
            row, column = int(found[1] // 8), int(found[0] // 8)
            scores[n, row, column] = 1.0
            near = np.s_[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            frames[n][near] = torch.tensor(found)
        return scores, frames

    def _bar(self, share: NDArray[np.float32]) -> tuple[float, float, float, float] | None:
        moments = cv2.moments(share)
        if moments["m00"] < 1:
            return None
        side = math.sqrt(2 * moments["m00"])
        height, width = share.shape
        x = moments["m10"] / moments["m00"] + 0.5
        y = moments["m01"] / moments["m00"] + 0.5
        inside = 0 < x < width and 0 < y < height
        if not (inside and 0.65 <= side / self.resolution <= 1.5):
            return None
        turn = math.atan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"]) / 2
        return x, y, side, math.degrees(turn)


def with_bar(shape: tuple[int, int], place: Placement) -> Pixels:
    """A black photo with a white bar across the middle of a frame."""
    bar = place.points(np.array([[0, 0.25], [1, 0.25], [1, 0.75], [0, 0.75]])) - 0.5
    photo = np.zeros((*shape, 3), np.uint8)
    fine = np.rint(bar * 16).astype(np.int32)
    cv2.fillPoly(photo, [fine], (255, 255, 255), cv2.LINE_AA, 4)
    return photo


def dot(shape: tuple[int, int], x: float, y: float, size: int = 2) -> Hole:
    hole = np.zeros(shape, bool)
    hole[int(y) : int(y) + size, int(x) : int(x) + size] = True
    return hole


def assert_near(found: Placement, truth: Placement, share: float = 0.04) -> None:
    """The corners lie within a share of the side of where they should."""
    apart = np.hypot(*(found.corners - truth.corners).T) / truth.side
    assert apart.max() < share, f"{found} is not {truth}"


@pytest.mark.parametrize(
    "truth",
    [
        Placement(300, 200, 64),
        Placement(150.5, 310.25, 41, -25),
        Placement(260, 220, 97, 30),
        Placement(250, 200, 301, 12),
    ],
)
def test_a_frame_is_found_whatever_its_size_and_tilt(truth: Placement) -> None:
    photo = with_bar((400, 500), truth)
    hole = dot(photo.shape[:2], truth.x, truth.y + 0.4 * truth.side)
    [found] = find_frames(BarFinder(), photo, hole)
    assert_near(found.placement, truth)
    assert found.score == pytest.approx(1.0)


class LateFinder(BarFinder):
    """Is sure of a bar only when it sees it closely."""

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores, frames = super().__call__(image)
        return (scores if len(image) > 1 else 0.21 * scores), frames


def test_a_frame_that_is_sure_only_when_seen_closely_is_found() -> None:
    truth = Placement(300, 200, 64)
    photo, hole = with_bar((400, 500), truth), dot((400, 500), 300, 225)
    [found] = find_frames(LateFinder(), photo, hole, threshold=0.67)
    assert_near(found.placement, truth)
    assert found.score == pytest.approx(0.21**0.25)
    assert find_frames(LateFinder(), photo, hole, threshold=0.68) == []


@pytest.mark.parametrize("angle", [90, -80, 110])
def test_a_frame_that_lies_is_found_lying(angle: float) -> None:
    truth = Placement(300, 200, 97, angle)
    photo = with_bar((400, 500), truth)
    hole = dot(photo.shape[:2], 320, 210)
    [found] = find_frames(BarFinder(), photo, hole)
    turned = round((found.placement.angle - angle) / 180) * 180  # a bar looks alike upside down
    assert_near(replace(found.placement, angle=found.placement.angle - turned), truth)
    assert -180 <= found.placement.angle <= 180


def test_the_frame_follows_the_photo() -> None:
    truth = Placement(180, 140, 90, 10)
    photo = with_bar((300, 360), truth)
    larger = cv2.resize(photo, (720, 600), interpolation=cv2.INTER_CUBIC)
    [found] = find_frames(BarFinder(), larger, dot((600, 720), 360, 330))
    assert_near(found.placement, truth.scaled(2))


def test_only_frames_that_touch_the_hole_are_found() -> None:
    truth = Placement(300, 200, 64)
    photo = with_bar((400, 500), truth)
    assert find_frames(BarFinder(), photo, dot((400, 500), 264, 200)) == []
    assert len(find_frames(BarFinder(), photo, dot((400, 500), 272, 200))) == 1


def test_where_nothing_is_missing_nothing_is_looked_for() -> None:
    finder = BarFinder()
    assert (
        find_frames(finder, with_bar((90, 90), Placement(45, 45, 60)), np.zeros((90, 90), bool))
        == []
    )
    assert finder.shown == 0


def test_what_lies_in_the_hole_is_not_looked_at_and_nothing_is_changed() -> None:
    truth = Placement(120, 100, 90, 15)
    photo = with_bar((200, 260), truth)
    hole = scratches((200, 260), 3)
    spoilt = np.where(hole[:, :, None], noise(200, 260), photo)
    before = spoilt.copy(), hole.copy()
    finders = BarFinder(), BarFinder()
    for finder, image in zip(finders, (photo, spoilt), strict=True):
        find_frames(finder, image, hole)
    np.testing.assert_array_equal(spoilt, before[0])
    np.testing.assert_array_equal(hole, before[1])
    for one, other in zip(finders[0].views, finders[1].views, strict=True):
        assert torch.equal(one, other)
        assert one[:, :3][one[:, 3:].bool().expand(-1, 3, -1, -1)].abs().max() == 0


def test_beyond_the_photo_all_is_missing() -> None:
    finder = BarFinder()
    find_frames(finder, np.full((100, 120, 3), 255, np.uint8), dot((100, 120), 2, 2))
    first = finder.views[0][0]
    assert first[3, 0, 0] == 1
    assert first[3, first.shape[1] // 2, first.shape[2] // 2] == 0


def test_of_a_large_photo_only_the_surroundings_of_the_hole_are_looked_at() -> None:
    photo = np.zeros((3000, 4000, 3), np.uint8)
    truth = Placement(3456, 1345, 222, -8)
    x, y = int(truth.x) - 300, int(truth.y) - 300
    photo[y : y + 600, x : x + 600] = with_bar((600, 600), truth.shifted(-x, -y))
    finder = BarFinder()
    [found] = find_frames(finder, photo, dot((3000, 4000), truth.x, truth.y, 9))
    assert_near(found.placement, truth)
    assert finder.shown < 1_500_000  # pixels; the photo has 12 million, at its finest scale 16


def test_a_long_narrow_photo_is_looked_at() -> None:
    for shape in ((4, 900), (900, 3), (1, 1), (1, 700)):
        assert find_frames(BarFinder(), noise(*shape), dot(shape, 0, 0, 1)) == []


# --- the network


def test_the_network_gives_a_frame_per_cell() -> None:
    network = DetectorNetwork(4, 8).eval()
    output = network(torch.zeros(2, 4, 48, 80))
    assert output.shape == (2, CHANNELS, 6, 10)
    scores, frames = decode(output, 64)
    assert scores.shape == (2, 6, 10) and frames.shape == (2, 6, 10, 4)
    assert scores.max() < 0.1  # at first few cells hold anything


def test_folding_the_normalisation_changes_no_output() -> None:
    torch.manual_seed(0)
    network = DetectorNetwork(4, 8)
    network(torch.randn(8, 4, 32, 32))  # moves the running statistics
    image = torch.randn(1, 4, 32, 32)
    before = network.eval()(image)
    network.fuse()
    torch.testing.assert_close(network(image), before)
    assert not [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]


@pytest.mark.parametrize("truth", [Placement(70, 41, 50, 33), Placement(20.5, 90, 80, -44)])
def test_what_the_network_is_taught_is_what_is_read_from_it(truth: Placement) -> None:
    target = np.zeros((CHANNELS + 2, 16, 16), np.float32)
    target[-1] = 1
    _mark(target, truth, 1.0, 64)
    output = torch.from_numpy(target[None, :CHANNELS])
    _, frames = decode(output, 64)
    row, column = np.unravel_index(int(target[0].argmax()), (16, 16))
    assert (int(row), int(column)) == (int(truth.y // 8), int(truth.x // 8))
    for cell in [(row, column), (row, column + 1)]:
        assert_near(Placement(*frames[0][cell].tolist()), truth, 1e-4)


def test_an_object_hardly_to_be_seen_teaches_nothing_and_an_unseen_one_is_none() -> None:
    for visible, counted in ((0.2, 0.0), (0.0, 1.0)):
        target = np.zeros((CHANNELS + 2, 16, 16), np.float32)
        target[-1] = 1
        _mark(target, Placement(64, 64, 64), visible, 64)
        assert target[0].max() == 0
        assert target[-1, 8, 8] == counted


# --- scenes


def test_an_image_is_pasted_where_its_frame_lies() -> None:
    patch = np.zeros((64, 64, 3), np.uint8)
    patch[18:22, 10:14] = 255
    for seed in range(6):
        canvas = np.zeros((128, 128, 3), np.float32)
        owner = np.full((128, 128), -1)
        place = Placement(60, 70, 61, 20 * seed - 50)
        _paste(canvas, owner, 3, patch, place, np.random.default_rng(seed))
        bright = canvas.sum(axis=2)
        rows, columns = np.nonzero(bright > (bright.max() + np.median(bright)) / 2)
        spot = place.points(np.array([[12 / 64, 20 / 64]]))[0]
        assert np.hypot(columns.mean() + 0.5 - spot[0], rows.mean() + 0.5 - spot[1]) < 1
        assert owner[70, 60] == 3


def test_a_scene_is_a_function_of_its_seed_and_shows_what_it_says() -> None:
    images = np.stack([noise(32, 32, n) for n in range(4)])
    composer = Composer(16, Backdrops([]))
    counts = []
    for seed in range(30):
        one, other = (composer.compose(0, images, np.random.default_rng(seed)) for _ in "ab")
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.hole, other.hole)
        assert one.image.shape == (32, 32, 3) and one.hole.shape == (32, 32)
        assert one.placements == other.placements
        assert all(0 <= v <= 1 for v in one.visible)
        counts.append(len(one.placements))
    assert min(counts) == 0 and max(counts) > 1


def test_shuffled_blocks_all_lie_elsewhere() -> None:
    patch = np.arange(12 * 12 * 3, dtype=np.uint8).reshape(12, 12, 3)
    for seed in range(5):
        shuffled = _shuffled(patch, np.random.default_rng(seed))
        assert sorted(shuffled.ravel()) == sorted(patch.ravel())
        assert (shuffled != patch).any(axis=2).all()


def test_what_is_covered_is_not_visible() -> None:
    seen = np.ones((64, 64), bool)
    place = Placement(32, 32, 40)
    assert _visible(place, seen) == 1.0
    seen[:, :32] = False
    assert _visible(place, seen) == pytest.approx(0.5, abs=0.07)
    assert _visible(Placement(0, 32, 40), np.ones((64, 64), bool)) == pytest.approx(0.5, abs=0.07)


# --- training


def begin(folder: Path, pictures: Path, **settings: object) -> Path:
    usual = {"batch_size": 8, "precision": "fp32", "steps": 4, "save_every": 2, "log_every": 2}
    config = TrainConfig(**{**usual, **settings})  # type: ignore[arg-type]
    run = create_run(folder, [pictures], TINY_DETECTOR, config)
    train(run, resume=False, devices=Devices("cpu", "1", 1), reporter=Reporter(enabled=False))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A run of four steps; not to be changed."""
    return begin(tmp_path_factory.mktemp("detector") / "run", pictures)


def test_a_detector_is_trained_exported_and_loaded(trained: Path, tmp_path: Path) -> None:
    with Image.open(trained / "samples" / "0000004.png") as samples:
        assert samples.size == (5 * 32, 5 * 32)  # a scene for each of the 24 pictures
    assert np.load(trained / "images-32.npy").shape == (24, 32, 32, 3)
    assert export_run(trained, tmp_path / "found") == 4
    detector = load_detector(tmp_path / "found", "cpu")
    assert detector.resolution == 16
    scores, frames = detector(torch.zeros(1, 4, 32, 64))
    assert scores.shape == (1, 4, 8) and frames.shape == (1, 4, 8, 4)
    assert find_frames(detector, noise(50, 60), dot((50, 60), 9, 9), threshold=0.99) == []
    assert "detector" in (tmp_path / "found" / "README.md").read_text()


def test_a_stopped_training_goes_on_bit_for_bit(
    trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    whole = DetectorRecipe.step

    def until_third(self: DetectorRecipe, real: Tensor, step: object) -> dict[str, Tensor]:
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return whole(self, real, step)  # type: ignore[arg-type]

    monkeypatch.setattr(DetectorRecipe, "step", until_third)
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "run", pictures)
    monkeypatch.undo()
    run = read_run(tmp_path / "run")
    train(run, resume=True, devices=Devices("cpu", "1", 1), reporter=Reporter(enabled=False))
    one, other = (load_file(r / "state.safetensors") for r in (trained, tmp_path / "run"))
    assert one.keys() == other.keys()
    assert [key for key, value in one.items() if not torch.equal(value, other[key])] == []


def test_a_folder_of_photographs_that_is_not_there_is_refused(
    pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="does not exist"):
        begin(tmp_path / "run", pictures, backgrounds=str(tmp_path / "none"))


# --- the zoo


@pytest.fixture(scope="module")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "finder", TINY_DETECTOR)


def test_a_detector_fills_nothing(tiny_detector: Path, call_cli: RunCli, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="fills nothing"):
        Inpainter.from_pretrained(tiny_detector, device="cpu")
    Image.fromarray(noise(32, 32)).save(tmp_path / "a.png")
    done = call_cli("inpaint", "a.png", "-m", "center", "-o", "b.png", "--model", tiny_detector)
    assert done.code == 2
    assert "'finder' is a detector" in done.err and done.err.count("\n") == 1
    with pytest.raises(InputError, match="no presets"):
        resolve_settings("fast", "detector")


def test_detectors_are_not_among_the_models_that_fill(
    tiny_detector: Path, monkeypatch: pytest.MonkeyPatch, call_cli: RunCli
) -> None:
    monkeypatch.setenv("ALEPH_MODELS", str(tiny_detector.parent))
    assert not {"finder", "faces-detector"} & set(list_models())
    assert load_detector("finder", "cpu").config == TINY_DETECTOR
    assert call_cli("models", "finder").out.startswith("# finder")


def test_a_model_that_fills_is_no_detector(tmp_path: Path) -> None:
    make_model(tmp_path / "filler", TINY)
    with pytest.raises(ModelError, match="no detector"):
        load_detector(tmp_path / "filler", "cpu")


@pytest.mark.parametrize("field", ["encoder_width", "maximum_width"])
def test_a_detector_without_channels_is_refused(field: str) -> None:
    with pytest.raises(InputError, match=field):
        ModelConfig.default("detector", **{field: 0})


def test_a_detector_has_one_network() -> None:
    assert set(build_networks(TINY_DETECTOR)) == {"detector"}


# --- the shipped detector


@pytest.fixture(scope="module")
def shipped() -> LoadedDetector:
    return load_detector("faces-detector", "cpu")


PORTRAIT = Placement.from_box(*map(float, FACE))
NEAR = 0.12


def astronaut() -> Pixels:
    return np.array(data.astronaut(), np.uint8)


def scratched(shape: tuple[int, int]) -> Hole:
    """The demonstration's scratches over the portrait's face."""
    hole = np.zeros(shape, bool)
    left, top, right, bottom = FACE
    hole[top:bottom, left:right] = scratches((bottom - top, right - left), 0)
    return hole


def torn(shape: tuple[int, int]) -> Hole:
    """The photo's left side torn off, through the middle of the face."""
    hole = np.zeros(shape, bool)
    hole[:, : (FACE[0] + FACE[2]) // 2] = True
    return hole


def stained(shape: tuple[int, int]) -> Hole:
    """A stain over mouth and chin."""
    canvas = np.zeros(shape, np.uint8)
    cv2.ellipse(canvas, (228, 162), (48, 34), 0, 0, 360, 1, -1)
    return canvas.astype(bool)


@pytest.mark.parametrize("damage", [scratched, torn, stained])
def test_the_portraits_face_is_found_however_damaged(
    damage: Callable[[tuple[int, int]], Hole], shipped: LoadedDetector
) -> None:
    photo = astronaut()
    hole = damage(photo.shape[:2])
    photo[hole] = (255, 0, 255)
    found = find_frames(shipped, photo, hole)
    assert_near(best(found), PORTRAIT, NEAR)
    assert len(found) == 1


def best(found: list[Detection]) -> Placement:
    assert found, "no face was found"
    return found[0].placement


@pytest.mark.parametrize(("angle", "scale"), [(-30, 1.0), (30, 0.5), (15, 2.5)])
def test_the_face_is_found_in_a_turned_and_scaled_portrait(
    angle: float, scale: float, shipped: LoadedDetector
) -> None:
    photo, hole = astronaut(), scratched((512, 512))
    turned = Placement(256 * scale, 256 * scale, 512 * scale, angle)
    matrix = turned.matrix @ np.diag([1 / 512, 1 / 512, 1.0])
    size = (round(512 * scale), round(512 * scale))
    photo = np.asarray(cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_AREA), np.uint8)
    hole = cv2.warpAffine(hole.astype(np.uint8), matrix, size, flags=cv2.INTER_NEAREST) > 0
    corner = PORTRAIT.corners[:2] @ matrix[:, :2].T + matrix[:, 2]
    middle = np.array([PORTRAIT.x, PORTRAIT.y]) @ matrix[:, :2].T + matrix[:, 2]
    side = float(np.hypot(*(corner[1] - corner[0])))
    truth = Placement(float(middle[0]), float(middle[1]), side, angle)
    assert_near(best(find_frames(shipped, photo, hole)), truth, NEAR)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_face_of_a_portrait_on_its_side_is_found_lying(
    turns: int, shipped: LoadedDetector
) -> None:
    photo, hole = (np.rot90(x, -turns) for x in (astronaut(), torn((512, 512))))
    found = best(find_frames(shipped, np.ascontiguousarray(photo), np.ascontiguousarray(hole)))
    turned = PORTRAIT
    for _ in range(turns):
        turned = Placement(512 - turned.y, turned.x, turned.side, turned.angle + 90)
    assert_near(found, turned, NEAR)
    assert math.cos(math.radians(found.angle - 90 * turns)) > 0.8


def test_a_face_cut_by_the_border_is_found(shipped: LoadedDetector) -> None:
    photo, hole = astronaut()[:, 200:], scratched((512, 512))[:, 200:]
    assert_near(best(find_frames(shipped, photo, hole)), PORTRAIT.shifted(-200, 0), NEAR)


@pytest.mark.parametrize("name", ["brick", "grass", "coffee"])
def test_no_face_is_found_where_none_is(name: str, shipped: LoadedDetector) -> None:
    photo = np.asarray(getattr(data, name)())
    photo = np.array(np.broadcast_to(photo.reshape(*photo.shape[:2], -1), (*photo.shape[:2], 3)))
    assert find_frames(shipped, photo, scratches(photo.shape[:2], 1)) == []
