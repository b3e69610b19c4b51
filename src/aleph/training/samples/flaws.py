"""Generators of damage: each returns what lies over the picture, and where.

The look is that of real prints: cracks with a light core and a dark rim, folds across the whole
print with broken emulsion, flakes of bare paper with hard edges, torn edges and corners, ink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from aleph.training.samples.ageing import Picture, mottled
from aleph.training.samples.strokes import (
    Mask,
    Points,
    across,
    bent,
    cells,
    clouds,
    curve,
    draw,
    draw_tapered,
    tree,
    walk,
)

_LIGHT = 165.0
"""Mean level above which a colour is that of bare paper."""


@dataclass(frozen=True)
class Flaw:
    """Damage of one kind.

    Attributes:
        layers: (mask, colour) from the bottom up; a colour is float32 (3,) or (side, side, 3).
        shade: float32 (side, side), added to the picture below: a fold's shading. It is no damage.
    """

    layers: list[tuple[Mask, Picture]]
    shade: Mask | None = None

    def on_paper(self, paper: Picture) -> Flaw:
        """Return the same damage, what is light in it of the colour that a print's paper has.

        Args:
            paper: float32 (3,).
        """
        layers: list[tuple[Mask, Picture]] = []
        for mask, colour in self.layers:
            mean = np.asarray(colour.reshape(-1, 3).mean(axis=0), np.float32)
            light = mean.mean() > _LIGHT
            layers.append((mask, colour + (paper - mean) if light else colour))
        return Flaw(layers, self.shade)


def _width(rng: np.random.Generator, most: float) -> float:
    """Draw a width from 0.7 pixels up, thin ones more often."""
    return float(0.7 * (most / 0.7) ** (rng.random() ** 1.5))


def bare_paper(rng: np.random.Generator) -> Picture:
    """Draw the colour of bare paper or of a deep scratch: float32 (3,), levels."""
    level = rng.uniform(190, 262)
    tint = np.array([1.0, rng.uniform(0.93, 1.0), rng.uniform(0.8, 1.02)])
    if rng.random() < 0.5:
        tint[:] = 1.0
    return np.asarray(level * tint, np.float32)


def _dark(rng: np.random.Generator) -> Picture:
    level = rng.uniform(-5, 70)
    return np.asarray(level * np.array([1.0, 0.93, 0.85]) ** rng.uniform(0, 1.5), np.float32)


def _colour(rng: np.random.Generator, light: float = 0.7) -> Picture:
    return bare_paper(rng) if rng.random() < light else _dark(rng)


def _broken(mask: Mask, rng: np.random.Generator, cells_a_side: int = 24) -> Mask:
    """Interrupt a mask at random places, as rubbed scratches are."""
    field = clouds(len(mask), cells_a_side, rng, 0.5)
    return np.asarray(mask * np.clip((field + rng.uniform(-0.2, 1.2)) * 3, 0, 1), np.float32)


def _within(mask: Mask, rng: np.random.Generator) -> Mask:
    """Keep what lies in a few large patches."""
    field = clouds(len(mask), 2, rng, 0.4)
    return np.asarray(mask * np.clip((field - rng.uniform(-1.0, 0.7)) * 4, 0, 1), np.float32)


def _with_rim(core: Mask, rng: np.random.Generator, light: float = 0.75) -> Flaw:
    """Give cracks a rim of the opposite tone, or none."""
    opacity = np.float32(rng.uniform(0.55, 1.0) if rng.random() < 0.7 else rng.uniform(0.25, 0.6))
    bright = rng.random() < light
    colour, other = (bare_paper, _dark) if bright else (_dark, bare_paper)
    layers: list[tuple[Mask, Picture]] = []
    kind = rng.random()
    if kind < 0.45:
        reach = float(rng.uniform(0.6, 1.6))
        rim = np.asarray(cv2.GaussianBlur(core, (0, 0), reach))
        shift = rng.integers(-1, 2, 2) if rng.random() < 0.5 else (0, 0)
        rim = np.roll(rim, shift, (0, 1))
        strength = np.float32(rng.uniform(0.2, 0.8) * (1 + reach))
        layers.append((np.clip(rim * strength, 0, 0.8).astype(np.float32), other(rng)))
    layers.append((core * opacity, colour(rng)))
    return Flaw(layers)


def cracks(side: int, rng: np.random.Generator) -> Flaw:
    """Cracks that branch like trees: from an edge, from a middle, or anywhere."""
    core = np.zeros((side, side), np.float32)
    width = _width(rng, 6)
    wobble = rng.uniform(0.08, 0.5)
    kind = rng.random()
    middle = rng.uniform(0, side, 2)
    for _ in range(int(rng.integers(1, 9))):
        turn = rng.uniform(0, 2 * np.pi)
        x, y = rng.uniform(0, side, 2)
        if kind < 0.35:  # from an edge inwards
            x, y, turn = [(0, y, 0), (side, y, np.pi), (x, 0, 1.57), (x, side, -1.57)][
                int(rng.integers(4))
            ]
            turn += rng.normal(0, 0.6)
        elif kind < 0.7:
            x, y = middle + rng.normal(0, 0.08 * side, 2)
        length = side * rng.uniform(0.1, 0.8)
        tree(core, (float(x), float(y)), float(turn), length, width, rng, wobble)
    if rng.random() < 0.3:
        core = _broken(core, rng)
    return _with_rim(core, rng)


def craze(side: int, rng: np.random.Generator) -> Flaw:
    """A net of fine cracks over a part of the picture."""
    width = float(rng.uniform(0.9, 3.5))
    core = _within(cells(side, int(rng.integers(12, 90)), width, rng), rng)
    return _with_rim(_broken(core, rng, 12), rng)


def fold(side: int, rng: np.random.Generator) -> Flaw:
    """A crease across the whole print: broken emulsion along it, shading on both sides."""
    core = np.zeros((side, side), np.float32)
    shade = np.zeros((side, side), np.float32)
    for _ in range(1 if rng.random() < 0.7 else 2):
        start, end = across(side, rng)
        line = bent(start, end, rng.normal(0, 0.05) * side, rng.uniform(0.2, 3), rng)
        draw(core, line, _width(rng, 5))
        if rng.random() < 0.2:
            _draw_fringe(core, line, rng)
        normal = np.array([start[1] - end[1], end[0] - start[0]])
        normal = normal / np.hypot(*normal)
        place = np.arange(side, dtype=np.float32)
        away = (place - start[0]) * normal[0] + (place[:, None] - start[1]) * normal[1]
        reach = rng.uniform(3, 0.12 * side)
        fade = np.exp(-np.abs(away) / reach) * rng.normal(0, 12)
        shade += fade * np.tanh(away / 2) if rng.random() < 0.6 else fade
    kind = rng.random()
    if kind < 0.35:
        core = _broken(core, rng)
    if kind > 0.5:  # flakes and side cracks along it
        near = np.asarray(cv2.GaussianBlur(core, (0, 0), float(rng.uniform(2, 6)))) * 6
        flakes = clouds(side, side // int(rng.integers(4, 12)), rng, 0.6) + near
        core = np.maximum(core, np.clip((flakes - rng.uniform(2.0, 3.0)) * 3, 0, 1) * (near > 0.2))
    layers = _with_rim(core.astype(np.float32), rng, 0.85).layers
    if rng.random() < 0.35:
        layers = [_worn(core, rng), *layers]
    return Flaw(layers, shade.astype(np.float32))


def _draw_fringe(core: Mask, line: Points, rng: np.random.Generator) -> None:
    """Draw what a print cracks into where it was bent often: many fine lines along a fold."""
    side = len(core)
    spread, longest, wobble = rng.uniform((0.01, 0.1, 0.02), (0.06, 0.5, 0.15))
    for _ in range(int(rng.integers(20, 100))):
        place = int(rng.integers(0, len(line) - 1))
        heading = line[place + 1] - line[place]
        x, y = line[place] + rng.normal(0, spread * side, 2)
        turn = float(np.arctan2(heading[1], heading[0]) + rng.normal(0, 0.08))
        points = walk((x, y), turn, side * longest * rng.uniform(0.2, 1.0), wobble, rng)
        draw(core, points, float(rng.uniform(0.6, 1.6)), float(rng.uniform(0.4, 1.0)))


def _worn(core: Mask, rng: np.random.Generator) -> tuple[Mask, Picture]:
    """Return what is worn beside a fold: a band through which the paper shines, here and there."""
    side, reach = len(core), float(rng.uniform(1.5, 6))
    band = np.asarray(cv2.GaussianBlur(core, (0, 0), reach)) * np.float32(2.5 * reach)
    rough = clouds(side, side // int(rng.integers(3, 24)), rng, 0.7)
    band = np.clip(band, 0, 1) * np.clip(rng.uniform(0.3, 1.0) + 0.5 * rough, 0, 1)
    return np.asarray(band * rng.uniform(0.2, 0.7), np.float32), bare_paper(rng)


def flakes(side: int, rng: np.random.Generator) -> Flaw:
    """Islands of bare paper where the emulsion came off: hard, ragged edges."""
    coarse = int(rng.choice([3, 5, 8, 12, 20, 32]))
    field = clouds(side, coarse, rng, float(rng.uniform(0.5, 0.85)))
    if rng.random() < 0.6:
        field = field + rng.uniform(0.4, 1.2) * clouds(side, 2, rng, 0.3)
    level = np.quantile(field, 1 - 0.005 * 50 ** rng.random())
    mask = np.clip((field - level) * rng.uniform(4, 30) + 0.5, 0, 1).astype(np.float32)
    paper = mottled(side, rng)
    if rng.random() < 0.12:
        paper = paper * np.float32(rng.uniform(0.1, 0.5))
    layers: list[tuple[Mask, Picture]] = []
    if rng.random() < 0.4:  # the edge of what is left: dark on one side, or lifted
        shadow = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.7, 2))))
        shadow = np.roll(shadow, rng.integers(-2, 3, 2), (0, 1))
        layers.append((np.clip(shadow * rng.uniform(0.5, 1.2), 0, 0.8), _colour(rng, 0.3)))
    layers.append((mask * np.float32(rng.uniform(0.8, 1.0)), paper))
    return Flaw(layers)


def shards(side: int, rng: np.random.Generator) -> Flaw:
    """Pieces of the picture that broke off: bare paper with sharp corners, smooth or fibrous."""
    mask = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 14))))
        reach = side * 0.02 * 12 ** rng.random() * rng.uniform(0.25, 1.0, len(turns)) ** 1.5
        stretch = np.exp(rng.normal(0, 0.4))
        corners = np.stack([reach * np.cos(turns) * stretch, reach * np.sin(turns)], axis=1)
        middle = rng.uniform(0, side, 2)
        cv2.fillPoly(mask, [np.rint((middle + corners) * 16).astype(np.int32)], 1.0, 8, 4)
        if rng.random() < 0.5:  # a crack runs on from a corner
            tip = middle + corners[int(reach.argmax())]
            away = np.arctan2(*(tip - middle)[::-1]) + rng.normal(0, 0.3)
            tree(mask, (tip[0], tip[1]), float(away), side * rng.uniform(0.1, 0.4), 3, rng, 0.15)
    ragged = clouds(side, int(rng.integers(20, 60)), rng, 0.6)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.5)) + rng.uniform(0, 0.12) * ragged
    mask = np.clip((soft - 0.5) * rng.uniform(3, 8) + 0.5, 0, 1).astype(np.float32)
    paper = mottled(side, rng, 262) if rng.random() < 0.5 else bare_paper(rng)
    layers: list[tuple[Mask, Picture]] = []
    if rng.random() < 0.3:  # the edge casts a shadow
        shadow = np.roll(mask, rng.integers(-2, 3, 2), (0, 1))
        layers.append((shadow * np.float32(rng.uniform(0.3, 0.8)), _dark(rng)))
    layers.append((mask * np.float32(rng.uniform(0.9, 1.0)), paper))
    return Flaw(layers)


def peeled(side: int, rng: np.random.Generator) -> Flaw:
    """Large pieces of the picture that came off: bare, fibrous paper, lit from one side."""
    field = clouds(side, int(rng.integers(2, 7)), rng, float(rng.uniform(0.3, 0.6)))
    field = field + rng.uniform(0.0, 0.25) * clouds(side, int(rng.integers(20, 60)), rng, 0.6)
    level = np.quantile(field, 1 - rng.uniform(0.02, 0.25))
    mask = np.clip((field - level) * rng.uniform(10, 40) + 0.5, 0, 1).astype(np.float32)
    relief = clouds(side, side // int(rng.integers(2, 10)), rng, float(rng.uniform(0.5, 0.8)))
    shift = (int(rng.integers(-2, 3)), int(rng.choice([-2, -1, 1, 2])))
    relief = relief - np.roll(relief, shift, (0, 1))
    relief = relief / max(float(relief.std()), 1e-6) * rng.uniform(3, 18)
    paper = mottled(side, rng, 262) + relief[:, :, None]
    layers: list[tuple[Mask, Picture]] = []
    if rng.random() < 0.5:  # the edge casts a shadow, or is a lighter layer of the paper
        edge = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.7, 3))))
        edge = np.roll(edge, rng.integers(-3, 4, 2), (0, 1))
        layers.append((np.clip(edge * rng.uniform(0.5, 1.2), 0, 0.8), _colour(rng, 0.5)))
    layers.append((mask, np.asarray(paper, np.float32)))
    return Flaw(layers)


def torn(side: int, rng: np.random.Generator) -> Flaw:
    """A torn edge or a missing corner: paper's white along it, the scanner's lid beyond."""
    place = np.arange(side, dtype=np.float32)
    lid = np.asarray(
        np.broadcast_to(rng.choice([0, 20, 128, 235, 250, 255]) + rng.normal(0, 4, 3), (3,)),
        np.float32,
    )
    beyond = np.full((side, side), -1e6, np.float32)
    for _ in range(1 if rng.random() < 0.75 else 2):
        turn = rng.uniform(0, 2 * np.pi)
        if rng.random() < 0.5:
            turn = rng.choice([0, 0.5, 1, 1.5]) * np.pi + rng.normal(0, 0.08)
        normal = np.array([np.cos(turn), np.sin(turn)])
        corner = side * (0.5 + 0.5 * np.sign(normal) * (np.abs(normal) > 0.25))
        spot = corner - normal * rng.uniform(0.02, 0.35) * side
        away = (place - spot[0]) * normal[0] + (place[:, None] - spot[1]) * normal[1]
        if rng.random() < 0.3:  # a round bite
            middle = spot + normal * rng.uniform(0.1, 0.4) * side
            radius = np.hypot(*(middle - spot))
            away = radius - np.hypot(place - middle[0], place[:, None] - middle[1])
        np.maximum(beyond, away, out=beyond)
    ragged = clouds(side, int(rng.integers(3, 12)), rng, float(rng.uniform(0.45, 0.75)))
    beyond = beyond + rng.uniform(0.5, 9) * ragged
    missing = np.clip(beyond + 0.5, 0, 1)
    layers: list[tuple[Mask, Picture]] = []
    if rng.random() < 0.75:
        rim = beyond + rng.uniform(1, 9) * (1 + 0.6 * clouds(side, 12, rng, 0.6))
        layers.append((np.clip(rim + 0.5, 0, 1).astype(np.float32), mottled(side, rng, 262)))
    layers.append((missing.astype(np.float32), lid))
    return Flaw(layers)


def rubbed(side: int, rng: np.random.Generator) -> Flaw:
    """Places where the picture is rubbed off: soft edges, rough, the paper shining through."""
    field = clouds(side, int(rng.integers(3, 14)), rng, float(rng.uniform(0.5, 0.8)))
    level = np.quantile(field, 1 - 0.01 * 30 ** rng.random())
    mask = np.clip((field - level) * rng.uniform(0.7, 3), 0, 1)
    if rng.random() < 0.6:
        rough = clouds(side, side // int(rng.integers(2, 8)), rng, 0.7)
        mask = mask * np.clip(0.6 + rng.uniform(0.2, 0.8) * rough, 0, 1)
    paper = mottled(side, rng, 262)
    if rng.random() < 0.15:
        paper = paper * np.float32(rng.uniform(0.0, 0.3))
    return Flaw([(np.asarray(mask * rng.uniform(0.6, 1.0), np.float32), paper)])


def blots(side: int, rng: np.random.Generator) -> Flaw:
    """Drops and blots that hide the picture, some with a darker rim."""
    mask = np.zeros((side, side), np.float32)
    rim = np.zeros((side, side), np.float32)
    place = np.arange(side, dtype=np.float32)
    wavy = clouds(side, int(rng.integers(4, 16)), rng, 0.5)
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.uniform(0, side, 2)
        radius = side * rng.uniform(0.01, 0.16)
        stretch = np.exp(rng.normal(0, 0.3))
        away = np.hypot((place - x) * stretch, (place[:, None] - y) / stretch)
        inside = radius * (1 + rng.uniform(0.02, 0.25) * wavy) - away
        np.maximum(mask, np.clip(inside / rng.uniform(1, 3) + 0.5, 0, 1), out=mask)
        np.maximum(rim, np.exp(-((inside / rng.uniform(1, 3)) ** 2)), out=rim)
    light = rng.random() < 0.45
    colour = bare_paper(rng) if light else rng.uniform(0, 110, 3).astype(np.float32)
    layers = [(mask * np.float32(rng.uniform(0.7, 1.0)), colour)]
    if rng.random() < 0.4:
        layers.append(((rim * rng.uniform(0.3, 0.8)).astype(np.float32), _dark(rng)))
    return Flaw(layers)


def mould(side: int, rng: np.random.Generator) -> Flaw:
    """Clusters of small dark or light spots with a halo, apart or grown together."""
    mask = np.zeros((side, side), np.float32)
    if rng.random() < 0.4:
        field = clouds(side, side // int(rng.integers(4, 14)), rng, 0.7)
        field += rng.uniform(0.4, 1.2) * clouds(side, 3, rng, 0.4)
        level = np.quantile(field, 1 - 0.01 * 15 ** rng.random())
        mask = np.clip((field - level) * rng.uniform(1.0, 4.0), 0, 1).astype(np.float32)
    for _ in range(int(rng.integers(0, 5))):
        middle = rng.uniform(0, side, 2)
        spread = side * rng.uniform(0.02, 0.2)
        size = rng.uniform(0.8, 4)
        for x, y in rng.normal(middle, spread, (int(rng.integers(5, 60)), 2)):
            dot = np.rint(np.array([x, y]) * 16).astype(int)
            radius = max(4, int(16 * size * np.exp(rng.normal(0, 0.5))))
            canvas_value = float(rng.uniform(0.4, 1))
            cv2.circle(mask, (int(dot[0]), int(dot[1])), radius, canvas_value, -1, cv2.LINE_AA, 4)
    halo = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(1.5, 4))))
    colour = _colour(rng, 0.25)
    opacity = np.float32(rng.uniform(0.6, 1))
    return Flaw([(halo * np.float32(rng.uniform(0, 0.5)), colour), (mask * opacity, colour)])


def ink(side: int, rng: np.random.Generator) -> Flaw:
    """Lines of a pen: curves, scribbles, strokes, ticks."""
    mask = np.zeros((side, side), np.float32)
    width = float(rng.uniform(1.0, 6.0))
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.6:
            points = curve(side, side * rng.uniform(0.08, 0.5), int(rng.integers(4, 14)), rng)
        else:
            start, end = rng.uniform(0, side, (2, 2))
            points = bent(start, end, rng.normal(0, 8), rng.uniform(0, 1.5), rng)
        draw(mask, points, width)
    shade = rng.random()
    colour = rng.uniform(0, 60, 3)
    if shade < 0.3:
        colour = np.array([20.0, 30, 120]) * rng.uniform(0.5, 1.6)
    elif shade < 0.42:
        colour = np.array([170.0, 25, 30]) * rng.uniform(0.6, 1.3)
    elif shade < 0.5:
        colour = rng.uniform(0, 255, 3)
    elif shade < 0.6:
        colour = np.full(3, rng.uniform(200, 262))
    return Flaw([(mask * np.float32(rng.uniform(0.6, 1)), colour.astype(np.float32))])


def scratches(side: int, rng: np.random.Generator) -> Flaw:
    """Straight or slightly bent scratches, alone or in bundles, thin or broad."""
    mask = np.zeros((side, side), np.float32)
    turn = rng.uniform(0, np.pi)
    bundle = rng.random() < 0.4
    broad = rng.random() < 0.15
    for _ in range(int(rng.integers(1, 3 if broad else 10))):
        heading = turn + rng.normal(0, 0.12 if bundle else 2)
        middle = rng.uniform(0, side, 2)
        half = side * rng.uniform(0.03, 0.9) * np.array([np.cos(heading), np.sin(heading)])
        points = bent(middle - half, middle + half, rng.normal(0, 6), rng.uniform(0, 1), rng)
        width = float(rng.uniform(6, 40)) if broad else _width(rng, 6)
        draw_tapered(mask, points, width, width * rng.uniform(0.3, 1), float(rng.uniform(0.6, 1)))
    if broad:
        rough = clouds(side, side // int(rng.integers(3, 16)), rng, 0.7)
        mask *= np.clip(rough * rng.uniform(0.5, 3) + rng.uniform(0, 1.5), 0, 1)
        return Flaw([(mask.astype(np.float32), mottled(side, rng, 262))])
    if rng.random() < 0.4:
        mask = _broken(mask, rng)
    return _with_rim(mask, rng, 0.8)


def dust(side: int, rng: np.random.Generator) -> Flaw:
    """Specks, and a few short hairs."""
    mask = np.zeros((side, side), np.float32)
    largest = rng.uniform(0.8, 3.5)
    for _ in range(int(2 + 80 * rng.random() ** 2)):
        x, y = (int(v * 16) for v in rng.uniform(0, side, 2))
        size = max(5, int(16 * largest * rng.random() ** 2))
        stretch = max(5, int(size * rng.uniform(0.4, 1.2)))
        tilt, value = float(rng.uniform(0, 180)), float(rng.uniform(0.5, 1))
        cv2.ellipse(mask, (x, y), (size, stretch), tilt, 0, 360, value, -1, cv2.LINE_AA, 4)
    return Flaw([(mask, _colour(rng, 0.65))])


def hairs(side: int, rng: np.random.Generator) -> Flaw:
    """Hairs and lint that lay on the scanner or the negative."""
    mask = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        if rng.random() < 0.5:
            points = curve(side, side * rng.uniform(0.05, 0.4), int(rng.integers(4, 7)), rng)
        else:
            x, y = rng.uniform(0, side, 2)
            length = side * rng.uniform(0.05, 0.5)
            points = walk((x, y), rng.uniform(0, 6.3), length, rng.uniform(0.02, 0.25), rng)
        draw(mask, points, _width(rng, 2.5))
    return Flaw([(mask * np.float32(rng.uniform(0.6, 1)), _colour(rng, 0.5))])


FLAWS: dict[str, Callable[[int, np.random.Generator], Flaw]] = {
    "cracks": cracks,
    "craze": craze,
    "fold": fold,
    "flakes": flakes,
    "shards": shards,
    "peeled": peeled,
    "torn": torn,
    "rubbed": rubbed,
    "blots": blots,
    "mould": mould,
    "ink": ink,
    "scratches": scratches,
    "dust": dust,
    "hairs": hairs,
}
"""Generated damage by the name of its kind."""
