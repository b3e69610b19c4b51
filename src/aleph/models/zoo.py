"""Models: the named ones that ship with aleph, and model folders anywhere. Load, check, save.

A model is a folder: `config.json` (what the networks are built from), `model.safetensors` (their
weights in float16) and `README.md` (the card). Nothing is unpickled, nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aleph.config import Arithmetic, ModelKind, Precision, check_choice
from aleph.errors import ModelError, unknown_name
from aleph.models.config import ModelConfig
from aleph.models.device import choose_device, choose_precision
from aleph.models.folder import CARD, CONFIG, WEIGHTS, load_networks, read_config
from aleph.models.hub import SCHEME, HubName, fetch_model
from aleph.models.model import DamageModel, Detector, Model, SurroundingsModel

if TYPE_CHECKING:
    import torch
    from torch import nn

SHIPPED = Path(__file__).parent / "shipped"
DEFAULT_MODEL = "faces-128"
DEFAULT_DETECTOR = "faces-detector"
DEFAULT_DAMAGE_MODEL = "damage-finder"
DEFAULT_SURROUNDINGS_MODEL = "surroundings"

_NOT_FILLING = {
    "detector": "detector: it finds where to fill and fills nothing",
    "damage": "finder of damage: it finds where to fill and fills nothing",
    "surroundings": "refiner of surroundings: it searches for nothing",
}
"""What models are that cannot search, by their kind."""


def _model_folders() -> Iterator[Path]:
    """Yield the folders of named models: shipped ones, then those in $ALEPH_MODELS."""
    extra = os.environ.get("ALEPH_MODELS")
    for root in [SHIPPED, *([Path(extra)] if extra else [])]:
        if root.is_dir():
            yield from sorted(p for p in root.iterdir() if (p / CONFIG).is_file())


def list_models() -> dict[str, ModelConfig]:
    """Return the named models that can fill; others and damaged ones are left out."""
    models: dict[str, ModelConfig] = {}
    for folder in _model_folders():
        try:
            models.setdefault(folder.name, read_config(folder))
        except ModelError:
            continue
    return {name: config for name, config in models.items() if config.fills}


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder of a named model, of a path to one, or of one fetched from the Hub.

    Args:
        name_or_path: A name, a path, or `hf://user/model@revision`.

    Raises:
        ModelError: if there is none; the sentence names the nearest name.
        MissingDependencyError: if the Hub is asked for and `huggingface_hub` is not installed.
    """
    name = os.fspath(name_or_path)
    if name.startswith(SCHEME):
        return fetch_model(name)
    named = {folder.name: folder for folder in reversed(list(_model_folders()))}
    if name in named:
        return named[name]
    folder = Path(name)
    if os.path.isdir(folder):  # noqa: PTH112 - unlike Path.is_dir, false for a name too long
        return folder
    if os.path.exists(folder):  # noqa: PTH110
        raise ModelError(f"'{name}' is a file; a model is a folder with {CONFIG} and {WEIGHTS}")
    raise ModelError(f"{unknown_name('model', name, named)}; a path must be a model folder")


def read_card(name_or_path: str | os.PathLike[str]) -> str:
    """Return a model's card, Markdown.

    Raises:
        ModelError: if there is no such model or it has no card.
    """
    folder = find_model(name_or_path)
    try:
        return (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ModelError(f"the model '{folder.name}' has no readable card ({CARD})") from None


def load_model(
    name_or_path: str | os.PathLike[str], device: str = "auto", precision: Arithmetic = "auto"
) -> Model:
    """Load a model for inference.

    Args:
        name_or_path: A shipped model's name, a model folder, or `hf://user/model@revision`.
        device: `auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `fp32`, `bf16`, or `auto`: bf16 where the device computes in it, for it
            takes half the time and costs no quality (docs/models.md).

    Raises:
        ModelError: if there is no such model, or it fills nothing, or its folder is damaged,
            hostile or too new.
        InputError: if the device is not there.
    """
    check_choice("precision", precision, Arithmetic)
    folder = find_model(name_or_path)
    found = read_config(folder)
    if not found.fills:
        raise ModelError(
            f"'{folder.name}' is a {_NOT_FILLING[found.kind]}; choose a model of `aleph models`, "
            f"as '{DEFAULT_MODEL}'"
        )
    place = choose_device(device)
    chosen = choose_precision(place) if precision == "auto" else precision
    config, networks = _ready_networks(folder, place, chosen)
    return Model(
        _shown_name(name_or_path, folder),
        config,
        networks["generator"],
        networks.get("discriminator"),
        networks.get("encoder"),
        networks.get("refiner"),
        place,
        chosen,
    )


def _shown_name(name_or_path: str | os.PathLike[str], folder: Path) -> str:
    """Return the name that reports show: of a model on the Hub one that pins its weights."""
    name = os.fspath(name_or_path)
    if not name.startswith(SCHEME):
        return folder.name
    return f"{SCHEME}{HubName.parse(name).repository}@{folder.name}"


def load_detector(
    name_or_path: str | os.PathLike[str] = DEFAULT_DETECTOR, device: str = "auto"
) -> Detector:
    """Load a detector for inference, in float32.

    Args:
        name_or_path: A shipped detector's name or a model folder.
        device: As of `load_model`.

    Raises:
        ModelError: if there is no such model, or it is no detector, or its folder is damaged,
            hostile or too new.
        InputError: if the device is not there.
    """
    from aleph.models.networks.detector import DetectorNetwork

    loaded = _load_kind(name_or_path, "detector", device, "fp32")
    network = loaded.networks["detector"]
    assert isinstance(network, DetectorNetwork)
    network.fuse()
    return Detector(loaded.name, loaded.config, network, loaded.device)


def load_damage_model(
    name_or_path: str | os.PathLike[str] = DEFAULT_DAMAGE_MODEL,
    device: str = "auto",
    precision: Arithmetic = "auto",
) -> DamageModel:
    """Load a finder of damage for inference.

    Args:
        name_or_path: A shipped finder's name or a model folder.
        device: As of `load_model`.
        precision: As of `load_model`.

    Raises:
        ModelError: if there is no such model, or it is no finder of damage, or its folder is
            damaged, hostile or too new.
        InputError: if the device is not there.
    """
    loaded = _load_kind(name_or_path, "damage", device, precision)
    network = loaded.networks["damage"]
    return DamageModel(loaded.name, loaded.config, network, loaded.device, loaded.precision)


def load_surroundings_model(
    name_or_path: str | os.PathLike[str] = DEFAULT_SURROUNDINGS_MODEL,
    device: str = "auto",
    precision: Arithmetic = "auto",
) -> SurroundingsModel:
    """Load a refiner of surroundings for inference.

    Args:
        name_or_path: A shipped one's name or a model folder.
        device: As of `load_model`.
        precision: As of `load_model`.

    Raises:
        ModelError: if there is no such model, or it is of another kind, or its folder is damaged,
            hostile or too new.
        InputError: if the device is not there.
    """
    loaded = _load_kind(name_or_path, "surroundings", device, precision)
    return SurroundingsModel(loaded.name, loaded.config, loaded.networks["refiner"], loaded.device)


class _Loaded(NamedTuple):
    """The networks of a model, ready on a device."""

    name: str
    config: ModelConfig
    networks: dict[str, nn.Module]
    device: torch.device
    precision: Precision


_USUAL = {
    "detector": ("detector", DEFAULT_DETECTOR),
    "damage": ("finder of damage", DEFAULT_DAMAGE_MODEL),
    "surroundings": ("refiner of surroundings", DEFAULT_SURROUNDINGS_MODEL),
}
"""What messages call the kinds that fill nothing, and the model of each that they name."""


def _load_kind(
    name_or_path: str | os.PathLike[str], kind: ModelKind, device: str, precision: Arithmetic
) -> _Loaded:
    """Load a model that fills nothing, refusing one of another kind.

    Raises:
        ModelError: if there is no such model, or it is of another kind, or its folder is damaged,
            hostile or too new.
        InputError: if the device is not there.
    """
    check_choice("precision", precision, Arithmetic)
    folder = find_model(name_or_path)
    found = read_config(folder).kind
    if found != kind:
        what, usual = _USUAL[kind]
        raise ModelError(
            f"'{folder.name}' is a model of kind '{found}', no {what}; choose one, as '{usual}'"
        )
    place = choose_device(device)
    chosen = choose_precision(place) if precision == "auto" else precision
    config, networks = _ready_networks(folder, place, chosen)
    return _Loaded(folder.name, config, networks, place, chosen)


def _ready_networks(
    folder: Path, place: torch.device, precision: Precision
) -> tuple[ModelConfig, dict[str, nn.Module]]:
    """Load networks, frozen and in evaluation mode, onto a device."""
    import torch

    config, networks = load_networks(folder)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    for network in networks.values():
        network.eval().requires_grad_(False)
        network.to(place, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return config, networks


def describe(config: ModelConfig) -> dict[str, Any]:
    """Return what `aleph models` lists of a model, as plain values."""
    return {
        "kind": config.kind,
        "resolution": config.resolution,
        "latent_dim": config.latent_dim,
        "prior": config.prior,
    }
