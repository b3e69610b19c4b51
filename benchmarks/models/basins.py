"""How good the optimum of each weighting is, apart from where a search from a random code ends.

From one random start per image, the weightings differ by less on half masks than two starts of
the same weighting do. This separates the two:

    python -m benchmarks basins IMAGES... [--model faces-dcgan-64] [--images 48] [--mask half]

For each weighting it prints the PSNR of the hole (dB, G(z) pasted) of a search that starts at the
code of the whole, undamaged image, and the mean over searches from five random starts per image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from aleph.config import Weighting
from aleph.masks.named import named_hole
from aleph.models.model import Model
from aleph.models.zoo import load_model
from aleph.photo.tensors import to_tensor
from aleph.presets import resolve_settings
from aleph.search.latent import latent_search
from aleph.search.starts import random_starts
from aleph.search.weighting import context_weight
from benchmarks.options import options_parser, spread_squares


def hole_psnr(generated: Tensor, target: Tensor, hole: Tensor) -> float:
    """Return the mean PSNR of the holes in dB; images (N, 3, H, W) in [−1, 1]."""
    squared = ((generated - target) * 127.5).square() * hole
    error = squared.sum((1, 2, 3)) / (3 * hole.sum((1, 2, 3)))
    return float((10 * torch.log10(255**2 / error)).mean())


Search = Callable[..., tuple[Tensor, Tensor]]
"""Weights (N, 1, H, W), starts (N, K, latent) and changed settings in; z and G(z) out."""


def searcher(model: Model, target: Tensor) -> Search:
    """Return a search of a model with its `balanced` settings."""
    settings = resolve_settings("balanced", model.config.kind).search
    bounded = model.config.prior == "uniform"

    def search(weight: Tensor, start: Tensor, **changes: float) -> tuple[Tensor, Tensor]:
        config = dataclasses.replace(settings, **changes)  # type: ignore[arg-type]
        found = latent_search(
            model.generate, model.discriminate, target, weight, start, config, bounded=bounded
        )
        return found.z, found.generated

    return search


def main() -> None:
    """Parse, measure, print."""
    parser = options_parser(__doc__, model="faces-dcgan-64", images=48, mask="half")
    options = parser.parse_args()
    model = load_model(options.model)
    side, size = model.config.resolution, model.config.latent_dim
    target = to_tensor(np.stack(spread_squares(options.data, options.images, side)))
    count = len(target)
    holes = [named_hole(options.mask, (side, side), seed) for seed in range(count)]
    hole = torch.from_numpy(np.stack(holes)[:, None])
    search = searcher(model, target)
    one = random_starts(model.config.prior, size, 1, range(count))
    many = random_starts(model.config.prior, size, 5, range(count))
    truth, _ = search(torch.full((count, 1, side, side), 1 / side**2), one)
    for weighting in get_args(Weighting):
        maps = np.stack([context_weight(h, weighting) for h in holes])[:, None]
        weight = torch.from_numpy(maps)
        effective = float((1 / weight.square().sum((1, 2, 3))).mean())
        _, near = search(weight, truth, steps=60, learning_rate=0.05)
        _, far = search(weight, many, steps=60)
        mean = np.mean([hole_psnr(far[:, k], target, hole) for k in range(5)])
        print(
            f"{weighting:<15} effective pixels {effective:5.0f}  from the truth "
            f"{hole_psnr(near[:, 0], target, hole):.2f}  from five random starts {mean:.2f}",
            flush=True,
        )
