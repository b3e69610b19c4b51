"""Training of a damage finder: the damage in made-up samples is known, so it needs no labels.

Photographs whose damage somebody has marked can be shown as well.

The loss is binary cross-entropy plus a soft Dice loss (Milletari et al. 2016, arXiv 1606.04797),
over the pixels of which the label is sure, summed over looks at several sizes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from aleph.arrays import Pixels
from aleph.models.config import ModelConfig
from aleph.photo.tensors import to_pixels, to_tensor
from aleph.training.config import TrainConfig
from aleph.training.recipes.looks import Shown, looks
from aleph.training.recipes.recipe import Recipe
from aleph.training.samples.artefacts import Artefacts
from aleph.training.samples.backgrounds import load_photographs
from aleph.training.samples.damaged import DAMAGE, Damaged, Damager
from aleph.training.samples.labelled import LabelledPhoto, labelled_sample, read_labelled
from aleph.training.step import Step

_OTHER_PICTURES = 0.15
"""Share of samples made of the pictures that scikit-image ships, print and letters among them."""

_LABELLED = 0.25
"""Share of samples made of photographs with real damage, where there are such."""

_DICE_WEIGHT = 0.1
"""With a weight of 0.25 the finder marked too much."""


class DamageRecipe(Recipe):
    """The damage finder, trained on pictures that are damaged afresh for every step."""

    ema_roles = ("damage",)
    beta2 = 0.99

    def __init__(self, model: ModelConfig, config: TrainConfig, device: torch.device) -> None:
        super().__init__(model, config, device)
        # Adversaries need a short memory of gradients; this loss does not.
        parameters = self.networks["damage"].parameters()
        self.optimizers["damage"] = torch.optim.AdamW(
            parameters, config.learning_rate, (0.9, self.beta2), weight_decay=0.01
        )
        self.damager: Damager | None = None
        self.others: list[Pixels] = []
        self.labelled: list[LabelledPhoto] = []

    def step(self, real: Tensor, step: Step) -> dict[str, Tensor]:
        """Train on one sample per image of a batch (N, 3, S, S) in [−1, 1]."""
        seed = int(torch.randint(2**62, (), generator=step.random, device=real.device))
        image, label = _tensors(self._samples(to_pixels(real), np.random.default_rng(seed)))
        batch = Shown.of(image.to(real.device), label.to(real.device))
        network = self.networks["damage"]

        def look(shown: Shown, coarser: Tensor | None) -> Tensor:
            with step.autocast():
                logit: Tensor = network(shown.image, coarser).float()[:, 0]
            return logit

        total = torch.zeros((), device=real.device)
        reported: dict[str, Tensor] = {}
        for logit, shown in looks(batch, look, step.random):
            entropy, dice = losses(logit, shown)
            # Small looks have few pixels, but the larger ones rest on them.
            weight = (shown.sure.numel() / batch.sure.numel()) ** 0.5
            total = total + weight * (entropy + _DICE_WEIGHT * dice)
            if shown is batch:
                reported = {"entropy": entropy.detach(), "dice": dice.detach()}
        self.set_step_size("damage", step.index)
        step.minimise(total, [self.optimizers["damage"]], list(network.parameters()))
        return reported

    def _samples(self, images: NDArray[np.uint8], rng: np.random.Generator) -> list[Damaged]:
        if self.damager is None:  # only training needs artefacts and other pictures
            path = self.config.artefacts
            artefacts = Artefacts(path) if path else None
            self.damager = Damager(self.model.resolution, artefacts)
            self.others = load_photographs(self.config.backgrounds)
            if self.config.labelled:
                self.labelled = read_labelled(self.config.labelled)
        samples = []
        for image in images:
            if self.labelled and rng.random() < _LABELLED:
                photo = self.labelled[int(rng.integers(len(self.labelled)))]
                samples.append(labelled_sample(photo, self.model.resolution, rng))
                continue
            if rng.random() < _OTHER_PICTURES:
                image = self.others[int(rng.integers(len(self.others)))]
            samples.append(self.damager.sample(image, rng))
        return samples

    @torch.no_grad()
    def preview(self, real: Tensor) -> Tensor:
        """Return 32 samples in pairs: damage in red, beside it the probability that was found."""
        samples = self._samples(to_pixels(real[:32]), np.random.default_rng(0))
        image, _ = _tensors(samples)
        found = self.ema["damage"](image.to(real.device)).float().sigmoid()[:, 0].cpu().numpy()
        shown: list[Pixels] = []
        for sample, probability in zip(samples, found, strict=True):
            marked = sample.image.copy()
            marked[sample.label == DAMAGE] = (255, 0, 0)
            grey = np.repeat((255 * probability).astype(np.uint8)[:, :, None], 3, axis=2)
            shown += [marked, grey]
        return to_tensor(np.stack(shown))

    def export(self) -> dict[str, nn.Module]:
        """Return the network to ship, in inference mode."""
        return dict(self.ema)


def _tensors(samples: list[Damaged]) -> tuple[Tensor, Tensor]:
    image = to_tensor(np.stack([sample.image for sample in samples]))
    label = torch.from_numpy(np.stack([sample.label for sample in samples]))
    return image.contiguous(memory_format=torch.channels_last), label


def losses(logit: Tensor, shown: Shown) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy, and the Dice loss of each picture with damage in the mean.

    Args:
        logit: (N, H, W).
        shown: What was looked at.
    """
    entropy = functional.binary_cross_entropy_with_logits(logit, shown.damage, reduction="none")
    mean = (entropy * shown.sure).sum() / shown.sure.sum().clamp(min=1.0)
    score, damage = logit.sigmoid() * shown.sure, shown.damage * shown.sure
    both = (score * damage).sum(dim=(1, 2))
    total = score.sum(dim=(1, 2)) + damage.sum(dim=(1, 2))
    there = (damage.sum(dim=(1, 2)) > 0).float()
    dice = 1 - (2 * both + 1) / (total + 1)
    return mean, (dice * there).sum() / there.sum().clamp(min=1.0)
