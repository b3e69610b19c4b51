"""Twelve portraits damaged across face, hair, clothes and ground: aleph beside other fills.

    python -m benchmarks outside-gallery --out docs/images

NASA's portrait of Eileen Collins, cut out, in front of six of scikit-image's pictures at two sizes,
each with a stroke, a stain and scratches placed by chance: the first twelve seeds, none left out.
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage import data

from aleph.arrays import Hole, Pixels
from aleph.blending.texture import continue_texture
from aleph.evaluation.classical import classical_fill
from aleph.frames.placement import Placement
from aleph.inpainter import Inpainter
from aleph.photo.pixels import write_image
from aleph.pictures import IN_PORTRAIT, cut_out, portrait, scratch, stain
from aleph.visual.figure import show_hole, side_by_side
from benchmarks.options import options_parser

BACKGROUNDS = ("coffee", "rocket", "grass", "brick", "gravel", "chelsea")
SIDE, SHOWN = 400, 220


def scene(seed: int) -> tuple[Pixels, Hole]:
    """Compose a portrait, uint8 (400, 400, 3), and damage it."""
    rng = np.random.default_rng(seed)
    ground = np.asarray(getattr(data, BACKGROUNDS[seed % len(BACKGROUNDS)])())
    ground = ground if ground.ndim == 3 else np.repeat(ground[:, :, None], 3, axis=2)
    scale = max(1.0, SIDE / min(ground.shape[:2]))
    size = (round(ground.shape[1] * scale + 0.5), round(ground.shape[0] * scale + 0.5))
    ground = cv2.resize(ground[:, :, :3], size, interpolation=cv2.INTER_CUBIC)[:SIDE, :SIDE]
    place = Placement(
        float(rng.uniform(150, 250)), float(rng.uniform(110, 160)), float((96, 128)[seed // 6]), 0.0
    )
    factor = place.side / IN_PORTRAIT.side
    move = np.array(
        [
            [factor, 0, place.x - factor * IN_PORTRAIT.x],
            [0, factor, place.y - factor * IN_PORTRAIT.y],
        ]
    )
    person, alpha = (
        cv2.warpAffine(v.astype(np.float32), move, (SIDE, SIDE), flags=cv2.INTER_AREA)
        for v in (portrait(), cut_out())
    )
    share = np.clip(alpha, 0, 1)[:, :, None]
    picture = np.rint(share * person + (1 - share) * ground).clip(0, 255).astype(np.uint8)
    return picture, damage(place, rng)


def damage(place: Placement, rng: np.random.Generator) -> Hole:
    """Draw a wide stroke through the face, a stain, and two scratches."""
    size = (SIDE, SIDE)
    through = np.array(
        [[rng.uniform(0, SIDE), 0], [place.x, place.y], [rng.uniform(0, SIDE), SIDE]]
    )
    hole = scratch(size, (through + rng.normal(0, 15, (3, 2))).tolist(), int(rng.integers(12, 24)))
    at = rng.uniform(80, SIDE - 80, 2)
    hole |= stain(size, Placement(float(at[0]), float(at[1]), float(rng.uniform(90, 150))), 3)
    for _ in range(2):
        hole |= scratch(size, rng.uniform(0, SIDE, (3, 2)).tolist(), int(rng.integers(2, 5)))
    return hole


def main() -> None:
    """Fill, and draw the sheet."""
    parser = options_parser(__doc__, data=False, model="faces-128", out=None)
    parser.add_argument("--count", type=int, default=12)
    options = parser.parse_args()
    inpainter = Inpainter.from_pretrained(options.model)
    rows = []
    for seed in range(options.count):
        image, hole = scene(seed)
        result = inpainter(image, hole, record=False)
        print(seed, result.sources, flush=True)
        fills = [
            show_hole(image, hole),
            classical_fill("telea", image, hole),
            continue_texture(image, hole, np.zeros_like(hole)),
            result.image,
            image,
        ]
        size = (SHOWN, SHOWN)
        rows.append(
            [cv2.resize(f, size, interpolation=cv2.INTER_AREA).astype(np.uint8) for f in fills]
        )
    captions = ["damaged", "OpenCV's Telea", "PatchMatch", "aleph", "original"]
    write_image(side_by_side(rows, captions), options.out / "photo-outside.jpg")


if __name__ == "__main__":
    main()
