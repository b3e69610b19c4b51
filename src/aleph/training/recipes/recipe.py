"""What the training loop needs of a kind of model: networks, averages, optimizers, a step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from aleph.models.config import ModelConfig
from aleph.models.networks import build_networks
from aleph.training.config import TrainConfig
from aleph.training.recipes.ema import ema_copy
from aleph.training.step import Step

_WARM_UP = 200
"""Steps over which a step size that falls rises first."""


class Recipe(ABC):
    """The networks and optimizers of a kind of model; subclasses implement its training step.

    Attributes:
        ema_roles: Roles of the networks of which the exponential moving average (EMA) of the
            weights is kept; it is what is exported.
        beta2: Adam's decay of the second moment.
        networks: Trained networks by role.
        ema: Networks with the EMA of the weights, by role.
        optimizers: Optimizers by the role of the network that they train.
    """

    ema_roles: ClassVar[tuple[str, ...]]
    beta2: ClassVar[float]

    def __init__(self, model: ModelConfig, config: TrainConfig, device: torch.device) -> None:
        self.model = model
        self.config = config
        self.networks: dict[str, nn.Module] = {
            role: network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for role, network in build_networks(model).items()
        }
        self.ema = {role: ema_copy(self.networks[role]) for role in self.ema_roles}
        betas = (config.beta1, self.beta2)
        self.optimizers = {
            role: torch.optim.Adam(network.parameters(), config.learning_rate, betas)
            for role, network in self.networks.items()
        }

    def set_step_size(self, role: str, index: int) -> None:
        """Set the step size of an optimizer for a step: it rises over the first steps, then falls
        along half a cosine to nearly nothing.
        """
        share = min(index / self.config.steps, 1.0)
        size = min(1.0, (index + 1) / _WARM_UP) * (0.02 + 0.49 * (1 + math.cos(math.pi * share)))
        for group in self.optimizers[role].param_groups:
            group["lr"] = self.config.learning_rate * size

    @abstractmethod
    def step(self, real: Tensor, step: Step) -> dict[str, Tensor]:
        """Train on one batch (N, 3, H, W) in [−1, 1]; return the mean losses."""

    @abstractmethod
    def preview(self, real: Tensor) -> Tensor:
        """Return images (N, 3, H, W) in [−1, 1] for the grid of samples."""

    @abstractmethod
    def export(self) -> dict[str, nn.Module]:
        """Return the networks of the exported model, by role, in inference mode."""
