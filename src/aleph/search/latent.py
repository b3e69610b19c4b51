"""Latent search: ẑ = argmin_z L_c(z | y, M) + λ L_p(z) + μ |z|² (Yeh et al. 2017, eq. 6).

Adam runs on a batch of codes, one for every start of every image; the networks stay as they are.
Images do not influence each other: an image gets the same result in any batch, up to the rounding
of batched arithmetic. Progress is reported through a callback; no file is read or written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from aleph.search.adam import Adam
from aleph.search.config import SearchConfig
from aleph.search.losses import context_loss, latent_loss, prior_loss
from aleph.search.starts import Anchor
from aleph.search.tone import ToneMap

Network = Callable[[Tensor], Tensor]

_IMPROVEMENT = 1e-3
"""Share by which a loss must fall to count as progress for early stopping."""


@dataclass(frozen=True, eq=False)
class SearchStep:
    """What the callback is given: the state of a search before the update of a step.

    Attributes:
        step: From 0 (the start) to `steps`.
        steps: Steps that will be done unless the search stops early.
        losses: By name (`context`, `prior`, `latent`, unweighted, and `total`), float32 (N, K).
        generated: G(z), float32 (N, K, 3, H, W) in [−1, 1].
        z: Latent codes, float32 (N, K, latent_dim).
        last: Whether the search ends with this step; it may do so before `steps`.
    """

    step: int
    steps: int
    losses: dict[str, Tensor]
    generated: Tensor
    z: Tensor
    last: bool = False

    def of_starts(self, count: int) -> SearchStep:
        """Return the state of the first `count` starts of every image."""
        losses = {name: value[:, :count] for name, value in self.losses.items()}
        generated, z = self.generated[:, :count], self.z[:, :count]
        return replace(self, losses=losses, generated=generated, z=z)


OnStep = Callable[[SearchStep], None]
"""Called with every step of a search; what it raises ends the search."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The state of the lowest total loss of every start of every image.

    Attributes:
        z: ẑ, float32 (N, K, latent_dim).
        generated: G(ẑ), float32 (N, K, 3, H, W) in [−1, 1].
        losses: The losses of ẑ by name, float32 (N, K).
        history: The losses at every step by name, float32 (steps + 1, N, K).
        steps: Steps done.
        adapted: What the fill is made of, float32 (N, K, 3, H, W): `generated`, or where the
            generator was adapted to the image, its images (see `aleph.search.adaptation`), and
            where the mirror image was searched too, the mean of both; in holes with what is known
            of the object's other side (see `aleph.search.symmetry`). The losses are those of
            `generated`.
    """

    z: Tensor
    generated: Tensor
    losses: dict[str, Tensor]
    history: dict[str, Tensor]
    steps: int
    adapted: Tensor

    def with_mirror_image(self) -> SearchResult:
        """Return the result without the last start, the one of the mirror image.

        What the first start is filled with becomes the mean of both, unless the search of the
        mirror image diverged.
        """
        own, turned = self.generated[:, :1], self.generated[:, -1:]
        usable = self.losses["total"][:, -1:].isfinite()[:, :, None, None, None]
        both = torch.where(usable, (own + turned) / 2, own)
        return SearchResult(
            self.z[:, :-1],
            self.generated[:, :-1],
            {name: value[:, :-1] for name, value in self.losses.items()},
            {name: value[:, :, :-1] for name, value in self.history.items()},
            self.steps,
            adapted=torch.cat([both, self.generated[:, 1:-1]], dim=1),
        )


def latent_search(
    generator: Network,
    discriminator: Network | None,
    target: Tensor,
    weight: Tensor,
    start: Tensor,
    config: SearchConfig,
    *,
    anchor: Anchor | None = None,
    tones: ToneMap | None = None,
    bounded: bool = False,
    turned: bool = False,
    on_step: Callable[[SearchStep], None] | None = None,
) -> SearchResult:
    """Search the latent codes whose images agree best with the known pixels.

    Args:
        generator: z (n, latent_dim) → images (n, 3, H, W) in [−1, 1], weights frozen.
        discriminator: Images → logits (n,); needed where `config.prior_weight` is above 0.
        target: The damaged images y, float32 (N, 3, H, W) in [−1, 1].
        weight: The context weights W, float32 (N, 1, H, W), zero in the hole.
        start: Where to start, float32 (N, K, latent_dim): K starts per image.
        config: The settings of the search. K is taken from `start`; `config.starts` is not read.
        anchor: What the latent term measures the distance of each code from; N(0, 1) by default.
        tones: How the images' tones and those of the generator belong together; where they do, all
            that is generated is compared and returned in the images' tones.
        bounded: Whether the prior is bounded to [−1, 1]; with `config.clip` z is kept there.
        turned: Whether the last start of every image is a code of its mirror image.
        on_step: Called with every step's state, the start's included; what it raises ends the
            search.

    Returns:
        For every start the state of the lowest total loss; a NaN counts as the highest.
    """
    objective = _Objective(
        generator, discriminator, target, weight, start.shape[1], config, anchor or Anchor(), tones,
        turned,
    )  # fmt: skip
    z = start.detach().flatten(0, 1).clone().requires_grad_(True)
    adam = Adam(z)
    best = _Best(len(z))
    rows: list[dict[str, Tensor]] = []
    for step in range(config.steps + 1):
        with torch.set_grad_enabled(step < config.steps):  # no step follows the last loss
            losses, generated = objective(z)
        rows.append({name: value.detach() for name, value in losses.items()})
        best.update(rows[-1], generated.detach(), z.detach())
        last = step == config.steps or (step > 0 and best.stale(config.patience))
        if on_step:
            on_step(objective.report(step, rows[-1], generated.detach(), z.detach(), last))
        if last:
            break
        (gradient,) = torch.autograd.grad(losses["total"].sum(), z)
        adam.step(gradient, learning_rate_at(step, config))
        if bounded and config.clip:
            with torch.no_grad():
                z.clamp_(-1.0, 1.0)
    return objective.result(best, rows)


def learning_rate_at(step: int, config: SearchConfig) -> float:
    """Return Adam's step size at a step: a half cosine from the first value to the last.

    >>> learning_rate_at(0, SearchConfig(learning_rate=0.1, steps=10))
    0.1
    """
    end = config.learning_rate_end
    falling = 0.5 * (1 + np.cos(np.pi * step / max(config.steps, 1)))
    return float(config.learning_rate * (end + (1 - end) * falling))


class _Objective:
    """The losses of a batch of N · K codes: K starts for each of N images."""

    def __init__(
        self,
        generator: Network,
        discriminator: Network | None,
        target: Tensor,
        weight: Tensor,
        starts: int,
        config: SearchConfig,
        anchor: Anchor,
        tones: ToneMap | None,
        turned: bool,
    ) -> None:
        if config.prior_weight > 0 and discriminator is None:
            raise ValueError("a prior weight above 0 needs a discriminator")
        self.generator = generator
        self.discriminator = discriminator
        self.images, self.starts = len(target), starts
        # The target's values in the hole may be anything, NaN too, and 0 · NaN is NaN.
        known = torch.where(weight > 0, target, torch.zeros_like(target))
        self.target = known.repeat_interleave(starts, 0)
        self.weight = weight.repeat_interleave(starts, 0)
        self.config = config
        self.anchor = anchor.flat()
        self.tones = tones
        self.turned = turned

    def __call__(self, z: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        natural = self.generator(z).float()
        if self.turned:  # what it generates is mirrored back
            images = self._fold(natural)
            natural = torch.cat([images[:, :-1], images[:, -1:].flip(4)], dim=1).flatten(0, 1)
        generated = self.tones.shown(natural) if self.tones else natural
        losses = {
            "context": context_loss(generated, self.target, self.weight, self.config.norm),
            "latent": latent_loss(z, self.anchor.mean, self.anchor.deviation),
        }
        total = losses["context"] + self.config.latent_weight * losses["latent"]
        if self.config.prior_weight > 0:
            assert self.discriminator is not None
            losses["prior"] = prior_loss(self.discriminator(natural).float())
            total = total + self.config.prior_weight * losses["prior"]
        losses["total"] = total
        return losses, generated

    def _fold(self, flat: Tensor) -> Tensor:
        return flat.reshape(self.images, self.starts, *flat.shape[1:])

    def report(
        self, step: int, losses: dict[str, Tensor], generated: Tensor, z: Tensor, last: bool
    ) -> SearchStep:
        folded = {name: self._fold(value) for name, value in losses.items()}
        return SearchStep(
            step, self.config.steps, folded, self._fold(generated), self._fold(z).clone(), last
        )

    def result(self, best: _Best, rows: list[dict[str, Tensor]]) -> SearchResult:
        history = {
            name: torch.stack([row[name] for row in rows]).reshape(-1, self.images, self.starts)
            for name in rows[0]
        }
        losses = {name: self._fold(value) for name, value in best.losses.items()}
        z, generated = self._fold(best.z), self._fold(best.generated)
        return SearchResult(z, generated, losses, history, len(rows) - 1, adapted=generated)


class _Best:
    """For each code, the state of its lowest total loss so far."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.losses: dict[str, Tensor] = {}
        self.generated: Tensor
        self.z: Tensor
        self._mark: Tensor
        self._idle = 0

    def update(self, losses: dict[str, Tensor], generated: Tensor, z: Tensor) -> None:
        """Replace the states of those codes whose total loss is the lowest so far."""
        if not self.losses:
            self.losses = {name: value.clone() for name, value in losses.items()}
            self.generated, self.z = generated.clone(), z.clone()
            self._mark = self.losses["total"].nan_to_num(float("inf"))  # so that any number is less
            return
        # A comparison with NaN is false, so a diverged code never replaces a good one; a code
        # whose first loss was NaN is replaced by any number.
        better = (losses["total"] < self.losses["total"]) | (
            torch.isnan(self.losses["total"]) & ~torch.isnan(losses["total"])
        )
        for name, value in losses.items():
            self.losses[name] = torch.where(better, value, self.losses[name])
        self.generated = torch.where(better[:, None, None, None], generated, self.generated)
        self.z = torch.where(better[:, None], z, self.z)

    def stale(self, patience: int) -> bool:
        """Return whether no code has improved for `patience` steps; never if that is 0."""
        if patience == 0:
            return False
        improved = self.losses["total"] < self._mark * (1 - _IMPROVEMENT)
        self._mark = torch.where(improved, self.losses["total"], self._mark)
        self._idle = 0 if bool(improved.any()) else self._idle + 1
        return self._idle >= patience
