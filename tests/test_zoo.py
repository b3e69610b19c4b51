from __future__ import annotations

import json
import os
import pickle
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from aleph.errors import InputError, ModelError, OutputError
from aleph.models.config import MODEL_FORMAT, ModelConfig
from aleph.models.device import choose_device
from aleph.models.folder import load_networks, save_model
from aleph.models.networks import build_networks
from aleph.models.zoo import find_model, list_models, load_model, read_card
from helpers import KINDS, SHIPPED, TINY, files_below


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A model folder that a test may spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "spoilt"))


def spoil_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / "config.json").read_text())
    change(values)
    (folder / "config.json").write_text(json.dumps(values))


def spoil_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    weights = {key: value.clone() for key, value in weights.items()}
    change(weights)
    (folder / "model.safetensors").unlink()
    save_file(weights, folder / "model.safetensors")


def assert_refused(folder: Path, says: str | None = None) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        load_model(folder, "cpu")
    assert_one_sentence(str(caught.value))


def assert_one_sentence(message: str) -> None:
    assert message.isprintable(), repr(message)  # no line break, no control sequence
    assert len(message) < 600, message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prior", ["uniform", "normal"])
def test_a_model_comes_back_as_it_was_saved(kind: str, prior: str, tmp_path: Path) -> None:
    config = ModelConfig(**{**KINDS[kind].to_dict(), "prior": prior})
    networks = build_networks(config)
    for network in networks.values():
        network.half().float().eval()  # what float16 files can hold
    save_model(tmp_path / "m", config, networks, "# The card\n")
    assert files_below(tmp_path) == {"m/config.json", "m/model.safetensors", "m/README.md"}
    model = load_model(tmp_path / "m", "cpu", "fp32")
    assert model.name == "m"
    assert model.config == config
    assert read_card(tmp_path / "m") == "# The card\n"
    z = torch.rand(3, 8) * 2 - 1
    with torch.no_grad():
        image = networks["generator"](z)
        torch.testing.assert_close(model.generate(z), image)
        torch.testing.assert_close(model.discriminate(image), networks["discriminator"](image))
        if "encoder" in networks:
            hole = torch.zeros(3, 1, 16, 16, dtype=torch.bool)
            mean, log_variance = networks["encoder"](image, hole)
            expected = (mean, (0.5 * log_variance).exp())
            torch.testing.assert_close(model.encode(image, hole), expected)


def test_a_loaded_model_is_frozen_and_does_not_change_by_use(tiny_folder: Path) -> None:
    model = load_model(tiny_folder, "cpu", "fp32")
    assert model.discriminator is not None
    networks = (model.generator, model.discriminator)
    assert not any(p.requires_grad for n in networks for p in n.parameters())
    z = torch.rand(4, 8)
    first = model.generate(z)
    model.discriminate(first)
    torch.testing.assert_close(model.generate(z[:1]), first[:1])  # no batch statistics


def test_bf16_computes_in_bf16_and_gives_back_float32(tiny_folder: Path) -> None:
    exact, rough = load_model(tiny_folder, "cpu", "fp32"), load_model(tiny_folder, "cpu", "bf16")
    z = torch.rand(4, 8)
    image = rough.generate(z)
    assert image.dtype == rough.discriminate(image).dtype == torch.float32
    assert next(rough.generator.parameters()).dtype == torch.bfloat16
    assert not torch.equal(image, exact.generate(z))
    torch.testing.assert_close(image, exact.generate(z), atol=0.05, rtol=0)


def test_an_unknown_precision_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(InputError, match="bf16"):
        load_model(tiny_folder, "cpu", "bf61")  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["gpu", "cpu:x", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(InputError, match="device"):
        choose_device(device)


def test_saving_again_replaces_a_model(folder: Path) -> None:
    config = ModelConfig(**{**TINY.to_dict(), "latent_dim": 5})
    save_model(folder, config, build_networks(config), "# Another\n")
    assert load_model(folder, "cpu").config.latent_dim == 5
    assert read_card(folder) == "# Another\n"
    assert files_below(folder) == {"config.json", "model.safetensors", "README.md"}


def test_saving_never_replaces_what_is_no_model(tmp_path: Path) -> None:
    networks = build_networks(TINY)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("photos", "file"):
        with pytest.raises(OutputError):
            save_model(tmp_path / name, TINY, networks, "card")
    assert files_below(tmp_path) == {"photos/a.png", "file"}


def test_saving_never_replaces_another_project_that_has_a_config_json(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    for name in ("config.json", "thesis.txt"):
        (tmp_path / "project" / name).write_text("{}")
    with pytest.raises(OutputError):
        save_model(tmp_path / "project", TINY, build_networks(TINY), "card")
    assert files_below(tmp_path) == {"project/config.json", "project/thesis.txt"}


def test_the_files_of_a_model_can_be_read_by_whoever_can_read_other_new_files(
    tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").write_text("x")
    usual = stat.S_IMODE((tmp_path / "other").stat().st_mode)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tiny_folder.iterdir()}
    assert modes == dict.fromkeys(modes, usual)


@pytest.mark.parametrize("size", [0, 4, 200, -1, -100])
def test_truncated_weights_are_refused(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert_refused(folder, "model.safetensors' is damaged")


def test_a_header_that_promises_too_much_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])
    assert_refused(folder, "damaged")


def test_a_pickle_that_calls_itself_safetensors_is_refused_and_not_run(
    folder: Path, tmp_path: Path
) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    (folder / "model.safetensors").write_bytes(pickle.dumps(Hostile()))
    assert_refused(folder, "not a safetensors file")
    torch.save({"weights": Hostile()}, folder / "model.safetensors")
    assert_refused(folder, "not a safetensors file")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_no_model(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert_refused(folder, f"no model folder: it has no {name}")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_in_the_place_of_a_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    assert_refused(folder)


@pytest.mark.parametrize("version", [MODEL_FORMAT + 1, 0, str(MODEL_FORMAT), None, "x" * 50_000])
def test_another_format_is_refused_with_both_numbers(folder: Path, version: object) -> None:
    spoil_config(folder, lambda values: values.update(format=version))
    assert_refused(folder, f"reads format {MODEL_FORMAT}")


def test_weights_that_are_missing_are_named(folder: Path) -> None:
    spoil_weights(folder, lambda weights: weights.pop("generator.layers.0.weight"))
    assert_refused(folder, r"lacks 'generator\.layers\.0\.weight'")


@pytest.mark.parametrize("name", ["generator.extra", "a\nb", "\x1b[31mred", "x" * 20_000])
def test_weights_that_nobody_asked_for_are_refused(folder: Path, name: str) -> None:
    spoil_weights(folder, lambda weights: weights.update({name: torch.zeros(1)}))
    assert_refused(folder, "unknown")


@pytest.mark.parametrize("shape", [(9, 64, 4, 4), (8, 64, 4), (0,), ()])
def test_weights_of_another_shape_are_refused(folder: Path, shape: tuple[int, ...]) -> None:
    key = "generator.layers.0.weight"
    spoil_weights(folder, lambda weights: weights.update({key: torch.zeros(shape)}))
    assert_refused(folder, "has shape")


@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn], ids=str
)
def test_weights_of_another_type_are_refused(folder: Path, dtype: torch.dtype) -> None:
    def change(weights: dict[str, Tensor]) -> None:
        key = "generator.layers.0.weight"
        weights[key] = torch.zeros_like(weights[key], dtype=dtype)

    spoil_weights(folder, change)
    assert_refused(folder, "generator.layers.0.weight")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    spoil_weights(folder, lambda weights: weights["generator.layers.0.weight"].fill_(value))
    assert_refused(folder, "NaN or infinite")


HOSTILE_VALUES: list[tuple[str, object]] = [
    ("resolution", 10**30),
    ("resolution", 10**400),
    ("resolution", -64),
    ("resolution", 0),
    ("resolution", 48),
    ("resolution", 16.0),
    ("resolution", "16"),
    ("resolution", None),
    ("resolution", True),
    ("latent_dim", 10**9),
    ("latent_dim", True),
    ("generator_width", 10**9),
    ("kind", ["dcgan"]),
    ("kind", "dcgam"),
    ("kind", "os.system"),
    ("kind", "dc\ngan"),
    ("prior", {}),
    ("prior", "cauchy"),
    ("no_such_setting", 1),
    ("two\nlines", 1),
    ("\ud800", 1),
    ("__class__", "x"),
]


@pytest.mark.parametrize(
    ("key", "value"),
    HOSTILE_VALUES,
    ids=[f"{n}-{k[:9]!a}" for n, (k, _) in enumerate(HOSTILE_VALUES)],
)
def test_a_hostile_configuration_is_refused(folder: Path, key: str, value: object) -> None:
    spoil_config(folder, lambda values: values["model"].update({key: value}))
    assert_refused(folder, "config.json' is not the configuration of a model")


def test_the_largest_configuration_allowed_is_refused_without_filling_the_memory(
    folder: Path,
) -> None:
    largest = {"resolution": 1024, "latent_dim": 4096, "generator_width": 4096}
    spoil_config(folder, lambda values: values["model"].update(largest))
    assert_refused(folder, "does not fit its config.json")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'{"format": 1}',
        b'{"format": 1, "model": []}',
        b'{"format": 1, "model": {"resolution": NaN}}',
        b'{"format": 1, "model": {"resolution": ' + b"9" * 5000 + b"}}",
        b"[" * 60_000,
        b'{"model":' * 6000 + b"1" + b"}" * 6000,
        b"\xff\xfe{\x00}\x00",
        b" " * 70_000 + b"{}",
    ],
    ids=lambda text: f"{len(text)}-bytes",
)
def test_a_configuration_that_is_no_configuration_is_refused(folder: Path, text: bytes) -> None:
    (folder / "config.json").write_bytes(text)
    assert_refused(folder, "config.json")


def test_an_unknown_name_offers_the_nearest(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEPH_MODELS", str(tiny_folder.parent))
    with pytest.raises(ModelError, match="unknown model 'tinny': did you mean 'tiny'"):
        find_model("tinny")


@pytest.mark.parametrize("name", ["no/such/folder", "n" * 5000, "a\0b"])
def test_a_path_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="unknown model"):
        find_model(name)


def test_a_file_is_no_model_folder(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="is a file; a model is a folder"):
        find_model(tiny_folder / "model.safetensors")


def test_a_model_without_a_card_says_so(folder: Path) -> None:
    (folder / "README.md").unlink()
    with pytest.raises(ModelError, match="no readable card"):
        read_card(folder)


def test_the_folder_in_the_environment_adds_named_models_and_damaged_ones_are_left_out(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEPH_MODELS", str(tmp_path))
    before = set(list_models())
    shutil.copytree(tiny_folder, tmp_path / "mine")
    damaged = Path(shutil.copytree(tiny_folder, tmp_path / "damaged"))
    (damaged / "config.json").write_text("{")
    (tmp_path / "empty").mkdir()
    assert set(list_models()) - before == {"mine"}
    assert list_models()["mine"] == TINY
    assert find_model("mine") == tmp_path / "mine"
    assert load_model("mine", "cpu").name == "mine"


def test_the_shipped_model_is_there_and_whole() -> None:
    assert list_models()[SHIPPED].resolution == 64
    config, networks = load_networks(find_model(SHIPPED))
    assert config.latent_dim == 100
    assert set(networks) == {"generator", "discriminator"}
    card = read_card(SHIPPED)
    assert card.startswith(f"# {SHIPPED}")
    for word in ("licen", "CelebA", "aleph train"):
        assert word.lower() in card.lower(), f"the card does not speak of {word}"
    for gap in ("Say here", "Nothing yet"):  # what `aleph export` leaves to be filled in
        assert gap not in card


@pytest.mark.parametrize("able", [True, False])
def test_auto_precision_is_bf16_only_where_the_processor_computes_in_it(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, able: bool
) -> None:
    for test in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, test, lambda: able, raising=False)
    assert load_model(tiny_folder, "cpu").precision == ("bf16" if able else "fp32")
