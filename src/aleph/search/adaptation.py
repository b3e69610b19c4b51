"""Adaptation: after the search the generator itself is fitted to the known pixels of each picture.

A generator cannot draw every face exactly, whatever the code. So with ẑ fixed a few of its values
are tuned to the picture, as in the fine-tuning of deep generative priors (Pan et al. 2020, arXiv
2003.13659, section 3.2; Roich et al. 2021, arXiv 2106.05744, section 3.2): not the weights, which
all pictures of a batch share, but one offset for every style and every bias of each picture. Where
no known pixel is near, that gains little and costs sharpness. So what it changes fades with the
distance from them, and its fine detail sooner than the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from aleph.arrays import Floats, Hole
from aleph.search.adam import Adam
from aleph.search.config import SearchConfig
from aleph.search.losses import context_loss
from aleph.search.tone import ToneMap

REACH = 1 / 10
"""Distance from known pixels, in sides of the frame, over which the adaptation fades."""

FINE_REACH = 1 / 50
"""The same of what is fine in it."""

_FINE = 0.03
"""Standard deviation, in sides of the frame, of the blur that parts fine from coarse."""

_END = 0.1
"""Step size at the last step as a share of the first (cosine between)."""

OffsetNetwork = Callable[[Tensor, Tensor], Tensor]

OnAdapt = Callable[[int, int], None]
"""Called with the steps of the adaptation that are done, and all; what it raises ends the fill."""


def adapt(
    generator: OffsetNetwork,
    offsets: int,
    target: Tensor,
    weight: Tensor,
    z: Tensor,
    config: SearchConfig,
    tones: ToneMap | None = None,
    on_adapt: OnAdapt | None = None,
) -> Tensor:
    """Adapt the generator to pictures, so that the context loss falls further than by z alone.

    Images do not influence each other, and all that differs between them is their offsets.

    Args:
        generator: z (n, latent_dim) and offsets (n, offsets) → images (n, 3, H, W) in [−1, 1],
            weights frozen.
        offsets: Number of offsets of an image.
        target: The damaged images y, float32 (N, 3, H, W) in [−1, 1].
        weight: The context weights W, float32 (N, 1, H, W), zero in the hole.
        z: Codes, float32 (N, K, latent_dim): K for each image. They stay as they are.
        config: Its `adaptation_steps`, `adaptation_rate` and `norm` are read.
        tones: The map between the images' tones and the generator's; None if they are alike.
        on_adapt: Called before each step and after the last; what it raises ends the adaptation.

    Returns:
        The images of the adapted generator, float32 (N, K, 3, H, W); that of the generator as it
        was for each code whose context loss did not fall.
    """
    codes = z.detach().flatten(0, 1)
    known = torch.where(weight > 0, target, torch.zeros_like(target))
    known, weight = (value.repeat_interleave(z.shape[1], 0) for value in (known, weight))
    learned = torch.zeros(len(codes), offsets, device=z.device, requires_grad=True)
    adam = Adam(learned)
    steps = config.adaptation_steps

    def generated() -> tuple[Tensor, Tensor]:
        natural = generator(codes, learned).float()
        shown = tones.shown(natural) if tones else natural
        return shown, context_loss(shown, known, weight, config.norm)

    first: tuple[Tensor, Tensor] | None = None
    for step in range(steps):
        if on_adapt:
            on_adapt(step, steps)
        images, losses = generated()
        first = first or (images.detach(), losses.detach())
        (gradient,) = torch.autograd.grad(losses.sum(), learned)
        adam.step(gradient, adaptation_rate_at(step, config))
    with torch.no_grad():
        images, losses = generated()
    if first:
        # Also false where a loss is NaN.
        better = losses < first[1]
        images = torch.where(better[:, None, None, None], images, first[0])
    if on_adapt:
        on_adapt(steps, steps)
    return images.reshape(*z.shape[:2], *images.shape[1:])


def adaptation_rate_at(step: int, config: SearchConfig) -> float:
    """Return Adam's step size at a step: a half cosine from the first value to a tenth of it."""
    falling = 0.5 * (1 + np.cos(np.pi * step / max(config.adaptation_steps, 1)))
    return float(config.adaptation_rate * (_END + (1 - _END) * falling))


def fade(generated: Tensor, adapted: Tensor, holes: Sequence[Hole]) -> Tensor:
    """Return the adapted images beside known pixels, the images as they were far from them.

    Args:
        generated: G(ẑ), float32 (N, K, 3, H, W).
        adapted: The same of the adapted generator.
        holes: Boolean (H, W) of each of the N images, True = missing.

    Returns:
        float32 (N, K, 3, H, W).
    """

    def share(reach: float) -> Tensor:
        near = np.stack([nearness(hole, reach) for hole in holes])
        return torch.from_numpy(near).to(generated.device)[:, None, None]

    change = adapted - generated
    coarse = _blurred(change.flatten(0, 2)[:, None], _FINE * change.shape[-1]).reshape(change.shape)
    return generated + share(REACH) * coarse + share(FINE_REACH) * (change - coarse)


def _blurred(images: Tensor, deviation: float) -> Tensor:
    """Blur images (N, 1, H, W), mirrored at their edges, by a Gaussian."""
    radius = min(int(np.ceil(4 * deviation)), images.shape[-1] - 1)
    steps = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (steps / deviation).square())
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    padded = functional.pad(images, (radius, radius, radius, radius), mode="reflect")
    return functional.conv2d(functional.conv2d(padded, kernel), kernel.transpose(2, 3))


def nearness(hole: Hole, reach: float = REACH) -> Floats:
    """Return how much of a change each pixel takes: exp(−(d / reach)²).

    Args:
        hole: Boolean (H, W), True = missing.
        reach: In sides of the frame, above 0.

    Returns:
        float32 (H, W) in [0, 1]: 1 at known pixels and at those beside them, d being the distance
        to the nearest known pixel less 1; 0 everywhere if nothing is known.
    """
    if hole.all():
        return np.zeros(hole.shape, np.float32)
    distance = np.maximum(ndimage.distance_transform_edt(hole) - 1.0, 0.0)
    share = np.exp(-np.square(distance / (reach * max(hole.shape))))
    return np.asarray(share, np.float32)
