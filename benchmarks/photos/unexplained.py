"""The fraction of variance that G(ẑ) leaves unexplained in frames with and without a face.

    python -m benchmarks unexplained FACES.zip [--model faces-128]

Damaged faces, placed exactly and shifted by 6 % of the side, and squares of scikit-image's pictures
without a face, under four kinds of holes: quantiles of the fraction of variance of the known pixels
that is unexplained, and the share of the squares without a face that a limit drops which keeps 98 %
of the faces. FACES are validation images, never those that are reported on.
"""

from __future__ import annotations

import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from aleph.arrays import Pixels
from aleph.errors import FrameWarning
from aleph.frames.frame import frame_at
from aleph.frames.placement import Placement
from aleph.frames.select import variance_unexplained
from aleph.inpainter import Inpainter
from aleph.masks.named import named_hole
from benchmarks.options import options_parser, spread_squares

MASKS = ("center", "half", "strokes", "pattern")
OTHERS = ("chelsea", "coffee", "rocket", "brick", "grass", "gravel", "coins", "page", "moon")


def squares(count: int, side: int, rng: np.random.Generator) -> list[Pixels]:
    """Cut squares of any size and place out of pictures without a face."""
    cut = []
    for _ in range(count):
        picture = np.asarray(getattr(data, OTHERS[int(rng.integers(len(OTHERS)))])())
        colour = picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)
        height, width = colour.shape[:2]
        own = int(rng.uniform(64, min(height, width)))
        top, left = rng.integers(height - own + 1), rng.integers(width - own + 1)
        place = Placement(left + own / 2, top + own / 2, own)
        nothing = np.zeros((height, width), bool)
        cut.append(frame_at(np.ascontiguousarray(colour), nothing, place, side).pixels)
    return cut


def beside(images: list[Pixels], share: float, rng: np.random.Generator) -> list[Pixels]:
    """Place the frames beside the faces, by a share of their side."""
    moved = []
    for image in images:
        side = len(image)
        large = cv2.copyMakeBorder(image, side, side, side, side, cv2.BORDER_REFLECT)
        turn = rng.uniform(0, 2 * np.pi)
        place = Placement(
            1.5 * side + share * side * np.cos(turn), 1.5 * side + share * side * np.sin(turn), side
        )
        nothing = np.zeros(large.shape[:2], bool)
        moved.append(frame_at(np.asarray(large, np.uint8), nothing, place, side).pixels)
    return moved


def unexplained(inpainter: Inpainter, images: list[Pixels], preset: str) -> NDArray[np.float64]:
    """Return the unexplained fraction of variance of each picture, each under its own hole."""
    size = images[0].shape[:2]
    holes = [named_hole(MASKS[n % 4], (size[0], size[1]), n) for n in range(len(images))]
    results = inpainter.batch(images, holes, preset=preset, frame="whole", grain=False)
    return np.array(
        [
            variance_unexplained(result.frames_used[0].frame, result.candidates[0].generated[0])
            for result in results
        ]
    )


def kept(inpainter: Inpainter, images: list[Pixels], preset: str) -> dict[str, float]:
    """Return, for each mask, the share of pictures that are filled from a frame by `auto`."""
    shares, side = {}, len(images[0])
    for mask in MASKS:
        holes = [named_hole(mask, (side, side), number) for number in range(len(images))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FrameWarning)
            results = inpainter.batch(images, holes, preset=preset, grain=False)
        shares[mask] = float(np.mean([bool(result.frames_used) for result in results]))
    return shares


def main() -> None:
    """Search, print."""
    parser = options_parser(__doc__, model="faces-128", images=48, preset="balanced", seed=5)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    inpainter = Inpainter.from_pretrained(options.model)
    side = inpainter.model.config.resolution
    faces = spread_squares(options.data, options.images, side)
    sets = {
        "faces": faces,
        "6 % beside": beside(faces, 0.06, rng),
        "no face": squares(options.images, side, rng),
    }
    found = {name: unexplained(inpainter, images, options.preset) for name, images in sets.items()}
    for name, values in found.items():
        print(name, np.quantile(values, [0.02, 0.1, 0.5, 0.9, 0.98]).round(3).tolist())
    limit = float(np.quantile(np.concatenate([found["faces"], found["6 % beside"]]), 0.98))
    dropped = float((found["no face"] > limit).mean())
    print(f"limit {limit:.2f} drops {dropped:.0%} of the squares without a face")
    for name in ("faces", "no face"):
        shares = kept(inpainter, sets[name], options.preset).items()
        print(name, "kept by auto:", ", ".join(f"{mask} {share:.1%}" for mask, share in shares))
