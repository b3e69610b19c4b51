from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from aleph.errors import TrainingError
from aleph.models.config import ModelConfig
from aleph.models.folder import load_networks, save_model
from aleph.models.zoo import load_model
from aleph.training.config import TrainConfig
from aleph.training.loop import new_recipe
from aleph.training.recipes.warm_start import start_from
from aleph.training.run import create_run
from conftest import make_model
from helpers import KINDS

SMALL = KINDS["amortised"]
CPU = torch.device("cpu")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A model folder of the amortised kind at 16 pixels."""
    recipe = new_recipe(SMALL, TrainConfig(seed=5), CPU)
    save_model(tmp_path / "small", SMALL, recipe.networks, "a card")
    return tmp_path / "small"


def test_a_model_goes_on_with_the_very_weights_of_another(trained: Path) -> None:
    recipe = new_recipe(SMALL, TrainConfig(seed=1), CPU)
    start_from(recipe, SMALL, str(trained))
    _, stored = load_networks(trained)
    for role, network in recipe.networks.items():
        for key, value in stored[role].state_dict().items():
            assert torch.equal(network.state_dict()[key], value)
            if role in recipe.ema:
                assert torch.equal(recipe.ema[role].state_dict()[key], value)


def test_a_grown_generator_shows_the_old_images_twice_as_large(trained: Path) -> None:
    grown = dataclasses.replace(
        SMALL, resolution=32, generator_width=4, discriminator_width=4, encoder_width=4
    )
    recipe = new_recipe(grown, TrainConfig(seed=1), CPU)
    start_from(recipe, grown, str(trained))
    z = torch.randn(3, SMALL.latent_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        small = load_model(trained, precision="fp32").generate(z)
        large = recipe.networks["generator"](z)
    assert large.shape == (3, 3, 32, 32)
    enlarged = functional.interpolate(small, scale_factor=2.0, mode="bilinear")
    assert torch.allclose(large, enlarged, atol=1e-5)


FINDER = ModelConfig.default("damage", resolution=32, encoder_width=4, maximum_width=8)


@pytest.mark.parametrize("wider", [{"maximum_width": 20}, {"encoder_width": 6}])
def test_a_wider_finder_says_at_first_what_the_narrower_one_says(
    wider: dict[str, int], tmp_path: Path
) -> None:
    folder = make_model(tmp_path / "narrow", FINDER)
    old = load_networks(folder)[1]["damage"]
    config = dataclasses.replace(FINDER, **wider)  # type: ignore[arg-type]
    recipe = new_recipe(config, TrainConfig(seed=1), CPU)
    start_from(recipe, config, str(folder))
    random = torch.Generator().manual_seed(0)
    image, told = (2 * torch.rand(2, n, 64, 32, generator=random) - 1 for n in (3, 1))
    grown = recipe.networks["damage"]
    said = grown(image, told)
    assert torch.allclose(said, old(image, told), atol=1e-5)
    # and all that is new can learn
    said.square().mean().backward()
    for key, weights in grown.named_parameters():
        narrow = old.get_parameter(key)
        if weights.ndim > 1 and weights.shape[1] > narrow.shape[1]:
            assert weights.grad is not None
            assert weights.grad[: len(narrow), narrow.shape[1] :].abs().sum() > 0, key


def test_a_narrower_finder_is_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "old", FINDER)
    config = dataclasses.replace(FINDER, maximum_width=6)
    recipe = new_recipe(config, TrainConfig(), CPU)
    with pytest.raises(TrainingError, match="choose the widths"):
        start_from(recipe, config, str(folder))


@pytest.mark.parametrize(
    "change",
    [
        {"resolution": 8},
        {"latent_dim": 9},
        {"resolution": 32},  # the widths of the old levels are not kept
        {"kind": "dcgan"},
    ],
)
def test_a_model_that_does_not_fit_is_refused_in_one_sentence(
    trained: Path, change: dict[str, object]
) -> None:
    other = dataclasses.replace(SMALL, **change)  # type: ignore[arg-type]
    recipe = new_recipe(other, TrainConfig(), CPU)
    with pytest.raises(TrainingError) as caught:
        start_from(recipe, other, str(trained))
    assert "\n" not in str(caught.value)


DETECTOR = ModelConfig.default("detector", resolution=32, encoder_width=8, maximum_width=16)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            DETECTOR,
            {"resolution": 64},
            "of kind 'detector' cannot be grown; choose --resolution 32",
        ),
        (KINDS["dcgan"], {"resolution": 32}, "'dcgan' cannot be grown; choose --resolution 16"),
        (SMALL, {"resolution": 8}, "can be grown, but not shrunk"),
        (SMALL, {"kind": "dcgan"}, "is of kind 'amortised'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_resolution_or_kind_is_refused_with_its_reason(
    old: ModelConfig, new: dict[str, object], says: str, tmp_path: Path
) -> None:
    folder = make_model(tmp_path / "old", old)
    config = dataclasses.replace(old, **new)  # type: ignore[arg-type]
    recipe = new_recipe(config, TrainConfig(), CPU)
    with pytest.raises(TrainingError, match=re.escape(says)):
        start_from(recipe, config, str(folder))


def test_the_detector_of_the_first_weights_is_taken_over_unless_another_is_given(
    tmp_path: Path,
) -> None:
    config = dataclasses.replace(SMALL, detector="some-detector")
    recipe = new_recipe(config, TrainConfig(seed=5), CPU)
    save_model(tmp_path / "first", config, recipe.networks, "a card")
    (tmp_path / "images").mkdir()

    def detector(model: ModelConfig, init: str | None) -> str:
        run = create_run(tmp_path / "run", [tmp_path / "images"], model, TrainConfig(), None, init)
        return run.model.detector

    first = str(tmp_path / "first")
    assert detector(SMALL, None) == ""
    assert detector(SMALL, first) == "some-detector"
    assert detector(dataclasses.replace(SMALL, detector="other"), first) == "other"


def test_frozen_weights_that_are_replaced_change_the_image(trained: Path) -> None:
    _, stored = load_networks(trained)
    generator = stored["generator"].eval().requires_grad_(False)
    fresh = new_recipe(SMALL, TrainConfig(seed=9), CPU).networks["generator"]
    z = torch.randn(2, SMALL.latent_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        generator(z)
        generator.load_state_dict(fresh.state_dict())
        assert torch.allclose(generator(z), fresh(z), atol=1e-5)


def test_a_generator_that_was_used_in_inference_mode_can_be_searched(trained: Path) -> None:
    generator = load_model(trained, precision="fp32").generate
    z = torch.zeros(2, SMALL.latent_dim, requires_grad=True)
    with torch.inference_mode():
        generator(z.detach())
    (gradient,) = torch.autograd.grad(generator(z).sum(), z)
    assert gradient.abs().sum() > 0
