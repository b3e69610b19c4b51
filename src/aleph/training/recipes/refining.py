"""The training that all refiners share.

First a fill has to rebuild what is missing. Then it also has to deceive a discriminator, to match
features, and to have as much detail as the original.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from aleph.models.config import ModelConfig
from aleph.models.networks.refiner import begin
from aleph.training.config import TrainConfig
from aleph.training.losses import detail_loss, gradient_penalty, weighted_mean
from aleph.training.recipes.patch_critic import PatchCritic, critic_loss, fill_verdict
from aleph.training.recipes.recipe import Recipe
from aleph.training.step import Step

R1_EVERY = 16
"""Steps between two R1 penalties, each weighted by as much."""

CRITIC_SPEED = 2.0
"""Step size of the discriminator over the refiner's first one: it must keep up with it (Heusel et
al. 2017, arXiv 1706.08500, section 2)."""


@dataclass(frozen=True, eq=False)
class Guesses:
    """Images, holes and guesses of one step.

    Attributes:
        image: What is known, and shown in the hole if it is undamaged: (N, 3, R, R) in [−1, 1].
        wanted: The originals, (N, 3, R, R).
        hole: Boolean (N, 1, R, R).
        guess: What is refined, (N, 3, R, R).
        kappa: κ per pixel, a number or (N, 1, 1, 1).
        sampled: Which guesses are samples of many that are possible, boolean (N,).
    """

    image: Tensor
    wanted: Tensor
    hole: Tensor
    guess: Tensor
    kappa: Tensor | float
    sampled: Tensor

    @property
    def original(self) -> Tensor:
        """What a perfect fill would be: the original in the hole, and what is shown elsewhere."""
        return torch.where(self.hole, self.wanted, self.image)


class RefiningRecipe(Recipe):
    """A refiner and its discriminator; subclasses say what is refined."""

    ema_roles: ClassVar[tuple[str, ...]] = ("refiner",)
    beta2: ClassVar[float] = 0.99

    def __init__(self, model: ModelConfig, config: TrainConfig, device: torch.device) -> None:
        super().__init__(model, config, device)
        critic = PatchCritic()
        self.networks["critic"] = critic.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers = {
            "refiner": torch.optim.Adam(
                self.networks["refiner"].parameters(), config.learning_rate, (0.9, self.beta2)
            ),
            "critic": torch.optim.Adam(
                self.networks["critic"].parameters(), config.learning_rate, (0.0, self.beta2)
            ),
        }

    @abstractmethod
    def guesses(self, real: Tensor, step: Step) -> Guesses:
        """Damage a batch (N, 3, R, R) in [−1, 1], and guess what is missing."""

    @abstractmethod
    def match(self, fill: Tensor, seen: list[Tensor], guesses: Guesses, step: Step) -> Tensor:
        """Return the loss of a discriminator's features, a number.

        Args:
            fill: The filled pictures, (N, 3, R, R).
            seen: Features that the discriminator of fills finds in them.
            guesses: What was filled.
            step: The step of training.
        """

    def step(self, real: Tensor, step: Step) -> dict[str, Tensor]:
        """Train on one batch (N, 3, R, R) in [−1, 1]; return the mean losses."""
        batch = self.guesses(real, step)
        refiner = self.networks["refiner"]
        start, reach = begin(batch.image, batch.hole, batch.guess, batch.kappa)
        with step.autocast():
            change = refiner.correction(start, batch.hole, batch.guess, reach)  # type: ignore[operator]
        fill = torch.where(batch.hole, start + change, batch.image)
        rebuilt = _rebuilding(fill, batch)
        kept = _keeping(fill, start, reach, batch)
        loss = torch.where(batch.sampled, kept, rebuilt).mean()
        report = {"loss": loss.detach(), "rebuilt": rebuilt[~batch.sampled].mean().detach()}
        with torch.no_grad():
            report["start"] = _rebuilding(start, batch)[~batch.sampled].mean()
        if step.index >= self.config.adversary_start:
            report |= self._train_critic(batch, fill.detach(), step)
            critic = self.networks["critic"]
            with step.autocast():
                seen = critic.features(fill, batch.hole)  # type: ignore[operator]
                logits = critic.judged(seen)  # type: ignore[operator]
            verdict = fill_verdict(logits, batch.hole).mean()
            loss = loss + self.config.adversary_weight * verdict
            report["adversary"] = verdict.detach()
            features = self.match(fill, seen, batch, step)
            loss = loss + self.config.feature_weight * features
            report["features"] = features.detach()
            detail = detail_loss(fill, batch.original, batch.hole)
            detail = torch.where(batch.sampled, 0.0, detail).mean()
            loss = loss + self.config.detail_weight * detail
            report["detail"] = detail.detach()
        self.set_step_size("refiner", step.index)
        step.minimise(loss, [self.optimizers["refiner"]], list(refiner.parameters()))
        return report

    def _train_critic(self, batch: Guesses, made: Tensor, step: Step) -> dict[str, Tensor]:
        critic = self.networks["critic"]
        penalise = self.config.r1_weight > 0 and step.index % R1_EVERY == 0
        original = batch.original.detach().requires_grad_(penalise)
        with step.autocast():
            real, fill = critic(original, batch.hole), critic(made, batch.hole)
        loss = critic_loss(real, fill, batch.hole).mean()
        report = {"critic": loss.detach()}
        if penalise:
            mean = torch.stack([logit.float().mean(dim=(1, 2, 3)) for logit in real]).mean(dim=0)
            penalty = gradient_penalty(mean, original).mean()
            loss = loss + 0.5 * self.config.r1_weight * R1_EVERY * penalty
        for group in self.optimizers["critic"].param_groups:
            group["lr"] = CRITIC_SPEED * self.config.learning_rate
        step.minimise(loss, [self.optimizers["critic"]], list(critic.parameters()))
        return report

    def rows_of(self, batch: Guesses) -> Tensor:
        """Return rows of 8: damaged images, starts, fills, originals."""
        width = min(8, len(batch.image))
        start, _ = begin(batch.image, batch.hole, batch.guess, batch.kappa)
        fill = self.ema["refiner"](batch.image, batch.hole, batch.guess, batch.kappa)
        shown = batch.image.masked_fill(batch.hole, 0.0)
        columns = torch.stack([shown, start, fill, batch.wanted])
        rows = columns.reshape(4, -1, width, *batch.image.shape[1:]).transpose(0, 1)
        return rows.flatten(0, 2)


def _over_hole(fine: Tensor, coarse: Tensor, hole: Tensor) -> Tensor:
    """Mean of a loss over the hole, plus half of that of its pooled one; per image."""
    pooled = functional.avg_pool2d(hole, 4)
    return weighted_mean(fine, hole, 1.0) + 0.5 * weighted_mean(coarse, pooled, 1.0)


def _pooled(difference: Tensor, hole: Tensor) -> Tensor:
    """Mean of a difference over 4×4 pixels of the hole, (N, C, H / 4, W / 4)."""
    return functional.avg_pool2d(difference * hole, 4)


def _rebuilding(fill: Tensor, batch: Guesses) -> Tensor:
    """|f − x| + ½ (f − x)² in the hole, and |f − x| of both pooled 4×4; per image."""
    hole = batch.hole.float()
    difference = fill - batch.wanted
    fine = difference.abs() + 0.5 * difference.square()
    coarse = _pooled(difference, hole).abs()
    return _over_hole(fine, coarse, hole)


def _keeping(fill: Tensor, start: Tensor, reach: Tensor, batch: Guesses) -> Tensor:
    """As `_rebuilding` near known pixels; far from them the pooled difference from the start.

    What a sample shows is kept so, and detail may be added to it.
    """
    hole = batch.hole.float()
    near, far = hole * reach.clamp(0.0, 1.0), hole * (1.0 - reach.clamp(0.0, 1.0))
    wrong, moved = fill - batch.wanted, fill - start
    fine = near * (wrong.abs() + 0.5 * wrong.square())
    coarse = _pooled(moved, far).abs()
    return _over_hole(fine, coarse, hole)
