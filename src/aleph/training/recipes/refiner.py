"""Training of the refiner on top of a trained encoder and generator, which stay as they are.

It sees guesses of every kind that it will be given: the encoder's best guess; codes between that
and the code of the undamaged image, as a search finds them; samples of the posterior; and all of
these blurred, as they are where a frame is enlarged into a photograph. Part of the images is aged.

A sample of the posterior is one of many images that are possible. Rebuilding the original from it
would teach the refiner to bring all samples back to their mean, so far from known pixels it must
keep what the sample shows, and near them match the original.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from aleph.blending.blend import FORGETTING, Softness
from aleph.masks.named import named_hole
from aleph.models.config import ModelConfig
from aleph.models.networks.refiner import begin
from aleph.photo.tensors import to_pixels, to_tensor
from aleph.training.config import TrainConfig
from aleph.training.losses import feature_loss, gradient_penalty
from aleph.training.recipes.patch_critic import (
    PatchCritic,
    critic_loss,
    fill_verdict,
    filled_share,
)
from aleph.training.recipes.recipe import Recipe
from aleph.training.samples.degradation import degraded
from aleph.training.samples.holes import draw_holes
from aleph.training.step import Step

R1_EVERY = 16
"""Steps between two R1 penalties, each weighted by as much."""

CRITIC_SPEED = 2.0
"""Step size of the discriminator over the refiner's first one: it must keep up with it (Heusel et
al. 2017, arXiv 1706.08500, section 2)."""

AGED = 0.25
"""Share of the images that are aged."""

SEARCHED, SAMPLED = 0.4, 0.2
"""Shares of the guesses: codes as a search finds them, samples of the posterior."""

ENLARGED = 0.25
"""Share of the guesses that are blurred as where a frame is enlarged."""

_WARM_UP = 200
"""Steps over which the step size rises."""


@dataclass(frozen=True, eq=False)
class _Batch:
    """Images, holes and guesses of one step.

    Attributes:
        image: The originals, (N, 3, R, R) in [−1, 1].
        hole: Boolean (N, 1, R, R).
        guess: G(z), (N, 3, R, R).
        kappa: κ per pixel, (N, 1, 1, 1).
        sampled: Which guesses are samples, boolean (N,).
    """

    image: Tensor
    hole: Tensor
    guess: Tensor
    kappa: Tensor
    sampled: Tensor


class RefinerRecipe(Recipe):
    """The refiner, trained to rebuild, then also against a discriminator."""

    ema_roles = ("refiner",)
    beta2 = 0.99

    def __init__(self, model: ModelConfig, config: TrainConfig, device: torch.device) -> None:
        super().__init__(model, config, device)
        critic = PatchCritic(model.discriminator_width)
        self.networks["critic"] = critic.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers = {
            "refiner": torch.optim.Adam(
                self.networks["refiner"].parameters(), config.learning_rate, (0.9, self.beta2)
            ),
            "critic": torch.optim.Adam(
                self.networks["critic"].parameters(), config.learning_rate, (0.0, self.beta2)
            ),
        }
        for role in ("generator", "encoder", "discriminator"):
            self.networks[role].eval().requires_grad_(False)

    def step(self, real: Tensor, step: Step) -> dict[str, Tensor]:
        """Train on one batch (N, 3, R, R) in [−1, 1]; return the mean losses."""
        batch = self._batch(real, step)
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
            verdict, features = self._verdict(fill, batch, step)
            loss = loss + self.config.adversary_weight * verdict
            loss = loss + self.config.feature_weight * features
            report |= {"adversary": verdict.detach(), "features": features.detach()}
        for group in self.optimizers["refiner"].param_groups:
            group["lr"] = self._learning_rate(step.index)
        step.minimise(loss, [self.optimizers["refiner"]], list(refiner.parameters()))
        return report

    def _learning_rate(self, index: int) -> float:
        """Rise over the first steps, then fall along half a cosine to nearly nothing."""
        share = min(index / self.config.steps, 1.0)
        warm = min(1.0, (index + 1) / _WARM_UP)
        return self.config.learning_rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * share)))

    @torch.no_grad()
    def _batch(self, real: Tensor, step: Step) -> _Batch:
        """Age, damage, guess and blur."""
        seed = int(torch.randint(2**62, (), generator=step.random, device=real.device))
        rng = np.random.default_rng(seed)
        count, side = len(real), real.shape[2]
        real = _aged(real, rng)
        hole = torch.from_numpy(_holes(count, side, rng)[:, None]).to(real.device)
        kind = torch.from_numpy(rng.random(count)).to(real.device)
        sampled, searched = kind < SAMPLED, kind > 1 - SEARCHED
        with step.autocast():
            z = self._codes(real, hole, sampled, searched, step)
            guess = self.networks["generator"](z).float()
        scale = torch.ones(count, 1, 1, 1, device=real.device)
        blurred = rng.random(count) < ENLARGED
        if blurred.any():
            rows = torch.from_numpy(np.flatnonzero(blurred)).to(real.device)
            factor = float(rng.uniform(1.2, 4.0) if rng.random() < 0.3 else rng.uniform(1.2, 2.5))
            guess[rows] = _enlarged(guess[rows], factor)
            scale[rows] = factor
        guess = _softened(guess, hole, side * scale.flatten().cpu().numpy())
        return _Batch(real, hole, guess, FORGETTING / (side * scale), sampled)

    def _codes(
        self, real: Tensor, hole: Tensor, sampled: Tensor, searched: Tensor, step: Step
    ) -> Tensor:
        """Return the latent codes of a batch, float32 (N, latent_dim)."""
        encoder = self.networks["encoder"]
        mean, log_variance = (t.float() for t in encoder(real, hole))
        noise = torch.randn(mean.shape, generator=step.random, device=mean.device)
        noise = noise * sampled[:, None]
        z: Tensor = mean + (0.5 * log_variance).exp() * noise
        if searched.any():
            whole = encoder(real[searched], torch.zeros_like(hole[searched]))[0].float()
            size = (len(whole), 1)
            way = 0.5 * torch.rand(size, generator=step.random, device=mean.device)
            z[searched] += way * (whole - z[searched])
        return z

    def _train_critic(self, batch: _Batch, made: Tensor, step: Step) -> dict[str, Tensor]:
        critic = self.networks["critic"]
        penalise = self.config.r1_weight > 0 and step.index % R1_EVERY == 0
        image = batch.image.detach().requires_grad_(penalise)
        with step.autocast():
            real_logit, made_logit = critic(image).float(), critic(made).float()
        loss = critic_loss(real_logit, made_logit, filled_share(batch.hole)).mean()
        report = {"critic": loss.detach()}
        if penalise:
            penalty = gradient_penalty(real_logit.mean(dim=(1, 2, 3)), image).mean()
            loss = loss + 0.5 * self.config.r1_weight * R1_EVERY * penalty
        for group in self.optimizers["critic"].param_groups:
            group["lr"] = CRITIC_SPEED * self.config.learning_rate
        step.minimise(loss, [self.optimizers["critic"]], list(critic.parameters()))
        return report

    def _verdict(self, fill: Tensor, batch: _Batch, step: Step) -> tuple[Tensor, Tensor]:
        """Return the adversarial loss of all fills and the feature loss of those that rebuild.

        Features are those of the model's discriminator, which knows what faces are made of.
        """
        discriminator, rebuilding = self.networks["discriminator"], ~batch.sampled
        with step.autocast():
            logit = self.networks["critic"](fill).float()
            with torch.no_grad():
                _, wanted = discriminator.features(batch.image[rebuilding])  # type: ignore[operator]
            _, features = discriminator.features(fill[rebuilding])  # type: ignore[operator]
        match = feature_loss(features, wanted).sum() / len(fill)
        return fill_verdict(logit, filled_share(batch.hole)).mean(), match

    @torch.no_grad()
    def preview(self, real: Tensor) -> Tensor:
        """Return rows of 8: damaged images, starts, fills, originals."""
        real = real[:: max(1, len(real) // 16)][:16]
        width = min(8, len(real))
        real = real[: len(real) // width * width]
        holes = _holes(len(real), real.shape[2], np.random.default_rng(0))
        hole = torch.from_numpy(holes[:, None]).to(real.device)
        mean, _ = self.networks["encoder"](real, hole)
        sides = np.full(len(real), real.shape[2], np.float32)
        guess = _softened(self.networks["generator"](mean), hole, sides)
        kappa = FORGETTING / real.shape[2]
        start, _ = begin(real, hole, guess, kappa)
        fill = self.ema["refiner"](real, hole, guess, kappa)
        columns = torch.stack([real.masked_fill(hole, 0.0), start, fill, real])
        rows = columns.reshape(4, -1, width, *real.shape[1:]).transpose(0, 1)
        return rows.flatten(0, 2)

    def export(self) -> dict[str, nn.Module]:
        """Return the whole model, in inference mode."""
        roles = ("generator", "discriminator", "encoder")
        return {**{role: self.networks[role] for role in roles}, **self.ema}


def _aged(real: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a batch of which some images look like old or bad photographs."""
    chosen = np.flatnonzero(rng.random(len(real)) < AGED)
    if not len(chosen):
        return real
    pixels = to_pixels(real[chosen]).astype(np.float32)
    aged = np.stack([degraded(image, rng) for image in pixels])
    real = real.clone()
    real[chosen] = to_tensor(aged).to(real)
    return real


def _holes(count: int, side: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw one hole per image, none empty: boolean (count, side, side)."""
    holes = draw_holes(count, side, rng)
    for hole in holes:
        if not hole.any():
            hole[:] = named_hole("strokes", hole.shape, int(rng.integers(2**31)))
    return holes


def _enlarged(guess: Tensor, factor: float) -> Tensor:
    """Blur as enlarging by a factor does."""
    side = guess.shape[2]
    small = functional.interpolate(
        guess, size=max(4, round(side / factor)), mode="bilinear", antialias=True
    )
    return functional.interpolate(small, size=side, mode="bicubic")


def _softened(guess: Tensor, hole: Tensor, sides: NDArray[np.float32]) -> Tensor:
    """Blur guesses beside known pixels, as `aleph.blending.refine` does; `sides` of the frames."""
    soft = [
        Softness(there[0], side)(image.transpose(1, 2, 0).astype(np.float64)).transpose(2, 0, 1)
        for image, there, side in zip(guess.cpu().numpy(), hole.cpu().numpy(), sides, strict=True)
    ]
    return torch.from_numpy(np.stack(soft).astype(np.float32)).to(guess.device)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of (N, C, H, W) per image under a weight (N, 1, H, W)."""
    total = (values * weight).mean(dim=1, keepdim=True).sum(dim=(1, 2, 3))
    return total / weight.sum(dim=(1, 2, 3)).clamp(min=1.0)


def _pooled(difference: Tensor, hole: Tensor) -> Tensor:
    """Mean of a difference over 4×4 pixels of the hole, (N, C, H / 4, W / 4)."""
    return functional.avg_pool2d(difference * hole, 4)


def _rebuilding(fill: Tensor, batch: _Batch) -> Tensor:
    """|f − x| + ½ (f − x)² in the hole, and |f − x| of both pooled 4×4; per image."""
    hole = batch.hole.float()
    difference = fill - batch.image
    fine = difference.abs() + 0.5 * difference.square()
    coarse = _pooled(difference, hole).abs()
    return _mean(fine, hole) + 0.5 * _mean(coarse, functional.avg_pool2d(hole, 4))


def _keeping(fill: Tensor, start: Tensor, reach: Tensor, batch: _Batch) -> Tensor:
    """As `_rebuilding` near known pixels; far from them the difference from the start."""
    hole = batch.hole.float()
    near, far = hole * reach.clamp(0.0, 1.0), hole * (1.0 - reach.clamp(0.0, 1.0))
    wrong, moved = fill - batch.image, fill - start
    fine = near * (wrong.abs() + 0.5 * wrong.square()) + 0.3 * far * moved.abs()
    coarse = _pooled(moved, far).abs()
    return _mean(fine, hole) + 0.5 * _mean(coarse, functional.avg_pool2d(hole, 4))
