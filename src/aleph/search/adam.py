"""Adam, the descent of the search and of the adaptation (Kingma & Ba 2015, arXiv 1412.6980)."""

from __future__ import annotations

import torch
from torch import Tensor

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Adam on one tensor (algorithm 1 of the paper), with a step size that may change.

    The steps are those of `torch.optim.Adam`, which imports torch's compiler when it is made: that
    takes more than a second.

    Args:
        values: What is changed, in place; float, of any shape.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self.steps = 0
        self.mean = torch.zeros_like(values, requires_grad=False)
        self.square = torch.zeros_like(values, requires_grad=False)

    @torch.no_grad()
    def step(self, gradient: Tensor, size: float) -> None:
        """Take one step.

        Args:
            gradient: Of the loss with respect to the values, of their shape; what is NaN or
                infinite in it counts as 0.
            size: α of the paper.
        """
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        self.steps += 1
        self.mean.lerp_(gradient, 1 - _BETA1)
        self.square.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        unbiased = 1 - _BETA1**self.steps, (1 - _BETA2**self.steps) ** 0.5
        scale = (self.square.sqrt() / unbiased[1]).add_(_EPSILON)
        self.values.addcdiv_(self.mean, scale, value=-(size / unbiased[0]))
