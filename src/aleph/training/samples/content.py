"""What an intact photograph holds and looks like damage: hard negatives, drawn before ageing.

Letters, masts, wires and rigging, twigs, strands, lace, buttons, catch-lights, collars, walls,
backdrops, the even ground of a portrait that was cut out, and the print's own border. None of it
counts as damage.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from aleph.training.samples.ageing import Picture
from aleph.training.samples.strokes import Mask, bent, clouds, curve, draw, tree

_WORDS = "ALBUM 1923 Photo Studio Rex No. 47 H.M. PATROL Hotel CAFE Mai Anna & Karl 12.8.31 (c)"


def _ink(picture: Picture, rng: np.random.Generator) -> Picture:
    """Draw a colour as things in pictures have: grey, dark or light, hardly ever pure."""
    level = rng.uniform(10, 120) if rng.random() < 0.6 else rng.uniform(120, 240)
    return np.asarray(level + rng.normal(0, 12, 3), np.float32)


def _lay(picture: Picture, mask: Mask, colour: Picture, opacity: float) -> None:
    picture += (np.float32(opacity) * mask)[:, :, None] * (colour - picture)


def _shading(side: int, slope: float, most: float, cells: int, rng: np.random.Generator) -> Mask:
    """Return levels that rise evenly in some direction, and a little unevenly: (side, side).

    Args:
        side: In pixels.
        slope: Deviation of the levels by which they rise across half the side.
        most: Largest deviation of the levels that are uneven.
        cells: How many uneven places there are along the side.
        rng: Source of the randomness.
    """
    place = np.linspace(-1, 1, side, dtype=np.float32)
    across, down = rng.normal(0, slope, 2).astype(np.float32)
    even = across * place + down * place[:, None]
    uneven = np.float32(rng.uniform(0, most)) * clouds(side, cells, rng, 0.4)
    return np.asarray(even + uneven, np.float32)


def letters(picture: Picture, rng: np.random.Generator) -> None:
    """Printed or written words."""
    side = len(picture)
    words = _WORDS.split()
    mask = np.zeros((side, side), np.uint8)
    scale = float(rng.uniform(0.35, 2.2))
    thickness = max(1, round(scale * rng.uniform(0.8, 2.5)))
    font = int(rng.integers(0, 8))
    left, top = int(rng.uniform(-20, 0.7 * side)), int(rng.uniform(12, side))
    for line in range(int(rng.integers(1, 5))):
        text = " ".join(rng.choice(words, int(rng.integers(1, 5))))
        place = (left, top + int(line * 34 * scale))
        cv2.putText(mask, text, place, font, scale, 255, thickness, cv2.LINE_AA)
    turned = mask
    if rng.random() < 0.4:
        angle = float(rng.choice([90, 270, rng.normal(0, 12)]))
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
        turned = np.asarray(cv2.warpAffine(mask, matrix, (side, side)), np.uint8)
    _lay(
        picture,
        np.asarray(turned, np.float32) / np.float32(255),
        _ink(picture, rng),
        rng.uniform(0.5, 1),
    )


def wires(picture: Picture, rng: np.random.Generator) -> None:
    """Masts, wires, rigging, railings: straight lines, some from one point, some parallel."""
    side = len(picture)
    mask = np.zeros((side, side), np.float32)
    x, y = rng.uniform(0, side, 2)
    kind = rng.random()
    turn, gap = rng.uniform(0, np.pi), rng.uniform(4, 40)
    width = float(rng.uniform(0.6, 5))
    for i in range(int(rng.integers(1, 12))):
        start = np.array([x, y])
        if kind < 0.35:
            end = start + rng.normal(0, side, 2)
        elif kind < 0.75:
            start = start + i * gap * np.array([-np.sin(turn), np.cos(turn)])
            away = side * np.array([np.cos(turn), np.sin(turn)])
            start, end = start - away, start + away
        else:
            start = np.array([rng.uniform(0, side), rng.uniform(0, side)])
            end = start + np.array([rng.normal(0, 3), -rng.uniform(0.1, 1) * side])
        draw(mask, bent(start, end, rng.normal(0, 4), 0, rng), width)
    _lay(picture, mask, _ink(picture, rng), rng.uniform(0.4, 1))


def twigs(picture: Picture, rng: np.random.Generator) -> None:
    """Bare branches, mostly dark before something light."""
    side = len(picture)
    mask = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        x = float(rng.uniform(0, side))
        place = (x, float(side)) if rng.random() < 0.6 else (0.0, x)
        turn = -np.pi / 2 if place[1] == side else 0.0
        length = side * rng.uniform(0.3, 0.9)
        tree(mask, place, turn + rng.normal(0, 0.4), length, rng.uniform(3, 10), rng, 0.12, 3)
    dark = rng.random() < 0.85
    level = rng.uniform(5, 90) if dark else rng.uniform(140, 230)
    if dark and rng.random() < 0.6:
        picture += np.float32(rng.uniform(0.3, 0.9)) * (np.float32(215) - picture)
    _lay(picture, mask, np.full(3, level, np.float32), rng.uniform(0.6, 1))


def strands(picture: Picture, rng: np.random.Generator) -> None:
    """Many curves side by side: hair, fringes, whiskers, folds of cloth, lashes."""
    side = len(picture)
    mask = np.zeros((side, side), np.float32)
    base = curve(side, side * rng.uniform(0.1, 0.6), 4, rng)
    gap, width = rng.uniform(1.5, 10), float(rng.uniform(0.6, 2.5))
    turn = rng.uniform(0, 2 * np.pi)
    for i in range(int(rng.integers(4, 22))):
        shift = i * gap * np.array([np.cos(turn), np.sin(turn)]) + rng.normal(0, 1.5, 2)
        cut = int(rng.integers(0, 4))
        value = float(rng.uniform(0.3, 1))
        draw(mask, (base + shift + rng.normal(0, 0.4, base.shape))[cut:], width, value)
    _lay(picture, mask, _ink(picture, rng), rng.uniform(0.3, 0.9))


def pattern(picture: Picture, rng: np.random.Generator) -> None:
    """A periodic pattern in one place: lace, dots, checks, knitting, fences."""
    side = len(picture)
    turn, period = rng.uniform(0, np.pi), rng.uniform(4, 28)
    place = np.arange(side, dtype=np.float32) * np.float32(2 * np.pi / period)
    sine, cosine = np.float32(np.sin(turn)), np.float32(np.cos(turn))
    first = np.cos(cosine * place + sine * place[:, None])
    second = np.cos(cosine * place[:, None] - sine * place)
    wave = first * second if rng.random() < 0.5 else np.maximum(first, second)
    mask = np.clip((wave - rng.uniform(0.1, 0.8)) * rng.uniform(2, 10), 0, 1)
    region = np.zeros((side, side), np.float32)
    corners = rng.normal(rng.uniform(0, side, 2), 0.3 * side, (5, 2)).astype(np.int32)
    cv2.fillPoly(region, [cv2.convexHull(corners)], 1.0, cv2.LINE_AA)
    _lay(picture, (mask * region).astype(np.float32), _ink(picture, rng), rng.uniform(0.3, 0.9))


def highlights(picture: Picture, rng: np.random.Generator) -> None:
    """Catch-lights, buttons, beads, pearls: small bright dots, mostly within something dark."""
    side = len(picture)
    start, end = rng.uniform(0, side, (2, 2))
    line = bent(start, end, rng.normal(0, 15), 0, rng)
    radius = rng.uniform(1.5, 9)
    for x, y in line[:: max(1, int(radius * rng.uniform(0.6, 3)))][: int(rng.integers(1, 14))]:
        middle = (int(x * 16), int(y * 16))
        outer, inner = int(16 * radius), max(6, int(16 * radius * rng.uniform(0.15, 0.5)))
        shade = float(rng.uniform(10, 200))
        cv2.circle(picture, middle, outer, (shade, shade, shade), -1, cv2.LINE_AA, 4)
        shift = (middle[0] - outer // 4, middle[1] - outer // 3)
        cv2.circle(picture, shift, inner, (240.0, 240.0, 240.0), -1, cv2.LINE_AA, 4)


def bright_lines(picture: Picture, rng: np.random.Generator) -> None:
    """Piping, collars, rims of glasses, edges that shine: smooth light curves."""
    side = len(picture)
    mask = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        points = curve(side, side * rng.uniform(0.1, 0.5), 4, rng)
        draw(mask, points, float(rng.uniform(0.8, 4)))
    level = rng.uniform(150, 250)
    _lay(picture, mask, np.full(3, level, np.float32), rng.uniform(0.4, 0.95))


def plain_things(picture: Picture, rng: np.random.Generator) -> None:
    """Collars, shirts, hats, sheets of paper, walls: plain and mostly light, with a clean outline.

    Bare paper is as light, but its outline is ragged and its surface rough.
    """
    side = len(picture)
    for _ in range(int(rng.integers(1, 4))):
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        reach = side * 0.05 * 20 ** rng.random() * rng.uniform(0.4, 1.0, len(turns))
        middle = rng.uniform(0, side, 2)
        corners = middle + reach[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        mask = np.zeros((side, side), np.float32)
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1.0)
        if rng.random() < 0.8:  # a rounded outline
            wide = cv2.GaussianBlur(mask, (0, 0), float(max(0.5, 0.15 * reach.mean())))
            mask = (wide > 0.5).astype(np.float32)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.5, 2.5))), np.float32)
        level = rng.uniform(150, 250) if rng.random() < 0.75 else rng.uniform(10, 150)
        light = _shading(side, 15, 8, 3, rng)
        colour = level + rng.normal(0, 8, 3).astype(np.float32) + light[:, :, None]
        _lay(picture, mask, np.asarray(colour, np.float32), rng.uniform(0.85, 1.0))


def _sitter(side: int, rng: np.random.Generator) -> Mask:
    """Draw a head and shoulders, softly: float32 (side, side), 1 inside."""
    x, y = rng.uniform((0.2, 0.15), (0.8, 0.6)) * side
    tall = side * rng.uniform(0.1, 0.4)
    sitter = np.zeros((side, side), np.float32)
    head = (int(0.8 * tall), int(tall))
    broad = (int(tall * rng.uniform(1.5, 2.6)), int(tall * rng.uniform(1.2, 1.8)))
    shoulders = int(y + 1.2 * tall + broad[1])
    cv2.ellipse(sitter, (int(x), int(y)), head, 0, 0, 360, 1.0, -1)
    neck = (int(x - 0.35 * tall), int(y)), (int(x + 0.35 * tall), shoulders)
    cv2.rectangle(sitter, *neck, 1.0, -1)
    cv2.ellipse(sitter, (int(x), shoulders), broad, 0, 0, 360, 1.0, -1)
    cv2.rectangle(sitter, (int(x) - broad[0], shoulders), (int(x) + broad[0], side), 1.0, -1)
    return np.asarray(cv2.GaussianBlur(sitter, (0, 0), float(max(1.0, 0.08 * tall))))


def backdrop(picture: Picture, rng: np.random.Generator) -> None:
    """A portrait's backdrop: plain or painted out of focus, round a head and shoulders."""
    side = len(picture)
    sitter = _sitter(side, rng)
    wavy = np.float32(rng.uniform(0.0, 0.06)) * clouds(side, int(rng.integers(4, 16)), rng, 0.4)
    behind = (sitter + wavy < 0.5).astype(np.float32)
    behind = np.asarray(cv2.GaussianBlur(behind, (0, 0), float(rng.uniform(0.5, 3))), np.float32)
    light = _shading(side, 18, 10, 2, rng)
    if rng.random() < 0.35:  # painted: light or dark things that nobody can name
        things = clouds(side, int(rng.integers(4, 14)), rng, 0.3) - np.float32(rng.uniform(0, 1.5))
        things = cv2.GaussianBlur(np.clip(things, 0, 1), (0, 0), float(rng.uniform(0.5, 5)))
        light += np.float32(rng.uniform(-40, 70)) * np.asarray(things, np.float32)
    level = rng.uniform(140, 245) if rng.random() < 0.75 else rng.uniform(20, 140)
    colour = level + rng.normal(0, 6, 3).astype(np.float32) + light[:, :, None]
    _lay(picture, behind, np.asarray(colour, np.float32), rng.uniform(0.97, 1.0))


CONTENT: dict[Callable[[Picture, np.random.Generator], None], float] = {
    letters: 1.0,
    wires: 1.0,
    twigs: 1.0,
    strands: 1.0,
    pattern: 1.0,
    highlights: 1.0,
    bright_lines: 1.0,
    plain_things: 3.0,
    backdrop: 2.0,
}
"""What can be drawn, and how often. Lines are seldom: a drawn twig can hardly be told from a crack,
and with many of them cracks are doubted. Photographs bring their own."""


def draw_content(picture: Picture, rng: np.random.Generator) -> None:
    """Draw one thing that looks like damage into a picture, float32 (side, side, 3), in place."""
    kinds, weights = list(CONTENT), np.array(list(CONTENT.values()))
    kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))](picture, rng)


def cut_out(picture: Picture, rng: np.random.Generator) -> Picture:
    """Put one even tone round a head and shoulders, as retouchers do: cleanly, or fading out."""
    sitter = _sitter(len(picture), rng)
    softness = rng.uniform(0.01, 0.06) if rng.random() < 0.7 else rng.uniform(0.1, 0.5)
    inside = np.clip((sitter - 0.5) / np.float32(softness) + 0.5, 0, 1)
    level = rng.uniform(180, 255) if rng.random() < 0.7 else rng.uniform(0, 180)
    ground = (level + rng.normal(0, 4, 3)).astype(np.float32)
    return np.asarray(ground + inside[:, :, None] * (picture - ground), np.float32)


def bordered(picture: Picture, rng: np.random.Generator) -> Picture:
    """Put the print's own border, mat or frame round one to four sides: straight and whole."""
    side = len(picture)
    picture = picture.copy()
    light = rng.random() < 0.7
    level = rng.uniform(190, 255) if light else rng.uniform(0, 140)
    colour = (level + rng.normal(0, 5, 3)).astype(np.float32)
    sides = rng.random(4) < 0.55
    if not sides.any():
        sides[int(rng.integers(4))] = True
    insets = np.where(sides, rng.uniform(2, 0.22 * side, 4), -9).astype(int)
    inside = np.zeros((side, side), np.float32)
    left, top, right, bottom = insets
    cv2.rectangle(inside, (left, top), (side - 1 - right, side - 1 - bottom), 1.0, -1)
    if rng.random() < 0.5:
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.normal(0, 1.5)), 1.0)
        inside = np.asarray(
            cv2.warpAffine(inside, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        )
    picture += (1 - inside)[:, :, None] * (colour - picture)
    if rng.random() < 0.4:  # a line round the picture, or the edge of the print before the lid
        grown = cv2.erode(inside, np.ones((3, 3)), iterations=int(rng.integers(1, 9)))
        ring = inside - np.asarray(grown)
        picture += ring[:, :, None] * (np.float32(rng.uniform(0, 255)) - picture)
    return picture
