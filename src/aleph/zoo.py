"""Models: the named ones that ship with aleph, and model folders anywhere. Load, check, save.

A model is a folder: `config.json` (what the networks are built from), `model.safetensors` (their
weights in float16) and `README.md` (the card). Nothing is unpickled, nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aleph.config import MODEL_FORMAT, Arithmetic, ModelConfig, Precision, check_choice
from aleph.errors import AlephError, ModelError, OutputError, shown, unknown_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
SHIPPED = Path(__file__).parent / "models"
DEFAULT_MODEL = "faces-128"
DEFAULT_DETECTOR = "faces-detector"
_MAX_CONFIG_BYTES = 1 << 16


@dataclass(frozen=True)
class Model:
    """Networks ready for inference: frozen, in evaluation mode, on one device.

    Attributes:
        name: The name or folder that it was loaded by.
        config: What the networks were built from.
        generator: z (N, latent_dim) → (N, 3, resolution, resolution) in [−1, 1].
        discriminator: Image → logit (N,), positive for real; None if the model has none.
        encoder: Damaged image and hole → μ and log σ² of the latent code; None if there is none.
        device: Where the weights lie.
        precision: Their arithmetic.
    """

    name: str
    config: ModelConfig
    generator: nn.Module
    discriminator: nn.Module | None
    encoder: nn.Module | None
    device: torch.device
    precision: Precision

    def generate(self, z: Tensor) -> Tensor:
        """Return G(z), float32 whatever the precision of the weights."""
        image: Tensor = self.generator(z.to(next(self.generator.parameters()).dtype))
        return image.float()

    def judge(self, image: Tensor) -> Tensor:
        """Return D's logits, float32 (N,), positive for real.

        Raises:
            ModelError: if the model has no discriminator.
        """
        if self.discriminator is None:
            raise ModelError(
                f"the model '{self.name}' has no discriminator: set the prior weight 0"
            )
        logit: Tensor = self.discriminator(image.to(next(self.discriminator.parameters()).dtype))
        return logit.float()

    def encode(self, image: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posterior's μ and σ of damaged images, float32 (N, latent_dim) each.

        Args:
            image: (N, 3, H, W) in [−1, 1]; its values in the hole are not looked at.
            hole: Boolean (N, 1, H, W), True = missing.

        Raises:
            ModelError: if the model has no encoder.
        """
        if self.encoder is None:
            raise ModelError(f"the model '{self.name}' has no encoder: it starts from random codes")
        dtype = next(self.encoder.parameters()).dtype
        mean, log_variance = self.encoder(image.to(dtype), hole)
        return mean.float(), (0.5 * log_variance.float()).exp()


@dataclass(frozen=True)
class Detector:
    """A network that finds frames, ready for inference: frozen, on one device.

    Attributes:
        name: The name or folder that it was loaded by.
        config: What it was built from.
        network: Pictures → what `aleph.networks.detector.Detector` says of them.
        device: Where the weights lie.
    """

    name: str
    config: ModelConfig
    network: nn.Module
    device: torch.device

    @property
    def resolution(self) -> int:
        """Side in pixels at which it knows frames."""
        return self.config.resolution

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Look at pictures.

        Args:
            image: float32 (N, 4, H, W), H and W multiples of 16: the pictures in [−1, 1], 0 in
                the hole, and the hole, 1 = missing.

        Returns:
            On the CPU, for every cell of 8×8 pixels: scores (N, H / 8, W / 8) in [0, 1], and
            frames (N, H / 8, W / 8, 4): x and y of the centre and side in pixels, angle in degrees
            clockwise.
        """
        import torch

        from aleph.networks.detector import decode

        with torch.inference_mode():
            scores, frames = decode(self.network(image.to(self.device)), self.resolution)
        return scores.cpu(), frames.cpu()


def _model_folders() -> Iterator[Path]:
    """Yield the folders of named models: shipped ones, then those in $ALEPH_MODELS."""
    extra = os.environ.get("ALEPH_MODELS")
    for root in [SHIPPED, *([Path(extra)] if extra else [])]:
        if root.is_dir():
            yield from sorted(p for p in root.iterdir() if (p / CONFIG).is_file())


def list_models() -> dict[str, ModelConfig]:
    """Return the named models that can fill; detectors and damaged ones are left out."""
    models: dict[str, ModelConfig] = {}
    for folder in _model_folders():
        try:
            models.setdefault(folder.name, read_config(folder))
        except ModelError:
            continue
    return {name: config for name, config in models.items() if config.kind != "detector"}


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder of a named model, or of a path to one.

    Raises:
        ModelError: if there is neither; the sentence names the nearest name.
    """
    name = os.fspath(name_or_path)
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
    if values.get("format") != MODEL_FORMAT:
        raise ModelError(
            f"'{folder}' has model format {shown(values.get('format'))}, but this aleph reads "
            f"format {MODEL_FORMAT}: update aleph, or export the model again"
        )
    try:
        return ModelConfig.from_dict(values["model"])
    except (AlephError, TypeError) as error:
        raise ModelError(f"'{path}' is not the configuration of a model: {error}") from None


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

    from aleph.networks import build_networks

    config = read_config(folder)
    weights = _read_weights(folder / WEIGHTS)
    with torch.device("meta"):
        networks = build_networks(config)
    expected = {f"{r}.{k}": v for r, n in networks.items() for k, v in n.state_dict().items()}
    _check_weights(folder / WEIGHTS, expected, weights)
    for role, network in networks.items():
        state = {
            key: weights[f"{role}.{key}"].to(value.dtype)
            for key, value in network.state_dict().items()
        }
        network.load_state_dict(state, assign=True)
    return config, networks


def load_model(
    name_or_path: str | os.PathLike[str], device: str = "auto", precision: Arithmetic = "auto"
) -> Model:
    """Load a model for inference.

    Args:
        name_or_path: A shipped model's name or a model folder.
        device: `auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `fp32`, `bf16`, or `auto`: bf16 where the device computes in it, for it
            takes half the time and costs no quality (docs/models.md).

    Raises:
        ModelError: if there is no such model, or it is a detector, or its folder is damaged,
            hostile or too new.
        InputError: if the device is not there.
    """
    check_choice("precision", precision, Arithmetic)
    folder = find_model(name_or_path)
    if read_config(folder).kind == "detector":
        raise ModelError(
            f"'{folder.name}' is a detector: it finds where to fill and fills nothing; choose a "
            f"model of `aleph models`, as '{DEFAULT_MODEL}'"
        )
    place = choose_device(device)
    chosen = choose_precision(place) if precision == "auto" else precision
    config, networks = _ready_networks(folder, place, chosen)
    return Model(
        folder.name,
        config,
        networks["generator"],
        networks.get("discriminator"),
        networks.get("encoder"),
        place,
        chosen,
    )


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
    from aleph.networks.detector import Detector as DetectorNetwork

    folder = find_model(name_or_path)
    kind = read_config(folder).kind
    if kind != "detector":
        raise ModelError(
            f"'{folder.name}' is a model of kind '{kind}', no detector; choose one, as "
            f"'{DEFAULT_DETECTOR}'"
        )
    place = choose_device(device)
    config, networks = _ready_networks(folder, place, "fp32")
    network = networks["detector"]
    assert isinstance(network, DetectorNetwork)
    network.fuse()
    return Detector(folder.name, config, network, place)


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


def choose_device(device: str = "auto") -> torch.device:
    """Return the device that a user's word means.

    Raises:
        InputError: if the word is unknown or the device is not there.
    """
    import torch

    from aleph.errors import InputError

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(1, device=place).item()  # refuses "meta", which has no numbers
    except (RuntimeError, AssertionError):
        raise InputError(f"device '{device}' cannot be used here: try 'cpu' or 'auto'") from None
    return place


def choose_precision(device: torch.device) -> Precision:
    """Return `bf16` if the device has instructions for it, else `fp32`."""
    import torch

    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type != "cpu":
        return "fp32"
    # Names of torch's own, subject to change: without them, fp32.
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    found = any(getattr(torch.cpu, test, bool)() for test in tests)
    return "bf16" if found else "fp32"


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
    from safetensors.torch import save_file

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
        with tempfile.TemporaryDirectory(prefix=".aleph-", dir=target.parent) as scratch:
            fresh = Path(scratch) / "model"
            fresh.mkdir()
            save_file(weights, fresh / WEIGHTS)
            (fresh / WEIGHTS).chmod(0o644)  # safetensors makes private files
            text = json.dumps({"format": MODEL_FORMAT, "model": config.to_dict()}, indent=2)
            (fresh / CONFIG).write_text(text + "\n", encoding="utf-8")
            (fresh / CARD).write_text(card, encoding="utf-8")
            if target.exists():
                target.rename(Path(scratch) / "old")
            fresh.rename(target)
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


def describe(config: ModelConfig) -> dict[str, Any]:
    """Return what `aleph models` lists of a model, as plain values."""
    return {
        "kind": config.kind,
        "resolution": config.resolution,
        "latent_dim": config.latent_dim,
        "prior": config.prior,
    }
