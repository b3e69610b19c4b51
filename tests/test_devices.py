"""No tensor is made on the wrong device: training, warm starts and searches on one of their own."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aleph.inpainter import Inpainter
from aleph.models.config import ModelConfig
from aleph.models.zoo import load_detector
from aleph.progress import Reporter
from aleph.training.batches import Batches
from aleph.training.config import TrainConfig
from aleph.training.loop import _Loop, new_recipe
from aleph.training.recipes.recipe import Recipe
from aleph.training.recipes.warm_start import start_from
from aleph.training.run import Run
from aleph.training.state import load_state
from conftest import make_model
from elsewhere import ELSEWHERE, Elsewhere, WrongDeviceError, lies_elsewhere, make_generator
from helpers import KINDS, noise, some_hole

TRAINED = {
    **KINDS,
    "detector": ModelConfig.default("detector", resolution=32, encoder_width=8, maximum_width=16),
    "damage": ModelConfig.default("damage", resolution=32, encoder_width=8, maximum_width=16),
}


class OneProcess:
    """What the loop needs of Lightning Fabric, on the device that is not there."""

    device = ELSEWHERE
    global_rank = 0
    world_size = 1

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def barrier(self) -> None:
        pass


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch, "Generator", make_generator)
    with Elsewhere():
        yield


def squares(config: ModelConfig, count: int) -> np.ndarray:
    side = config.image_resolution
    return np.stack([noise(side, side, seed) for seed in range(count)])


def tensors_of(recipe: Recipe) -> dict[str, torch.Tensor]:
    networks = {**recipe.networks, **{f"ema/{k}": v for k, v in recipe.ema.items()}}
    return {f"{r}/{k}": v for r, n in networks.items() for k, v in n.state_dict().items()}


def test_tensors_of_two_devices_do_not_mix() -> None:
    there = torch.ones(3, device=ELSEWHERE)
    assert lies_elsewhere(there * 2 + torch.zeros_like(there)[None])
    assert there.device == ELSEWHERE
    assert torch.ones(3).device != ELSEWHERE
    for wrong in (
        lambda: there + torch.eye(3),
        lambda: torch.cat([there, torch.ones(3)]),
        there.numpy,
    ):
        with pytest.raises(WrongDeviceError):
            wrong()
    assert not lies_elsewhere(there.cpu() + torch.ones(3))


@pytest.mark.parametrize("kind", TRAINED)
def test_training_runs_on_a_device_of_its_own(kind: str, tmp_path: Path) -> None:
    model = TRAINED[kind]
    config = TrainConfig(batch_size=4, steps=2, adversary_start=1, precision="fp32")
    run = Run(tmp_path, (), None, model, config)
    recipe = new_recipe(model, config, ELSEWHERE)
    batches = Batches(squares(model, 8), 4, 0)
    loop = _Loop(OneProcess(), run, recipe, batches, Reporter(False))  # type: ignore[arg-type]
    assert loop.go_on(0).finished
    assert all(map(lies_elsewhere, tensors_of(recipe).values()))
    again = new_recipe(model, dataclasses.replace(config, steps=3), ELSEWHERE)
    assert load_state(again, run.state)["step"] == 2
    loop = _Loop(OneProcess(), run, again, batches, Reporter(False))  # type: ignore[arg-type]
    loop.advance(2)
    assert all(map(lies_elsewhere, tensors_of(again).values()))
    again.export()


@pytest.mark.parametrize("kind", TRAINED)
def test_a_warm_start_runs_on_a_device_of_its_own(kind: str, tmp_path: Path) -> None:
    model = TRAINED[kind]
    folder = make_model(tmp_path / "first", model)
    recipe = new_recipe(model, TrainConfig(), ELSEWHERE)
    images = squares(model, 2 * model.latent_dim + 2)  # enough to whiten the latent space
    start_from(recipe, model, str(folder), images)
    assert all(map(lies_elsewhere, tensors_of(recipe).values()))


@pytest.mark.parametrize("options", [{}, {"start": "random"}, {"preset": "fast"}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_search_runs_on_a_device_of_its_own(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    folder = make_model(tmp_path / kind, KINDS[kind])
    inpainter = Inpainter.from_pretrained(folder, device="cpu:0", precision="fp32")
    assert all(map(lies_elsewhere, inpainter.model.generator.parameters()))
    image, hole = noise(20, 20), some_hole(20, 20)
    settings = {"steps": 3, "prior_weight": 0.1, "candidates": 2, "patience": 2, **options}
    result = inpainter(image, hole, **settings)
    assert np.array_equal(result.image[~hole], image[~hole])


def test_a_detector_runs_on_a_device_of_its_own(tmp_path: Path) -> None:
    detector = load_detector(make_model(tmp_path / "d", TRAINED["detector"]), "cpu:0")
    scores, _ = detector(torch.zeros(1, 4, 64, 64))
    assert not lies_elsewhere(scores)
