"""Generators, discriminators and encoders; no input or output."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from aleph.config import ModelConfig
from aleph.networks.dcgan import DCGANDiscriminator, DCGANGenerator


def _dcgan(config: ModelConfig) -> dict[str, nn.Module]:
    return {
        "generator": DCGANGenerator(config.resolution, config.latent_dim, config.generator_width),
        "discriminator": DCGANDiscriminator(config.resolution, config.discriminator_width),
    }


_BUILDERS: dict[str, Callable[[ModelConfig], dict[str, nn.Module]]] = {"dcgan": _dcgan}


def build_networks(config: ModelConfig) -> dict[str, nn.Module]:
    """Build the networks of a model, by role: `generator`, `discriminator`.

    Weights are drawn from torch's global generator.
    """
    return _BUILDERS[config.kind](config)
