"""Generators, discriminators, encoders, refiners, detectors, damage networks; no files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from aleph.models.config import ModelConfig
from aleph.models.networks.amortised import Discriminator, Encoder, StyleGenerator
from aleph.models.networks.damage import DamageNetwork
from aleph.models.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from aleph.models.networks.detector import DetectorNetwork
from aleph.models.networks.refiner import Refiner


def _dcgan(config: ModelConfig) -> dict[str, nn.Module]:
    return {
        "generator": DCGANGenerator(config.resolution, config.latent_dim, config.generator_width),
        "discriminator": DCGANDiscriminator(config.resolution, config.discriminator_width),
    }


def _amortised(config: ModelConfig) -> dict[str, nn.Module]:
    side, dim, bound = config.resolution, config.latent_dim, config.maximum_width
    networks: dict[str, nn.Module] = {
        "generator": StyleGenerator(side, dim, config.generator_width, bound),
        "discriminator": Discriminator(side, config.discriminator_width, bound),
        "encoder": Encoder(side, dim, config.encoder_width, bound),
    }
    if config.refiner_width:
        networks["refiner"] = Refiner(config.refiner_width)
    return networks


def _detector(config: ModelConfig) -> dict[str, nn.Module]:
    return {"detector": DetectorNetwork(config.encoder_width, config.maximum_width)}


def _damage(config: ModelConfig) -> dict[str, nn.Module]:
    return {"damage": DamageNetwork(config.encoder_width, config.maximum_width)}


def _surroundings(config: ModelConfig) -> dict[str, nn.Module]:
    return {"refiner": Refiner(config.refiner_width)}


_BUILDERS: dict[str, Callable[[ModelConfig], dict[str, nn.Module]]] = {
    "dcgan": _dcgan,
    "amortised": _amortised,
    "detector": _detector,
    "damage": _damage,
    "surroundings": _surroundings,
}


_DRAWING = {nn.init.normal_, Tensor.normal_, Tensor.mul_, Tensor.div_}
"""What draws weights, or scales those that were drawn."""


def build_networks(config: ModelConfig) -> dict[str, nn.Module]:
    """Build the networks of a model, by role.

    A model that fills has a `generator`, a `discriminator` and perhaps an `encoder` and a
    `refiner`; a detector has its `detector` alone, a finder of damage its `damage`, and a model of
    surroundings its `refiner`.

    Weights are drawn from torch's global generator.
    """
    return _BUILDERS[config.kind](config)


def shape_networks(config: ModelConfig) -> dict[str, nn.Module]:
    """Build the networks of a model without weights, as `build_networks` does: on `meta`."""
    with torch.device("meta"), _Undrawn():
        return build_networks(config)


class _Undrawn(TorchFunctionMode):
    """Leaves tensors as they are where they would be drawn, or scaled in place.

    On `meta` nothing would come of it, but torch imports its compiler for it, which takes longer
    than all else that loading a model does.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        named = kwargs or {}
        if func in _DRAWING:
            return args[0] if args else named["tensor"]
        return func(*args, **named)
