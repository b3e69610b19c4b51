"""Old, cracked portraits mended with nobody painting a mask: what was found, and the fill.

    python -m benchmarks mended --out docs/images

NASA's portrait of Eileen Collins is aged and cracked, with flakes of bare paper, three times: the
first three seeds, none left out. Damage is found and filled as by `aleph inpaint --mask auto`.
"""

from __future__ import annotations

import cv2
import numpy as np

from aleph.arrays import Pixels
from aleph.damage.auto import read_damaged_photo
from aleph.inpainter import Inpainter
from aleph.photo.pixels import write_image
from aleph.pictures import cracks, old_print, paper_through, portrait
from aleph.visual.figure import show_hole, side_by_side
from benchmarks.options import options_parser

SHOWN = 320
"""Side in pixels at which the pictures are shown."""


def _reduced(picture: Pixels) -> Pixels:
    size = (SHOWN, SHOWN)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Age, crack, find, fill, and draw the sheet."""
    parser = options_parser(__doc__, data=False, model="faces-128", out=None)
    parser.add_argument("--count", type=int, default=3)
    options = parser.parse_args()
    inpainter = Inpainter.from_pretrained(options.model)
    rows: list[list[Pixels]] = []
    for seed in range(options.count):
        intact = old_print(portrait(), seed)
        hole = cracks((512, 512), seed)
        damaged = paper_through(intact, hole)
        _, found = read_damaged_photo(damaged, "auto")
        result = inpainter(damaged, found, record=False)
        hit, wrong = found[hole].mean(), (found & (damaged == intact).all(axis=2)).mean()
        print(
            f"{seed}: {hit:.1%} of the damage marked, {wrong:.2%} of the photo wrongly", flush=True
        )
        rows.append([damaged, show_hole(damaged, found), result.image, np.asarray(intact)])
    shown = [[_reduced(picture) for picture in row] for row in rows]
    sheet = side_by_side(shown, ["damaged", "found", "mended", "before the damage"])
    write_image(sheet, options.out / "mended.jpg")


if __name__ == "__main__":
    main()
