"""What stronger detail gives: PSNR, texture and sharpness of fills over the factor of their detail.

    python -m benchmarks detail IMAGES... [--only run/holdout.txt] [--images 48]
        [--model faces-128] [--masks center,half] [--factors 1,1.2,1.3,1.4,1.6]

fills images whose frame they are, strengthens the finest detail in the hole as it is done in photos
(`aleph.blending.refine.DETAIL`) and where a model asks for it (`ModelConfig.detail`), and prints a
table: PSNR of the hole, texture distance (0 is right), sharpness (1 is right). Never give it test
images: the factor is chosen by it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aleph.arrays import Hole, Pixels, rounded
from aleph.blending.refine import with_detail
from aleph.evaluation.markdown import table
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from aleph.models.zoo import load_model
from benchmarks.options import options_parser, spread_squares, words
from benchmarks.quality import fill_frames, fill_quality


def strengthened(fill: Pixels, hole: Hole, factor: float) -> Pixels:
    """Return a fill whose detail is stronger in the hole."""
    strong = rounded(with_detail(fill.astype(np.float32), factor, 1.0))
    return np.where(hole[:, :, None], strong, fill)


def main() -> None:
    """Parse, fill, print."""
    parser = options_parser(
        __doc__,
        only=None,
        images=48,
        model="faces-128",
        masks="center,half",
        preset="balanced",
    )
    parser.add_argument("--factors", default="1,1.2,1.3,1.4,1.6", help="factors of the detail")
    options = parser.parse_args()
    model = load_model(options.model)
    inpainter = Inpainter(replace(model, config=replace(model.config, detail=1.0)))
    side = model.config.resolution
    images = spread_squares(options.data, options.images, side, options.only)
    factors = [float(word) for word in words(options.factors)]
    rows = []
    for mask in words(options.masks):
        holes = [named_hole(mask, (side, side), seed) for seed in range(len(images))]
        fills = fill_frames(inpainter, images, holes, options.preset)
        row = [mask]
        for factor in factors:
            strong = [strengthened(f, h, factor) for f, h in zip(fills, holes, strict=True)]
            row.append(str(fill_quality(images, strong, holes)))
        rows.append(row)
        print(*row, flush=True)
    print(f"\n{table([options.model, *words(options.factors)], rows)}")


if __name__ == "__main__":
    main()
