"""Model folders: `config.json`, `model.safetensors`, `README.md`. Read, checked, written.

Nothing is unpickled, nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aleph.errors import AlephError, ModelError, OutputError, shown
from aleph.files import replace_folder, temporary_folder
from aleph.models.config import MODEL_FORMAT, READABLE_FORMATS, ModelConfig

if TYPE_CHECKING:
    from torch import Tensor, nn


CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_MAX_CONFIG_BYTES = 1 << 16

_NEWER = {"damage.coarser.weight"}
"""Weights that older folders lack, and that change nothing where they are zero."""


def read_config(folder: Path) -> ModelConfig:
    """Read and check a model folder's configuration.

    Raises:
        ModelError: if it is missing, damaged, of another version, or holds impossible values.
    """
    path = folder / CONFIG
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise ModelError(f"'{path}' is too large to be a model's configuration")
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"'{folder}' is no model folder: it has no {CONFIG}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"'{path}' is damaged: {error}") from None
    if not isinstance(values, dict) or not isinstance(values.get("model"), dict):
        raise ModelError(f"'{path}' is not the configuration of a model")
    # not `in`, for True is equal to 1
    if not any(values.get("format") is known for known in READABLE_FORMATS):
        raise ModelError(
            f"'{folder}' has model format {shown(values.get('format'))}, but this aleph reads "
            f"format {MODEL_FORMAT} and older: update aleph, or export the model again"
        )
    try:
        return ModelConfig.from_dict(values["model"])
    except (AlephError, TypeError) as error:
        raise ModelError(f"'{path}' is not the configuration of a model: {error}") from None


def digest_model(folder: Path) -> str:
    """Return the SHA-256 of a model's configuration and weights.

    Raises:
        ModelError: if they cannot be read.
    """
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        try:
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise ModelError(f"cannot read '{folder / name}': {error.strerror}") from None
    return digest.hexdigest()


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise ModelError(f"'{path.parent}' is no model folder: it has no {WEIGHTS}") from None
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"'{path}' is damaged or not a safetensors file: {error}") from None


def _check_weights(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Compare names, shapes and values with what the configuration asks for."""
    import torch

    for what, keys in (
        ("lacks", expected.keys() - found.keys()),
        ("has the unknown", found.keys() - expected.keys()),
    ):
        if keys:
            raise ModelError(f"'{path}' does not fit its {CONFIG}: it {what} {shown(min(keys))}")
    for key, tensor in found.items():
        if tensor.shape != expected[key].shape:
            raise ModelError(
                f"'{path}' does not fit its {CONFIG}: '{key}' has shape {tuple(tensor.shape)}, not "
                f"{tuple(expected[key].shape)}"
            )
        known = (torch.float16, torch.bfloat16, torch.float32, torch.int64)
        alike = tensor.is_floating_point() == expected[key].is_floating_point()
        if tensor.dtype not in known or not alike:
            raise ModelError(f"'{path}' does not fit its {CONFIG}: '{key}' is {tensor.dtype}")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelError(f"'{path}' is damaged: '{key}' holds NaN or infinite values")


def load_networks(folder: Path) -> tuple[ModelConfig, dict[str, nn.Module]]:
    """Load every network of a model folder, float32 on the CPU, by role.

    Nothing is allocated for the networks before names and shapes of the weights are checked.

    Raises:
        ModelError: if anything about the folder is not as it should be.
    """
    import torch

    from aleph.models.networks import shape_networks

    config = read_config(folder)
    weights = _read_weights(folder / WEIGHTS)
    networks = shape_networks(config)
    expected = {f"{r}.{k}": v for r, n in networks.items() for k, v in n.state_dict().items()}
    for key in _NEWER & (expected.keys() - weights.keys()):
        weights[key] = torch.zeros(expected[key].shape)
    _check_weights(folder / WEIGHTS, expected, weights)
    for role, network in networks.items():
        state = {
            key: weights[f"{role}.{key}"].to(value.dtype)
            for key, value in network.state_dict().items()
        }
        network.load_state_dict(state, assign=True)
    return config, networks


def write_tensors(
    tensors: Mapping[str, Tensor], path: Path, facts: Mapping[str, str] | None = None
) -> None:
    """Write tensors as a safetensors file.

    Args:
        tensors: By their names.
        path: The file.
        facts: What the file says besides, of texts alone.

    Raises:
        OSError: if it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(tensors), path, dict(facts) if facts else None)
    except SafetensorError as error:  # its own word for a full disk
        found = re.search(r"os error (\d+)", str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from None


def save_model(
    folder: str | os.PathLike[str],
    config: ModelConfig,
    networks: Mapping[str, nn.Module],
    card: str,
) -> None:
    """Write a model folder, whole or not at all; an older model in its place is replaced.

    Raises:
        OutputError: if the place holds something else than a model, or cannot be written.
    """
    import torch

    target = Path(folder)
    if target.exists() and not (_is_model_folder(target) or _is_empty_folder(target)):
        raise OutputError(f"'{target}' exists and is no model folder: name another place")
    weights = {
        f"{role}.{key}": value.detach()
        .cpu()
        .to(torch.float16 if value.is_floating_point() else value.dtype)
        .contiguous()
        for role, network in networks.items()
        for key, value in network.state_dict().items()
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(target.parent) as scratch:
            fresh = scratch / "model"
            fresh.mkdir()
            write_tensors(weights, fresh / WEIGHTS)
            text = json.dumps({"format": MODEL_FORMAT, "model": config.to_dict()}, indent=2)
            (fresh / CONFIG).write_text(text + "\n", encoding="utf-8")
            (fresh / CARD).write_text(card, encoding="utf-8")
            shutil.copymode(fresh / CONFIG, fresh / WEIGHTS)  # safetensors makes private files
            for path in fresh.iterdir():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
            replace_folder(fresh, target, scratch / "old")
    except OSError as error:
        raise OutputError(f"cannot write the model folder '{target}': {error.strerror}") from None


def _is_model_folder(path: Path) -> bool:
    """Return whether a folder holds a model and nothing else."""
    return path.is_dir() and {p.name for p in path.iterdir()} in (
        {CONFIG, WEIGHTS, CARD},
        {CONFIG, WEIGHTS},
    )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
