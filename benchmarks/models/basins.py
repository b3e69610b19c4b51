"""What a weighting is worth when the search is not left to chance: good starts, many starts.

From one random start per image, the weightings differ by less on half masks than two starts of
the same weighting do. This separates the objective from the luck of the start:

    python -m benchmarks basins IMAGES... [--model faces-dcgan-64] [--images 48] [--mask half]

For each weighting it prints the PSNR of the hole (dB, G(z) pasted) of a search that starts at the
code of the whole, undamaged image, and the mean over searches from five random starts per image.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from aleph.config import Weighting
from aleph.datasets import find_sources, load_squares
from aleph.masks.named import named_hole
from aleph.models.zoo import load_model
from aleph.photo.tensors import to_tensor
from aleph.presets import resolve_settings
from aleph.search.latent import latent_search
from aleph.search.starts import random_starts
from aleph.search.weighting import context_weight


def hole_psnr(generated: Tensor, target: Tensor, hole: Tensor) -> float:
    """Return the mean PSNR of the holes in dB; images (N, 3, H, W) in [−1, 1]."""
    squared = ((generated - target) * 127.5).square() * hole
    error = squared.sum((1, 2, 3)) / (3 * hole.sum((1, 2, 3)))
    return float((10 * torch.log10(255**2 / error)).mean())


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--model", default="faces-dcgan-64")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--mask", default="half")
    options = parser.parse_args()

    model = load_model(options.model)
    side, size = model.config.resolution, model.config.latent_dim
    sources = find_sources(options.data)[: options.images]
    pixels, _, _ = load_squares(sources, side)
    target, count = to_tensor(pixels), len(pixels)
    holes = [named_hole(options.mask, (side, side), seed) for seed in range(count)]
    hole = torch.from_numpy(np.stack(holes)[:, None])
    settings = resolve_settings("balanced", model.config.kind).search
    bounded = model.config.prior == "uniform"
    everything = torch.full((count, 1, side, side), 1 / side**2)

    def search(weight: Tensor, start: Tensor, **changes: float) -> tuple[Tensor, Tensor]:
        config = dataclasses.replace(settings, **changes)  # type: ignore[arg-type]
        found = latent_search(
            model.generate, model.discriminate, target, weight, start, config, bounded=bounded
        )
        return found.z, found.generated

    one = random_starts(model.config.prior, size, 1, range(count))
    many = random_starts(model.config.prior, size, 5, range(count))
    truth, _ = search(everything, one)
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
