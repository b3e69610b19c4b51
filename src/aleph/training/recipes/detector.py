"""Training of a detector without labels, on synthetic scenes whose objects' places are known.

The loss is that of objects as points (Zhou et al. 2019, arXiv 1904.07850, section 3): a focal loss
on the heat map of the centres, and at the cells beside a centre l1 on the offset, the logarithm of
the side, and the cosine and sine of the angle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from aleph.arrays import Pixels
from aleph.frames.placement import Placement
from aleph.models.config import ModelConfig
from aleph.models.networks.detector import CHANNELS, STRIDE, decode
from aleph.photo.tensors import to_pixels, to_tensor
from aleph.training.config import TrainConfig
from aleph.training.recipes.recipe import Recipe
from aleph.training.samples.backgrounds import Backdrops, load_photographs
from aleph.training.samples.scenes import Composer, Scene
from aleph.training.step import Step

ENOUGH, TOO_LITTLE = 0.3, 0.12
"""Visible share of an object from which it counts as present, and below which as absent; between
them its cells are left out of the loss."""

GEOMETRY_WEIGHTS = (1.0, 1.0, 2.5, 2.0, 2.0)
"""Of the offset (x, y; cells), the logarithm of the side, cosine and sine."""

_SPREAD = 0.1
"""Standard deviation of the heat around a centre, in sides of the frame."""

_NEAR = 1.5
"""Distance from a centre, in cells, within which offset, side and angle are trained."""

_SHOWN = 0.3
"""Score from which a preview draws a frame."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The training targets of a batch of scenes.

    Attributes:
        heat: (N, h, w), 1 at the cell of a centre, falling off around it.
        geometry: (N, 5, h, w), offset, log side, cosine and sine: the output after the logit.
        near: (N, h, w), 1 where the geometry is trained.
        counted: (N, h, w), 0 where the heat is left out of the loss.
    """

    heat: Tensor
    geometry: Tensor
    near: Tensor
    counted: Tensor


class DetectorRecipe(Recipe):
    """The detector, trained on scenes that are composed anew for every step."""

    ema_roles = ("detector",)
    beta2 = 0.99

    def __init__(self, model: ModelConfig, config: TrainConfig, device: torch.device) -> None:
        super().__init__(model, config, device)
        self.composer: Composer | None = None

    def step(self, real: Tensor, step: Step) -> dict[str, Tensor]:
        """Train on one scene per image of a batch (N, 3, 2R, 2R) in [−1, 1], R the resolution."""
        seed = int(torch.randint(2**62, (), generator=step.random, device=real.device))
        scenes = self._compose(to_pixels(real), np.random.default_rng(seed))
        targets = _targets(scenes, self.model.resolution, real.device)
        network = self.networks["detector"]
        with step.autocast():
            output = network(_inputs(scenes).to(real.device)).float()
        found = _focal_loss(output[:, 0], targets)
        geometry = _geometry_loss(output[:, 1:], targets)
        self.set_step_size("detector", step.index)
        step.minimise(found + geometry, [self.optimizers["detector"]], list(network.parameters()))
        return {"centres": found.detach(), "geometry": geometry.detach()}

    def _compose(self, images: NDArray[np.uint8], rng: np.random.Generator) -> list[Scene]:
        if self.composer is None:  # only training needs the photographs
            photographs = load_photographs(self.config.backgrounds)
            self.composer = Composer(self.model.resolution, Backdrops(photographs))
        return [self.composer.compose(i, images, rng) for i in range(len(images))]

    @torch.no_grad()
    def preview(self, real: Tensor) -> Tensor:
        """Return 36 scenes, objects framed in green and what the network finds in magenta."""
        scenes = self._compose(to_pixels(real[:36]), np.random.default_rng(0))
        output = self.ema["detector"](_inputs(scenes).to(real.device))
        scores, frames = decode(output, self.model.resolution)
        peaks = scores == functional.max_pool2d(scores, 3, 1, 1)
        shown = (peaks & (scores > _SHOWN)).cpu().numpy()
        drawn = [_drawn(scene, frames[i].cpu().numpy()[shown[i]]) for i, scene in enumerate(scenes)]
        return to_tensor(np.stack(drawn))

    def export(self) -> dict[str, nn.Module]:
        """Return the network of the exported model, in inference mode."""
        return dict(self.ema)


def _inputs(scenes: list[Scene]) -> Tensor:
    """Return scenes as the network's input: float32 (N, 4, S, S), picture and hole."""
    image = to_tensor(np.stack([scene.image for scene in scenes]))
    hole = torch.from_numpy(np.stack([scene.hole for scene in scenes])[:, None])
    return torch.cat([image.masked_fill(hole, 0.0), hole.float()], dim=1).contiguous(
        memory_format=torch.channels_last
    )


def _targets(scenes: list[Scene], resolution: int, device: torch.device) -> Targets:
    cells = len(scenes[0].image) // STRIDE
    values = np.zeros((len(scenes), CHANNELS + 2, cells, cells), np.float32)
    values[:, -1] = 1.0
    for scene, target in zip(scenes, values, strict=True):
        for placement, visible in zip(scene.placements, scene.visible, strict=True):
            _mark(target, placement, visible, resolution)
    parts = torch.from_numpy(values).to(device)
    return Targets(parts[:, 0], parts[:, 1:CHANNELS], parts[:, CHANNELS], parts[:, CHANNELS + 1])


def _mark(target: NDArray[np.float32], place: Placement, visible: float, resolution: int) -> None:
    """Write one object into a scene's targets: heat, geometry, near and counted."""
    place_of_cell = np.arange(target.shape[1], dtype=np.float32) + np.float32(0.5)
    across = place.x / STRIDE - place_of_cell[None, :]
    down = place.y / STRIDE - place_of_cell[:, None]
    squared = across**2 + down**2
    heat = np.exp(-squared / (2 * (_SPREAD * place.side / STRIDE) ** 2))
    if visible < ENOUGH:
        if visible > TOO_LITTLE:
            target[-1][heat > 0.05] = 0.0
        return
    row, column = int(place.y / STRIDE), int(place.x / STRIDE)
    heat[row, column] = 1.0
    np.maximum(target[0], heat, out=target[0])
    near = squared <= _NEAR**2
    turn = math.radians(place.angle)
    constants = (math.log(place.side / resolution), math.cos(turn), math.sin(turn))
    geometry = np.stack([np.broadcast_to(v, near.shape) for v in (across, down, *constants)])
    target[1:CHANNELS, near] = geometry[:, near]
    target[CHANNELS][near] = 1.0


def _focal_loss(logit: Tensor, targets: Targets) -> Tensor:
    """Penalty-reduced focal loss (Zhou et al. 2019, equation 1), per centre."""
    score = logit.sigmoid()
    centre = (targets.heat == 1.0).float()
    hit = centre * (1 - score).square() * functional.logsigmoid(logit)
    far = (1 - targets.heat) ** 4
    miss = (1 - centre) * far * score.square() * functional.logsigmoid(-logit)
    return -((hit + miss) * targets.counted).sum() / centre.sum().clamp(min=1.0)


def _geometry_loss(output: Tensor, targets: Targets) -> Tensor:
    weights = torch.tensor(GEOMETRY_WEIGHTS, device=output.device)[:, None, None]
    difference = (output - targets.geometry).abs() * weights
    near = targets.near
    return (difference.sum(dim=1) * near).sum() / near.sum().clamp(min=1.0)


def _drawn(scene: Scene, found: NDArray[np.float32]) -> Pixels:
    """Draw a scene with its hole in grey, its frames and those found, (k, 4)."""
    canvas = np.where(scene.hole[:, :, None], 127, scene.image).astype(np.uint8)
    known = [
        (p, (0, 255, 0))
        for p, visible in zip(scene.placements, scene.visible, strict=True)
        if visible >= ENOUGH
    ]
    for place, colour in [*known, *((Placement(*map(float, f)), (255, 0, 255)) for f in found)]:
        corners = np.rint(place.corners).astype(np.int32)
        cv2.polylines(canvas, [corners], True, colour)
        cv2.line(canvas, corners[0], corners[1], (255, 255, 0))
    return canvas
