"""Searching, blending and measuring the images of a task."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from aleph.arrays import Hole, Pixels
from aleph.config import Blending
from aleph.errors import MaskWarning
from aleph.evaluation.classical import classical_fill
from aleph.evaluation.curves import Curve, CurveRecorder
from aleph.evaluation.inputs import holes_of
from aleph.evaluation.learned_metrics import lpips_distance
from aleph.evaluation.metrics import measure
from aleph.evaluation.plan import ORIGINAL, EvaluationPlan, Setting, mask_label
from aleph.evaluation.realism import texture_features
from aleph.evaluation.rows import Row
from aleph.evaluation.store import fill_path
from aleph.evaluation.tasks import Task
from aleph.files import make_folder
from aleph.inpainter import Inpainter
from aleph.inpainting import Inpainting
from aleph.photo.pixels import write_image


@dataclass(frozen=True, eq=False)
class FilledImage:
    """One filled image and what is known about its making.

    Attributes:
        image: uint8 (H, W, 3).
        seconds: Time it took; for images searched together, an equal share.
        device: What it was computed on.
        context_loss: Of ẑ; None where nothing was searched.
        steps: Done by the search; None where nothing was searched.
        curve: Over the steps, where it was recorded.
    """

    image: Pixels
    seconds: float
    device: str
    context_loss: float | None = None
    steps: int | None = None
    curve: Curve | None = None


class Runner:
    """Does tasks one after the other; a model is loaded once.

    Args:
        plan: The evaluation.
        folder: Where fills are kept.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
    """

    def __init__(self, plan: EvaluationPlan, folder: Path, device: str) -> None:
        self.plan, self.folder, self.device = plan, folder, device
        self._inpainters: dict[str, Inpainter] = {}

    def __call__(self, task: Task, originals: NDArray[np.uint8], names: Sequence[str]) -> list[Row]:
        """Fill and measure.

        Args:
            task: What to do.
            originals: The task's images, uint8 (n, R, R, 3).
            names: Their names.

        Returns:
            The rows, in the order of the task's keys.
        """
        holes = holes_of(self.plan, task.mask, task.first, task.last, originals.shape[1])
        if task.work[0].searches:
            fills = self._search(task, originals, holes)
        else:
            fills = [[_fill(task.work[0], *pair)] for pair in zip(originals, holes, strict=True)]
        rows = []
        for index, name in enumerate(names):
            for setting, fill in zip(task.work, fills[index], strict=True):
                about = {"image": task.first + index, "name": name, "mask": mask_label(task.mask)}
                rows.append(about | self._row(setting, originals[index], holes[index], fill))
                self._keep(task.mask, setting, task.first + index, fill.image)
        return rows

    def _row(self, setting: Setting, original: Pixels, hole: Hole, fill: FilledImage) -> Row:
        row: Row = {
            **setting.columns(),
            **measure(original, fill.image, hole),
            "context_loss": fill.context_loss,
            "steps": fill.steps,
            "seconds": fill.seconds,
            "device": fill.device,
            "texture": texture_features(fill.image, hole).tolist(),
        }
        if "lpips" in self.plan.extra_metrics:
            row["lpips"] = lpips_distance(original, fill.image)
        if fill.curve:
            row["curve"] = fill.curve
        return row

    def _keep(self, mask: str, setting: Setting, image: int, fill: Pixels) -> None:
        """Write the fills that figures show; all of them for FID, which reads files."""
        if image >= self.plan.shown and "fid" not in self.plan.extra_metrics:
            return
        path = fill_path(self.folder, mask, setting, image)
        make_folder(path.parent)
        write_image(fill, path)

    def _inpainter(self, model: str) -> Inpainter:
        if model not in self._inpainters:
            self._inpainters[model] = Inpainter.from_pretrained(
                model, device=self.device, precision=self.plan.precision
            )
        return self._inpainters[model]

    def _search(
        self, task: Task, originals: NDArray[np.uint8], holes: list[Hole]
    ) -> list[list[FilledImage]]:
        """Search once and blend in every way that the task asks for."""
        setting = task.work[0]
        inpainter = self._inpainter(setting.model or self.plan.model)
        same = inpainter.model.config.resolution == originals.shape[1]
        recorder = CurveRecorder(originals, np.stack(holes)) if same else None
        arguments = self.plan.overrides_of(setting)
        if len(task.work) > 1:
            arguments["blending"] = "paste"  # takes no time, so each is charged its own blending
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MaskWarning)  # these holes are meant as they are
            results = inpainter.batch(
                list(originals),
                list(holes),
                preset=setting.method,
                seeds=[self.plan.seed + image for image in range(task.first, task.last)],
                on_step=recorder,
                frame="whole",
                grain=False,
                **arguments,
            )
        device = describe_device(inpainter.model.device)
        return [
            [
                _reblend(result, each, device, curve if number == 0 else None)
                for number, each in enumerate(task.work)
            ]
            for result, curve in (
                (result, recorder.of(index, result.history) if recorder else None)
                for index, result in enumerate(results)
            )
        ]


def _reblend(result: Inpainting, setting: Setting, device: str, curve: Curve | None) -> FilledImage:
    """Return the result of a search as a setting blends it."""
    image, seconds = blend_again(result, setting.blending)  # type: ignore[arg-type]
    return FilledImage(
        image=image,
        seconds=result.seconds + seconds,
        device=device,
        context_loss=result.candidates[0].losses["context"],
        steps=len(result.history["total"]) - 1,
        curve=curve,
    )


def blend_again(result: Inpainting, blending: Blending) -> tuple[Pixels, float]:
    """Return the best candidate blended in another way, and the seconds that took (0 for the same).

    Args:
        result: What a search found.
        blending: How to put G(ẑ) into the hole.

    Returns:
        uint8 (H, W, 3), equal to the original outside the hole; seconds.
    """
    if blending == result.settings.blending:
        return result.image, 0.0
    began = time.perf_counter()
    image = result.blended(blending)
    return image, time.perf_counter() - began


def _fill(setting: Setting, original: Pixels, hole: Hole) -> FilledImage:
    """Return a classical fill, or for the setting `original` the image itself."""
    began = time.perf_counter()
    image = original if setting == ORIGINAL else classical_fill(setting.method, original, hole)
    return FilledImage(image, time.perf_counter() - began, describe_device(torch.device("cpu")))


def describe_device(device: torch.device) -> str:
    """Return what times were taken on: the GPU's name, or the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type} ({threads} thread{'s' if threads > 1 else ''})"
