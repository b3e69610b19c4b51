from __future__ import annotations

import math

import pytest
import torch

from aleph.search.losses import context_loss, latent_loss, lowest_first, prior_loss
from aleph.training.losses import (
    detail_loss,
    discriminator_loss,
    posterior_divergence,
    reconstruction_loss,
)

# Two images of 1×2 pixels. |G − y| of the first, by channel (pixel 0, pixel 1):
#   red (0.4, 0.0), green (0.0, 0.8), blue (0.2, 0.2); of the second 1.0 everywhere.
TARGET = torch.zeros(2, 3, 1, 2)
GENERATED = torch.stack(
    [
        torch.tensor([[[0.4, 0.0]], [[0.0, -0.8]], [[-0.2, 0.2]]]),
        torch.ones(3, 1, 2),
    ]
)
WEIGHT = torch.tensor([[[[0.25, 0.75]]], [[[0.25, 0.75]]]])


def test_l1_context_loss_is_the_weighted_mean_of_the_differences() -> None:
    # red 0.25·0.4 = 0.1, green 0.75·0.8 = 0.6, blue 0.25·0.2 + 0.75·0.2 = 0.2: mean 0.3
    loss = context_loss(GENERATED, TARGET, WEIGHT, "l1")
    torch.testing.assert_close(loss, torch.tensor([0.3, 1.0]))


def test_l2_context_loss_is_the_root_of_the_weighted_mean_of_the_squares() -> None:
    # red 0.25·0.16 = 0.04, green 0.75·0.64 = 0.48, blue 0.04: mean 0.56/3, root 0.432049
    loss = context_loss(GENERATED, TARGET, WEIGHT, "l2")
    torch.testing.assert_close(loss, torch.tensor([0.432049, 1.0]))


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_the_hole_has_no_say_in_the_context_loss(norm: str) -> None:
    weight = torch.tensor([[[[1.0, 0.0]]]])
    target = torch.zeros(1, 3, 1, 2)
    near, far = target.clone(), target.clone()
    near[..., 0] = far[..., 0] = 0.5
    far[..., 1] = 9.0
    one = context_loss(near, target, weight, norm)  # type: ignore[arg-type]
    other = context_loss(far, target, weight, norm)  # type: ignore[arg-type]
    torch.testing.assert_close(one, torch.tensor([0.5]))
    torch.testing.assert_close(other, one)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_a_perfect_match_has_no_loss_and_a_finite_slope(norm: str) -> None:
    generated = torch.zeros(1, 3, 1, 2, requires_grad=True)
    loss = context_loss(generated, torch.zeros(1, 3, 1, 2), WEIGHT[:1], norm)  # type: ignore[arg-type]
    loss.sum().backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-5)
    assert generated.grad is not None
    assert torch.isfinite(generated.grad).all()


def test_prior_loss_is_minus_the_logarithm_of_what_the_discriminator_believes() -> None:
    # D = 1/2 costs ln 2; D = 1/4 (logit −ln 3) costs ln 4; D = 3/4 costs ln 4/3.
    logits = torch.tensor([0.0, -math.log(3), math.log(3)])
    expected = torch.tensor([math.log(2), math.log(4), math.log(4 / 3)])
    torch.testing.assert_close(prior_loss(logits), expected)


def test_prior_loss_keeps_its_slope_where_the_discriminator_is_sure() -> None:
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    loss = prior_loss(logits)
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), torch.tensor([200.0, 0.0]))
    torch.testing.assert_close(logits.grad, torch.tensor([-1.0, 0.0]))


def test_latent_loss_is_the_mean_square_of_each_code() -> None:
    z = torch.tensor([[1.0, -2.0, 2.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(latent_loss(z), torch.tensor([3.0, 0.0]))


def test_discriminator_loss_is_low_only_if_both_kinds_are_told_apart() -> None:
    real = torch.tensor([0.0, 100.0, -100.0, math.log(3)])
    fake = torch.tensor([0.0, -100.0, 100.0, -math.log(3)])
    # at sea: 2 ln 2; right: 0; wrong: 200; three quarters sure of both: 2 ln 4/3
    expected = torch.tensor([2 * math.log(2), 0.0, 200.0, 2 * math.log(4 / 3)])
    torch.testing.assert_close(discriminator_loss(real, fake), expected)


def test_an_error_in_the_hole_counts_twice_as_much_in_a_reconstruction() -> None:
    image = torch.zeros(1, 3, 4, 4)
    generated = image.clone()
    generated[:, :, 0, 0] = 0.5
    # |d| + d² = 0.75 at one of 16 pixels; pooled 4×4, d = 1/32: |d| + d² = 0.0322266.
    alone = 0.75 / 16 + 0.0322266
    torch.testing.assert_close(reconstruction_loss(generated, image), torch.tensor([alone]))
    hole = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    hole[:, :, 0, 0] = True  # its weight is 2 of 17
    inside = 2 * 0.75 / 17 + 0.0322266
    torch.testing.assert_close(reconstruction_loss(generated, image, hole), torch.tensor([inside]))
    outside = 0.75 / 31  # 15 pixels of weight 2, this one of 1
    torch.testing.assert_close(
        reconstruction_loss(generated, image, ~hole), torch.tensor([outside + 0.0322266])
    )


def test_the_divergence_between_two_posteriors_is_that_of_torch() -> None:
    random = torch.Generator().manual_seed(0)
    mean, log_variance, other, other_log = torch.randn((4, 5, 7), generator=random)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()),
        torch.distributions.Normal(other, (0.5 * other_log).exp()),
    ).sum(dim=1)
    found = posterior_divergence(mean, log_variance, other, other_log)
    torch.testing.assert_close(found, expected)
    assert posterior_divergence(mean, log_variance, mean, log_variance).abs().max() < 1e-5


def test_the_amount_of_detail_is_compared_in_the_hole() -> None:
    board = torch.ones(32, 32)
    board[::2, ::2] = board[1::2, 1::2] = -1.0
    original = (0.09 * board).expand(2, 3, 32, 32)
    hole = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    hole[:, :, 8:16, 8:16] = True
    # By hand: 3×3 fields of a chequerboard leave a ninth of it, so its detail is 8/9 · 0.09 = 0.08,
    # its root mean square √(0.08² + 0.01²) = 0.0806226, and of a flat fill 0.01. At the other two
    # sizes nothing is left of it: (1 − 0.01 / 0.0806226)² / 3.
    flat = torch.zeros_like(original)
    assert detail_loss(flat, original, hole).tolist() == pytest.approx([0.2557717] * 2)
    # Half as strong: √(0.04² + 0.01²) = 0.0412311, (1 − 0.0412311 / 0.0806226)² / 3.
    assert detail_loss(original / 2, original, hole).tolist() == pytest.approx([0.0795739] * 2)


def test_detail_in_another_place_is_as_good() -> None:
    random = torch.Generator().manual_seed(0)
    original = torch.rand((1, 3, 64, 64), generator=random) * 2 - 1
    hole = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    hole[:, :, 16:48, 16:48] = True
    turned = torch.where(hole, -original, original)
    smooth = torch.where(hole, torch.nn.functional.avg_pool2d(original, 3, 1, 1), original)
    assert detail_loss(original, original, hole).item() == 0
    assert detail_loss(turned, original, hole).item() < 0.005
    assert detail_loss(smooth, original, hole).item() > 0.2


def test_the_amount_of_detail_has_a_finite_slope_in_a_flat_fill_and_without_a_hole() -> None:
    fill = torch.zeros(1, 3, 16, 16, requires_grad=True)
    for hole in (torch.ones(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)):
        loss = detail_loss(fill, torch.rand(1, 3, 16, 16), hole.bool())
        (slope,) = torch.autograd.grad(loss.sum(), fill)
        assert torch.isfinite(slope).all()
    assert loss.item() == 0


def test_a_nan_is_never_the_lowest_loss() -> None:
    nan, inf = float("nan"), float("inf")
    total = torch.tensor([[nan, 2.0, 1.0], [inf, nan, 5.0], [3.0, 1.0, 2.0]])
    assert lowest_first(total).tolist() == [[2, 1, 0], [2, 0, 1], [1, 2, 0]]
