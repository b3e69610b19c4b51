"""Damage to a whole scene: scratches, torn-off parts, stains on an object, the picture's border."""

from __future__ import annotations

import cv2
import numpy as np

from aleph.arrays import Hole
from aleph.frames.placement import Placement
from aleph.training.samples.holes import draw_holes

_ON_FRAME = 32
"""Cells across a hole that is drawn for a frame and then laid over it."""


def draw_damage(side: int, placements: list[Placement], rng: np.random.Generator) -> Hole:
    """Draw a scene's hole: boolean (side, side), True = missing.

    Args:
        side: Side of the scene in pixels.
        placements: The objects' frames; much of the damage is aimed at one of them.
        rng: Source of the randomness.
    """
    hole = np.zeros((side, side), bool)
    if rng.random() < 0.2:
        return hole
    for _ in range(1 + (rng.random() < 0.3)):
        target = placements[int(rng.integers(len(placements)))] if placements else None
        kind = rng.random()
        if target and kind < 0.4:
            hole |= _laid_over(target, side, rng)
        elif kind < 0.55:
            hole |= draw_holes(1, side, rng)[0]
        elif kind < 0.75:
            hole |= _torn(target, side, rng)
        elif kind < 0.85:
            hole |= _stain(target, side, rng)
        else:
            hole |= _scratches(target, side, rng)
    if rng.random() < 0.3:
        hole |= _border(side, rng)
    return hole


def _laid_over(target: Placement, side: int, rng: np.random.Generator) -> Hole:
    """Mark a hole of the kinds that encoders are trained on, placed in the object's frame."""
    own = draw_holes(1, _ON_FRAME, rng)[0].astype(np.uint8)
    matrix = target.matrix @ np.diag([1 / _ON_FRAME, 1 / _ON_FRAME, 1.0])
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return np.asarray(cv2.warpAffine(own, matrix, (side, side), flags=cv2.INTER_NEAREST), bool)


def _aim(target: Placement | None, side: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return a point in or about an object, or anywhere."""
    if target is None or rng.random() < 0.25:
        x, y = rng.uniform(0, side, 2)
    else:
        x, y = rng.normal((target.x, target.y), 0.25 * target.side)
    return float(x), float(y)


def _torn(target: Placement | None, side: int, rng: np.random.Generator) -> Hole:
    """Mark all that lies beyond a ragged line."""
    x, y = _aim(target, side, rng)
    turn = rng.uniform(0, 2 * np.pi)
    place = np.arange(side, dtype=np.float32)
    along = np.cos(turn) * (place - x) + np.sin(turn) * (place - y)[:, None]
    across = np.cos(turn) * (place - y)[:, None] - np.sin(turn) * (place - x)
    amplitude, length = rng.uniform(0, 0.06) * side, rng.uniform(4, 40)
    ragged = amplitude * np.sin(across / length + rng.uniform(0, 6))
    torn = along > ragged
    if rng.random() < 0.3:  # a strip, as a fold or a piece of tape
        torn &= along < ragged + rng.uniform(0.04, 0.3) * side
    return np.asarray(torn)


def _stain(target: Placement | None, side: int, rng: np.random.Generator) -> Hole:
    """Mark one to three ellipses."""
    canvas = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        x, y = _aim(target, side, rng)
        axes = tuple(int(v) for v in rng.uniform(0.03, 0.25, 2) * side + 1)
        cv2.ellipse(canvas, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return canvas.astype(bool)


def _scratches(target: Placement | None, side: int, rng: np.random.Generator) -> Hole:
    """Mark one to twelve thin, slightly bent lines."""
    canvas = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(1, 13))):
        x, y = _aim(target, side, rng)
        turn, bend = rng.uniform(0, np.pi), rng.normal(0, 0.004)
        steps = np.linspace(-1, 1, 9) * rng.uniform(0.1, 1.0) * side
        turns = turn + bend * steps
        line = np.stack([x + steps * np.cos(turns), y + steps * np.sin(turns)], axis=1)
        thickness = int(rng.integers(1, 4))
        cv2.polylines(canvas, [np.rint(line).astype(np.int32)], False, 1, thickness)
    return canvas.astype(bool)


def _border(side: int, rng: np.random.Generator) -> Hole:
    """Mark what lies beyond one or two sides of the photograph."""
    hole = np.zeros((side, side), bool)
    for _ in range(int(rng.integers(1, 3))):
        hole = np.rot90(hole, int(rng.integers(4))).copy()
        hole[: int(rng.uniform(0.03, 0.45) * side)] = True
    return np.rot90(hole, int(rng.integers(4))).copy()
