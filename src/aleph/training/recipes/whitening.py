"""Whitening of the latent space: the codes of the training images become what the prior draws.

Training pulls every image's posterior towards the prior, but not so far that all of them together
look like it: their common mean wanders off, some directions hold most of the variance, and images
of random codes fall apart. What all of them together look like can be measured afterwards (Ghosh et
al. 2020, arXiv 1903.12436, section 4). Here the latent space is turned and scaled until it is
N(0, 1), and the change is folded into the layers that read and write codes, so that the networks
compute what they did before.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aleph.models.networks.amortised import Encoder, ModulatedConv, StyleGenerator
from aleph.photo.tensors import to_tensor
from aleph.training.samples.holes import draw_holes

IMAGES = 2048
"""Images that are measured, at most; with fewer than twice the latent numbers nothing is done."""

_TOGETHER = 32
_RIDGE = 1e-3


@torch.no_grad()
def whiten(generator: StyleGenerator, encoder: Encoder, images: NDArray[np.uint8]) -> bool:
    """Make N(0, 1) of the mixture of all undamaged images' posteriors; change both in place.

    With m and C the mixture's mean and covariance and S the mean of the posteriors' covariances,
    z = A z' + m, where A Aᵀ = C and A⁻¹ S A⁻ᵀ is diagonal: the mixture of z' has mean 0 and
    covariance 1, and its posteriors are uncorrelated on average, as the encoder can only say. G(z)
    and the encoder's means stay what they were up to rounding; the logarithms of the variances
    are fitted anew, linear in the encoder's features.

    Args:
        generator: Reads codes.
        encoder: Writes them.
        images: uint8 (n, R, R, 3), R their resolution.

    Returns:
        Whether there were images enough.
    """
    spread = images[:: max(1, len(images) // IMAGES)][:IMAGES]
    if len(spread) < 2 * encoder.posterior.in_features:
        return False
    whole, damaged = _features(encoder, spread, False), _features(encoder, spread, True)
    mean, log_variance = _posterior(encoder, whole)
    centre = mean.mean(dim=0)
    within = log_variance.exp().mean(dim=0).sqrt()  # S^½, diagonal
    mixture = torch.cov((mean / within).T) + torch.eye(len(centre), dtype=torch.float64)
    values, vectors = torch.linalg.eigh(mixture)
    forth = within[:, None] * vectors * values.sqrt()  # A
    back = (vectors / values.sqrt()).T / within  # A⁻¹
    _rewrite(encoder, torch.cat([whole, damaged]), centre, back)
    _reread(generator, centre, forth)
    return True


def _exact(values: Tensor) -> Tensor:
    """Return values in float64 on the CPU: Apple's MPS has no such numbers."""
    return values.cpu().double()


def _features(encoder: Encoder, images: NDArray[np.uint8], damaged: bool) -> Tensor:
    """Return the encoder's final features of images, float64 (n, features), on the CPU."""
    side, device = images.shape[1], encoder.posterior.weight.device
    holes = np.zeros(images.shape[:3], bool)
    if damaged:
        holes = draw_holes(len(images), side, np.random.default_rng(0))
    found = []
    for first in range(0, len(images), _TOGETHER):
        part = slice(first, first + _TOGETHER)
        hole = torch.from_numpy(holes[part][:, None]).to(device)
        found.append(encoder.features(to_tensor(np.array(images[part])).to(device), hole))
    return _exact(torch.cat(found))


def _posterior(encoder: Encoder, features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means and log variances of features, float64."""
    layer = encoder.posterior
    mean, log_variance = (features @ _exact(layer.weight).T + _exact(layer.bias)).chunk(2, dim=1)
    return mean, log_variance


def _rewrite(encoder: Encoder, features: Tensor, centre: Tensor, back: Tensor) -> None:
    """Let the encoder write z' = A⁻¹ (z − m)."""
    layer = encoder.posterior
    weight, bias = (_exact(values).chunk(2)[0] for values in (layer.weight, layer.bias))
    _, log_variance = _posterior(encoder, features)
    wanted = (log_variance.exp() @ back.square().T).log()
    ones = torch.ones_like(features[:, :1])
    inputs = torch.cat([features, ones], dim=1)
    ridge = _RIDGE * len(inputs) * torch.eye(inputs.shape[1], dtype=torch.float64)
    ridge[-1, -1] = 0.0
    fitted = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ wanted).T
    layer.weight.copy_(torch.cat([back @ weight, fitted[:, :-1]]))
    layer.bias.copy_(torch.cat([back @ (bias - centre), fitted[:, -1]]))


def _reread(generator: StyleGenerator, centre: Tensor, forth: Tensor) -> None:
    """Let the generator read z' as z = A z' + m."""
    styles = [module.style for module in generator.modules() if isinstance(module, ModulatedConv)]
    for layer in (generator.seed, *styles):
        _compose(layer, centre, forth)


def _compose(layer: nn.Linear, centre: Tensor, forth: Tensor) -> None:
    weight = _exact(layer.weight)
    layer.bias.copy_(_exact(layer.bias) + weight @ centre)
    layer.weight.copy_(weight @ forth)
