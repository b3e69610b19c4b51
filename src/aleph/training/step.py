"""What a training step needs: its index, random numbers, precision, and the other processes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Step:
    """One step on one process.

    Attributes:
        index: Steps done before this one.
        random: Source of all random numbers of the step. It depends on (seed, index, rank) alone,
            so a resumed run repeats an uninterrupted one bit for bit without stored random state.
        fabric: The processes and devices of the run.
    """

    index: int
    random: torch.Generator
    fabric: Fabric

    @classmethod
    def at(cls, index: int, seed: int, fabric: Fabric) -> Step:
        """Build the step of this process."""
        entropy = np.random.SeedSequence([seed, 0x57E9, index, fabric.global_rank])
        random = torch.Generator(fabric.device)
        random.manual_seed(int(entropy.generate_state(1, np.uint64)[0]) >> 1)
        return cls(index, random, fabric)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which networks run forward, in the run's precision."""
        return self.fabric.autocast()

    def minimise(
        self,
        loss: Tensor,
        optimizers: Sequence[torch.optim.Optimizer],
        parameters: Sequence[nn.Parameter],
    ) -> None:
        """Take one step of the optimizers down the gradient of `loss`, averaged over all processes.

        Gradients are averaged as one flat tensor instead of through a wrapper around each network:
        wrappers do not survive a network that runs twice before one backward pass, or a gradient
        of a gradient.
        """
        gradients = torch.autograd.grad(loss, parameters)
        if self.fabric.world_size > 1:
            flat = torch.cat([g.reshape(-1) for g in gradients])
            mean = self.fabric.all_reduce(flat, reduce_op="mean")
            assert isinstance(mean, Tensor)
            parts = torch.split(mean, [g.numel() for g in gradients])
            gradients = tuple(p.view(g.shape) for p, g in zip(parts, gradients, strict=True))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        for optimizer in optimizers:
            optimizer.step()
        for parameter in parameters:
            parameter.grad = None
