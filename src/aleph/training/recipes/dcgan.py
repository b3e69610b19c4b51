"""Adversarial training of a DCGAN (Radford et al. 2015, arXiv 1511.06434, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aleph.models.config import ModelConfig
from aleph.models.networks.dcgan import DCGANGenerator, measure_batch_statistics
from aleph.search.losses import prior_loss
from aleph.training.losses import discriminator_loss
from aleph.training.recipes.recipe import Recipe
from aleph.training.step import Step


def sample_prior(config: ModelConfig, count: int, random: torch.Generator) -> Tensor:
    """Draw latent codes from the model's prior: float32 (count, latent_dim)."""
    shape = (count, config.latent_dim)
    if config.prior == "uniform":
        return torch.rand(shape, generator=random, device=random.device) * 2 - 1
    return torch.randn(shape, generator=random, device=random.device)


class DCGANRecipe(Recipe):
    """Generator and discriminator, trained against each other."""

    ema_roles = ("generator",)
    beta2 = 0.999

    def step(self, real: Tensor, step: Step) -> dict[str, Tensor]:
        """Train D, then G, on one batch (N, 3, H, W) in [−1, 1]; return the mean losses."""
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        z = sample_prior(self.model, len(real), step.random)
        with step.autocast():
            fake = generator(z)
            real_logit = discriminator(real).float()
            fake_logit = discriminator(fake.detach()).float()
        loss_d = discriminator_loss(real_logit, fake_logit).mean()
        self._minimise(loss_d, "discriminator", step)

        # The same images serve the step of G, with the updated D.
        with step.autocast():
            judged = discriminator(fake).float()
        loss_g = prior_loss(judged).mean()
        self._minimise(loss_g, "generator", step)
        return {
            "discriminator": loss_d.detach(),
            "generator": loss_g.detach(),
            "real_accuracy": (real_logit > 0).float().mean(),
            "fake_accuracy": (fake_logit < 0).float().mean(),
        }

    def _minimise(self, loss: Tensor, role: str, step: Step) -> None:
        step.minimise(loss, [self.optimizers[role]], list(self.networks[role].parameters()))

    @torch.no_grad()
    def preview(self, real: Tensor) -> Tensor:
        """Return 64 samples of the averaged generator from the same codes at every call."""
        random = torch.Generator(real.device).manual_seed(0)
        samples: Tensor = self.ema["generator"](sample_prior(self.model, 64, random))
        return samples

    def export(self) -> dict[str, nn.Module]:
        """Return the networks of the exported model, with batch statistics measured anew."""
        generator = self.ema["generator"]
        assert isinstance(generator, DCGANGenerator)
        random = torch.Generator(next(generator.parameters()).device).manual_seed(0)
        latents = [sample_prior(self.model, 250, random) for _ in range(16)]
        measure_batch_statistics(generator, latents)
        return {"generator": generator, "discriminator": self.networks["discriminator"].eval()}
