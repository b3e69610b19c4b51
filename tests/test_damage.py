"""Damage: the network that sees it, photos of any size, the command, the mask `auto`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import aleph
from aleph.damage import find, tiles, write
from aleph.damage.auto import AutoMask, read_auto, read_damaged_photo, with_rim
from aleph.damage.find import marked
from aleph.damage.tiles import damage_probability
from aleph.damage.write import DamageRequest
from aleph.errors import InputError, MaskWarning, ModelError, NothingFoundError, OutputError
from aleph.folders import find_damage_in_folder, inpaint_folder
from aleph.inpainter import Inpainter
from aleph.masks.read import Mask, widened
from aleph.models.config import ModelConfig
from aleph.models.model import DamageModel
from aleph.models.networks import build_networks
from aleph.models.networks.damage import DamageNetwork
from aleph.models.zoo import list_models, load_damage_model
from conftest import RunCli, make_model
from helpers import TINY, files_below, noise

TINY_FINDER = ModelConfig.default("damage", resolution=32, encoder_width=4, maximum_width=8)


class RedIsDamage(nn.Module):
    """Sees damage wherever a picture is red: what a perfect finder would say of `scratched`.

    Twice as large the rim of a red scratch is less red, so pure red is not asked for.
    """

    def forward(self, image: Tensor, coarser: Tensor | None = None) -> Tensor:
        red = (image[:, 0] > 0.5) & (image[:, 1] < -0.6) & (image[:, 2] < -0.6)
        return torch.where(red, 20.0, -20.0)[:, None]


def perfect(*_: object) -> DamageModel:
    return DamageModel("red", TINY_FINDER, RedIsDamage(), torch.device("cpu"), "fp32")


def scratched(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A picture with a red scratch from edge to edge, and where it is."""
    picture = noise(height, width) // 2 + 40
    hole = np.zeros((height, width), bool)
    row = height // 16 * 8
    hole[row : row + 8, :] = True
    hole[: height // 24 * 8, -8:] = True
    picture[hole] = (255, 0, 0)
    return picture, hole


@pytest.fixture
def red(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red counts as damage, whoever looks."""
    for place in (find, write):
        monkeypatch.setattr(place, "kept_model", perfect)


# --- the network


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_the_network_judges_every_pixel(size: tuple[int, int]) -> None:
    network = DamageNetwork(4, 8).eval()
    image = torch.rand(2, 3, *size) * 2 - 1
    logit = network(image)
    assert logit.shape == (2, 1, *size)
    image[0, :, 9, 11] *= -1
    assert (network(image) - logit)[0, 0, 9, 11] != 0


def test_a_finder_has_one_network_of_six_megabytes_at_most() -> None:
    networks = build_networks(ModelConfig.default("damage"))
    assert set(networks) == {"damage"}
    assert sum(p.numel() for p in networks["damage"].parameters()) * 2 < 6_000_000


def test_a_finder_fills_nothing_and_no_model_that_fills_finds(tmp_path: Path) -> None:
    make_model(tmp_path / "finder", TINY_FINDER)
    with pytest.raises(ModelError, match=r"is a finder of damage: .* fills nothing"):
        Inpainter.from_pretrained(tmp_path / "finder", device="cpu")
    make_model(tmp_path / "filler", TINY)
    with pytest.raises(ModelError, match="no finder of damage"):
        load_damage_model(tmp_path / "filler", "cpu")


def test_finders_are_not_among_the_models_that_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(tmp_path / "mine", TINY_FINDER)
    monkeypatch.setenv("ALEPH_MODELS", str(tmp_path))
    assert "mine" not in list_models()
    assert load_damage_model("mine", "cpu", "fp32").config == TINY_FINDER


# --- photos of any size


@pytest.mark.parametrize(
    "size",
    [
        *[(1, 1), (2, 2), (1, 7), (8, 8), (3, 200), (4, 200), (16, 200)],
        *[(96, 64), (97, 64), (97, 65), (98, 64), (900, 1700), (904, 1704)],
    ],
)
def test_photos_of_any_size_are_looked_at_to_the_last_pixel(size: tuple[int, int]) -> None:
    picture, hole = scratched(*size)
    steps: list[tuple[int, int]] = []
    found = damage_probability(picture, perfect(), lambda *done: steps.append(done))
    assert found.dtype == np.uint8
    assert np.array_equal(found > 127, hole)
    assert steps[-1] == (len(steps), len(steps))
    assert not damage_probability(noise(*size) // 2, perfect()).any()


class SidesSeen(nn.Module):
    """Says of everything that it is damaged with the probability that is due; keeps what it saw."""

    def __init__(self, *probabilities: float) -> None:
        super().__init__()
        self.due = list(probabilities)
        self.sides: list[int] = []
        self.told: list[float | None] = []

    def forward(self, image: Tensor, coarser: Tensor | None = None) -> Tensor:
        self.sides.append(image.shape[3])
        self.told.append(None if coarser is None else float(coarser.mean() + 1) / 2)
        assert coarser is None or coarser.shape == image[:, :1].shape
        return torch.logit(torch.full_like(image[:, :1], self.due[len(self.sides) - 1]))


@pytest.mark.parametrize("size", [(96, 128), (760, 700)])
def test_looks_go_from_small_to_large_and_the_last_two_count(size: tuple[int, int]) -> None:
    network = SidesSeen(0.1, 0.2, 0.8, 0.4)
    model = DamageModel("sides", TINY_FINDER, network, torch.device("cpu"), "fp32")
    found = damage_probability(noise(*size), model)
    assert np.abs(found.astype(float) - 255 * 0.6).max() <= 1
    assert network.sides == sorted(set(network.sides))
    assert (network.sides[-1] > 1.5 * size[1]) == (size[0] * size[1] <= 500_000)
    assert network.told[0] is None
    # a little less of 0.1, 0.2 and 0.8 each: the odds over e to the power of 0.4
    assert network.told[1:] == pytest.approx([0.0693, 0.1435, 0.7283], abs=0.005)


def test_a_large_photo_is_seen_like_a_smaller_one_first_then_larger_and_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A larger look is told all that counts so far, and counts half from there on."""
    monkeypatch.setattr(tiles, "_SMALL", 0)
    monkeypatch.setattr(tiles, "LARGE", 3000)
    network = SidesSeen(0.1, 0.2, 0.8, 0.4, 0.2, 0.9)
    model = DamageModel("sides", TINY_FINDER, network, torch.device("cpu"), "fp32")
    found = damage_probability(noise(100, 480), model)  # of 16 times as many pixels
    assert np.abs(found.astype(float) - 255 * 0.65).max() <= 2
    mirrored = [s - w for s, w in zip(network.sides, (15, 30, 60, 120, 240, 480), strict=True)]
    assert all(0 < pixels < 100 for pixels in mirrored)  # a little, beyond both borders
    assert network.told[4:] == pytest.approx([0.6, 0.4], abs=0.005)


def test_no_larger_look_follows_where_it_would_be_hardly_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiles, "_SMALL", 0)
    monkeypatch.setattr(tiles, "LARGE", 3000)
    network = SidesSeen(0.1, 0.2, 0.8, 0.4)
    model = DamageModel("sides", TINY_FINDER, network, torch.device("cpu"), "fp32")
    found = damage_probability(noise(60, 64), model)
    assert found.shape == (60, 64)
    assert np.abs(found.astype(float) - 255 * 0.6).max() <= 2


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_a_new_network_does_not_heed_the_look_before(size: tuple[int, int]) -> None:
    """So a finder of before, which was not told, judges as it did: and learns to heed it."""
    network = DamageNetwork(4, 8)
    image, coarser = torch.rand(2, 3, *size) * 2 - 1, torch.rand(2, 1, *size) * 2 - 1
    assert torch.equal(network(image, coarser), network(image))
    network(image, coarser).sum().backward()
    assert network.coarser.weight.grad.abs().max() > 0


def test_a_finder_that_was_never_told_of_the_look_before_still_loads(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "old", TINY_FINDER)
    weights = load_file(folder / "model.safetensors")
    del weights["damage.coarser.weight"]
    save_file(weights, folder / "model.safetensors")
    model = load_damage_model(folder, "cpu", "fp32")
    assert damage_probability(noise(40, 40), model).shape == (40, 40)
    del weights["damage.last.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"lacks 'damage\.last\.weight'"):
        load_damage_model(folder, "cpu")


def test_tiles_see_what_the_whole_photo_shows() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DamageNetwork(4, 8).eval()
    model = DamageModel("tiny", TINY_FINDER, network, torch.device("cpu"), "fp32")
    picture = noise(40, 1000)  # two tiles
    halves = damage_probability(picture, model).astype(int)
    left = damage_probability(picture[:, :560], model).astype(int)  # the first tile and its margin
    assert np.abs(halves[:, :480] - left[:, :480]).max() <= 2


def test_a_photo_is_not_changed(red: None) -> None:
    picture, hole = scratched(40, 48)
    before = picture.copy()
    assert np.array_equal(aleph.find_damage(picture), hole)
    assert np.array_equal(aleph.find_damage(Image.fromarray(picture)), hole)
    assert np.array_equal(picture, before)


def test_more_sensitivity_marks_more() -> None:
    probability = np.arange(256, dtype=np.uint8).reshape(16, 16)
    counts = [int(marked(probability, s).sum()) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert counts == [1, 64, 128, 192, 255]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_sensitivity_out_of_range_is_refused(wrong: float) -> None:
    with pytest.raises(InputError, match="from 0 to 1"):
        aleph.find_damage(noise(8, 8), sensitivity=wrong)


# --- the command


def test_the_command_writes_a_mask_and_an_overlay(
    red: None, call_cli: RunCli, tmp_path: Path
) -> None:
    picture, hole = scratched(64, 48)
    Image.fromarray(picture).save(tmp_path / "a.png")
    done = call_cli("damage", "a.png", "-o", "mask.png", "--overlay", "seen.jpg", "--json")
    assert done.code == 0
    with Image.open(tmp_path / "mask.png") as mask:
        assert mask.mode == "L"
        assert np.array_equal(np.asarray(mask), hole * np.uint8(255))
    with Image.open(tmp_path / "seen.jpg") as seen:
        assert seen.size == (48, 64)
    assert json.loads(done.out)["share"] == pytest.approx(hole.mean())


def test_a_photo_without_damage_gets_an_empty_mask(
    red: None, call_cli: RunCli, tmp_path: Path
) -> None:
    Image.fromarray(noise(30, 30) // 2).save(tmp_path / "a.png")
    done = call_cli("damage", "a.png", "-o", "mask.png")
    assert done.code == 0 and "no damage was found" in done.out
    with Image.open(tmp_path / "mask.png") as mask:
        assert not np.asarray(mask).any()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["none.png", "-o", "m.png"], "does not exist"),
        (["a.png", "-o", "m.jpg"], "lossless"),
        (["a.png", "-o", "m.png", "--sensitivity", "2"], "from 0 to 1"),
        (["a.png", "-o", "m.png", "--grow", "-1"], "grow"),
        (["bad.png", "-o", "m.png"], "not a picture"),
    ],
)
def test_what_cannot_be_looked_at_is_one_sentence(
    red: None, call_cli: RunCli, tmp_path: Path, options: list[str], sentence: str
) -> None:
    Image.fromarray(noise(20, 20)).save(tmp_path / "a.png")
    (tmp_path / "bad.png").write_text("no picture")
    done = call_cli("damage", *options)
    assert done.code == 2 and sentence in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "m.png").exists()


@pytest.mark.parametrize(
    "words", [("-o", "a.png"), ("-o", "m.png", "--overlay", "a.png"), ("-o", "m.png", "--overlay",
              "m.png")]
)  # fmt: skip
def test_the_photo_is_not_written_over(
    words: tuple[str, ...], red: None, call_cli: RunCli, tmp_path: Path
) -> None:
    Image.fromarray(noise(20, 24)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    outcome = call_cli("damage", "a.png", *words)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert (tmp_path / "a.png").read_bytes() == before
    assert files_below(tmp_path) == {"a.png"}


def test_a_folder_of_photos_becomes_a_folder_of_masks(red: None, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    picture, hole = scratched(40, 40)
    Image.fromarray(picture).save(tmp_path / "in" / "deep" / "a.webp", lossless=True)
    Image.fromarray(noise(40, 40) // 2).save(tmp_path / "in" / "b.png")
    Image.fromarray(noise(40, 40) // 2).save(tmp_path / "in" / "b.bmp")
    (tmp_path / "in" / "c.png").write_text("no picture")
    outcome = find_damage_in_folder(tmp_path / "in", tmp_path / "out", None, DamageRequest())
    assert outcome.found["deep/a.webp"] == pytest.approx(hole.mean())
    assert outcome.found["b.bmp"] == 0
    assert set(outcome.failed) == {"b.png", "c.png"}
    assert "same name" in outcome.failed["b.png"]
    with Image.open(tmp_path / "out" / "deep" / "a.png") as mask:
        assert np.array_equal(np.asarray(mask) > 0, hole)
    with pytest.raises(OutputError, match="outside"):
        find_damage_in_folder(tmp_path / "in", tmp_path / "in" / "masks")


# --- the mask `auto`


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("auto", AutoMask()),
        ("auto:1,2,30,40", AutoMask((1, 2, 30, 40))),
        ("auto+my+mask.png", AutoMask(None, "my+mask.png")),
        ("auto:1,2,3,4+mask.png", AutoMask((1, 2, 3, 4), "mask.png")),
        ("automatic.png", None),
        ("center", None),
    ],
)
def test_what_auto_says_is_read(mask: str, expected: AutoMask | None) -> None:
    assert read_auto(mask) == expected


@pytest.mark.parametrize("mask", ["auto:1,2,3", "auto:a,b,c,d", "auto+", "auto:5,5,5,9"])
def test_a_slip_in_auto_is_refused(mask: str) -> None:
    with pytest.raises(InputError, match="auto:left,top,right,bottom"):
        read_damaged_photo(noise(8, 8), mask)


def test_what_was_found_is_widened(red: None) -> None:
    picture, hole = scratched(40, 32)
    found = read_damaged_photo(picture, "auto")[1]
    assert found[14:26, 3].all() and not found[13, 3]
    assert np.array_equal(read_damaged_photo(picture, Mask("auto", grow=0))[1], hole)


def test_wide_damage_of_a_large_photo_is_widened_by_more() -> None:
    thin, wide = np.zeros((320, 400), bool), np.zeros((320, 400), bool)
    thin[100:108, 50:350] = True  # nothing of it is deeper than 4 pixels
    wide[200:240, 50:90] = True
    both = with_rim(thin | wide)
    assert np.array_equal(both, widened(thin, 2) | with_rim(wide))
    rows = np.flatnonzero(both[:, 70])
    assert rows.tolist() == [*range(98, 110), *range(196, 244)]
    small = (thin | wide)[:319]
    assert np.array_equal(with_rim(small), widened(small, 2))


def test_the_rim_grows_with_the_sides_of_a_large_photo() -> None:
    """As wide as it is in the same photo of 1.1 megapixels: 2 and 4 pixels there."""
    found = np.zeros((2200, 2000), bool)  # of twice the sides
    found[100:108, 50:350] = True
    found[600:680, 50:130] = True
    rows = np.flatnonzero(with_rim(found)[:, 90])
    assert rows.tolist() == [*range(96, 112), *range(592, 688)]


def test_auto_keeps_to_its_box(red: None) -> None:
    picture, _ = scratched(40, 32)
    found = read_damaged_photo(picture, Mask("auto:5,0,12,99", grow=0))[1]
    assert np.argwhere(found).tolist() == [[y, x] for y in range(16, 24) for x in range(5, 12)]
    with pytest.raises(InputError, match="outside"):
        read_damaged_photo(picture, "auto:40,0,50,9")


def test_auto_is_joined_with_a_mask(red: None, tmp_path: Path) -> None:
    picture, hole = scratched(40, 32)
    mine = np.zeros((40, 32), np.uint8)
    mine[30:35, 4:9] = 255
    Image.fromarray(mine).save(tmp_path / "m.png")
    joined = read_damaged_photo(picture, Mask(f"auto+{tmp_path / 'm.png'}", grow=0))[1]
    assert np.array_equal(joined, hole | (mine > 0))


def test_nothing_found_is_said(red: None) -> None:
    with pytest.raises(NothingFoundError, match="no damage was found"):
        read_damaged_photo(noise(20, 20) // 2, "auto")
    with pytest.raises(InputError, match="cannot be inverted"):
        read_damaged_photo(noise(20, 20) // 2, Mask("auto", invert=True))


def test_a_photo_without_damage_is_copied(
    red: None, call_cli: RunCli, tmp_path: Path, tiny_folder: Path
) -> None:
    Image.fromarray(noise(24, 24) // 2).save(tmp_path / "a.jpg")
    done = call_cli("inpaint", "a.jpg", "-m", "auto", "-o", "b.jpg", "--model", tiny_folder)
    assert done.code == 0 and "no damage was found" in done.out
    assert (tmp_path / "b.jpg").read_bytes() == (tmp_path / "a.jpg").read_bytes()
    done = call_cli("inpaint", "a.jpg", "-m", "auto", "-o", "b.png", "--model", tiny_folder)
    with Image.open(tmp_path / "a.jpg") as a, Image.open(tmp_path / "b.png") as b:
        assert done.code == 0 and b.format == "PNG"
        assert np.array_equal(np.asarray(a), np.asarray(b))


def test_a_folder_is_filled_where_damage_is_found(
    red: None, tiny: Inpainter, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    picture, hole = scratched(32, 32)
    Image.fromarray(picture).save(tmp_path / "in" / "a.png")
    Image.fromarray(noise(32, 32) // 2).save(tmp_path / "in" / "b.png")
    outcome = inpaint_folder(
        tmp_path / "in", Mask("auto", grow=0), tmp_path / "out", tiny, steps=1, frame="whole"
    )
    assert outcome.filled == ["a.png"] and outcome.unchanged == ["b.png"]
    with Image.open(tmp_path / "out" / "a.png") as filled:
        assert np.array_equal(np.asarray(filled)[~hole], picture[~hole])
        assert not (np.asarray(filled)[hole] == (255, 0, 0)).all(axis=1).any()
    same = [(tmp_path / f / "b.png").read_bytes() for f in ("in", "out")]
    assert same[0] == same[1]


# --- masks that are too narrow


def scratch_of(width: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A soft picture with a light scratch, and where it is."""
    ramp = np.linspace(60, 120, 200, dtype=np.float32)
    picture = np.repeat((ramp + ramp[:, None])[:, :, None] / 2, 3, axis=2)
    picture += np.random.default_rng(0).normal(0, 4, picture.shape)
    hole = np.zeros((200, 200), bool)
    hole[100 - width : 100 + width, 20:180] = True
    picture[hole] = 235
    return picture.clip(0, 255).astype(np.uint8), hole


def test_a_mask_that_is_too_narrow_is_told() -> None:
    picture, hole = scratch_of(4)
    narrow = np.zeros_like(hole)
    narrow[98:102, 22:178] = True
    with pytest.warns(MaskWarning, match="--grow 2"):
        read_damaged_photo(picture, narrow)
    found = read_damaged_photo(picture, Mask(narrow, grow=3))[1]
    assert found[hole].all()


def test_a_mask_that_covers_the_damage_is_used_without_a_word() -> None:
    picture, hole = scratch_of(4)
    assert np.array_equal(read_damaged_photo(picture, hole)[1], hole)
    read_damaged_photo(picture, Mask(hole, grow=3))
    intact, _ = scratch_of(0)
    for top in (10, 60, 150):
        somewhere = np.zeros_like(hole)
        somewhere[top : top + 30, 40:90] = True
        read_damaged_photo(intact, somewhere)


def test_the_soft_rim_of_a_large_scan_is_told_as_well() -> None:
    """It is as much wider as the scan has more pixels."""
    small, damage = scratch_of(4)
    scan = cv2.resize(small, (2400, 2400), interpolation=cv2.INTER_LINEAR)
    exact = np.repeat(np.repeat(damage, 12, axis=0), 12, axis=1)
    with pytest.warns(MaskWarning, match="--grow 5"):
        read_damaged_photo(scan, exact)
    read_damaged_photo(scan, Mask(exact, grow=12))
