"""The losses of training, one function per formula."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, softplus

_SIZES, _SQUARE = 3, 8
"""Sizes at which detail is compared, each half the one before, and the side of the squares."""

_FAINT = 0.01
"""Detail that hardly shows, about a grey level: there the root has a bounded slope."""


def discriminator_loss(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """−log D(x) − log(1 − D(G(z))) (Goodfellow et al. 2014, arXiv 1406.2661, eq. 1), from logits.

    Args:
        real_logit: D's logit on training images, shape (N,).
        fake_logit: D's logit on generated images, shape (N,).

    Returns:
        Shape (N,).
    """
    return softplus(-real_logit) + softplus(fake_logit)


def posterior_divergence(
    mean: Tensor,
    log_variance: Tensor,
    from_mean: Tensor | float = 0.0,
    from_log_variance: Tensor | None = None,
) -> Tensor:
    """KL(N(μ, σ²) ‖ N(m, s²)) = ½ Σ (((μ − m)² + σ²) / s² − 1 − log σ² + log s²).

    With m = 0 and s = 1 it is the divergence from the prior (Kingma & Welling 2014, appendix B);
    with m and s of the posterior of a damaged image, the divergence of the undamaged image's
    posterior from it (Sohn et al. 2015, eq. 4; Zheng et al. 2019, arXiv 1903.04227, eq. 5).

    Args:
        mean: μ, shape (N, latent_dim).
        log_variance: log σ², shape (N, latent_dim).
        from_mean: m, of the same shape or a number.
        from_log_variance: log s², of the same shape; 0 if None.

    Returns:
        Shape (N,), in nats, from 0 up.
    """
    wide = torch.zeros_like(log_variance) if from_log_variance is None else from_log_variance
    square = (mean - from_mean).square() + log_variance.exp()
    return 0.5 * (square * (-wide).exp() - 1.0 - log_variance + wide).sum(dim=1)


def reconstruction_loss(generated: Tensor, image: Tensor, hole: Tensor | None = None) -> Tensor:
    """Mean |d| + d² of d = G − x, plus that of d pooled 4×4, which weighs errors of colour more.

    Where several fills are possible, |d| alone asks for their median, d² for their mean.

    Args:
        generated: Shape (N, 3, H, W), in [−1, 1].
        image: Shape (N, 3, H, W), in [−1, 1].
        hole: Boolean (N, 1, H, W); its pixels count twice as much as the others. None if none do.

    Returns:
        Shape (N,).
    """
    weight = torch.ones_like(image[:, :1]) if hole is None else 1.0 + hole.float()
    difference = generated - image
    fine, coarse = (d.abs() + d.square() for d in (difference, avg_pool2d(difference, 4)))
    return weighted_mean(fine, weight) + weighted_mean(coarse, avg_pool2d(weight, 4))


def weighted_mean(values: Tensor, weight: Tensor, least: float = 1e-6) -> Tensor:
    """Mean per image under a weight.

    Args:
        values: Shape (N, C, H, W).
        weight: Shape (N, 1, H, W), from 0 up.
        least: Bound from below of the sum of the weights that is divided by.

    Returns:
        Shape (N,).
    """
    total = (values * weight).mean(dim=1, keepdim=True).sum(dim=(1, 2, 3))
    return total / weight.sum(dim=(1, 2, 3)).clamp(min=least)


def feature_loss(
    generated: Sequence[Tensor], image: Sequence[Tensor], hole: Tensor | None = None
) -> Tensor:
    """Mean |f_k(G) − f_k(x)| over the discriminator's features, relative to their mean magnitude.

    Feature matching per image (Larsen et al. 2016, arXiv 1512.09300, eq. 7; Wang et al. 2018,
    arXiv 1711.11585, eq. 4).

    Args:
        generated: Features of the generated images, each (N, C, H, W).
        image: Features of the images, each of the same shape.
        hole: Boolean (N, 1, H', W'); each place counts by the share of it that is missing. None if
            all count alike.

    Returns:
        Shape (N,).
    """
    total = torch.zeros(len(generated[0]), device=generated[0].device)
    for made, real in zip(generated, image, strict=True):
        size = real.float().abs().mean() + 1e-6
        weight = torch.ones_like(real[:, :1]) if hole is None else shares(hole, real)
        total = total + weighted_mean((made.float() - real.float()).abs(), weight.float()) / size
    return total / len(generated)


def shares(hole: Tensor, places: Tensor) -> Tensor:
    """Say what share of each place is missing.

    Args:
        hole: Boolean (N, 1, H, W), True = missing.
        places: Values at these places, (N, C, h, w).

    Returns:
        float32 (N, 1, h, w) in [0, 1].
    """
    return adaptive_avg_pool2d(hole.float(), (places.shape[2], places.shape[3]))


def fine_detail(image: Tensor, side: int) -> Tensor:
    """Return what a mean over `side` × `side` pixels takes away; `side` is odd, shapes stay."""
    return image - avg_pool2d(image, side, 1, side // 2, count_include_pad=False)


def detail_loss(fill: Tensor, original: Tensor, hole: Tensor) -> Tensor:
    """How far the amount of detail in the holes is from the original's, whatever its places.

    A fill that errs least is smooth, for detail in the wrong place errs twice. So its energy alone
    is compared (as the deviations of band-passed images are in Portilla & Simoncelli 2000, Int. J.
    Computer Vision 40, section 2.1): r is the root mean square of what a mean over 3×3 pixels takes
    away, in squares of 8×8 pixels, at the full size and at a half and a quarter of it, over the
    mean of the originals' r. Mean (r(f) − r(x))² over squares and sizes, each square by the share
    of it that is missing.

    Args:
        fill: f, the filled pictures, (N, 3, H, W) in [−1, 1].
        original: x, of the same shape.
        hole: Boolean (N, 1, H, W), H and W at least 8.

    Returns:
        Shape (N,), from 0 up.
    """
    images, missing = torch.stack([fill, original]).flatten(0, 1).float(), hole.float()
    losses: list[Tensor] = []
    while len(losses) < _SIZES and min(images.shape[2:]) >= _SQUARE:
        share = avg_pool2d(missing, _SQUARE)
        energy = fine_detail(images, 3).square().mean(dim=1, keepdim=True)
        energy = avg_pool2d(energy * missing.repeat(2, 1, 1, 1), _SQUARE)
        rough = energy / share.clamp(min=1e-6).repeat(2, 1, 1, 1)
        made, real = (rough + _FAINT**2).sqrt().chunk(2)
        usual = (real * share).sum() / share.sum().clamp(min=1e-6)
        losses.append(weighted_mean(((made - real) / usual.clamp(min=1e-6)).square(), share))
        images, missing = avg_pool2d(images, 2), avg_pool2d(missing, 2)
    return torch.stack(losses).mean(dim=0)


def gradient_penalty(logit: Tensor, image: Tensor) -> Tensor:
    """R1 = ‖∇_x D(x)‖² on real images (Mescheder et al. 2018, arXiv 1801.04406, eq. 9).

    Args:
        logit: D(x), shape (N,), still attached to `image`.
        image: x, shape (N, 3, H, W), requiring a gradient.

    Returns:
        Shape (N,).
    """
    (gradient,) = torch.autograd.grad(logit.sum(), image, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))
