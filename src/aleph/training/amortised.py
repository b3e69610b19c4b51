"""Training of the amortised start: encoder and generator as a masked variational autoencoder, then
the adversary (the roles of Larsen et al. 2016, arXiv 1512.09300, with the encoder seeing only what
is known)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from aleph.losses import (
    feature_loss,
    gradient_penalty,
    posterior_divergence,
    prior_loss,
    reconstruction_loss,
)
from aleph.training.holes import draw_holes
from aleph.training.recipe import Recipe
from aleph.training.step import Step

R1_EVERY = 16
"""Steps between two R1 penalties, each weighted by as much (Karras et al. 2020, section 3.1)."""


def _judged(batch: int) -> int:
    """Return how many of a batch's images the discriminator sees: judging all costs too much."""
    return max(2, batch // 2)


class AmortisedRecipe(Recipe):
    """Encoder and generator, trained to rebuild, and the discriminator that judges them."""

    averaged = ("generator", "encoder")
    beta2 = 0.99

    def step(self, real: Tensor, step: Step) -> dict[str, Tensor]:
        """Train on one batch (N, 3, H, W) in [−1, 1]; return the mean losses.

        Before `adversary_start` encoder and generator learn to reconstruct the whole image from
        what a hole leaves of it; from then on the discriminator judges half of the reconstructions
        and images of random codes as well.
        """
        adversary = step.index >= self.config.adversary_start
        generator, encoder = self.networks["generator"], self.networks["encoder"]
        hole = self._holes(len(real), step, real.device)
        with step.autocast():
            mean, log_variance = (t.float() for t in encoder(real, hole))
            noise = torch.randn(mean.shape, generator=step.random, device=mean.device)
            code = mean + (0.5 * log_variance).exp() * noise
            if adversary:
                free = torch.randn(
                    (_judged(len(real)) // 2, mean.shape[1]),
                    generator=step.random,
                    device=mean.device,
                )
                generated = generator(torch.cat([code, free]))
            else:
                generated = generator(code)
        generated = generated.float()
        rebuilt = generated[: len(real)]
        divergence = posterior_divergence(mean, log_variance).mean()
        reconstruction = reconstruction_loss(rebuilt, real).mean()
        loss = reconstruction + self.config.kl_weight / real[0].numel() * divergence
        report = {"reconstruction": reconstruction.detach(), "divergence": divergence.detach()}
        if adversary:
            judged = _judged(len(real))
            real, generated = real[:judged], torch.cat([rebuilt[:judged], generated[len(hole) :]])
            report |= self._train_discriminator(real, generated.detach(), step)
            verdict, features = self._verdict(real, generated, step)
            loss = loss + self.config.adversary_weight * verdict
            loss = loss + self.config.feature_weight * features
            report |= {"generator": verdict.detach(), "features": features.detach()}
        self._minimise(loss, step)
        return report

    def _holes(self, count: int, step: Step, device: torch.device) -> Tensor:
        """Draw one hole per image: boolean (count, 1, H, W)."""
        seed = int(torch.randint(2**62, (), generator=step.random, device=device))
        holes = draw_holes(count, self.model.resolution, np.random.default_rng(seed))
        return torch.from_numpy(holes[:, None]).to(device)

    def _minimise(self, loss: Tensor, step: Step) -> None:
        """Take one step of generator and encoder down one gradient."""
        roles = ("generator", "encoder")
        step.minimise(
            loss,
            [self.optimizers[role] for role in roles],
            [p for role in roles for p in self.networks[role].parameters()],
        )

    def _train_discriminator(self, real: Tensor, made: Tensor, step: Step) -> dict[str, Tensor]:
        discriminator = self.networks["discriminator"]
        penalise = self.config.r1_weight > 0 and step.index % R1_EVERY == 0
        image = real.detach().requires_grad_(penalise)
        with step.autocast():
            real_logit = discriminator(image).float()
            made_logit = discriminator(made).float()
        loss = prior_loss(real_logit).mean() + prior_loss(-made_logit).mean()
        report = {"discriminator": loss.detach()}
        if penalise:
            penalty = gradient_penalty(real_logit, image).mean()
            loss = loss + 0.5 * self.config.r1_weight * R1_EVERY * penalty
        step.minimise(loss, [self.optimizers["discriminator"]], list(discriminator.parameters()))
        return report

    def _verdict(self, real: Tensor, generated: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Return the adversarial loss, of the rebuilt and of the free alike, and the feature loss.

        Images of random codes have no other loss: they count as much as the rebuilt, however few.
        """
        discriminator = self.networks["discriminator"]
        with step.autocast():
            with torch.no_grad():
                _, wanted = discriminator.features(real)  # type: ignore[operator]
            logit, features = discriminator.features(generated)  # type: ignore[operator]
        match = feature_loss([f[: len(real)] for f in features], wanted)
        verdict = prior_loss(logit.float())
        return verdict[: len(real)].mean() + verdict[len(real) :].mean(), match.mean()

    @torch.no_grad()
    def preview(self, real: Tensor) -> Tensor:
        """Return 24 damaged images and under each row of 8 their rebuilding, then 16 samples."""
        generator, encoder = self.averages["generator"], self.averages["encoder"]
        real = real[:24]
        holes = draw_holes(len(real), self.model.resolution, np.random.default_rng(0))
        hole = torch.from_numpy(holes[:, None]).to(real.device)
        rebuilt = generator(encoder(real, hole)[0])
        damaged = real.masked_fill(hole, 0.0)
        random = torch.Generator(real.device).manual_seed(0)
        free = torch.randn((16, self.model.latent_dim), generator=random, device=real.device)
        rows = [t[i : i + 8] for i in range(0, len(real), 8) for t in (damaged, rebuilt)]
        return torch.cat([*rows, generator(free)])

    def export(self) -> dict[str, nn.Module]:
        """Return the networks to ship, in inference mode."""
        return {**self.averages, "discriminator": self.networks["discriminator"].eval()}
