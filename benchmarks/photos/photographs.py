"""The figures of docs/photos.md: a portrait with four kinds of damage, and a group photograph.

With them the animation of docs/mend.md: the search for the scratched face of the portrait.

    python -m benchmarks photographs --out docs/images

Both are made of pictures that scikit-image ships: NASA's portrait of Eileen Collins (public domain)
at its full size, and several of her, at different sizes and tilts, in front of a rocket. With
`--given-eyes` the faces are not looked for: the places where they were put are given.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from aleph.arrays import Hole, Pixels, Region
from aleph.frames.placement import Placement
from aleph.inpainter import Inpainter
from aleph.inpainting import Inpainting
from aleph.photo.pixels import write_image
from aleph.pictures import (
    GROUP,
    IN_PORTRAIT,
    group,
    group_damage,
    portrait,
    scratch,
    stain,
    torn,
)
from aleph.visual.figure import side_by_side
from benchmarks.options import options_parser


def damages() -> dict[str, Hole]:
    """Return the four kinds of damage to the portrait."""
    size = (512, 512)
    thin = scratch(size, [(120, 25), (188, 92), (232, 121), (262, 166), (330, 262), (352, 330)], 3)
    thin |= scratch(size, [(90, 196), (230, 128), (330, 66)], 2)
    chin = Placement(IN_PORTRAIT.x, IN_PORTRAIT.y + 0.24 * IN_PORTRAIT.side, 0.95 * 128)
    x, y = IN_PORTRAIT.eyes[1]
    eye = Placement(float(x), float(y), 0.6 * 128)
    return {
        "a thin scratch": thin,
        "a coffee stain": stain(size, chin, 4),
        "torn off": torn(size, IN_PORTRAIT, 2),
        "an eye covered": stain(size, eye, 9),
    }


def fill(
    inpainter: Inpainter,
    image: Pixels,
    hole: Hole,
    places: Sequence[Placement],
    given: bool,
    grain: bool = True,
) -> Inpainting:
    """Fill a picture; where the eyes are given, at these places."""
    eyes = [tuple(place.eyes.ravel().tolist()) for place in places] if given else None
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = inpainter(image, hole, eyes=eyes, grain=grain, record=False)
    assert np.array_equal(result.image[~hole], image[~hole])
    return result


def _around(place: Placement, sides: float) -> Region:
    """Return the square around a place, of so many sides of its frame."""
    half = round(place.side * sides / 2)
    top, left = (max(0, round(v) - half) for v in (place.y, place.x))
    return slice(top, top + 2 * half), slice(left, left + 2 * half)


def _cut(pictures: Sequence[Pixels], place: Placement, sides: float, side: int) -> list[Pixels]:
    """Cut the same square around a place out of pictures, scaled to a side."""
    squares = [p[_around(place, sides)] for p in pictures]
    return [
        cv2.resize(np.array(s), (side, side), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
        for s in squares
    ]


def draw_portrait(inpainter: Inpainter, out: Path, given: bool) -> list[Inpainting]:
    """Write the portrait with its kinds of damage, and its face closely."""
    image = portrait()
    rows, close, results = [], [], []
    for hole in damages().values():
        result = fill(inpainter, image, hole, [IN_PORTRAIT], given)
        plain = fill(inpainter, image, hole, [IN_PORTRAIT], given, grain=False)
        rows.append([result.damaged, result.image, image])
        shown = [result.damaged, plain.image, result.image, image]
        close.append(_cut(shown, IN_PORTRAIT, 1.25, 320))
        results.append(result)
    write_image(side_by_side(rows, ["damaged", "filled", "original"]), out / "photo-portrait.jpg")
    captions = ["damaged", "filled, no grain", "filled", "original"]
    write_image(side_by_side(close, captions), out / "photo-portrait-close.jpg")
    return results


def draw_search(inpainter: Inpainter, out: Path) -> None:
    """Write the search for the face of the portrait, scratched, as an animation."""
    part = _around(IN_PORTRAIT, 2.0)
    result = inpainter(portrait()[part], damages()["a thin scratch"][part])
    result.animate(out / "search.gif")


def draw_group(inpainter: Inpainter, out: Path, given: bool) -> Inpainting:
    """Write the group photograph, and its damaged faces closely."""
    image, hole = group(), group_damage()
    result = fill(inpainter, image, hole, GROUP, given)
    write_image(np.concatenate([result.damaged, result.image]), out / "photo-group.jpg")
    pictures = [result.damaged, result.image, image]
    close = [_cut(pictures, place, 1.5, 300) for place in GROUP]
    rows = [list(row) for row in zip(*close, strict=True)]
    numbers = [str(number) for number in range(1, len(GROUP) + 1)]
    write_image(side_by_side(rows, numbers), out / "photo-group-close.jpg")
    return result


def main() -> None:
    """Fill, draw, print the reports."""
    parser = options_parser(__doc__, data=False, model="faces-128", out=None)
    parser.add_argument("--given-eyes", action="store_true", help="give the places of the faces")
    options = parser.parse_args()
    inpainter = Inpainter.from_pretrained(options.model)
    results = draw_portrait(inpainter, options.out, options.given_eyes)
    results.append(draw_group(inpainter, options.out, options.given_eyes))
    draw_search(inpainter, options.out)
    for name, result in zip([*damages(), "group"], results, strict=True):
        report = result.report()
        frames = [
            {key: frame[key] for key in ("found_by", "eyes", "score", "unexplained", "dropped")}
            for frame in report["frames"]
        ]
        print(name, json.dumps({"regions": report["regions"], "frames": frames}))
