"""Which loss predicts the best candidate: rank correlations with the PSNR of the hole.

    python -m benchmarks ranking IMAGES... [--model faces-64] [--images 32] [--candidates 8]

For each mask it fills every image with several candidates and prints, for every loss of a
candidate, the mean over images of Spearman's rank correlation with the candidate's PSNR in the
hole (−1: the lowest loss is always the best fill), and the PSNR of the candidate that the loss
would choose; beside it that of a random candidate, of the best one, and of the search from the
posterior's mean, and how far the candidates are apart.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from aleph.evaluation.metrics import measure
from aleph.inpainter import Inpainter, Inpainting
from aleph.masks.named import named_hole
from benchmarks.options import options_parser, spread_squares, words


def by_loss(
    results: list[Inpainting], quality: list[list[float]]
) -> dict[str, tuple[float, float]]:
    """Return, for every loss, the mean correlation and the mean quality of what it chooses."""
    rows = {}
    for name in results[0].candidates[0].losses:
        losses = [[c.losses[name] for c in result.candidates] for result in results]
        ranks = [spearmanr(a, b).statistic for a, b in zip(losses, quality, strict=True)]
        chosen = [q[int(np.argmin(loss))] for loss, q in zip(losses, quality, strict=True)]
        rows[name] = (float(np.nanmean(ranks)), float(np.mean(chosen)))
    return rows


def main() -> None:
    """Parse, fill, print."""
    parser = options_parser(
        __doc__,
        model="faces-64",
        images=32,
        masks="center,half,strokes",
        preset="balanced",
        precision="bf16",
    )
    parser.add_argument("--candidates", type=int, default=8, help="per image (8)")
    options = parser.parse_args()
    inpainter = Inpainter.from_pretrained(options.model, precision=options.precision)
    side = inpainter.model.config.resolution
    images = spread_squares(options.data, options.images, side)
    for mask in words(options.masks):
        holes = [named_hole(mask, (side, side), seed) for seed in range(len(images))]
        results = inpainter.batch(
            images,
            holes,
            preset=options.preset,
            frame="whole",
            candidates=options.candidates,
            prior_weight=1e-9,  # so that D's verdict is there to look at
        )
        quality = [
            [measure(image, c.image, hole)["psnr_hole"] for c in result.candidates]
            for image, hole, result in zip(images, holes, results, strict=True)
        ]
        alone = inpainter.batch(images, holes, preset=options.preset, frame="whole")
        first = [
            measure(image, result.image, hole)["psnr_hole"]
            for image, hole, result in zip(images, holes, alone, strict=True)
        ]
        apart = [
            np.std([c.image[hole] for c in result.candidates], axis=0).mean()
            for hole, result in zip(holes, results, strict=True)
        ]
        print(
            f"{mask}: random {np.mean(quality):.2f} dB, best {np.max(quality, 1).mean():.2f} dB, "
            f"from the posterior's mean {np.mean(first):.2f} dB; the candidates differ by "
            f"{np.mean(apart):.1f} grey levels (standard deviation)",
            flush=True,
        )
        for name, (correlation, chosen) in by_loss(results, quality).items():
            print(
                f"  {name:<8} correlation {correlation:+.2f}  chooses {chosen:.2f} dB", flush=True
            )
