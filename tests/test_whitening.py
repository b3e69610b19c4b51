from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from aleph.photo.tensors import to_tensor
from aleph.training.config import TrainConfig
from aleph.training.loop import new_recipe
from aleph.training.recipes.whitening import whiten
from helpers import KINDS

SMALL = KINDS["amortised"]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Smooth pictures of random colours: uint8 (200, 16, 16, 3)."""
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 255, (200, 2, 2, 3))
    ramp = np.stack([np.linspace(1, 0, 16), np.linspace(0, 1, 16)])
    return np.einsum("nabc,ai,bj->nijc", corners, ramp, ramp).astype(np.uint8)


@pytest.fixture
def networks() -> dict[str, torch.nn.Module]:
    recipe = new_recipe(SMALL, TrainConfig(seed=2), torch.device("cpu"))
    with torch.no_grad():  # a space as training leaves it: off centre, and wide here, narrow there
        layer = recipe.networks["encoder"].posterior
        layer.weight[: SMALL.latent_dim] *= torch.linspace(1, 9, SMALL.latent_dim)[:, None]
        layer.bias[: SMALL.latent_dim] += 3.0
        layer.bias[SMALL.latent_dim :] -= 2.0
    return recipe.networks


def _encode(encoder: torch.nn.Module, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        return encoder(to_tensor(images), torch.zeros(len(images), 1, 16, 16, dtype=torch.bool))


def test_every_image_is_rebuilt_as_before(
    networks: dict[str, torch.nn.Module], images: np.ndarray
) -> None:
    before = copy.deepcopy(networks)
    assert whiten(networks["generator"], networks["encoder"], images)
    mean, _ = _encode(networks["encoder"], images)
    old, _ = _encode(before["encoder"], images)
    assert (mean - old).abs().max() > 0.5
    with torch.no_grad():
        shown, wanted = networks["generator"](mean), before["generator"](old)
    torch.testing.assert_close(shown, wanted, atol=1e-4, rtol=1e-4)


def test_the_codes_of_all_images_together_become_the_prior(
    networks: dict[str, torch.nn.Module], images: np.ndarray
) -> None:
    whiten(networks["generator"], networks["encoder"], images)
    mean, log_variance = _encode(networks["encoder"], images)
    mixture = torch.cov(mean.T) + torch.diag(log_variance.exp().mean(dim=0))
    assert mean.mean(dim=0).abs().max() < 1e-3
    torch.testing.assert_close(mixture, torch.eye(len(mixture)), atol=0.1, rtol=0)


def test_too_few_images_change_nothing(
    networks: dict[str, torch.nn.Module], images: np.ndarray
) -> None:
    before = copy.deepcopy(networks["encoder"].state_dict())
    assert not whiten(networks["generator"], networks["encoder"], images[:3])
    for key, value in networks["encoder"].state_dict().items():
        assert torch.equal(value, before[key])
