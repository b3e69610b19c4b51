"""The state of a run: everything that resuming needs, in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from aleph.errors import TrainingError
from aleph.files import replacing
from aleph.models.folder import write_tensors
from aleph.training.recipes.recipe import Recipe

STATE = "state.safetensors"


def _modules(trained: Recipe) -> dict[str, nn.Module]:
    networks = {f"network/{role}": m for role, m in trained.networks.items()}
    return networks | {f"average/{role}": m for role, m in trained.ema.items()}


def _tensors(trained: Recipe) -> dict[str, Tensor]:
    """Return every tensor of the state by name; they share memory with the live ones."""
    tensors = {
        f"{prefix}/{key}": value
        for prefix, module in _modules(trained).items()
        for key, value in module.state_dict().items()
    }
    for role, optimizer in trained.optimizers.items():
        for index, entry in optimizer.state_dict()["state"].items():
            for key, value in entry.items():
                tensors[f"optimizer/{role}/{index}/{key}"] = value
    return tensors


def save_state(trained: Recipe, path: Path, meta: dict[str, Any]) -> None:
    """Write the state; it replaces the old one only when it is completely on disk."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in _tensors(trained).items()}
    with replacing(path) as temporary:
        write_tensors(tensors, temporary, {"aleph": json.dumps(meta)})


def read_meta(path: Path) -> dict[str, Any]:
    """Return what `save_state` was given as `meta`.

    Raises:
        TrainingError: if there is no state or it is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            meta: dict[str, Any] = json.loads(file.metadata()["aleph"])
            return meta
    except FileNotFoundError:
        raise TrainingError(f"'{path}' does not exist: there is no state to resume from") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"'{path}' is damaged: {error}") from None


@torch.no_grad()
def load_part(network: nn.Module, path: Path, part: str) -> None:
    """Load the weights of one network from a saved state.

    Args:
        network: What gets them.
        path: The state.
        part: `network/ROLE` for the weights as they were trained, `average/ROLE` for their mean.

    Raises:
        TrainingError: if the state is damaged or of other networks.
    """
    read_meta(path)
    with safe_open(path, "pt") as file:
        _fill(network, file, path, part)


def _fill(network: nn.Module, file: Any, path: Path, part: str) -> None:  # noqa: ANN401
    """Copy a part of an open state into a network, as `load_part` does."""
    keys = set(file.keys())
    for key, live in network.state_dict().items():
        name = f"{part}/{key}"
        if name not in keys:
            raise TrainingError(f"'{path}' is of another model: it has no '{name}'")
        value = file.get_tensor(name)
        if value.shape != live.shape:
            raise TrainingError(f"'{path}' is of another model: its '{name}' does not fit")
        live.copy_(value)


@torch.no_grad()
def load_state(trained: Recipe, path: Path) -> dict[str, Any]:
    """Load a saved state into networks, averages and optimizers; return its `meta`.

    Raises:
        TrainingError: if the state is damaged or of other networks.
    """
    meta = read_meta(path)
    stored: dict[str, dict[int, dict[str, Tensor]]] = {role: {} for role in trained.optimizers}
    with safe_open(path, "pt") as file:
        for part, module in _modules(trained).items():
            _fill(module, file, path, part)
        for name in file.keys():  # noqa: SIM118 - a file cannot be iterated over
            kind, role, *rest = name.split("/")
            if kind == "optimizer" and role in stored:
                stored[role].setdefault(int(rest[0]), {})[rest[1]] = file.get_tensor(name)
    for role, optimizer in trained.optimizers.items():
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": stored[role], "param_groups": groups})
    return meta
