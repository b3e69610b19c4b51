"""Figures: captioned pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from aleph.arrays import Hole, Pixels

HOLE_COLOUR = (255, 0, 255)
"""Colour that missing pixels are shown in: one that photographs rarely hold."""


def show_hole(image: Pixels, hole: Hole) -> Pixels:
    """Return a copy of `image` with its missing pixels in magenta."""
    shown = np.array(image)
    shown[hole] = HOLE_COLOUR
    return shown


def side_by_side(
    rows: Sequence[Sequence[Pixels]], captions: Sequence[str], min_side: int = 192
) -> Pixels:
    """Lay pictures out in rows under one line of captions.

    Args:
        rows: Rows of uint8 pictures (H, W, 3), all of one size.
        captions: One per column.
        min_side: Smaller pictures are enlarged by a whole factor until their longer side reaches
            this.

    Returns:
        One picture, on white.
    """
    height, width = rows[0][0].shape[:2]
    factor = max(1, -(-min_side // max(height, width)))
    height, width, gap = height * factor, width * factor, max(4, width * factor // 32)
    text = max(12, width // 12)
    top = text * 2
    sheet = Image.new(
        "RGB",
        (gap + len(captions) * (width + gap), top + len(rows) * (height + gap)),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    for column, caption in enumerate(captions):
        left = gap + column * (width + gap)
        font = _fitting_font(caption, text, width)
        draw.text((left + width / 2, top / 2), caption, "black", font, anchor="mm")
        for row, pictures in enumerate(rows):
            enlarged = pictures[column].repeat(factor, 0).repeat(factor, 1)
            sheet.paste(Image.fromarray(enlarged), (left, top + row * (height + gap)))
    return np.asarray(sheet)


def _fitting_font(
    caption: str, size: int, width: int
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the built-in font, small enough for the caption to stay over its picture."""
    font = ImageFont.load_default(size)
    length = font.getlength(caption)
    return font if length <= width else ImageFont.load_default(max(8, size * width / length))
