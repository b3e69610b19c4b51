"""Exponential moving average of a network's weights and buffers."""

from __future__ import annotations

import copy

import torch
from torch import nn


def ema_copy(network: nn.Module) -> nn.Module:
    """Return a frozen copy in inference mode, to be updated by `update_ema`."""
    average = copy.deepcopy(network).eval()
    return average.requires_grad_(False)


def decay_at(images_seen: float, batch_size: int, half_life: int) -> float:
    """Return the decay of the moving average at one step: the share of the old average it keeps.

    The half-life, in images, is 5 % of the images seen, at most `half_life`, so that the initial
    weights are soon forgotten (EMA ramp-up; Karras et al. 2020, stylegan2-ada).

    >>> round(decay_at(10**9, 100, 100), 3)
    0.5
    """
    ramped = min(half_life, max(images_seen, batch_size) * 0.05)
    return float(0.5 ** (batch_size / max(ramped, 1e-8)))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Update the average of all weights and floating-point buffers; copy all other buffers."""
    old, new = average.state_dict(), network.state_dict()
    if old.keys() != new.keys():
        raise KeyError("the average and the network have different entries")
    for key, value in old.items():
        if value.is_floating_point():
            value.lerp_(new[key], 1.0 - decay)
        else:
            value.copy_(new[key])
