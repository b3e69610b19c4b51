"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import os

# Before torch is imported, here and in every process that a test starts: two cores are shared by
# all of them, and the same number of threads is what makes runs comparable bit for bit.
os.environ["OMP_NUM_THREADS"] = "1"

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from PIL import Image

from aleph.inpainter import Inpainter
from aleph.models.config import ModelConfig
from aleph.models.folder import save_model
from aleph.models.networks import build_networks
from helpers import KINDS, Outcome, noise

# What is imported and collected stays. Python would look through all of it for garbage again and
# again: nearly half the time that collecting the tests takes.
gc.disable()

settings.register_profile("aleph", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("aleph")

RunCli = Callable[..., Outcome]

LONGEST = ["web_page", "training", "notebooks", "cli", "web_schema", "onnx", "golden"]
"""Files of tests that take a minute or more of a core."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: processes that share the files end at about the same time."""
    place = {f"test_{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


def pytest_collection_finish() -> None:
    """Look for garbage from now on, but not among what is there."""
    gc.freeze()
    gc.enable()


def make_model(folder: Path, config: ModelConfig) -> Path:
    """Write a model folder with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = build_networks(config)
        if config.kind == "dcgan":
            # Fresh weights are too small to make pictures that differ by whole grey values.
            for parameter in networks["generator"].parameters():
                parameter.data.mul_(4.0)
        if config.refiner_width:
            # A fresh refiner changes nothing.
            torch.nn.init.normal_(networks["refiner"].head.weight, 0.0, 0.05)  # type: ignore[union-attr, arg-type]
    save_model(folder, config, networks, f"# {folder.name}\n\nRandom weights.\n")
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights, named `tiny`; not to be changed."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny", KINDS["dcgan"])


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Inpainter:
    """An inpainter with random weights."""
    return Inpainter.from_pretrained(tiny_folder, device="cpu", precision="fp32")


@pytest.fixture
def alone(tiny_folder: Path) -> Inpainter:
    """An inpainter of the same model, with the settings that a server's workers have."""
    return Inpainter.from_pretrained(tiny_folder, device="cpu")


@pytest.fixture(scope="session", params=KINDS)
def each_kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Inpainter:
    """An inpainter with random weights of every kind of model, one after the other."""
    folder = make_model(tmp_path_factory.mktemp("models") / request.param, KINDS[request.param])
    return Inpainter.from_pretrained(folder, device="cpu", precision="fp32")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 small PNGs; not to be changed."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(24):
        Image.fromarray(noise(20, 24, number)).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture
def run_cli(tmp_path: Path) -> RunCli:
    """Runs `python -m aleph` as a process of its own, in the test's folder."""

    def run(*arguments: str | Path) -> Outcome:
        command = [sys.executable, "-m", "aleph", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def call_cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> RunCli:
    """Runs the command line inside this process, which spares importing torch a hundred times.

    What `main` lets out is not caught, so that an exception fails the test as a traceback would.
    """
    from aleph.cli.app import main

    def call(*arguments: str | Path) -> Outcome:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["aleph", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = 0 if end.code is None else int(end.code)
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call
