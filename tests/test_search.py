from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from aleph.models.networks import build_networks
from aleph.search.adam import Adam
from aleph.search.config import SearchConfig
from aleph.search.latent import SearchResult, SearchStep, latent_search, learning_rate_at
from aleph.search.starts import encode_views, random_starts
from aleph.search.weighting import context_weight
from helpers import TINY

SIDE, DIM = 6, 4
PLAIN = SearchConfig(prior_weight=0.0, steps=300, learning_rate=0.05, learning_rate_end=0.02)


def linear_generator(seed: int = 0) -> nn.Module:
    """z (n, 4) → images (n, 3, 6, 6), each pixel a different mixture of z."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(DIM, 3 * SIDE * SIDE), nn.Unflatten(1, (3, SIDE, SIDE)))


def hole() -> np.ndarray:
    missing = np.zeros((SIDE, SIDE), bool)
    missing[2:5, 1:4] = True
    return missing


def weights(images: int = 1, weighting: str = "inverse-square") -> Tensor:
    weight = torch.from_numpy(context_weight(hole(), weighting))  # type: ignore[arg-type]
    return weight.expand(images, 1, SIDE, SIDE).clone()


def damaged(generator: nn.Module, z: Tensor) -> Tensor:
    """The images of z with NaN in the hole: whoever looks there is found out."""
    images = generator(z).detach()
    images[:, :, torch.from_numpy(hole())] = float("nan")
    return images


def planted(images: int = 1) -> Tensor:
    return random_starts("uniform", DIM, 1, range(100, 100 + images))[:, 0]


def search(
    generator: nn.Module,
    target: Tensor,
    start: Tensor,
    config: SearchConfig = PLAIN,
    **more: object,
) -> SearchResult:
    return latent_search(generator, None, target, weights(len(target)), start, config, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("weighting", ["uniform", "box", "inverse", "inverse-square"])
def test_a_planted_code_is_found_though_the_hole_is_unknown(norm: str, weighting: str) -> None:
    generator, z = linear_generator(), planted(2)
    config = SearchConfig(**{**PLAIN.to_dict(), "norm": norm})
    start = random_starts("uniform", DIM, 1, [0, 1])
    result = latent_search(
        generator, None, damaged(generator, z), weights(2, weighting), start, config
    )
    assert (start[:, 0] - z).abs().max() > 0.5
    torch.testing.assert_close(result.z[:, 0], z, atol=0.02, rtol=0)
    torch.testing.assert_close(result.generated[:, 0], generator(z), atol=0.03, rtol=0)


def test_the_gradient_is_taken_to_z_alone() -> None:
    networks = build_networks(TINY)
    generator, discriminator = networks["generator"].eval(), networks["discriminator"].eval()
    before = {k: v.clone() for n in networks.values() for k, v in n.state_dict().items()}
    weight = torch.full((1, 1, 16, 16), 1 / 256)
    start = random_starts("uniform", 8, 1, [0])
    config = SearchConfig(prior_weight=0.1, steps=3)
    result = latent_search(
        generator, discriminator, torch.zeros(1, 3, 16, 16), weight, start, config
    )
    assert not torch.equal(result.z, start)
    parameters = [p for n in networks.values() for p in n.parameters()]
    assert all(p.requires_grad and p.grad is None for p in parameters)
    after = {k: v for n in networks.values() for k, v in n.state_dict().items()}
    assert all(torch.equal(after[key], value) for key, value in before.items())


@pytest.mark.parametrize("steps", [0, 3])
def test_no_gradient_graph_is_built_where_no_step_follows(steps: int) -> None:
    linear, built = linear_generator(), []

    def generator(z: Tensor) -> Tensor:
        image = linear(z)
        built.append(image.grad_fn is not None)
        return image

    config = SearchConfig(prior_weight=0.0, steps=steps)
    latent_search(
        generator, None, damaged(linear, planted()), weights(), planted()[:, None], config
    )
    assert built == [True] * steps + [False]


def test_the_inputs_of_a_search_stay_as_they_were() -> None:
    generator, z = linear_generator(), planted()
    target, weight, start = damaged(generator, z), weights(), torch.zeros(1, 2, DIM)
    copies = [tensor.clone() for tensor in (target, weight, start)]
    latent_search(generator, None, target, weight, start, SearchConfig(prior_weight=0, steps=5))
    for tensor, copy in zip((target, weight, start), copies, strict=True):
        torch.testing.assert_close(tensor, copy, rtol=0, atol=0, equal_nan=True)


def test_the_state_returned_is_the_best_that_was_seen() -> None:
    generator, z = linear_generator(), planted(2)
    wild = SearchConfig(prior_weight=0.0, steps=30, learning_rate=5.0, learning_rate_end=1.0)
    start = z[:, None] + 0.01
    result = search(generator, damaged(generator, z), start, wild)
    total = result.history["total"]
    assert (total[-1] > total[0]).all()  # such steps lead away from so good a start
    assert torch.equal(result.losses["total"], total.amin(0))
    assert (result.losses["total"] <= total[0]).all()
    torch.testing.assert_close(generator(result.z[:, 0]), result.generated[:, 0])


def test_losses_and_history_belong_to_the_codes() -> None:
    generator, z = linear_generator(), planted()
    config = SearchConfig(prior_weight=0.0, latent_weight=0.5, steps=12)
    result = search(generator, damaged(generator, z), torch.ones(1, 1, DIM), config)
    assert set(result.losses) == set(result.history) == {"context", "latent", "total"}
    assert result.history["total"].shape == (13, 1, 1)
    assert result.steps == 12
    torch.testing.assert_close(result.losses["latent"], result.z.square().mean(2))
    summed = result.losses["context"] + 0.5 * result.losses["latent"]
    torch.testing.assert_close(result.losses["total"], summed)


def test_the_latent_weight_draws_z_to_the_middle() -> None:
    generator, z = linear_generator(), planted()
    target, start = damaged(generator, z), torch.zeros(1, 1, DIM)
    free = search(generator, target, start)
    config = SearchConfig(**{**PLAIN.to_dict(), "latent_weight": 10.0})
    drawn = search(generator, target, start + 0.5, config)
    assert drawn.z.norm() < 0.1 * free.z.norm()


def test_the_prior_weight_draws_the_image_to_what_the_discriminator_likes() -> None:
    generator, z = linear_generator(), planted()

    def likes_bright(images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3)) * 20

    target, start = damaged(generator, z), torch.zeros(1, 1, DIM)
    brightness = []
    for prior_weight in (0.001, 1.0):
        config = SearchConfig(**{**PLAIN.to_dict(), "prior_weight": prior_weight})
        result = latent_search(generator, likes_bright, target, weights(), start, config)
        assert set(result.losses) == {"context", "latent", "prior", "total"}
        brightness.append(result.generated.mean().item())
    assert brightness[1] > brightness[0] + 0.05


def test_the_discriminator_is_not_called_when_its_weight_is_zero() -> None:
    def never(images: Tensor) -> Tensor:
        raise AssertionError("the discriminator was called")

    generator, z = linear_generator(), planted()
    target, start = damaged(generator, z), torch.zeros(1, 1, DIM)
    config = SearchConfig(prior_weight=0.0, steps=2)
    result = latent_search(generator, never, target, weights(), start, config)
    assert "prior" not in result.losses


def test_a_prior_weight_without_a_discriminator_is_an_error() -> None:
    generator, z = linear_generator(), planted()
    with pytest.raises(ValueError, match="discriminator"):
        search(generator, damaged(generator, z), torch.zeros(1, 1, DIM), SearchConfig())


def test_a_batch_gives_what_single_searches_give() -> None:
    generator, z = linear_generator(), planted(3)
    target, start = damaged(generator, z), random_starts("uniform", DIM, 2, [5, 6, 7])
    config = SearchConfig(prior_weight=0.0, steps=40)
    together = search(generator, target, start, config)
    for index in range(3):
        for k in range(2):
            alone = search(
                generator, target[index : index + 1], start[index : index + 1, k : k + 1], config
            )
            torch.testing.assert_close(together.z[index, k], alone.z[0, 0], atol=1e-3, rtol=0)
            torch.testing.assert_close(
                together.losses["total"][index, k], alone.losses["total"][0, 0], atol=1e-4, rtol=0
            )


def test_every_start_is_searched_and_returned_in_its_place() -> None:
    generator, z = linear_generator(), planted(2)
    start = random_starts("uniform", DIM, 5, [0, 1])
    nothing = SearchConfig(prior_weight=0.0, steps=0)
    result = search(generator, damaged(generator, z), start, nothing)
    assert torch.equal(result.z, start)
    assert result.generated.shape == (2, 5, 3, SIDE, SIDE)
    assert result.losses["total"].shape == (2, 5)
    torch.testing.assert_close(result.generated[1, 3], generator(start[1, 3:4])[0])
    assert len({round(value, 6) for value in result.losses["total"].flatten().tolist()}) == 10


def test_a_loss_that_turns_nan_leaves_the_best_state_before_and_the_neighbours_alone() -> None:
    linear = linear_generator()

    def breaks_beyond_half(z: Tensor) -> Tensor:
        broken = (z[:, :1] > 0.5)[:, :, None, None]
        return torch.where(broken, float("nan"), linear(z))

    z = torch.tensor([[0.9, 0.1, 0.1, 0.1], [-0.9, 0.1, 0.1, 0.1]])
    start = torch.zeros(2, 1, DIM)
    result = latent_search(breaks_beyond_half, None, damaged(linear, z), weights(2), start, PLAIN)
    total = result.history["total"]
    assert torch.isnan(total[:, 0]).any()  # the first search did run into the wall
    assert torch.isfinite(result.z).all()
    assert torch.isfinite(result.generated).all()
    assert result.losses["total"][0] < total[0, 0]
    assert result.losses["total"][0, 0] == total[:, 0, 0].nan_to_num(9.0).min()
    torch.testing.assert_close(result.z[1, 0], z[1], atol=0.02, rtol=0)


def test_a_start_that_is_nan_is_left_for_any_number() -> None:
    linear, calls = linear_generator(), []

    def breaks_at_first(z: Tensor) -> Tensor:
        calls.append(1)
        return linear(z) * (float("nan") if len(calls) == 1 else 1.0)

    config = SearchConfig(prior_weight=0.0, steps=3)
    target = damaged(linear, planted())
    result = latent_search(breaks_at_first, None, target, weights(), torch.zeros(1, 1, DIM), config)
    assert torch.isnan(result.history["total"][0, 0, 0])
    assert torch.isfinite(result.losses["total"]).all()
    assert torch.isfinite(result.generated).all()


@pytest.mark.parametrize(
    ("bounded", "clip", "stays"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_z_is_clipped_at_every_step_where_the_prior_is_bounded(
    bounded: bool, clip: bool, stays: bool
) -> None:
    generator, z = linear_generator(), torch.full((1, DIM), 3.0)
    furthest = []
    config = SearchConfig(**{**PLAIN.to_dict(), "clip": clip, "steps": 60, "learning_rate": 0.3})
    result = search(
        generator,
        damaged(generator, z),
        torch.full((1, 1, DIM), 0.9),
        config,
        bounded=bounded,
        on_step=lambda step: furthest.append(step.z.abs().max().item()),
    )
    assert (max(furthest) <= 1.0) == stays
    assert (result.z.abs().max().item() <= 1.0) == stays


def test_the_search_stops_early_when_nothing_improves() -> None:
    def constant(z: Tensor) -> Tensor:
        return torch.zeros(len(z), 3, SIDE, SIDE) + 0 * z.sum()

    target = torch.ones(1, 3, SIDE, SIDE)
    for patience, steps in ((5, 5), (0, 40), (100, 40)):
        config = SearchConfig(prior_weight=0.0, steps=40, patience=patience)
        result = latent_search(constant, None, target, weights(), torch.zeros(1, 1, DIM), config)
        assert result.steps == steps
        assert len(result.history["total"]) == steps + 1


def test_patience_begins_anew_once_a_start_that_was_nan_has_a_loss() -> None:
    linear, calls = linear_generator(), []

    def breaks_at_first(z: Tensor) -> Tensor:
        calls.append(1)
        return linear(z) * (float("nan") if len(calls) == 1 else 1.0)

    config = SearchConfig(
        prior_weight=0.0, steps=20, learning_rate=0.02, learning_rate_end=1.0, patience=2
    )
    target = damaged(linear, planted())
    result = latent_search(breaks_at_first, None, target, weights(), torch.zeros(1, 1, DIM), config)
    assert result.steps == 20


def test_patience_does_not_stop_a_search_that_goes_on_improving() -> None:
    generator, z = linear_generator(), planted()
    config = SearchConfig(
        prior_weight=0.0, steps=30, learning_rate=0.02, learning_rate_end=1.0, patience=1
    )
    result = search(generator, damaged(generator, z), -z[:, None], config)
    total = result.history["total"].flatten()
    assert (total[1:] < 0.999 * total[:-1]).all()
    assert result.steps == 30


def test_the_callback_sees_the_start_and_every_step() -> None:
    seen: list[SearchStep] = []
    generator, z = linear_generator(), planted(2)
    start = random_starts("uniform", DIM, 3, [0, 1])
    config = SearchConfig(prior_weight=0.0, steps=7)
    result = search(generator, damaged(generator, z), start, config, on_step=seen.append)
    assert [step.step for step in seen] == list(range(8))
    assert {step.steps for step in seen} == {7}
    assert torch.equal(seen[0].z, start)
    assert seen[0].generated.shape == (2, 3, 3, SIDE, SIDE)
    for number, step in enumerate(seen):
        assert torch.equal(step.losses["total"], result.history["total"][number])
        torch.testing.assert_close(step.generated[1, 2], generator(step.z[1, 2:])[0])


def test_what_the_callback_raises_ends_the_search() -> None:
    class EnoughError(Exception):
        pass

    steps: list[int] = []

    def stop(step: SearchStep) -> None:
        steps.append(step.step)
        if step.step == 3:
            raise EnoughError

    generator, z = linear_generator(), planted()
    with pytest.raises(EnoughError):
        search(generator, damaged(generator, z), torch.zeros(1, 1, DIM), on_step=stop)
    assert steps == [0, 1, 2, 3]


def test_random_starts_are_the_seeds_own_and_more_of_them_extend_fewer() -> None:
    few = random_starts("uniform", 20, 2, [3, 4])
    many = random_starts("uniform", 20, 6, [4, 3])
    assert few.shape == (2, 2, 20)
    assert few.dtype == torch.float32
    assert torch.equal(few[0], many[1, :2])
    assert torch.equal(few[1], many[0, :2])
    assert not torch.equal(few[0], few[1])


def test_random_starts_follow_the_prior() -> None:
    uniform = random_starts("uniform", 1000, 10, [0])
    normal = random_starts("normal", 1000, 10, [0])
    assert uniform.abs().max() <= 1.0
    assert uniform.std().item() == pytest.approx(3**-0.5, abs=0.02)
    assert normal.std().item() == pytest.approx(1.0, abs=0.03)
    assert normal.abs().max() > 2.5


def test_the_first_step_of_adam_has_the_size_that_is_asked_for() -> None:
    """m / (1 − β₁) is g and v / (1 − β₂) is g², so the first step is α · g / (|g| + ε)."""
    values = torch.tensor([1.0, 1.0, 1.0])
    Adam(values).step(torch.tensor([4.0, -0.25, 0.0]), 0.5)
    assert values.tolist() == pytest.approx([0.5, 1.5, 1.0])


@given(st.integers(0, 2**31), st.integers(1, 30), st.sampled_from([(3,), (2, 5), (1, 64)]))
def test_steps_are_those_of_adam_as_torch_has_it(
    seed: int, steps: int, shape: tuple[int, ...]
) -> None:
    drawn = torch.Generator().manual_seed(seed)
    ours = torch.randn(shape, generator=drawn).requires_grad_(True)
    theirs = ours.detach().clone().requires_grad_(True)
    adam, reference = Adam(ours), torch.optim.Adam([theirs])
    for step in range(steps):
        scale = 10.0 ** torch.randn((), generator=drawn)
        gradient = scale * torch.randn(shape, generator=drawn) * (step % 5 > 0)
        size = 0.1 / (1 + step)
        adam.step(gradient, size)
        theirs.grad, reference.param_groups[0]["lr"] = gradient, size
        reference.step()
        assert torch.equal(ours, theirs)


def test_the_step_size_falls_as_half_a_cosine() -> None:
    config = SearchConfig(learning_rate=0.2, learning_rate_end=0.1, steps=100)
    sizes = [learning_rate_at(step, config) for step in (0, 50, 100)]
    assert sizes == pytest.approx([0.2, 0.11, 0.02])
    level = SearchConfig(learning_rate=0.03, learning_rate_end=1.0, steps=1500)
    assert {learning_rate_at(step, level) for step in range(0, 1500, 100)} == {0.03}


def looked_at(image: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
    """An encoder of one number: the mean of what is known, 0.2 more if the right is missing."""
    known = (~hole).float()
    mean = (torch.where(hole, 0.0, image) * known).sum((1, 2, 3)) / (3 * known.sum((1, 2, 3)))
    right = hole[:, 0, :, -1].all(dim=1).float()
    return (mean + 0.2 * right)[:, None], torch.full((len(image), 1), 0.3)


def flat(z: Tensor) -> Tensor:
    return z[:, :, None, None].expand(-1, 3, 8, 8)


def half_and_edge() -> tuple[Tensor, Tensor]:
    """Two images of 0.5: half of the first is missing, one column of the second."""
    image = torch.full((2, 3, 8, 8), 0.5)
    missing = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    missing[0, :, :, 4:] = True  # four of eight pixels deep
    missing[1, :, :, 7:] = True  # one pixel deep
    image[missing.expand(-1, 3, -1, -1)] = float("nan")
    return image, missing


def test_both_views_are_estimated() -> None:
    image, missing = half_and_edge()
    estimates = encode_views(looked_at, flat, image, missing, twice=False, mirrored=True)
    means = [mean.flatten().tolist() for mean, _ in estimates]
    # In the image the right is missing, 0.2 more; in its mirror image the left.
    assert means == [pytest.approx([0.7, 0.7]), pytest.approx([0.5, 0.5])]
    (only,) = encode_views(looked_at, flat, image, missing, twice=False, mirrored=False)
    assert only[0].flatten().tolist() == pytest.approx([0.7, 0.7])


@pytest.mark.parametrize(("mirrored", "expected"), [(False, [0.6]), (True, [0.55, 0.55])])
def test_the_second_estimate_is_that_of_the_filled_image(
    mirrored: bool, expected: list[float]
) -> None:
    image, missing = half_and_edge()
    estimates = encode_views(looked_at, flat, image, missing, twice=True, mirrored=mirrored)
    # First 0.5 + 0.2; mirrored, the left is missing: 0.5. The hole is filled with 0.7, or with
    # their mean, 0.6, and the whole image's mean is halfway between that and 0.5. A hole that is
    # one pixel deep keeps the first estimates.
    means = [mean[0].item() for mean, _ in estimates]
    assert means == pytest.approx(expected)
    assert [mean[1].item() for mean, _ in estimates] == pytest.approx([0.7, 0.5][: len(means)])
    for _, deviation in estimates:
        assert deviation.flatten().tolist() == pytest.approx([0.3, 0.3])


def columns(z: Tensor) -> Tensor:
    """A generator of two numbers: the first is the left half's value, the second the right's."""
    left, right = (z[:, i, None, None, None].expand(-1, 3, 8, 4) for i in range(2))
    return torch.cat([left, right], dim=3)


def test_what_a_code_of_the_mirror_image_generates_is_mirrored_back() -> None:
    target = columns(torch.tensor([[0.2, -0.4]]))
    weight = torch.full((1, 1, 8, 8), 1 / 64)
    start = torch.tensor([[[0.3, -0.4], [-0.4, 0.2]]])  # the second is the mirror image's own
    config = SearchConfig(steps=0, norm="l1", prior_weight=0.0)
    found = latent_search(columns, None, target, weight, start, config, turned=True)
    # Half of the pixels of the first are off by 0.1; the second fits.
    assert found.losses["context"].flatten().tolist() == pytest.approx([0.05, 0.0], abs=1e-6)
    merged = found.with_mirror_image()
    assert merged.z.tolist() == start[:, :1].tolist()
    torch.testing.assert_close(merged.generated[0], columns(start[0, :1]))
    torch.testing.assert_close(merged.adapted[0], columns(torch.tensor([[0.25, -0.4]])))
    assert {value.shape for value in merged.losses.values()} == {(1, 1)}
    assert {value.shape for value in merged.history.values()} == {(1, 1, 1)}


def test_a_search_of_the_mirror_image_that_diverges_is_not_used() -> None:
    target, weight = columns(torch.tensor([[0.2, -0.4]])), torch.full((1, 1, 8, 8), 1 / 64)
    start = torch.tensor([[[0.3, -0.4], [float("nan"), 0.2]]])
    config = SearchConfig(steps=1, prior_weight=0.0)
    found = latent_search(columns, None, target, weight, start, config, turned=True)
    merged = found.with_mirror_image()
    assert torch.equal(merged.adapted, merged.generated)
    assert merged.adapted.isfinite().all()
