"""Whitening of the latent space, so that the codes of the training images follow the prior N(0, 1).

Training pulls the posterior of every image towards the prior, but the mixture of all posteriors
(the aggregate posterior) still differs from it: its mean is not 0, a few directions hold most of
its variance, and images generated from draws of the prior look wrong. The mixture can be measured
after training (Ghosh et al. 2020, arXiv 1903.12436, section 4). Here an affine change of variables
gives it mean 0 and covariance 1. It is folded into the layers that read and write codes, so that
every image is reconstructed as before.
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
"""Images that are measured, at most; with fewer than 2 · latent_dim nothing is done."""

_TOGETHER = 32
_RIDGE = 1e-3


@torch.no_grad()
def whiten(generator: StyleGenerator, encoder: Encoder, images: NDArray[np.uint8]) -> bool:
    """Give the mixture of all undamaged images' posteriors mean 0 and covariance 1, in place.

    Let m and C be the mixture's mean and covariance, and S the mean of the posteriors' covariances.
    The new code z' is given by z = A z' + m, where A Aᵀ = C and A⁻¹ S A⁻ᵀ is diagonal, because the
    encoder's posteriors have diagonal covariances. Reconstructions G(μ) stay as they were up to
    rounding. The log variances, which are linear in the encoder's features, are fitted to the
    transformed ones by least squares.

    Args:
        generator: The generator, whose layers that read codes are changed.
        encoder: The encoder, whose last layer is changed.
        images: Training images, uint8 (n, R, R, 3), R the model's resolution.

    Returns:
        False if there were too few images; then nothing is changed.
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
    """Return the posteriors' means and log variances, float64, from the encoder's features."""
    layer = encoder.posterior
    mean, log_variance = (features @ _exact(layer.weight).T + _exact(layer.bias)).chunk(2, dim=1)
    return mean, log_variance


def _rewrite(encoder: Encoder, features: Tensor, centre: Tensor, back: Tensor) -> None:
    """Change the encoder's last layer so that it gives z' = A⁻¹ (z − m)."""
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
    """Change the generator's layers that read codes so that they read z = A z' + m."""
    styles = [module.style for module in generator.modules() if isinstance(module, ModulatedConv)]
    for layer in (generator.seed, *styles):
        _compose(layer, centre, forth)


def _compose(layer: nn.Linear, centre: Tensor, forth: Tensor) -> None:
    weight = _exact(layer.weight)
    layer.bias.copy_(_exact(layer.bias) + weight @ centre)
    layer.weight.copy_(weight @ forth)
