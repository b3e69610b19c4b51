"""Warm starts: initial weights from a trained model of the same resolution, or of a lower one."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aleph.config import ModelKind
from aleph.errors import TrainingError
from aleph.models.config import ModelConfig
from aleph.models.folder import load_networks
from aleph.models.zoo import find_model
from aleph.training.recipes.recipe import Recipe
from aleph.training.recipes.whitening import whiten
from aleph.training.state import STATE, load_part

GROWN: tuple[ModelKind, ...] = ("amortised",)
"""Kinds of models that can start from a model of a lower resolution."""

WIDENED: tuple[ModelKind, ...] = ("damage",)
"""Kinds of models that can start from one with fewer channels."""


@torch.no_grad()
def start_from(
    trained: Recipe,
    config: ModelConfig,
    name: str,
    images: NDArray[np.uint8] | None = None,
    refiner_of: str | None = None,
) -> None:
    """Copy a trained model's weights into the initial networks and averages of a run.

    A model of a lower resolution is grown (Karras et al. 2018, arXiv 1710.10196): the generator
    gets a level on top, which adds nothing to the image at first, and encoder and discriminator get
    a block in front; new layers keep their random weights. If the model has the same resolution and
    an encoder, its latent space is whitened (`aleph.training.recipes.whitening`).

    A finder of damage may have more channels than the one it starts from (Chen et al. 2016, arXiv
    1511.05641): it says the same at first, for new channels lend nothing to old ones yet.

    Args:
        trained: The recipe whose networks are initialised, in place.
        config: The configuration of these networks.
        name: A model's name or folder.
        images: Training images, uint8 (n, R, R, 3), to measure the latent space on; None leaves it
            as it is.
        refiner_of: Name or folder of the model whose refiner is taken in place of that of `name`;
            of a run's folder also its discriminator of fills, which would else begin anew.

    Raises:
        ModelError: if there is no such model or its folder is damaged.
        TrainingError: if its networks do not fit.
    """
    source, networks = load_networks(find_model(name))
    _check_fit(source, config, name)
    doublings = int(math.log2(config.resolution / source.resolution))
    if config.of_photographs:  # the network is the same at every resolution
        doublings = 0
    for role, network in trained.networks.items():
        if role in networks:  # a refiner may be new
            _copy(networks[role], network, doublings, name, config.kind in WIDENED)
    if images is not None and doublings == 0 and config.kind == "amortised":
        whiten(trained.networks["generator"], trained.networks["encoder"], images)  # type: ignore[arg-type]
    if refiner_of is not None:
        _take_refiner(trained, refiner_of)
    for role, average in trained.ema.items():
        average.load_state_dict(trained.networks[role].state_dict())


def _check_fit(source: ModelConfig, config: ModelConfig, name: str) -> None:
    """Refuse a model of another kind, or of a resolution that cannot be grown from.

    Raises:
        TrainingError: with what would do.
    """
    if source.kind != config.kind:
        raise TrainingError(
            f"'{name}' is of kind '{source.kind}': a model of kind '{config.kind}' can start only "
            "from one of its own kind"
        )
    if source.resolution == config.resolution or config.of_photographs:
        return
    sizes = f"'{name}' is at {source.resolution} pixels, the new model at {config.resolution}"
    if config.kind not in GROWN:
        raise TrainingError(
            f"{sizes}: a model of kind '{config.kind}' cannot be grown; choose --resolution "
            f"{source.resolution}, or leave --init out"
        )
    if source.resolution > config.resolution:
        raise TrainingError(f"{sizes}: a model can be grown, but not shrunk")


def _take_refiner(trained: Recipe, name: str) -> None:
    """Start the refiner, and the discriminator of its fills, from those of a model or of a run."""
    if "refiner" not in trained.networks:
        raise TrainingError("--refiner-of is for a model with a refiner: leave it out")
    run = Path(name) / STATE
    if run.is_file():
        load_part(trained.networks["refiner"], run, "average/refiner")
        if "critic" in trained.networks:
            load_part(trained.networks["critic"], run, "network/critic")
        return
    _, networks = load_networks(find_model(name))
    if "refiner" not in networks:
        raise TrainingError(f"'{name}' has no refiner to start from")
    _copy(networks["refiner"], trained.networks["refiner"], 0, name)


def _copy(
    source: nn.Module, target: nn.Module, doublings: int, name: str, widened: bool = False
) -> None:
    live = target.state_dict()
    for key, value in source.state_dict().items():
        place = re.sub(r"blocks\.(\d+)", lambda m: f"blocks.{int(m[1]) + doublings}", key)
        if doublings and ".stem." in f".{key}":
            continue  # the first layers of encoder and discriminator are of another resolution
        if place not in live or not _fits(live[place], value, widened):
            raise TrainingError(
                f"'{name}' does not fit: '{key}' has shape {tuple(value.shape)}, the new model "
                f"{_shape(live, place)}; choose the widths so that all levels of the old model "
                "keep theirs"
            )
        if value.ndim > 1:  # what new channels of a wider layer lend to old ones
            live[place][: len(value), value.shape[1] :] = 0
        live[place][tuple(slice(size) for size in value.shape)].copy_(value)
    if doublings:
        _silence_new_levels(target, source)


def _fits(weights: Tensor, old: Tensor, widened: bool) -> bool:
    """Say whether a layer can go on with another's weights, or with them in its first channels."""
    if not widened or weights.shape[2:] != old.shape[2:]:
        return weights.shape == old.shape
    more = zip(weights.shape[:2], old.shape[:2], strict=True)
    return all(new >= before for new, before in more)


def _shape(live: dict[str, Tensor], key: str) -> str:
    return str(tuple(live[key].shape)) if key in live else "has none"


def _silence_new_levels(target: nn.Module, source: nn.Module) -> None:
    """Zero the weights by which new levels of a generator add to the image."""
    levels, old = getattr(target, "levels", None), getattr(source, "levels", None)
    if levels is None or old is None:
        return
    for level in levels[len(old) :]:
        nn.init.zeros_(level.to_image.weight)
