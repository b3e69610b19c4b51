"""Training of models of kind `amortised`: encoder and generator are a variational autoencoder of
damaged images, to which a discriminator is added later (VAE-GAN, Larsen et al. 2016, arXiv
1512.09300).

The encoder gets every image damaged, and some of them undamaged too. The posterior of an undamaged
image is that of a usual variational autoencoder. The mean of a damaged image's posterior is trained
to reconstruct the whole image as well as possible; its variance is trained to cover the undamaged
image's posterior (pluralistic completion, Zheng et al. 2019, arXiv 1903.04227). So the mean is the
best single estimate, and samples are other images that agree with the known pixels.

A search starts from a second estimate (`aleph.search.starts.encode_views`): the hole is filled with
what the first one gives, and the filled image is encoded as a whole one. So the encoder learns to
see through its own fills: part of the batch is encoded so too, and its mean has to reconstruct the
original.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from aleph.search.losses import prior_loss
from aleph.training.losses import (
    feature_loss,
    gradient_penalty,
    posterior_divergence,
    reconstruction_loss,
)
from aleph.training.recipes.recipe import Recipe
from aleph.training.samples.holes import draw_holes
from aleph.training.step import Step

R1_EVERY = 16
"""Steps between two R1 penalties, each weighted by as much (Karras et al. 2020, section 3.1)."""


def _discriminated(batch: int) -> int:
    """Return how many images of a batch the discriminator gets; not all, to save time."""
    return max(2, batch // 2)


def _whole(batch: int) -> int:
    """Return how many of a batch's images are encoded undamaged as well."""
    return max(1, batch // 4)


def _twice(batch: int) -> int:
    """Return how many of a batch's images are filled with the first estimate and encoded again."""
    return max(1, batch // 2)


@dataclass(frozen=True, eq=False)
class _Codes:
    """The encoder's posteriors of a batch of N damaged images, and of the first K undamaged.

    Attributes:
        hole: Boolean (N, 1, H, W).
        mean: μ of the damaged images' posteriors, float32 (N, latent_dim).
        log_variance: log σ² of them.
        whole_mean: μ of the posteriors of the first K images, undamaged, (K, latent_dim).
        whole_log_variance: log σ² of them.
    """

    hole: Tensor
    mean: Tensor
    log_variance: Tensor
    whole_mean: Tensor
    whole_log_variance: Tensor

    def divergence(self) -> Tensor:
        """KL of the whole images' posteriors from the prior, mean, in nats."""
        return posterior_divergence(self.whole_mean, self.whole_log_variance).mean()

    def kl_damaged(self) -> Tensor:
        """KL of the whole images' posteriors, held fixed, from the damaged ones', mean, in nats.

        This alone sets the variance of a damaged image's posterior: it covers the codes of all
        images that agree with the known pixels, so that its samples differ in the hole.
        """
        count = len(self.whole_mean)
        return posterior_divergence(
            self.whole_mean.detach(),
            self.whole_log_variance.detach(),
            self.mean[:count],
            self.log_variance[:count],
        ).mean()


class AmortisedRecipe(Recipe):
    """Encoder and generator, trained to reconstruct images, and their discriminator."""

    ema_roles = ("generator", "encoder")
    beta2 = 0.99

    def step(self, real: Tensor, step: Step) -> dict[str, Tensor]:
        """Train on one batch (N, 3, H, W) in [−1, 1]; return the mean losses.

        Encoder and generator learn to reconstruct every image from the posterior mean of its
        damaged copy, a part of the batch from the posterior mean of that copy filled with this
        reconstruction, and a part from a sample of the undamaged image's posterior. From
        `adversary_start` on, half of the first reconstructions and images of codes without an
        original get an adversarial loss.
        """
        adversary = step.index >= self.config.adversary_start
        with step.autocast():
            codes = self._encode(real, step)
            whole = _sample(codes.whole_mean, codes.whole_log_variance, step)
            drawn = [codes.mean, whole]
            if adversary:
                drawn.append(_unpaired_codes(codes, whole, step))
            generated = self.networks["generator"](torch.cat(drawn))
        rebuilt, redrawn, free = generated.float().tensor_split([len(real), len(real) + len(whole)])
        reconstruction = reconstruction_loss(rebuilt, real, codes.hole).mean()
        again = self._second_estimate_loss(real, codes.hole, rebuilt, step)
        detail = reconstruction_loss(redrawn, real[: len(redrawn)]).mean()
        divergence, kl_damaged = codes.divergence(), codes.kl_damaged()
        spread = self.config.kl_weight / real[0].numel() * (divergence + kl_damaged)
        share, second = len(redrawn) / len(real), _twice(len(real)) / len(real)
        loss = reconstruction + second * again + share * (detail + spread)
        loss = loss / (1 + second + share)
        report = {
            "reconstruction": reconstruction.detach(),
            "again": again.detach(),
            "whole": detail.detach(),
            "divergence": divergence.detach(),
            "kl_damaged": kl_damaged.detach(),
        }
        if adversary:
            judged = _discriminated(len(real))
            real, generated = real[:judged], torch.cat([rebuilt[:judged], free])
            report |= self._train_discriminator(real, generated.detach(), step)
            verdict, features = self._adversarial_losses(real, generated, step)
            loss = loss + self.config.adversary_weight * verdict
            loss = loss + self.config.feature_weight * features
            report |= {"generator": verdict.detach(), "features": features.detach()}
        self._minimise(loss, step)
        return report

    def _second_estimate_loss(
        self, real: Tensor, hole: Tensor, first: Tensor, step: Step
    ) -> Tensor:
        """Fill the holes with the first reconstructions, encode the whole; return the mean loss."""
        rows = slice(-_twice(len(real)), None)  # the first ones are encoded undamaged
        filled = torch.where(hole[rows], first[rows].detach(), real[rows])
        with step.autocast():
            mean, _ = self.networks["encoder"](filled, torch.zeros_like(hole[rows]))
            rebuilt = self.networks["generator"](mean.float())
        return reconstruction_loss(rebuilt.float(), real[rows], hole[rows]).mean()

    def _encode(self, real: Tensor, step: Step) -> _Codes:
        """Encode the batch under a hole each, and its first images undamaged."""
        hole = self._holes(len(real), step, real.device)
        whole = real[: _whole(len(real))]
        images = torch.cat([real, whole])
        holes = torch.cat([hole, torch.zeros_like(hole[: len(whole)])])
        mean, log_variance = (t.float() for t in self.networks["encoder"](images, holes))
        count = len(real)
        damaged, undamaged = slice(count), slice(count, None)
        return _Codes(
            hole, mean[damaged], log_variance[damaged], mean[undamaged], log_variance[undamaged]
        )

    def _holes(self, count: int, step: Step, device: torch.device) -> Tensor:
        """Draw one hole per image: boolean (count, 1, H, W)."""
        seed = int(torch.randint(2**62, (), generator=step.random, device=device))
        holes = draw_holes(count, self.model.resolution, np.random.default_rng(seed))
        return torch.from_numpy(holes[:, None]).to(device)

    def _minimise(self, loss: Tensor, step: Step) -> None:
        """Take one step of generator and encoder down one gradient."""
        roles = ("generator", "encoder")
        for role in roles:
            self.set_step_size(role, step.index)
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

    def _adversarial_losses(
        self, real: Tensor, generated: Tensor, step: Step
    ) -> tuple[Tensor, Tensor]:
        """Return the generator's adversarial loss and the feature-matching loss.

        Images without an original have no other loss, so their mean counts as much as that of the
        reconstructions, however few they are.
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
        """Return rows of 8: damaged, from the mean, twice from a sample, four rows of the prior."""
        generator, encoder = self.ema["generator"], self.ema["encoder"]
        real = real[:: max(1, len(real) // 8)][:8]
        holes = draw_holes(len(real), self.model.resolution, np.random.default_rng(0))
        hole = torch.from_numpy(holes[:, None]).to(real.device)
        mean, log_variance = encoder(real, hole)
        random = torch.Generator(real.device).manual_seed(0)
        shape = (2, *mean.shape)
        noise = torch.randn(shape, generator=random, device=real.device)
        codes = [mean, *(mean + (0.5 * log_variance).exp() * noise)]
        columns = [real.masked_fill(hole, 0.0), *(generator(code) for code in codes)]
        free = torch.randn((32, mean.shape[1]), generator=random, device=real.device)
        return torch.cat([*columns, generator(free)])

    def export(self) -> dict[str, nn.Module]:
        """Return the networks of the exported model, in inference mode.

        A refiner is the one that the run began with: it is trained afterwards.
        """
        return {**{role: network.eval() for role, network in self.networks.items()}, **self.ema}


def _unpaired_codes(codes: _Codes, whole: Tensor, step: Step) -> Tensor:
    """Return codes whose images have no original: mixtures of undamaged images' codes, and samples
    of damaged images' posteriors.

    A mixture takes each of its numbers from the code of another image (Kim & Mnih 2018, arXiv
    1802.05983, algorithm 1). Once the latent space is whitened, mixtures are draws of the prior. In
    training the prior itself is not used: the encoder's codes differ from it, so the generator
    would learn to treat the two differently.

    No gradient reaches the encoder through these codes: it would make its posteriors narrower.
    """
    order = torch.rand(whole.shape, generator=step.random, device=whole.device).argsort(dim=0)
    mixed = whole.detach().gather(0, order)
    last = slice(len(codes.mean) - max(1, len(whole) // 2), None)
    guessed = _sample(codes.mean[last].detach(), codes.log_variance[last].detach(), step)
    return torch.cat([mixed, guessed])


def _sample(mean: Tensor, log_variance: Tensor, step: Step) -> Tensor:
    """Draw one code from each posterior."""
    noise = torch.randn(mean.shape, generator=step.random, device=mean.device)
    return mean + (0.5 * log_variance).exp() * noise
