"""A model as one ONNX file: encoder, generator and refiner, for programs that have no torch.

The file holds the path of the preset `fast` for one frame: the encoder's estimate of the code, its
image G(z), and the refined fill of the hole; known pixels come out as they went in. Where a frame
lies in a photo, its tones, the search, and photos larger than a frame are aleph's own work and are
not in it.

The distance to the nearest known pixel is found exactly, by a minimum over the rows and one over
the columns (Felzenszwalb & Huttenlocher 2012, doi:10.4086/toc.2012.v008a019, eq. 4); OpenCV's, of
which aleph itself makes use, is out by at most 2 %. That is less than a grey level of the fill.
"""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aleph.arrays import Hole, Pixels
from aleph.blending.blend import FORGETTING, SOFT_REACH, SOFTENING
from aleph.errors import MissingDependencyError, ModelError
from aleph.files import check_writable, replacing
from aleph.models.model import Model
from aleph.models.networks.refiner import begin
from aleph.models.zoo import load_model

MOST_DIFFERENCE = 2
"""Grey levels by which a pixel may differ between onnxruntime and torch."""

_OPSET = 18
"""Version of ONNX's operators: the lowest that torch writes, so that many programs read it."""

_FAR = 1e6
"""More than any squared distance in pixels of a frame."""


class FrameFill(nn.Module):
    """The preset `fast` for one frame, as a network: pixels and hole → filled pixels.

    Args:
        model: A model with an encoder, float32 on the CPU; without a refiner the residual is
            continued into the hole, nearly as by the blending `matern`.

    Raises:
        ModelError: if the model has no encoder.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        if model.encoder is None:
            raise ModelError(
                f"the model '{model.name}' has no encoder: it fills by a search alone, and an ONNX "
                "file holds no search"
            )
        side = model.config.resolution
        self.side = side
        # Copies: those of frozen weights would keep what they have computed before.
        self.encoder = copy.deepcopy(model.encoder).requires_grad_(True)
        self.generator = copy.deepcopy(model.generator).requires_grad_(True)
        self.refiner = copy.deepcopy(model.refiner)
        self.register_buffer("soft", _blur(side, SOFTENING * side))

    def forward(self, image: Tensor, hole: Tensor) -> Tensor:
        """Fill a frame.

        Args:
            image: uint8 (R, R, 3); its values in the hole are not looked at.
            hole: Boolean (R, R), True = missing.

        Returns:
            uint8 (R, R, 3), equal to `image` outside the hole.
        """
        levels = image.permute(2, 0, 1)[None].float()
        hole = hole[None, None]
        damaged, kappa = levels / 127.5 - 1.0, FORGETTING / self.side
        guess = (self.generator(self.encoder(damaged, hole)[0]) + 1.0) * 127.5
        beyond = (_distance(hole) - 1.0).clamp(min=0.0)
        near = torch.exp(-(beyond / (SOFT_REACH * self.side)).square())
        start = (guess + near * (self._blurred(self.soft, guess) - guess)) / 127.5 - 1.0
        if self.refiner is None:
            fill = begin(damaged, hole, start, kappa)[0]
        else:
            fill = self.refiner(damaged, hole, start, kappa)
        fill = (fill + 1.0) * 127.5
        filled = torch.where(hole, fill.round().clamp(0.0, 255.0), levels)
        return filled.to(torch.uint8)[0].permute(1, 2, 0)

    @staticmethod
    def _blurred(blur: Any, image: Tensor) -> Tensor:  # noqa: ANN401 - a buffer, to mypy anything
        return torch.as_tensor(blur @ image @ blur.T)


def _blur(side: int, deviation: float) -> Tensor:
    """Return OpenCV's Gaussian blur of one dimension as a matrix, float32 (side, side)."""
    rows = cv2.GaussianBlur(
        np.eye(side, dtype=np.float64),
        (1, round(8 * deviation) | 1),
        sigmaX=1.0,
        sigmaY=deviation,
        borderType=cv2.BORDER_REFLECT,
    )
    return torch.from_numpy(rows.astype(np.float32))


def _distance(hole: Tensor) -> Tensor:
    """Return each pixel's distance to the nearest known one, float32 like the hole (1, 1, R, R)."""
    places = torch.arange(hole.shape[-1], dtype=torch.float32)
    squares = (places[:, None] - places[None, :]).square()
    missing = hole[0, 0].float() * _FAR
    down = (missing[:, None, :] + squares[:, :, None]).amin(dim=0)
    return (down[:, :, None] + squares[None, :, :]).amin(dim=1).sqrt()[None, None]


def export_onnx(name_or_path: str | os.PathLike[str], out: str | os.PathLike[str]) -> int:
    """Write a model as one ONNX file, and try it in onnxruntime.

    The file's inputs are `image`, uint8 (R, R, 3), and `hole`, boolean (R, R), R being the model's
    resolution; its output is `filled`, uint8 (R, R, 3): see `FrameFill`.

    Args:
        name_or_path: A shipped model's name, a model folder, or `hf://user/model@revision`.
        out: The file to write; an older one is replaced.

    Returns:
        The largest difference between onnxruntime's fill and torch's, in grey levels.

    Raises:
        MissingDependencyError: if onnxscript or onnxruntime is not installed.
        ModelError: if there is no such model, or it has no encoder, or onnxruntime fills otherwise
            than torch; then nothing is written.
        OutputError: if the file cannot be written.
    """
    _check_installed()
    target = Path(out)
    check_writable(target)
    model = load_model(name_or_path, "cpu", "fp32")
    fill = FrameFill(model).eval()
    image, hole = _example(model.config.resolution)
    with replacing(target) as temporary:
        _write(fill, model.name, temporary)
        found = run_onnx(temporary, image, hole)
        with torch.inference_mode():
            wanted = fill(torch.from_numpy(image), torch.from_numpy(hole)).numpy()
        difference = int(np.abs(found.astype(np.int16) - wanted).max())
        if difference > MOST_DIFFERENCE:
            raise ModelError(
                f"onnxruntime fills by up to {difference} grey levels otherwise than torch, so "
                f"'{target}' was not written: try other versions of onnxscript and onnxruntime"
            )
    return difference


def run_onnx(path: Path, image: Pixels, hole: Hole) -> Pixels:
    """Fill a frame by onnxruntime, from a file of `export_onnx`: uint8 (R, R, 3)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": image, "hole": hole})[0], np.uint8)


def _check_installed() -> None:
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"ONNX files need {error.name}: pip install 'aleph-inpainting[onnx]'"
        ) from None


def _write(fill: FrameFill, name: str, path: Path) -> None:
    from onnxscript import optimizer

    image, hole = _example(fill.side)
    with _quiet():
        program = torch.onnx.export(
            fill,
            (torch.from_numpy(image), torch.from_numpy(hole)),
            dynamo=True,
            opset_version=_OPSET,
            input_names=["image", "hole"],
            output_names=["filled"],
            verbose=False,
            # The exporter's optimiser tries every pair of operators in search of one that can be
            # joined: half of the time for a file that is no faster.
            optimize=False,
        )
        assert program is not None
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
        program.model.doc_string = f"{name}, a model of aleph, preset fast, one frame"
        program.save(path, external_data=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on packages and operators that are not needed to itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _example(side: int) -> tuple[Pixels, NDArray[np.bool_]]:
    """Return a frame of soft colours and a hole that is wide in one place and thin in another."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (4, 4, 3)).astype(np.float32)
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    hole = np.zeros((side, side), bool)
    hole[side // 4 : 3 * side // 4, side // 4 : 5 * side // 8] = True
    hole[:, -2] = True
    return np.asarray(large.round(), np.uint8), hole
