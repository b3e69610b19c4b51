"""The losses of the latent search: context, prior and latent loss.

All take float32 tensors with the batch first and return one value per image, unweighted; the
caller weights and sums them.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import softplus

from aleph.config import Norm


def context_loss(generated: Tensor, target: Tensor, weight: Tensor, norm: Norm = "l1") -> Tensor:
    """L_c: weighted distance of the generated image from the known pixels of the damaged one.

    l1: Σ_i W_i |G(z)_i − y_i| (Yeh et al. 2017, arXiv 1607.07539, eq. 4);
    l2: (Σ_i W_i (G(z)_i − y_i)²)^½. The mean over the three channels is taken, so that with
    Σ_i W_i = 1 both are in units of the image's range [−1, 1].

    Args:
        generated: G(z), shape (N, 3, H, W), in [−1, 1].
        target: The damaged image y, shape (N, 3, H, W); finite in the hole, where W is 0.
        weight: W, shape (N, 1, H, W), zero in the hole.
        norm: `l1` or `l2`.

    Returns:
        Shape (N,).
    """
    difference = generated - target
    if norm == "l1":
        return (weight * difference.abs()).sum(dim=(2, 3)).mean(dim=1)
    squared = (weight * difference.square()).sum(dim=(2, 3)).mean(dim=1)
    # The root's slope is infinite at 0: a tiny floor keeps a perfect match's gradient finite.
    return (squared + 1e-12).sqrt()


def prior_loss(logit: Tensor) -> Tensor:
    """L_p: how unrealistic D finds the image, −log D(G(z)) = softplus(−logit D).

    The non-saturating form of log(1 − D(G(z))) (Yeh et al. 2017, eq. 5; Goodfellow et al. 2014,
    section 3): same minimiser, but a useful slope where D is sure that the image is generated.

    Args:
        logit: D's logit, shape (N,), positive for real.

    Returns:
        Shape (N,), from 0 up.
    """
    return softplus(-logit)


def latent_loss(z: Tensor, mean: Tensor | float = 0.0, deviation: Tensor | float = 1.0) -> Tensor:
    """How unlikely the latent code is: the mean of ((z − μ) / σ)² over its numbers.

    Up to a factor and a constant this is −log N(z; μ, σ²). With the prior's μ = 0 and σ = 1 it is
    |z|² / latent_dim and keeps z where the generator was trained. With the encoder's posterior
    q(z | y, M) it lets z move furthest in the directions of which the encoder was least sure, and
    keeps a long search from overfitting the known pixels beside the hole.

    Args:
        z: Shape (N, latent_dim).
        mean: μ, shape (N, latent_dim) or a number.
        deviation: σ, shape (N, latent_dim) or a number, above 0.

    Returns:
        Shape (N,).
    """
    return ((z - mean) / deviation).square().mean(dim=1)


def lowest_first(total: Tensor) -> Tensor:
    """Return the order of losses from the lowest up, along the last dimension, NaN last.

    `argmin` and `argsort` alone would take NaN for the lowest or leave its place open.
    """
    return total.nan_to_num(math.inf).argsort(dim=-1)
