"""Samples at the sizes at which a finder of damage looks at a photo, from small to large.

In use a photo is looked at from an eighth of its size to its own, or to twice that
(`aleph.damage.tiles`), and each look is told what the one before it found. So a batch is shown at
an eighth or a quarter of its size first, and parts of it are shown enlarged at last, as soft scans
and small photos are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from aleph.models.networks.damage import MULTIPLE
from aleph.training.samples.damaged import DAMAGE, UNSURE

_FACTORS = (8, 4, 2, 1)
"""By how much the samples are shrunk, look after look."""

_CLOSER = 2
"""Looks at an enlarged part, each at half as many samples as the one before."""

_GRAIN = 0.04
"""Standard deviation of the noise of an enlarged part, at most: scanners add their own."""

Looked = Callable[["Shown", Tensor | None], Tensor]
"""Looks at pictures, told what the look before found; returns the logit (N, H, W)."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A batch of samples at one size.

    Attributes:
        image: (N, 3, H, W) in [−1, 1].
        damage: (N, H, W), the share of each pixel that is damaged, of what is sure.
        sure: (N, H, W), the share of each pixel of which the label is sure.
    """

    image: Tensor
    damage: Tensor
    sure: Tensor

    @classmethod
    def of(cls, image: Tensor, label: Tensor) -> Shown:
        """Show samples at their own size.

        Args:
            image: (N, 3, H, W) in [−1, 1].
            label: uint8 (N, H, W) as of `aleph.training.samples.damaged.Damaged`.
        """
        return cls(image, (label == DAMAGE).float(), (label != UNSURE).float())

    def shrunk(self, factor: int) -> Shown:
        """Return the means of squares of `factor` pixels."""
        if factor == 1:
            return self
        sure = functional.avg_pool2d(self.sure, factor)
        damage = functional.avg_pool2d(self.damage * self.sure, factor)
        image = functional.avg_pool2d(self.image, factor)
        return Shown(image, damage / sure.clamp(min=1e-6), sure)


def looks(batch: Shown, look: Looked, random: torch.Generator) -> Iterator[tuple[Tensor, Shown]]:
    """Look at samples from small to large, then at parts of some of them enlarged.

    Args:
        batch: The samples at their own size.
        look: The network.
        random: Source of the randomness.

    Yields:
        The logit of each look (N, H, W), and what it was shown.
    """
    side = batch.image.shape[-1]
    factors = [factor for factor in _FACTORS if side % (factor * MULTIPLE) == 0]
    skipped = int(torch.randint(min(2, len(factors)), (), generator=random, device=random.device))
    found: Tensor | None = None
    for factor in factors[skipped:]:
        shown = batch.shrunk(factor)
        coarser = None if found is None else _enlarged(found)
        logit = look(shown, coarser)
        yield logit, shown
        found = _told(logit)
    for _ in range(_CLOSER):
        assert found is not None
        shown, coarser = _closer(shown, found, random)
        logit = look(shown, coarser)
        yield logit, shown
        found = _told(logit)


def _told(logit: Tensor) -> Tensor:
    """Return what the next look is told: (N, 1, H, W) in [−1, 1], and no gradient."""
    return 2 * logit.detach().sigmoid()[:, None] - 1


def _enlarged(values: Tensor) -> Tensor:
    """Make (N, C, H, W) in [−1, 1] twice as large."""
    return functional.interpolate(values, scale_factor=2, mode="bicubic").clamp(-1, 1)


def _closer(shown: Shown, found: Tensor, random: torch.Generator) -> tuple[Shown, Tensor]:
    """Enlarge the same part of half of the samples, and of what was found in them."""
    device = random.device
    count, side = max(1, len(found) // 2), found.shape[-1]
    part = max(MULTIPLE // 2, side * 3 // 8 // (MULTIPLE // 2) * (MULTIPLE // 2))
    top, left = torch.randint(side - part + 1, (2,), generator=random, device=device).tolist()
    window = (slice(0, count), ..., slice(top, top + part), slice(left, left + part))
    image = _enlarged(shown.image[window])
    amount = torch.rand(count, 1, 1, 1, generator=random, device=device)
    noise = torch.randn(image.shape, generator=random, device=device)
    # none in half of them
    image = (image + _GRAIN * (2 * amount - 1).clamp(min=0) * noise).clamp(-1, 1)
    twice = [
        values[window].repeat_interleave(2, -1).repeat_interleave(2, -2)
        for values in (shown.damage, shown.sure)
    ]
    return Shown(image, *twice), _enlarged(found[window])
