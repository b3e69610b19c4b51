from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import aleph
from aleph.errors import InputError, ModelError, OutputError
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.pictures import face, scratches
from aleph.presets import resolve_settings
from helpers import KINDS, SHIPPED, files_below, noise, some_hole, write_mask

PRESET_NAMES = ["fast", "balanced", "thorough", "yeh2017"]


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_known_pixels_come_back_bit_for_bit_with_every_preset(
    preset: str, each_kind: Inpainter
) -> None:
    image, hole = noise(21, 21), some_hole(21, 21)
    result = each_kind(image, hole, preset=preset, steps=4, starts=2)
    assert result.image.dtype == np.uint8
    assert np.array_equal(result.image[~hole], image[~hole])
    assert not np.array_equal(result.image[hole], image[hole])


@pytest.mark.filterwarnings("ignore::aleph.MaskWarning")
@settings(max_examples=25)
@given(
    side=st.integers(2, 70),
    share=st.floats(0.02, 0.98),
    seed=st.integers(0, 99),
    blending=st.sampled_from(["paste", "poisson"]),
)
def test_known_pixels_come_back_bit_for_bit_at_every_size(
    side: int, share: float, seed: int, blending: str, tiny: Inpainter
) -> None:
    rng = np.random.default_rng(seed)
    image, hole = noise(side, side, seed), rng.random((side, side)) < share
    if not hole.any() or hole.all():
        return
    try:
        result = tiny(image, hole, steps=1, blending=blending)
    except InputError as error:
        assert "too little of the image is known" in str(error)
        assert share > 0.8
        return
    assert result.image.shape == image.shape
    assert np.array_equal(result.image[~hole], image[~hole])


def test_what_the_hole_holds_has_no_influence(each_kind: Inpainter) -> None:
    for side in (16, 40, 9):
        image, hole = noise(side, side), some_hole(side, side)
        other = np.where(hole[:, :, None], np.uint8(255), image)
        first, second = each_kind(image, hole, steps=5), each_kind(other, hole, steps=5)
        assert np.array_equal(first.image, second.image)


@pytest.mark.parametrize("side", [16, 37])
def test_inputs_are_never_changed_views_included(side: int, tiny: Inpainter) -> None:
    big, big_hole = noise(2 * side, 3 * side), np.zeros((2 * side, 3 * side), bool)
    big_hole[::2, ::3][some_hole(side, side)] = True
    before = big.copy(), big_hole.copy()
    image, hole = big[::2, ::3], big_hole[::2, ::3]
    result = tiny(image, hole, steps=2)
    assert np.array_equal(result.image, tiny(image.copy(), hole.copy(), steps=2).image)
    for output in (result.image, result.original, result.hole, result.damaged, *result.frames):
        if output.flags.writeable:
            output[:] = 0
    assert np.array_equal(big, before[0])
    assert np.array_equal(big_hole, before[1])


def test_read_only_arrays_are_accepted(tiny: Inpainter) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    image.flags.writeable = hole.flags.writeable = False
    assert np.array_equal(tiny(image, hole, steps=1).image[~hole], image[~hole])


def test_array_pil_and_path_give_equal_results(tiny: Inpainter, tmp_path: Path) -> None:
    image, hole = noise(24, 24), some_hole(24, 24)
    Image.fromarray(image).save(tmp_path / "image.png")
    write_mask(hole, tmp_path / "mask.png")
    expected = tiny(image, hole, steps=6).image
    shades = hole.astype(np.uint8) * np.uint8(255)
    for given_image, given_mask in (
        (Image.fromarray(image), Image.fromarray(shades)),
        (tmp_path / "image.png", tmp_path / "mask.png"),
        (str(tmp_path / "image.png"), shades),
        (image, hole.astype(np.uint8)),
    ):
        assert np.array_equal(tiny(given_image, given_mask, steps=6).image, expected)


def test_the_same_seed_gives_the_same_fill_and_another_seed_another(tiny: Inpainter) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    first, again, other = (tiny(image, hole, steps=5, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.candidates[0].z, again.candidates[0].z)
    assert first.candidates[0].losses == again.candidates[0].losses
    assert not np.array_equal(first.image, other.image)


def test_the_seed_draws_the_named_mask_too(tiny: Inpainter) -> None:
    result = tiny(noise(16, 16), "random", steps=0, seed=9)
    assert np.array_equal(result.hole, named_hole("random", (16, 16), 9))


def test_a_batch_gives_what_single_calls_give(each_kind: Inpainter) -> None:
    images = [noise(16, 16, 1), noise(33, 33, 2), noise(10, 10, 3)]
    holes = [some_hole(*image.shape[:2]) for image in images]
    seeds = [5, 6, 7]
    together = each_kind.batch(images, holes, steps=10, seeds=seeds, starts=2)
    assert len(together) == 3
    for image, hole, seed, result in zip(images, holes, seeds, together, strict=True):
        alone = each_kind(image, hole, steps=10, seed=seed, starts=2)
        assert result.seed == seed
        assert np.array_equal(result.original, image)
        assert np.abs(result.image.astype(int) - alone.image).max() <= 1
        np.testing.assert_allclose(result.candidates[0].z, alone.candidates[0].z, atol=1e-3)


def test_a_batch_larger_than_one_group_comes_back_in_order(tiny: Inpainter) -> None:
    images = [np.full((16, 16, 3), shade, np.uint8) for shade in range(70)]
    hole = some_hole(16, 16)
    results = tiny.batch(images, [hole] * 70, steps=0)
    assert [int(result.image[0, 0, 0]) for result in results] == list(range(70))


def test_candidates_are_different_fills_the_best_first(each_kind: Inpainter) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    result = each_kind(image, hole, steps=5, candidates=4)
    assert len(result.candidates) == 4
    totals = [candidate.losses["total"] for candidate in result.candidates]
    assert totals == sorted(totals)
    fills = {candidate.image.tobytes() for candidate in result.candidates}
    assert len(fills) == 4
    for candidate in result.candidates:
        assert np.array_equal(candidate.image[~hole], image[~hole])
    assert np.array_equal(result.image, result.candidates[0].image)


def test_of_several_starts_the_best_is_kept(tiny: Inpainter) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    one, eight = (tiny(image, hole, steps=3, starts=k) for k in (1, 8))
    assert len(eight.candidates) == 1
    assert eight.candidates[0].losses["total"] <= one.candidates[0].losses["total"] + 1e-6
    all_eight = tiny(image, hole, steps=3, candidates=8)
    assert eight.candidates[0].losses["total"] == all_eight.candidates[0].losses["total"]


@pytest.mark.parametrize("kind", KINDS)
def test_yeh2017_is_the_procedure_of_the_paper(kind: str) -> None:
    settings_ = resolve_settings("yeh2017", kind)
    search = settings_.search
    assert (search.weighting, search.norm, search.prior_weight) == ("box", "l1", 0.003)
    assert (search.steps, search.starts, search.patience) == (1500, 1, 0)
    assert (search.latent_weight, search.clip, settings_.blending) == (0.0, True, "poisson")
    assert search.learning_rate_end == 1.0  # a constant step size
    assert search.start == "random"


@pytest.mark.parametrize(
    ("preset", "kind", "given", "expected"),
    [
        ("balanced", "amortised", {"steps": 80}, 0.05 * 20 / 80),
        ("fast", "amortised", {"steps": 80}, 0.05 * 20 / 80),
        ("thorough", "amortised", {"steps": 80}, 0.05 * 20 / 80),
        ("balanced", "amortised", {"steps": 20}, 0.05),
        ("balanced", "amortised", {"steps": 5}, 0.05),
        ("balanced", "amortised", {"steps": 80, "learning_rate": 0.05}, 0.05),
        ("balanced", "amortised", {"steps": 80, "start": "random"}, 0.05),
        ("balanced", "dcgan", {"steps": 160}, 0.2),
        ("yeh2017", "amortised", {"steps": 3000}, 0.03),
    ],
)
def test_more_steps_from_an_encoders_guess_are_smaller_ones(
    preset: str, kind: str, given: dict[str, Any], expected: float
) -> None:
    search = resolve_settings(preset, kind, **given).search
    assert search.learning_rate == pytest.approx(expected)


def test_a_lowered_step_size_is_said_in_the_report(each_kind: Inpainter) -> None:
    image, encoder = noise(16, 16), each_kind.model.encoder is not None
    usual = each_kind(image, "center", steps=3).report()
    assert usual["notes"] == []
    more = each_kind(image, "center", preset="fast", steps=50).report()
    if encoder:
        assert "step size was lowered from 0.05 to 0.02" in more["notes"][0]
        assert more["settings"]["search"]["learning_rate"] == pytest.approx(0.02)
    else:
        assert more["notes"] == []
    set_by_hand = each_kind(image, "center", preset="fast", steps=50, learning_rate=0.1).report()
    assert set_by_hand["notes"] == []


class Broken(nn.Module):
    """A generator whose images of some places in the batch are NaN."""

    def __init__(self, generator: nn.Module, broken: list[int]) -> None:
        super().__init__()
        self.generator, self.broken = generator, broken

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        image = self.generator(z).clone()
        image[self.broken] = float("nan")
        return image


def broken(inpainter: Inpainter, *places: int) -> Inpainter:
    generator = Broken(inpainter.model.generator, list(places))
    return Inpainter(dataclasses.replace(inpainter.model, generator=generator))


def test_a_start_whose_losses_are_nan_is_no_candidate(tiny: Inpainter) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    result = broken(tiny, 0, 2)(image, hole, steps=2, candidates=4)
    assert len(result.candidates) == 2
    for candidate in result.candidates:
        assert np.isfinite(candidate.generated).all()
        assert all(map(math.isfinite, candidate.losses.values()))
    assert result.candidates[0].losses["total"] <= result.candidates[1].losses["total"]
    json.dumps(result.report(), allow_nan=False)


def test_a_search_without_any_finite_loss_leaves_the_hole_to_the_classical_fill(
    tiny: Inpainter,
) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    with pytest.warns(aleph.FrameWarning, match="no numbers"):
        result = broken(tiny, 0, 1)(image, hole, steps=2, starts=2, frame="whole")
    assert np.array_equal(result.image[~hole], image[~hole])
    assert len(np.unique(result.image[hole])) > 3
    assert len(result.frames_dropped) == 1
    json.dumps(result.report(), allow_nan=False)


def test_yeh2017_keeps_z_in_the_box_of_its_prior(tiny: Inpainter) -> None:
    furthest: list[float] = []
    result = tiny(
        noise(16, 16),
        "center",
        preset="yeh2017",
        steps=100,
        on_step=lambda step: furthest.append(step.z.abs().max().item()),
    )
    assert len(furthest) == 101
    assert max(furthest) <= 1.0
    assert np.abs(result.candidates[0].z).max() <= 1.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weighting", "box"),
        ("norm", "l2"),
        ("prior_weight", 1.0),
        ("steps", 9),
        ("blending", "paste"),
    ],
)
def test_every_option_changes_the_fill_and_is_reported(
    name: str, value: object, tiny: Inpainter
) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    usual, changed = tiny(image, hole, steps=5), tiny(image, hole, **{"steps": 5, name: value})
    assert not np.array_equal(usual.image, changed.image)
    reported = changed.report()["settings"]
    assert (reported if name == "blending" else reported["search"])[name] == value


def test_bf16_fills_leave_known_pixels_alone_too(tiny_folder: Path) -> None:
    rough = Inpainter.from_pretrained(tiny_folder, device="cpu", precision="bf16")
    image, hole = noise(20, 20), some_hole(20, 20)
    assert np.array_equal(rough(image, hole, steps=3).image[~hole], image[~hole])


@pytest.mark.parametrize("side", [32, 48])
def test_a_hole_too_fine_for_the_model_is_still_searched_by_what_is_known(
    side: int, tiny: Inpainter
) -> None:
    hole = np.zeros((side, side), bool)
    hole[:, ::2] = True  # every pixel that the model sees is half known
    result = tiny(noise(side, side), hole, steps=20)
    assert result.history["context"][0] > 0
    assert result.history["context"][-1] < result.history["context"][0]


def test_a_fine_scratch_in_a_large_picture_is_filled(tiny: Inpainter) -> None:
    image = np.full((160, 160, 3), 200, np.uint8)
    hole = np.zeros((160, 160), bool)
    hole[80, 10:150] = True
    result = tiny(image, hole, steps=3)
    assert np.abs(result.image.astype(int) - 200).max() < 60
    assert result.history["context"][0] > 0


@pytest.mark.filterwarnings("ignore::aleph.MaskWarning")
def test_too_little_known_at_the_models_resolution_is_refused(tiny: Inpainter) -> None:
    hole = np.ones((160, 160), bool)
    hole[0, 0] = False
    with pytest.raises(InputError, match="too little of the image is known"):
        tiny(noise(160, 160), hole)


BAD_CALLS: dict[str, tuple[dict[str, object], str]] = {
    "missing image": ({"image": "no-such.png"}, "does not exist"),
    "missing mask": ({"mask": "no/such.png"}, "does not exist"),
    "folder": ({"image": Path()}, "folder"),
    "sizes differ": ({"mask": np.eye(15, dtype=bool)}, "same size"),
    "empty hole": ({"mask": np.zeros((16, 16), bool)}, "nothing to fill"),
    "nothing known": ({"mask": np.ones((16, 16), bool)}, "nothing to go by"),
    "NaN in image": ({"image": np.full((16, 16, 3), np.nan)}, "NaN"),
    "NaN in mask": ({"mask": np.full((16, 16), np.nan)}, "NaN"),
    "float image": ({"image": np.zeros((16, 16, 3))}, "uint8"),
    "not square": (
        {"image": noise(16, 20), "mask": np.eye(16, 20, dtype=bool), "frame": "whole"},
        "20×16 pixels, and only a square",
    ),
    "unknown mask": ({"mask": "centre"}, "did you mean 'center'"),
    "unknown preset": ({"preset": "balance"}, "did you mean 'balanced'"),
    "unknown weighting": ({"weighting": "invers"}, "did you mean 'inverse'"),
    "unknown norm": ({"norm": "l3"}, "did you mean 'l[12]'"),
    "unknown blending": ({"blending": "posson"}, "did you mean 'poisson'"),
    "unknown setting": ({"wheighting": "box"}, "did you mean 'weighting'"),
    "unknown frame": ({"frame": "wohle"}, "whole"),
    "negative steps": ({"steps": -1}, "steps"),
    "NaN weight": ({"prior_weight": float("nan")}, "prior_weight"),
    "negative weight": ({"prior_weight": -1.0}, "prior_weight"),
    "zero learning rate": ({"learning_rate": 0.0}, "learning_rate"),
    "no starts": ({"starts": 0}, "starts"),
    "no candidates": ({"candidates": 0}, "candidates"),
    "negative seed": ({"seed": -1}, "seed"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input_is_refused_with_one_clear_sentence(case: str, tiny: Inpainter) -> None:
    wrong, says = BAD_CALLS[case]
    arguments = {"image": noise(16, 16), "mask": np.eye(16, dtype=bool), "steps": 1} | wrong
    image, mask = arguments.pop("image"), arguments.pop("mask")
    with pytest.raises(InputError, match=says) as caught:
        tiny(image, mask, **arguments)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()


def test_a_batch_needs_as_many_masks_and_seeds_as_images(tiny: Inpainter) -> None:
    with pytest.raises(InputError, match="2 images but 1 masks"):
        tiny.batch([noise(16, 16)] * 2, ["center"])
    with pytest.raises(InputError, match="2 images but 3 seeds"):
        tiny.batch([noise(16, 16)] * 2, ["center"] * 2, seeds=[1, 2, 3])


def test_both_calls_take_one_seed_or_a_seed_for_each_picture(tiny: Inpainter) -> None:
    image, options = noise(16, 16), {"steps": 2, "start": "random", "record": False}
    one = tiny(image, "center", seed=5, **options)
    listed = tiny(image, "center", seeds=[5], **options)
    two = tiny.batch([image, image], ["center", "center"], seed=5, **options)
    differing = tiny.batch([image, image], ["center", "center"], seeds=[5, 6], **options)
    assert one.seed == listed.seed == 5
    assert np.array_equal(one.image, listed.image)
    assert all(np.array_equal(one.image, result.image) for result in two)
    assert not np.array_equal(differing[0].image, differing[1].image)
    with pytest.raises(InputError, match="not both"):
        tiny(image, "center", seed=5, seeds=[5])
    with pytest.raises(InputError, match="1 images but 2 seeds"):
        tiny(image, "center", seeds=[5, 6])


def test_warnings_point_at_the_caller_and_are_shown_each_time(tiny: Inpainter) -> None:
    image, hole = noise(20, 30), some_hole(20, 30)
    nothing_found = Inpainter(tiny.model, lambda pixels, hole: [])
    calls: dict[type[Warning], Callable[[], object]] = {
        aleph.MaskWarning: lambda: tiny(image, noise(20, 30)[:, :, 0] > 5, steps=0),
        aleph.FrameWarning: lambda: nothing_found.batch([image], [hole], steps=0),
    }
    for category, call in calls.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for _ in range(2):
                call()
        assert [warning.category for warning in caught] == [category] * 2
        assert {Path(warning.filename).name for warning in caught} == {"test_inpainter.py"}


def test_an_unknown_model_is_a_model_error() -> None:
    with pytest.raises(ModelError, match=f"did you mean '{SHIPPED}'"):
        aleph.Inpainter.from_pretrained("faces-dcgan-46")


def test_the_callback_sees_every_step_and_may_end_the_search(tiny: Inpainter) -> None:
    steps: list[int] = []
    tiny(noise(16, 16), "center", steps=4, on_step=lambda step: steps.append(step.step))
    assert steps == [0, 1, 2, 3, 4]

    def stop(step: aleph.SearchStep) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny(noise(16, 16), "center", steps=4, on_step=stop)


def test_a_result_writes_itself(tiny: Inpainter, tmp_path: Path) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    result = tiny(image, hole, steps=6)
    result.save(tmp_path / "filled.png")
    result.figure(tmp_path / "figure.png")
    result.animate(tmp_path / "search.gif")
    result.save_report(tmp_path / "report.json")
    assert files_below(tmp_path) == {"filled.png", "figure.png", "search.gif", "report.json"}
    with Image.open(tmp_path / "filled.png") as written:
        assert np.array_equal(np.asarray(written), result.image)
    assert json.loads((tmp_path / "report.json").read_text()) == result.report()


def test_a_figure_shows_original_damaged_generated_and_filled(
    tiny: Inpainter, tmp_path: Path
) -> None:
    image, hole = noise(200, 200), some_hole(200, 200)
    result = tiny(image, hole, steps=2)
    result.figure(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as figure:
        sheet = np.asarray(figure.convert("RGB"))
    for picture in (image, result.damaged, result.image):
        assert contains(sheet, picture)


def contains(sheet: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a picture lies somewhere in a larger one, pixel for pixel."""
    corners = np.argwhere((sheet == picture[0, 0]).all(2))
    height, width = picture.shape[:2]
    return any(np.array_equal(sheet[y : y + height, x : x + width], picture) for y, x in corners)


def test_the_damaged_picture_shows_the_hole_and_nothing_of_what_was_there(
    tiny: Inpainter,
) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    damaged = tiny(image, hole, steps=0).damaged
    assert np.array_equal(damaged[~hole], image[~hole])
    assert len(np.unique(damaged[hole], axis=0)) == 1


def test_the_frames_go_from_the_start_to_the_result(tiny: Inpainter) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    result = tiny(image, hole, steps=30)
    assert 10 <= len(result.frames) <= 31
    for frame in result.frames:
        assert np.array_equal(frame[~hole], image[~hole])
    start = tiny(image, hole, steps=0)
    assert np.abs(result.frames[0].astype(int) - start.image).max() <= 1
    ways = [
        np.abs(f.astype(int) - result.image).mean() for f in (result.frames[0], result.frames[-1])
    ]
    assert ways[1] < ways[0]


def test_a_search_that_was_not_recorded_cannot_be_animated(tiny: Inpainter, tmp_path: Path) -> None:
    result = tiny(noise(16, 16), "center", steps=1, record=False)
    assert result.frames == []
    with pytest.raises(InputError, match="record=True"):
        result.animate(tmp_path / "a.gif")
    assert not files_below(tmp_path)


def test_a_wrong_ending_is_refused(tiny: Inpainter, tmp_path: Path) -> None:
    result = tiny(noise(16, 16), "center", steps=1)
    for write, name in (
        (result.save, "a.xyz"),
        (result.figure, "a.xyz"),
        (result.animate, "a.avi"),
        (result.save, "no/a.png"),
        (result.animate, "no/a.gif"),
        (result.save_report, "no/a.json"),
    ):
        with pytest.raises(OutputError):
            write(tmp_path / name)
    assert not files_below(tmp_path)


def test_the_report_is_plain_json_and_says_what_was_done(tiny: Inpainter) -> None:
    hole = some_hole(20, 20)
    result = tiny(noise(20, 20), hole, preset="fast", steps=7, seed=3, candidates=2)
    report = json.loads(json.dumps(result.report()))
    assert report["model"] == "tiny"
    assert report["preset"] == "fast"
    assert report["seed"] == 3
    assert report["image"] == {"width": 20, "height": 20}
    assert report["missing_pixels"] == hole.sum()
    assert report["missing_share"] == pytest.approx(hole.mean())
    assert report["steps"] == 7
    assert report["seconds"] >= 0
    assert [c["losses"] for c in report["candidates"]] == [c.losses for c in result.candidates]
    assert report["settings"] == result.settings.to_dict()


def test_settings_survive_the_way_to_json_and_back(tiny: Inpainter) -> None:
    result = tiny(noise(16, 16), "center", steps=1, weighting="box", blending="paste")
    values = json.loads(json.dumps(result.settings.to_dict()))
    assert aleph.Settings.from_dict(values) == result.settings


@pytest.fixture(scope="module")
def shipped() -> Inpainter:
    return Inpainter.from_pretrained(SHIPPED, device="cpu")


def error_ratio(image: np.ndarray, filled: np.ndarray, hole: np.ndarray) -> float:
    """How many times smaller the mean squared error in the hole is than the mean colour's."""
    truth = image[hole].astype(float)
    plain = ((truth - image[~hole].mean(0)) ** 2).mean()
    return float(plain / ((truth - filled[hole]) ** 2).mean())


def test_the_search_alone_fills_half_a_face_twice_as_well_as_the_mean_colour(
    shipped: Inpainter,
) -> None:
    image = face()
    assert image.shape == (128, 128, 3)
    result = shipped(image, "center", preset="fast", blending="paste", seed=0)
    assert np.array_equal(result.image[~result.hole], image[~result.hole])
    assert error_ratio(image, result.image, result.hole) > 2


def test_scratches_are_filled_four_times_as_well_as_by_the_mean_colour(
    shipped: Inpainter,
) -> None:
    image = face()
    hole = scratches((128, 128), 0)
    result = shipped(image, hole, preset="fast", seed=0)
    assert np.array_equal(result.image[~hole], image[~hole])
    assert error_ratio(image, result.image, hole) > 4
