"""Regions: the rectangles that a photo's hole is filled in, and how they lie to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Floats, Hole, Region, known_mean

_CELL = 32
"""Side in pixels of the cells by which the hole is parted: holes further apart are filled apart."""


@dataclass(frozen=True)
class Tile:
    """What is filled in one piece.

    Attributes:
        seen: The rectangle of the photo that is looked at.
        filled: The rectangle whose hole is filled, inside the other.
    """

    seen: Region
    filled: Region


def rectangles(hole: Hole) -> list[Region]:
    """Return rectangles that hold the hole, each filled by itself."""
    height, width = hole.shape
    padded = np.pad(hole, ((0, -height % _CELL), (0, -width % _CELL)))
    rows, columns = padded.shape[0] // _CELL, padded.shape[1] // _CELL
    touched = np.asarray(padded.reshape(rows, _CELL, columns, _CELL).any(axis=(1, 3)), np.uint8)
    cells: NDArray[Any] = cv2.dilate(touched, np.ones((3, 3), np.uint8))
    while True:  # what touches becomes one rectangle, which may touch others
        count, _, boxes, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
        full = np.zeros_like(cells)
        for left, top, across, down, _ in boxes[1:count]:
            full[top : top + down, left : left + across] = 1
        if (full == cells).all():
            break
        cells = full
    return [
        (
            slice(int(top) * _CELL, min(int(top + down) * _CELL, height)),
            slice(int(left) * _CELL, min(int(left + across) * _CELL, width)),
        )
        for left, top, across, down, _ in boxes[1:count]
    ]


def split(rectangle: Region, margin: int, at_once: int, side: int) -> Iterator[Tile]:
    """Cut a rectangle of more than `at_once` pixels into tiles that see `margin` beyond their own.

    What they see stays inside the rectangle.
    """
    height, width = (span.stop - span.start for span in rectangle)
    if height * width <= at_once:
        yield Tile(rectangle, rectangle)
        return
    for top in range(rectangle[0].start, rectangle[0].stop, side):
        for left in range(rectangle[1].start, rectangle[1].stop, side):
            filled = (
                slice(top, min(top + side, rectangle[0].stop)),
                slice(left, min(left + side, rectangle[1].stop)),
            )
            rows, columns = (
                slice(max(span.start - margin, own.start), min(span.stop + margin, own.stop))
                for span, own in zip(filled, rectangle, strict=True)
            )
            yield Tile((rows, columns), filled)


def padded(region: Region, margin: int, size: tuple[int, int]) -> Region:
    """Widen a region by a margin, as far as the picture of this size reaches."""
    rows, columns = (
        slice(max(span.start - margin, 0), min(span.stop + margin, length))
        for span, length in zip(region, size, strict=True)
    )
    return rows, columns


def overlap(first: Region, second: Region) -> Region | None:
    """Return what two regions share; None if nothing."""
    spans = [
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    ]
    return None if any(s.start >= s.stop for s in spans) else (spans[0], spans[1])


def within(inner: Region, outer: Region) -> Region:
    """Return a region as seen from the corner of another that holds it."""
    rows, columns = (
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True)
    )
    return rows, columns


def whole(picture: NDArray[Any]) -> Region:
    """Return all of a picture (H, W, …)."""
    return slice(0, picture.shape[0]), slice(0, picture.shape[1])


def shrunk(
    pixels: NDArray[np.uint8], hole: Hole, rectangle: Region, factor: int
) -> tuple[Floats, Floats]:
    """Average the known pixels of blocks of a picture, strip by strip.

    Args:
        pixels: uint8 (H, W, C).
        hole: Boolean (H, W).
        rectangle: What is shrunk.
        factor: Side of a block in pixels.

    Returns:
        float32 (h, w, C) means, 0 where nothing is known, and (h, w) known shares.
    """
    rows, columns = rectangle
    means, shares = [], []
    strip = factor * max(1, 256 // factor)
    for top in range(rows.start, rows.stop, strip):
        part = (slice(top, min(top + strip, rows.stop)), columns)
        known = (~hole[part]).astype(np.float32)[:, :, None]
        stack = np.concatenate([pixels[part] * known, known], axis=2)
        height, width = stack.shape[:2]
        stack = np.pad(stack, ((0, -height % factor), (0, -width % factor), (0, 0)), "edge")
        size = (stack.shape[1] // factor, stack.shape[0] // factor)
        small = cv2.resize(stack, size, interpolation=cv2.INTER_AREA)
        shares.append(small[:, :, -1])
        means.append(known_mean(small[:, :, :-1], small[:, :, -1]))
    return np.concatenate(means), np.concatenate(shares)


def enlarged(small: NDArray[np.uint8], own: Region, region: Region, factor: int) -> Floats:
    """Enlarge what of a shrunk picture belongs to a region.

    Args:
        small: uint8 (h, w, C), the picture's rectangle `own` shrunk by `factor`.
        own: Where it lies in the picture.
        region: What is asked for; beyond `own` its edges go on.
        factor: By which it is enlarged.

    Returns:
        float32 (H, W, C) of the region.
    """
    spans = []
    for span, full, length in zip(region, own, small.shape[:2], strict=True):
        first = (span.start - full.start) // factor - 2
        last = -(-(span.stop - full.start) // factor) + 2
        spans.append((np.arange(first, last).clip(0, length - 1), first))
    (rows, top), (columns, left) = spans
    part = small[np.ix_(rows, columns)].astype(np.float32)
    size = (part.shape[1] * factor, part.shape[0] * factor)
    large = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)
    y = region[0].start - own[0].start - top * factor
    x = region[1].start - own[1].start - left * factor
    height, width = (span.stop - span.start for span in region)
    return np.asarray(large[y : y + height, x : x + width], np.float32)
