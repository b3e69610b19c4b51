"""Training of the refiner of surroundings: it mends what a smooth fill of thin damage lacks.

Parts of photographs are aged and damaged (`aleph.training.samples`), and what is damaged is filled
smoothly, as `aleph.blending.surroundings` does; the refiner learns what was there. What is known
beside the hole keeps the faint traces of damage that it has in real photographs. A third of the
photographs are only covered by masks of the usual kinds: strokes, blocks, discs, single pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from aleph.arrays import Hole, Pixels
from aleph.blending.smooth import LEAST_FACTOR, MEMORY
from aleph.frames.frame import KNOWN_SHARE
from aleph.masks.read import widened
from aleph.models.config import ModelConfig
from aleph.models.networks.extension import extend_residual
from aleph.photo.tensors import to_pixels, to_tensor
from aleph.training.config import TrainConfig
from aleph.training.losses import feature_loss
from aleph.training.recipes.refining import Guesses, RefiningRecipe
from aleph.training.samples.artefacts import Artefacts
from aleph.training.samples.damaged import DAMAGE, Damager
from aleph.training.samples.holes import draw_small_hole
from aleph.training.step import Step

_DAMAGED = 0.65
"""Share of the samples whose hole is damage; the others are intact under a mask."""

_MOST = 0.4
"""Share of a sample that is missing, at most."""

_GROWN = (1, 1, 2, 2, 3)
"""By how many pixels the damage's mask is widened; one of them is drawn."""

_TRIES = 8
"""Times that damage is laid over a picture before a mask takes its place."""

_LEVEL = 0.02
"""κ per block by which the coarse guess is spanned: nearly a membrane."""


class SurroundingsRecipe(RefiningRecipe):
    """The refiner of what no model's frame covers."""

    def __init__(self, model: ModelConfig, config: TrainConfig, device: torch.device) -> None:
        super().__init__(model, config, device)
        self.damager: Damager | None = None

    @torch.no_grad()
    def guesses(self, real: Tensor, step: Step) -> Guesses:
        """Age, damage and fill parts of photographs (N, 3, H, W) in [−1, 1]."""
        seed = int(torch.randint(2**62, (), generator=step.random, device=real.device))
        return self._guesses(real, np.random.default_rng(seed))

    def _guesses(self, real: Tensor, rng: np.random.Generator) -> Guesses:
        samples = [self._sample(pixels, rng) for pixels in to_pixels(real)]
        image, wanted = (
            to_tensor(np.stack([sample[n] for sample in samples])).to(real.device) for n in (0, 1)
        )
        hole = torch.from_numpy(np.stack([sample[2] for sample in samples]))[:, None]
        hole = hole.to(real.device)
        sampled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
        kappa = 1 / (MEMORY * LEAST_FACTOR)
        return Guesses(image, wanted, hole, _coarse(image, hole), kappa, sampled)

    def _sample(self, picture: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels, Hole]:
        """Return what is shown, what was there, and the hole, (S, S)."""
        side = self.model.resolution
        if self.damager is None:  # only training needs artefacts
            path = self.config.artefacts
            self.damager = Damager(side, Artefacts(path) if path else None, intact=0.0)
        if rng.random() < _DAMAGED:
            for _ in range(_TRIES):
                damaged, intact = self.damager.pair(picture, rng)
                hole = widened(damaged.label == DAMAGE, int(rng.choice(_GROWN)))
                if 0 < hole.mean() < _MOST:
                    return damaged.image, intact, hole
        image = self.damager.pair(picture, rng, ())[0].image
        return image, image, draw_small_hole(side, rng)

    def match(self, fill: Tensor, seen: list[Tensor], guesses: Guesses, step: Step) -> Tensor:
        """Return the loss of the features of the discriminator of fills, where the holes are."""
        critic, hole = self.networks["critic"], guesses.hole
        with torch.no_grad(), step.autocast():
            wanted = critic.features(guesses.original, hole)  # type: ignore[operator]
        return feature_loss(seen, wanted, hole).mean()

    @torch.no_grad()
    def preview(self, real: Tensor) -> Tensor:
        """Return rows of 8: damaged photographs, starts, fills, originals."""
        width = min(8, len(real))
        real = real[: min(24, len(real)) // width * width]
        return self.rows_of(self._guesses(real, np.random.default_rng(0)))

    def export(self) -> dict[str, nn.Module]:
        """Return the network to ship, in inference mode."""
        return dict(self.ema)


def _coarse(image: Tensor, hole: Tensor) -> Tensor:
    """Return a membrane over the hole at a reduced size, enlarged, as `SmoothFill.guess` does."""
    known = 1.0 - hole.float()
    share = functional.avg_pool2d(known, LEAST_FACTOR)
    mean = functional.avg_pool2d(image * known, LEAST_FACTOR) / share.clamp(min=1e-6)
    level = (image * known).mean(dim=(2, 3), keepdim=True) / known.mean(dim=(2, 3), keepdim=True)
    small = extend_residual(mean - level, share < KNOWN_SHARE, _LEVEL) + level
    return functional.interpolate(small, scale_factor=float(LEAST_FACTOR), mode="bicubic")
