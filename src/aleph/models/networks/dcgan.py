"""The generator and discriminator of DCGAN (Radford et al. 2015, arXiv 1511.06434).

Figure 1 and the architecture guidelines of section 3: a latent of 100 numbers, strided
(transposed) convolutions in place of pooling, batch normalisation in both networks except at the
generator's output and the discriminator's input, ReLU and tanh in the generator, LeakyReLU (0.2)
in the discriminator, weights drawn from N(0, 0.02²).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def _doublings(resolution: int) -> int:
    """Return how often 4 doubles to `resolution`."""
    return int(math.log2(resolution // 4))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class DCGANGenerator(nn.Module):
    """z of shape (N, latent_dim) → image of shape (N, 3, resolution, resolution) in [−1, 1].

    Channels halve as the resolution doubles, from `width` · resolution / 8 at 4×4 down to
    `width` at half the resolution.
    """

    def __init__(self, resolution: int, latent_dim: int, width: int) -> None:
        super().__init__()
        channels = width * 2 ** (_doublings(resolution) - 1)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent_dim, channels, 4, 1, 0, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        for _ in range(_doublings(resolution) - 1):
            layers += [
                nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(channels // 2),
                nn.ReLU(),
            ]
            channels //= 2
        layers += [nn.ConvTranspose2d(channels, 3, 4, 2, 1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, z: Tensor) -> Tensor:
        """Generate the images of a batch of latent codes."""
        image: Tensor = self.layers(z[:, :, None, None])
        return image


class DCGANDiscriminator(nn.Module):
    """Image of shape (N, 3, resolution, resolution) in [−1, 1] → logit of shape (N,), real > 0."""

    def __init__(self, resolution: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels = width
        for _ in range(_doublings(resolution) - 1):
            layers += [
                nn.Conv2d(channels, channels * 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(channels * 2),
                nn.LeakyReLU(0.2),
            ]
            channels *= 2
        layers.append(nn.Conv2d(channels, 1, 4, 1, 0))
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N,) of a batch of images."""
        logit: Tensor = self.layers(image)
        return logit.flatten()


@torch.no_grad()
def measure_batch_statistics(generator: DCGANGenerator, latents: list[Tensor]) -> None:
    """Set the running statistics of every batch normalisation to those of `latents`, in place.

    Averaged weights have no batch statistics of their own; those of the last training step belong
    to other weights (Izmailov et al. 2018, arXiv 1803.05407, section 3.2).
    """
    norms = [m for m in generator.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average over all batches
    generator.train()
    for z in latents:
        generator(z)
    generator.eval()
    for norm in norms:
        norm.momentum = 0.1
