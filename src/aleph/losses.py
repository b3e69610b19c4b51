"""Every loss of the search and of adversarial training, one small function per formula.

All take float32 tensors with the batch first and return one value per image, unweighted; the
caller weights and sums.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from aleph.config import Norm


def context_loss(generated: Tensor, target: Tensor, weight: Tensor, norm: Norm = "l1") -> Tensor:
    """L_c: weighted distance between the generated image and what is known of the damaged one.

    l1: Σ_i W_i |G(z)_i − y_i| (Yeh et al. 2017, arXiv 1607.07539, eq. 4);
    l2: (Σ_i W_i (G(z)_i − y_i)²)^½. The mean over the three channels is taken, so that with
    Σ_i W_i = 1 both are in units of the image's range [−1, 1].

    Args:
        generated: G(z), shape (N, 3, H, W), in [−1, 1].
        target: The damaged image y, shape (N, 3, H, W); its values in the hole do not matter, for
            there W is 0.
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


def latent_loss(z: Tensor) -> Tensor:
    """Mean square of the latent code, |z|² / dim: keeps z where the generator was trained.

    Args:
        z: Shape (N, latent_dim).

    Returns:
        Shape (N,).
    """
    return z.square().mean(dim=1)


def discriminator_loss(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """−log D(x) − log(1 − D(G(z))) (Goodfellow et al. 2014, arXiv 1406.2661, eq. 1), from logits.

    Args:
        real_logit: D's logit on training images, shape (N,).
        fake_logit: D's logit on generated images, shape (N,).

    Returns:
        Shape (N,).
    """
    return softplus(-real_logit) + softplus(fake_logit)
