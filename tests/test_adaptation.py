from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aleph.errors import InputError, ModelError
from aleph.inpainter import Inpainter
from aleph.models.networks import build_networks
from aleph.presets import PRESETS, resolve_settings
from aleph.search.adaptation import adapt, fade, nearness
from aleph.search.config import SearchConfig
from aleph.search.losses import context_loss
from aleph.search.weighting import context_weight
from conftest import RunCli, make_model
from helpers import KINDS, TINY, noise, some_hole, write_mask

CONFIG = SearchConfig(adaptation_steps=12)


@pytest.fixture(scope="module")
def inpainter(tmp_path_factory: pytest.TempPathFactory) -> Inpainter:
    """An inpainter with random weights whose model can be adapted."""
    folder = make_model(tmp_path_factory.mktemp("models") / "adaptable", KINDS["amortised"])
    return Inpainter.from_pretrained(folder, device="cpu", precision="fp32")


def problem(images: int = 2, starts: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Target with NaN in the hole, weight, codes."""
    hole = some_hole(16, 16)
    rng = np.random.default_rng(0)
    target = torch.from_numpy(rng.uniform(-1, 1, (images, 3, 16, 16)).astype(np.float32))
    target[:, :, torch.from_numpy(hole)] = float("nan")
    weight = torch.from_numpy(context_weight(hole, "inverse")).expand(images, 1, 16, 16)
    codes = rng.standard_normal((images, starts, 8)).astype(np.float32)
    return target, weight, torch.from_numpy(codes)


def losses(images: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Context losses (N, K)."""
    known = torch.where(weight > 0, target, 0.0)
    per_start = [context_loss(images[:, k], known, weight) for k in range(images.shape[1])]
    return torch.stack(per_start, dim=1)


def test_offsets_of_zero_change_nothing(inpainter: Inpainter) -> None:
    model, z = inpainter.model, problem()[2][:, 0]
    assert model.adaptable == sum(
        layer.style.out_features + len(layer.bias)
        for layer in model.generator.modules()
        if hasattr(layer, "style")
    )
    plain = model.generate(z)
    assert torch.equal(model.generate(z, torch.zeros(2, model.adaptable)), plain)


def test_every_offset_reaches_its_own_image_alone() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        generator = build_networks(KINDS["amortised"])["generator"]
    z = problem()[2][:, 0]
    offsets = torch.zeros(2, sum(generator.offsets), requires_grad=True)  # type: ignore[arg-type]
    slopes = torch.autograd.grad(generator(z, offsets)[0].square().sum(), offsets)[0]
    # An output that the rectifier holds at nothing still leaks, so each offset is felt.
    assert (slopes[0] != 0).float().mean() > 0.95
    assert not slopes[1].any()


def test_adapting_lowers_the_context_loss_and_changes_no_weight(inpainter: Inpainter) -> None:
    model, (target, weight, z) = inpainter.model, problem(starts=2)
    before = {key: value.clone() for key, value in model.generator.state_dict().items()}
    images = adapt(model.generate, model.adaptable, target, weight, z, CONFIG)
    assert images.shape == (2, 2, 3, 16, 16)
    plain = model.generate(z.flatten(0, 1)).reshape(images.shape)
    assert (losses(images, target, weight) < 0.98 * losses(plain, target, weight)).all()
    after = model.generator.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


@pytest.mark.parametrize("rate", [9.9, 1.0])
def test_adapting_never_raises_the_context_loss(inpainter: Inpainter, rate: float) -> None:
    model, (target, weight, z) = inpainter.model, problem(images=6)
    wild = dataclasses.replace(CONFIG, adaptation_steps=1, adaptation_rate=rate)
    images = adapt(model.generate, model.adaptable, target, weight, z, wild)
    plain = model.generate(z[:, 0])[:, None]
    kept = [torch.equal(a, b) for a, b in zip(images, plain, strict=True)]
    assert (losses(images, target, weight) <= losses(plain, target, weight)).all()
    assert any(kept)  # such a step leads away, so the images stay as they were


def test_an_image_without_a_finite_loss_stays_as_it_was() -> None:
    target, weight, z = problem(images=1)

    def generator(codes: Tensor, offsets: Tensor) -> Tensor:
        broken = torch.where(offsets.abs().max() > 0, float("nan"), 0.0)
        return (offsets.sum() + broken).expand(len(codes), 3, 16, 16)

    images = adapt(generator, 4, target, weight, z, CONFIG)
    assert not images.any()


def test_images_in_a_batch_do_not_influence_each_other(inpainter: Inpainter) -> None:
    model, (target, weight, z) = inpainter.model, problem(images=3)
    together = adapt(model.generate, model.adaptable, target, weight, z, CONFIG)
    alone = adapt(model.generate, model.adaptable, target[1:2], weight[1:2], z[1:2], CONFIG)
    torch.testing.assert_close(together[1:2], alone, atol=1e-3, rtol=0)


def test_nearness_falls_from_the_known_pixels_inwards() -> None:
    hole = np.zeros((64, 64), bool)
    hole[:, 32:] = True
    share = nearness(hole, 1 / 16)
    assert (share[:, :33] == 1).all()
    assert (np.diff(share[0, 32:]) <= 0).all()
    assert share[0, 36] == pytest.approx(np.exp(-1))  # 4 pixels past the first one
    assert share[0, -1] < 1e-6
    assert not nearness(np.ones((8, 8), bool)).any()


def test_the_adaptation_fades_with_the_distance_and_its_detail_sooner() -> None:
    hole = np.zeros((64, 64), bool)
    hole[:, 16:] = True
    flat = torch.zeros(1, 1, 3, 64, 64)
    change = torch.ones_like(flat)
    shown = fade(flat, change, [hole])[0, 0, 0, 32]
    torch.testing.assert_close(shown[:17], torch.ones(17))
    assert 0.1 < shown[24] < 0.9
    assert shown[60:].abs().max() < 1e-6
    fine = torch.zeros_like(flat)
    fine[..., ::2] = 1.0
    detail = fade(flat, fine, [hole])[0, 0, 0, 32].diff().abs()
    assert detail[:15].min() > 0.99
    assert detail[24:].max() < 0.1


def test_the_fill_is_adapted_beside_known_pixels_and_nothing_else_is(inpainter: Inpainter) -> None:
    image, hole = noise(16, 16), some_hole(16, 16)
    options = {"steps": 3, "candidates": 2, "blending": "paste"}
    plain = inpainter(image, hole, adaptation_steps=0, **options)  # type: ignore[arg-type]
    adapted = inpainter(image, hole, adaptation_steps=8, **options)  # type: ignore[arg-type]
    for one, other in zip(plain.candidates, adapted.candidates, strict=True):
        assert np.array_equal(one.generated, other.generated)
        assert one.losses == other.losses
        assert not np.array_equal(one.image, other.image)
        assert np.array_equal(other.image[~hole], image[~hole])
    assert np.array_equal(adapted.blended("paste", 1), adapted.candidates[1].image)
    for first, second in zip(plain.frames, adapted.frames, strict=True):
        assert np.array_equal(first, second)  # the animation shows the search


def test_a_monochrome_photo_stays_monochrome(inpainter: Inpainter) -> None:
    grey = np.repeat(noise(40, 40)[:, :, :1], 3, axis=2)
    hole = some_hole(40, 40)
    plain, adapted = (
        inpainter(grey, hole, steps=2, adaptation_steps=steps).image for steps in (0, 8)
    )
    assert not np.array_equal(plain, adapted)
    assert (adapted == adapted[:, :, :1]).all()


def test_the_callback_counts_the_steps_and_what_it_raises_ends_the_fill(
    inpainter: Inpainter,
) -> None:
    seen: list[tuple[int, int]] = []
    arguments = noise(16, 16), some_hole(16, 16)
    inpainter(*arguments, steps=1, adaptation_steps=3, on_adapt=lambda *at: seen.append(at))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]

    class Cancelled(Exception):  # noqa: N818
        pass

    def cancel(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise Cancelled

    seen.clear()
    with pytest.raises(Cancelled):
        inpainter(*arguments, steps=1, adaptation_steps=9, on_adapt=cancel)
    assert seen == [(0, 9), (1, 9), (2, 9)]


def test_models_that_cannot_adapt_refuse_it(
    tiny: Inpainter, tiny_folder: Path, call_cli: RunCli, tmp_path: Path
) -> None:
    for preset in PRESETS["dcgan"]:
        assert resolve_settings(preset, "dcgan").search.adaptation_steps == 0
    for kind in PRESETS:
        assert resolve_settings("yeh2017", kind).search.adaptation_steps == 0
    assert resolve_settings("fast", "amortised").search.adaptation_steps == 0
    assert tiny.model.adaptable == 0
    assert TINY.kind == "dcgan"
    with pytest.raises(ModelError, match="cannot be adapted"):
        tiny.model.generate(torch.zeros(1, 8), torch.zeros(1, 4))
    with pytest.raises(InputError, match="cannot be adapted"):
        tiny(noise(16, 16), some_hole(16, 16), adaptation_steps=1)
    write_mask(some_hole(16, 16), tmp_path / "mask.png")
    write_mask(some_hole(16, 16), tmp_path / "image.png")
    arguments = ["inpaint", "image.png", "--mask", "mask.png", "--out", "out.png"]
    outcome = call_cli(*arguments, "--model", tiny_folder, "--adaptation-steps", "5")
    assert outcome.code == 2
    assert "cannot be adapted" in outcome.err
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    "wrong", [{"adaptation_steps": -1}, {"adaptation_steps": 1.5}, {"adaptation_rate": 0.0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        SearchConfig(**wrong)  # type: ignore[arg-type]
