"""Training of the refiner on top of a trained encoder and generator, which stay as they are.

It sees guesses of every kind that it will be given: the encoder's best guess, first or second;
codes between that and the code of the undamaged image, as a search finds them; the mean of what the
picture and its mirror image give; samples of the posterior; and all of these blurred, as they are
where a frame is enlarged into a photograph. Part of the images is aged.

A sample of the posterior is one of many images that are possible. Rebuilding the original from it
would teach the refiner to bring all samples back to their mean, so far from known pixels it must
keep what the sample shows, and near them match the original.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from aleph.blending.blend import FORGETTING, Softness
from aleph.masks.named import named_hole
from aleph.models.config import ModelConfig
from aleph.photo.tensors import to_pixels, to_tensor
from aleph.search.starts import Estimate, encode_views
from aleph.training.config import TrainConfig
from aleph.training.losses import feature_loss
from aleph.training.recipes.refining import Guesses, RefiningRecipe
from aleph.training.samples.degradation import degraded
from aleph.training.samples.holes import draw_holes
from aleph.training.step import Step

AGED = 0.25
"""Share of the images that are aged."""

SEARCHED, SAMPLED = 0.4, 0.2
"""Shares of the guesses: codes as a search finds them, samples of the posterior."""

BOTH_VIEWS = 0.6
"""Share of the other guesses that are the mean of two, of the picture and of its mirror image."""

ENLARGED = 0.25
"""Share of the guesses that are blurred as where a frame is enlarged."""


class RefinerRecipe(RefiningRecipe):
    """The refiner of a trained model."""

    def __init__(self, model: ModelConfig, config: TrainConfig, device: torch.device) -> None:
        super().__init__(model, config, device)
        for role in ("generator", "encoder", "discriminator"):
            self.networks[role].eval().requires_grad_(False)

    @torch.no_grad()
    def guesses(self, real: Tensor, step: Step) -> Guesses:
        """Age, damage, guess and blur."""
        seed = int(torch.randint(2**62, (), generator=step.random, device=real.device))
        rng = np.random.default_rng(seed)
        count, side = len(real), real.shape[2]
        real = _aged(real, rng)
        hole = torch.from_numpy(_holes(count, side, rng)[:, None]).to(real.device)
        kind = torch.from_numpy(rng.random(count)).to(real.device)
        sampled, searched = kind < SAMPLED, kind > 1 - SEARCHED
        with step.autocast():
            z, *turned = self._codes(real, hole, sampled, searched, step)
            guess = self.networks["generator"](z).float()
            if turned:
                chance = torch.from_numpy(rng.random(count)).to(real.device)
                both = ~sampled & (chance < BOTH_VIEWS)
                other = self.networks["generator"](turned[0]).float().flip(3)
                guess = torch.where(both[:, None, None, None], (guess + other) / 2, guess)
        scale = torch.ones(count, 1, 1, 1, device=real.device)
        blurred = rng.random(count) < ENLARGED
        if blurred.any():
            rows = torch.from_numpy(np.flatnonzero(blurred)).to(real.device)
            factor = float(rng.uniform(1.2, 4.0) if rng.random() < 0.3 else rng.uniform(1.2, 2.5))
            guess[rows] = _enlarged(guess[rows], factor)
            scale[rows] = factor
        guess = _softened(guess, hole, side * scale.flatten().cpu().numpy())
        return Guesses(real, real, hole, guess, FORGETTING / (side * scale), sampled)

    def _codes(
        self, real: Tensor, hole: Tensor, sampled: Tensor, searched: Tensor, step: Step
    ) -> list[Tensor]:
        """Return the latent codes of a batch, float32 (N, latent_dim), and of its mirror image."""
        estimates = self._estimates(real, hole, step)
        codes = []
        for image, (mean, deviation) in zip((real, real.flip(3)), estimates, strict=False):
            noise = torch.randn(mean.shape, generator=step.random, device=mean.device)
            z = mean + noise * sampled[:, None] * deviation
            if searched.any():
                whole, _ = self._encode(image[searched], torch.zeros_like(hole[searched]))
                size = (len(whole), 1)
                way = 0.5 * torch.rand(size, generator=step.random, device=mean.device)
                z[searched] += way * (whole - z[searched])
            codes.append(z)
        return codes

    def _estimates(self, real: Tensor, hole: Tensor, step: Step) -> list[Estimate]:
        """Estimate a batch and its mirror image, one half once, the other twice."""
        chance = torch.rand(len(real), generator=step.random, device=real.device)
        halves = [torch.nonzero(half)[:, 0] for half in (chance < 0.5, chance >= 0.5)]
        parts = [
            encode_views(
                self._encode, self.networks["generator"], real[rows], hole[rows],
                twice=twice, mirrored=self.model.mirrored,
            )
            for rows, twice in zip(halves, (False, True), strict=True)
            if len(rows)
        ]  # fmt: skip
        back = torch.argsort(torch.cat(halves))
        views = zip(*parts, strict=True)
        return [
            (torch.cat([mean for mean, _ in view])[back], torch.cat([sd for _, sd in view])[back])
            for view in views
        ]

    def _encode(self, image: Tensor, hole: Tensor) -> Estimate:
        """Return mean and deviation of the posteriors, float32 (N, latent_dim) each."""
        mean, log_variance = self.networks["encoder"](image, hole)
        return mean.float(), (0.5 * log_variance.float()).exp()

    def match(self, fill: Tensor, seen: list[Tensor], guesses: Guesses, step: Step) -> Tensor:
        """Return the loss of features of those that rebuild.

        Features are those of the model's discriminator, which knows what faces are made of.
        """
        discriminator, rebuilding = self.networks["discriminator"], ~guesses.sampled
        with step.autocast():
            with torch.no_grad():
                _, wanted = discriminator.features(guesses.wanted[rebuilding])  # type: ignore[operator]
            _, features = discriminator.features(fill[rebuilding])  # type: ignore[operator]
        return feature_loss(features, wanted).sum() / len(fill)

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
        kappa, sampled = FORGETTING / real.shape[2], torch.zeros(len(real), dtype=torch.bool)
        return self.rows_of(Guesses(real, real, hole, guess, kappa, sampled))

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
