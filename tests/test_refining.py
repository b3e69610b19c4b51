"""The refiner: its network, the blending that it makes, its training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from torch.nn.functional import softplus

from aleph.arrays import Floats, Hole, Pixels
from aleph.blending.blend import FORGETTING, Blender
from aleph.blending.refine import RefinedBlender, of_both_views
from aleph.errors import InputError, TrainingError
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.models.config import ModelConfig
from aleph.models.folder import load_networks, read_config
from aleph.models.networks.extension import extend_residual
from aleph.models.networks.refiner import Refiner, begin
from aleph.models.zoo import load_model
from aleph.photo.tensors import to_tensor
from aleph.presets import resolve_settings
from aleph.progress import Reporter
from aleph.training.config import TrainConfig
from aleph.training.export import export_run
from aleph.training.loop import Devices, new_recipe, train
from aleph.training.losses import feature_loss
from aleph.training.recipes.patch_critic import PatchCritic, critic_loss, fill_verdict
from aleph.training.recipes.warm_start import start_from
from aleph.training.run import create_run, with_refiner
from conftest import RunCli, make_model
from helpers import KINDS, TINY_TRAINING, noise, some_hole

PLAIN = KINDS["amortised"]
REFINED = dataclasses.replace(PLAIN, refiner_width=10)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder without a refiner."""
    return make_model(tmp_path_factory.mktemp("models") / "plain", PLAIN)


@pytest.fixture(scope="module")
def refined(tmp_path_factory: pytest.TempPathFactory) -> Inpainter:
    """An inpainter whose refiner has random weights that change something."""
    folder = make_model(tmp_path_factory.mktemp("models") / "refined", REFINED)
    return Inpainter.from_pretrained(folder, device="cpu", precision="fp32")


def smooth(height: int, width: int, seed: int = 0) -> Pixels:
    """A picture without fine detail."""
    return np.asarray(cv2.GaussianBlur(noise(height, width, seed), (0, 0), 4.0), np.uint8)


def test_the_finest_detail_of_a_fill_is_made_stronger_by_a_factor() -> None:
    image, guess, hole = (
        noise(60, 60),
        noise(60, 60, 1).astype(np.float32) / 2 + 60,
        some_hole(60, 60),
    )

    def refine(image: Pixels, hole: Hole, guess: Floats, kappa: float) -> Floats:
        return np.where(hole[:, :, None], guess, image).astype(np.float32)

    plain = RefinedBlender(hole, refine, side=128, resolution=64)(image, guess)
    strong = RefinedBlender(hole, refine, side=128, resolution=64, detail=1.3)(image, guess)
    finest = plain - cv2.GaussianBlur(plain.astype(np.float32), (0, 0), 2.0)  # a frame's pixel
    expected = np.clip(plain + np.float32(0.3) * finest, 0, 255)
    assert np.abs(strong[hole] - expected[hole]).max() <= 1.5  # both are rounded
    assert np.abs(strong[hole] - plain[hole].astype(float)).mean() > 2
    assert np.array_equal(strong[~hole], image[~hole])


def with_detail_of(factor: float, folder: Path) -> Inpainter:
    """An inpainter of random weights that fills both views, and the detail that it gives them."""
    config = dataclasses.replace(REFINED, mirrored=True, detail=factor)
    model = make_model(folder / f"detail-{factor}", config)
    return Inpainter.from_pretrained(model, device="cpu", precision="fp32")


def test_a_model_says_how_much_detail_the_mean_of_both_views_gets(tmp_path: Path) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    plain, strong = (with_detail_of(factor, tmp_path) for factor in (1.0, 1.5))
    options = {"frame": "whole", "grain": False}
    fill, finer = (one(image, hole, **options).image for one in (plain, strong))
    finest = fill - cv2.GaussianBlur(fill.astype(np.float32), (0, 0), 1.0)
    expected = np.clip(fill + np.float32(0.5) * finest, 0, 255)
    assert np.abs(finer[hole] - expected[hole]).max() <= 2  # both are rounded
    assert np.abs(finer[hole] - fill[hole].astype(float)).mean() > 1
    assert np.array_equal(finer[~hole], image[~hole])
    for alone in ({"mirror": False}, {"preset": "fast"}):
        one, other = (of(image, hole, **options, **alone).image for of in (plain, strong))
        assert np.array_equal(one, other)


@pytest.mark.parametrize("factor", [0.0, -1.0, 4.5, float("nan")])
def test_a_factor_of_detail_that_makes_no_sense_is_refused(factor: float) -> None:
    with pytest.raises(InputError, match="detail must be over 0 and up to 4"):
        dataclasses.replace(REFINED, detail=factor)


def test_a_refiner_that_is_trained_begins_without_the_detail_of_the_one_before(
    tmp_path: Path,
) -> None:
    model = make_model(tmp_path / "strong", dataclasses.replace(REFINED, detail=1.5))
    assert with_refiner(str(model), {}).detail == 1.0


@pytest.mark.parametrize("mask", ["random", "strokes", "center", "half"])
def test_the_residual_is_continued_much_as_the_matern_blend_does(mask: str) -> None:
    image, hole = smooth(64, 64), named_hole(mask, (64, 64), 0)
    guess = np.full((64, 64, 3), 90.0, np.float32)
    exact = Blender(hole, "matern", softening=0.0)(image, guess)
    residual = torch.from_numpy(image - guess).permute(2, 0, 1)[None]

    def off(continued: torch.Tensor) -> float:
        fill = (guess + continued[0].permute(1, 2, 0).numpy()).clip(0, 255)
        return float(np.abs(fill - exact)[hole].mean())

    there = torch.from_numpy(hole[None, None])
    few, many = (extend_residual(residual, there, FORGETTING / 64, steps) for steps in (8, 128))
    assert torch.equal(few.masked_fill(there, 0.0), residual.masked_fill(there, 0.0))
    assert off(many) < 1.0
    assert off(few) < 0.8 * off(residual.masked_fill(there, 0.0))


def test_a_batch_of_residuals_is_continued_each_with_its_own_memory() -> None:
    hole = torch.ones(2, 1, 32, 32, dtype=torch.bool)
    hole[:, :, :4] = False
    kappa = torch.tensor([0.1, 0.8]).view(2, 1, 1, 1)
    found = extend_residual(torch.ones(2, 1, 32, 32), hole, kappa)
    alone = extend_residual(torch.ones(1, 1, 32, 32), hole[:1], 0.8)
    assert torch.allclose(found[1], alone[0], atol=1e-5)
    assert found[0, 0, 6].mean() > 0.4
    assert found[1, 0, 12].abs().mean() < 0.1


@pytest.mark.parametrize("size", [(16, 16), (37, 23), (5, 64)])
def test_a_fresh_refiner_changes_nothing_and_takes_any_size(size: tuple[int, int]) -> None:
    image, hole = to_tensor(noise(*size)[None]), torch.from_numpy(some_hole(*size)[None, None])
    guess = to_tensor(noise(*size, 1)[None])
    start, reach = begin(image, hole, guess, 0.4)
    fill = Refiner(10)(image, hole, guess, 0.4)
    assert torch.allclose(fill, torch.where(hole, start, image), atol=1e-6)
    assert torch.equal(fill.masked_fill(hole, 0.0), image.masked_fill(hole, 0.0))
    assert reach[~hole].allclose(torch.ones(()))


def test_what_lies_in_the_hole_is_not_looked_at(refined: Inpainter) -> None:
    image, hole = noise(48, 48), some_hole(48, 48)
    changed = image.copy()
    changed[hole] = 255 - changed[hole]
    one, other = (refined(i, hole, preset="fast", frame="whole").image for i in (image, changed))
    assert np.array_equal(one[hole], other[hole])


@pytest.mark.parametrize("size", [16, 24, 50, 100])
def test_known_pixels_come_back_bit_for_bit_at_every_size(refined: Inpainter, size: int) -> None:
    image, hole = noise(size, size), some_hole(size, size)
    result = refined(image, hole, preset="fast", frame="whole", candidates=2)
    assert result.settings.blending == "refined"
    for candidate in result.candidates:
        assert np.array_equal(candidate.image[~hole], image[~hole])
    assert not np.array_equal(result.image, result.blended("matern"))


def test_a_result_that_was_without_its_model_is_blended_as_it_was_filled(tmp_path: Path) -> None:
    inpainter = with_detail_of(1.5, tmp_path)
    result = inpainter(noise(16, 16), some_hole(16, 16), frame="whole", grain=False)
    assert result.settings.search.mirror
    model = inpainter.model.refine, inpainter.refine_outside
    for one in (result, result.without_model().with_model(*model)):
        assert np.array_equal(one.blended("refined"), result.image)


def test_a_hole_is_refined_from_coarse_to_fine_and_in_windows_of_bounded_size() -> None:
    hole = np.zeros((700, 1500), bool)
    hole[40:660, 30:1490] = True
    seen: list[tuple[float, tuple[int, ...]]] = []

    def refine(image: Pixels, window: Hole, guess: Floats, kappa: float) -> Floats:
        seen.append((kappa, window.shape))
        return np.where(window[:, :, None], np.float32(200), image).astype(np.float32)

    blender = RefinedBlender(hole, refine, side=512, resolution=128)
    filled = blender(np.zeros((700, 1500, 3), np.uint8), np.zeros((700, 1500, 3), np.float32))
    assert (filled[hole] == 200).all()
    assert (filled[~hole] == 0).all()
    kappas = [kappa for kappa, _ in seen]
    assert kappas == sorted(kappas, reverse=True)
    assert set(kappas) == {FORGETTING / 256, FORGETTING / 512}
    assert max(max(shape) for _, shape in seen) <= 600


def test_what_coarse_refining_found_is_seen_at_the_photos_size() -> None:
    """A wide hole in a photo eight times the frame: the colour found at a fourth arrives."""
    hole = np.zeros((256, 256), bool)
    hole[64:192, 64:192] = True

    def refine(image: Pixels, window: Hole, guess: Floats, kappa: float) -> Floats:
        if kappa == FORGETTING / 64:
            return np.where(window[:, :, None], np.float32(160), image).astype(np.float32)
        return np.where(window[:, :, None], guess, image).astype(np.float32)

    blender = RefinedBlender(hole, refine, side=256, resolution=32)
    image = np.full((256, 256, 3), 100, np.uint8)
    filled = blender(image, np.full((256, 256, 3), 100, np.float32))
    assert filled[120:136, 120:136].min() > 140
    assert (filled[~hole] == 100).all()


def test_both_views_are_refined_at_about_the_frames_size_and_one_where_it_is_finer() -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    guess = np.full((16, 16, 3), 90, np.float32)
    seen = []

    def refine(picture: Pixels, window: Hole, start: Floats, kappa: float) -> Floats:
        seen.append((picture, window))
        ramp = np.linspace(0, 60, 16, dtype=np.float32)[None, :, None]
        return np.where(window[:, :, None], start + ramp, picture).astype(np.float32)

    both = of_both_views(refine, 64)
    fill = both(image, hole, guess, FORGETTING / 128)
    # The ramp and its mirror image are 30 on average, everywhere.
    np.testing.assert_allclose(fill[hole], 120, atol=1e-4)
    assert np.array_equal(fill[~hole], image[~hole])
    assert np.array_equal(seen[1][0], image[:, ::-1])
    assert np.array_equal(seen[1][1], hole[:, ::-1])
    seen.clear()
    finer = both(image, hole, guess, FORGETTING / 129)
    assert len(seen) == 1
    assert np.array_equal(finer, refine(image, hole, guess, FORGETTING / 129))


def test_presets_refine_where_a_model_can_and_yeh_never() -> None:
    for preset in ("fast", "balanced", "thorough"):
        assert resolve_settings(preset, "amortised", refined=True).blending == "refined"
        assert resolve_settings(preset, "amortised").blending == "matern"
    assert resolve_settings("yeh2017", "amortised", refined=True).blending == "poisson"
    assert resolve_settings("fast", "amortised", refined=True, blending="paste").blending == "paste"


def test_a_model_without_a_refiner_says_so(plain: Path, call_cli: RunCli, tmp_path: Path) -> None:
    inpainter = Inpainter.from_pretrained(plain, device="cpu", precision="fp32")
    with pytest.raises(InputError, match="no refiner"):
        inpainter(noise(16, 16), "center", blending="refined")
    with pytest.raises(InputError, match="no refiner"):
        inpainter(noise(16, 16), "center", preset="fast", frame="whole").blended("refined")


def test_an_older_model_folder_still_loads(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "older"
    folder.mkdir()
    for path in plain.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    values = json.loads((folder / "config.json").read_text())
    assert values["format"] == 2
    del values["model"]["refiner_width"], values["model"]["detail"]
    (folder / "config.json").write_text(json.dumps({**values, "format": 1}))
    assert load_model(folder, "cpu").refiner is None
    assert read_config(folder) == PLAIN


def train_refiner(folder: Path, data: Path, init: Path, **given: object) -> None:
    settings = {"batch_size": 8, "precision": "fp32", "steps": 3, "adversary_start": 1, **given}
    config = TrainConfig(part="refiner", **settings)  # type: ignore[arg-type]
    model = with_refiner(str(init), {"refiner_width": 10})
    run = create_run(folder, [data], model, config, None, str(init))
    devices = Devices("cpu", "1", 1)
    train(run, resume=False, devices=devices, reporter=Reporter(enabled=False))


@pytest.mark.parametrize("mirrored", [False, True])
def test_training_a_refiner_leaves_the_other_networks_as_they_were(
    mirrored: bool, pictures: Path, tmp_path: Path
) -> None:
    plain = make_model(tmp_path / "plain", dataclasses.replace(PLAIN, mirrored=mirrored))
    train_refiner(tmp_path / "run", pictures, plain, average_half_life=8)
    export_run(tmp_path / "run", tmp_path / "model")
    before, after = (load_file(f / "model.safetensors") for f in (plain, tmp_path / "model"))
    assert all(torch.equal(after[key], value) for key, value in before.items())
    new = after.keys() - before.keys()
    assert new
    assert all(key.startswith("refiner.") for key in new)
    assert after["refiner.head.weight"].abs().sum() > 0
    assert read_config(tmp_path / "model").mirrored is mirrored
    inpainter = Inpainter.from_pretrained(tmp_path / "model", device="cpu", precision="fp32")
    result = inpainter(noise(16, 16), "center", preset="fast", frame="whole")
    assert result.settings.blending == "refined"


def test_a_model_that_is_trained_on_keeps_the_refiner_that_it_began_with(
    pictures: Path, tmp_path: Path
) -> None:
    refined = make_model(tmp_path / "refined", REFINED)
    config = TrainConfig(
        batch_size=8, precision="fp32", steps=4, adversary_start=1, learning_rate=0.1,
        average_half_life=8,
    )  # fmt: skip
    run = create_run(tmp_path / "run", [pictures], REFINED, config, None, str(refined))
    train(run, resume=False, devices=Devices("cpu", "1", 1), reporter=Reporter(enabled=False))
    export_run(tmp_path / "run", tmp_path / "model")
    before, after = (load_file(f / "model.safetensors") for f in (refined, tmp_path / "model"))
    assert before.keys() == after.keys()
    changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"encoder", "generator", "discriminator"}


def test_a_refiner_goes_on_from_a_run_with_the_discriminator_of_its_fills(
    plain: Path, pictures: Path, tmp_path: Path
) -> None:
    train_refiner(tmp_path / "run", pictures, plain, average_half_life=8)
    state = load_file(tmp_path / "run" / "state.safetensors")
    config = TrainConfig(part="refiner", precision="fp32")
    recipe = new_recipe(REFINED, config, torch.device("cpu"))
    start_from(recipe, REFINED, str(plain), None, str(tmp_path / "run"))
    for network, part in (("refiner", "average/refiner"), ("critic", "network/critic")):
        for key, value in recipe.networks[network].state_dict().items():
            assert torch.equal(value, state[f"{part}/{key}"])
    none = new_recipe(PLAIN, TrainConfig(precision="fp32"), torch.device("cpu"))
    with pytest.raises(TrainingError, match="is for a model with a refiner"):
        start_from(none, PLAIN, str(plain), None, str(tmp_path / "run"))
    wider = dataclasses.replace(REFINED, refiner_width=20)
    with pytest.raises(TrainingError, match="does not fit"):
        start_from(
            new_recipe(wider, config, torch.device("cpu")),
            wider, str(plain), None, str(tmp_path / "run"),
        )  # fmt: skip


def test_a_refiner_learns_what_the_known_pixels_say(plain: Path, tmp_path: Path) -> None:
    """Pictures of one colour each: some steps bring the fills nearer to it."""
    data = tmp_path / "data"
    data.mkdir()
    rng = np.random.default_rng(0)
    for number in range(32):
        colour = np.broadcast_to(rng.integers(30, 226, 3).astype(np.uint8), (16, 16, 3))
        cv2.imwrite(str(data / f"{number:02d}.png"), np.ascontiguousarray(colour))
    train_refiner(
        tmp_path / "run", data, plain, steps=60, learning_rate=3e-3, adversary_start=1000,
        average_half_life=40, log_every=10,
    )  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "run/losses.jsonl").read_text().splitlines()]
    assert rows[0]["rebuilt"] == pytest.approx(rows[0]["start"], rel=0.2)
    assert np.mean([row["rebuilt"] / row["start"] for row in rows[-3:]]) < 0.95


def test_a_refiner_is_taught_how_much_detail_there_is(plain: Path, tmp_path: Path) -> None:
    """Pictures of noise: which pixel is light cannot be known, how rough they are can."""
    data = tmp_path / "data"
    data.mkdir()
    for number in range(32):
        cv2.imwrite(str(data / f"{number:02d}.png"), noise(16, 16, number))
    lacking = {}
    for weight in (0.0, 3.0):
        folder = tmp_path / f"run-{weight}"
        train_refiner(
            folder, data, plain, steps=60, learning_rate=3e-3, adversary_start=0,
            adversary_weight=0.0, feature_weight=0.0, detail_weight=weight, log_every=10,
        )  # fmt: skip
        rows = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
        lacking[weight] = np.mean([row["detail"] for row in rows[-3:]])
    assert lacking[3.0] < 0.75 * lacking[0.0]


def test_the_command_line_trains_a_refiner_on_top_of_a_model(
    call_cli: RunCli, plain: Path, pictures: Path, tmp_path: Path
) -> None:
    options = ("--batch-size", "8", "--steps", "1", "--accelerator", "cpu", "--precision", "fp32")
    refused = call_cli("train", pictures, "--model", "refiner", "--out", "run", *options)
    assert refused.code == 2
    assert "--init" in refused.err
    wrong = call_cli(
        "train", pictures, "--model", "refiner", "--init", plain, "-o", "run", *TINY_TRAINING,
        "--resolution", "32",
    )  # fmt: skip
    assert wrong.code == 2
    assert "resolution" in wrong.err
    done = call_cli("train", pictures, "--model", "refiner", "--init", plain, "-o", "run", *options)
    assert done.code == 0, done.err
    assert call_cli("export", "run", "-o", "model").code == 0
    config, networks = load_networks(tmp_path / "model")
    assert config == ModelConfig(**{**PLAIN.to_dict(), "refiner_width": config.refiner_width})
    assert "refiner" in networks


def test_the_critic_judges_only_what_was_filled() -> None:
    torch.manual_seed(0)
    critic, picture = PatchCritic(), torch.rand(2, 3, 64, 64) * 2 - 1
    hole = torch.zeros(2, 1, 64, 64, dtype=torch.bool)
    hole[0, :, 16:32, 16:48] = True
    hole[1, :, 5, 7] = True
    fine, coarse = critic(picture, hole)
    assert fine.shape == (2, 1, 16, 16)
    assert coarse.shape == (2, 1, 4, 4)
    verdict = fill_verdict([fine, coarse], hole)
    # Worked by hand: the places of the first hole, all filled; those of the second, one each.
    by_hand = [
        (softplus(-fine[0, 0, 4:8, 4:12]).mean() + softplus(-coarse[0, 0, 1, 1:3]).mean()) / 2,
        (softplus(-fine[1, 0, 1, 1]) + softplus(-coarse[1, 0, 0, 0])) / 2,
    ]
    torch.testing.assert_close(verdict, torch.stack(by_hand))
    loss = critic_loss([fine, coarse], [fine, coarse], hole)
    undecided = critic_loss([0 * fine, 0 * coarse], [0 * fine, 0 * coarse], hole)
    assert undecided.tolist() == pytest.approx([2 * np.log(2)] * 2)
    assert (loss > undecided).all()  # whatever it says, it cannot tell a picture from itself


def test_features_count_by_how_much_of_their_place_was_filled() -> None:
    hole = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    hole[0, :, :2, :2] = True  # all of the first place
    hole[0, :, 0, 2] = hole[1, :, 3, 3] = True  # a quarter of the next, and of the other's last
    real, made = torch.full((2, 1, 2, 2), 2.0), torch.full((2, 1, 2, 2), 2.0)
    made[0, 0, 0] = torch.tensor([3.0, 7.0])
    made[1, 0, 0] = 9.0  # nothing is missing there
    # By hand: (1 · 1 + ¼ · 5) / (1 + ¼), over the mean magnitude of 2.
    assert feature_loss([made], [real], hole).tolist() == pytest.approx([0.9, 0.0])
    assert feature_loss([made], [real]).tolist() == pytest.approx([0.75, 1.75])


def test_a_fill_that_is_the_original_has_its_features() -> None:
    torch.manual_seed(0)
    critic, picture = PatchCritic(), torch.rand(1, 3, 32, 32) * 2 - 1
    hole = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    hole[:, :, 8:24, 14:17] = True
    found = critic.features(picture, hole)
    sizes = [tuple(seen.shape[1:]) for seen in found]
    assert sizes[:4] == [(32, 32, 32), (64, 16, 16), (128, 8, 8), (128, 8, 8)]
    assert sizes[4:] == [(128, 4, 4), (128, 2, 2), (128, 2, 2)]
    blurred = torch.where(hole, functional.avg_pool2d(picture, 3, 1, 1), picture)
    other = critic.features(blurred, hole)
    assert feature_loss(found, found, hole).item() == 0
    assert feature_loss(other, found, hole).item() > 0.05
