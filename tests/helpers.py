"""What several test files share: small pictures, small configurations, small checks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.models.config import ModelConfig

if TYPE_CHECKING:
    from fastapi import FastAPI

TINY = ModelConfig(
    kind="dcgan", resolution=16, latent_dim=8, generator_width=8, discriminator_width=8
)
"""A model that costs nothing."""

KINDS = {
    "dcgan": TINY,
    "amortised": ModelConfig.default(
        "amortised",
        resolution=16,
        latent_dim=8,
        generator_width=8,
        discriminator_width=8,
        encoder_width=8,
        maximum_width=16,
    ),
}
"""One such of every kind."""

TINY_TRAINING = (
    *("--resolution", "16", "--latent-dim", "8"),
    *("--generator-width", "8", "--discriminator-width", "8", "--batch-size", "8"),
    *("--accelerator", "cpu", "--precision", "fp32"),
)
"""The options of `aleph train` that make one."""

SHIPPED = "faces-dcgan-64"

TOKEN = "a token for tests"


@dataclass(frozen=True)
class Outcome:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture of which no two pixels are alike, uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def some_hole(height: int, width: int) -> NDArray[np.bool_]:
    """A hole without any symmetry, boolean (height, width)."""
    hole = np.zeros((height, width), bool)
    hole[height // 4 : height // 2, width // 8 : width // 2] = True
    hole[height // 2, width // 2] = True
    return hole


def write_mask(hole: NDArray[np.bool_], path: Path) -> Path:
    """Write a hole as a picture, white = missing."""
    Image.fromarray(hole.astype(np.uint8) * np.uint8(255)).save(path)
    return path


def write_plain_pictures(folder: Path, count: int, first: int = 0) -> list[Path]:
    """Write pictures of one grey each, the number of the picture, so that each can be told."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03d}.png" for number in range(first, first + count)]
    for number, path in enumerate(paths, first):
        Image.new("RGB", (18, 20), (number, number, number)).save(path)
    return paths


def files_below(folder: Path) -> set[str]:
    """The names of all files in a folder, however deep."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@contextlib.contextmanager
def serving(app: FastAPI, port: int | None = None) -> Iterator[str]:
    """Serve an application on the loopback; yields the address of its page."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=port or 0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()
