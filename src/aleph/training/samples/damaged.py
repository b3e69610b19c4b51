"""Damaged pictures of which it is known where they are damaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Hole, Pixels
from aleph.training.samples.ageing import Picture, Scan, aged, mottled
from aleph.training.samples.artefacts import Artefacts
from aleph.training.samples.content import bordered, cut_out, draw_content
from aleph.training.samples.flaws import FLAWS, Flaw, bare_paper
from aleph.training.samples.strokes import Mask

DAMAGE, INTACT, UNSURE = 1, 0, 255
"""Values of a sample's label."""

_PLAIN = 0.3
"""Share of pictures that are taken as they are: new, in colour, sharp."""

_ONE_PAPER = 0.6
"""Share of prints in which all bare paper has one colour, as it mostly has."""

_AS_LIGHT = 0.5
"""Share of these in which it is about as light as the lightest parts of the picture: the lightest
tone of a print is its paper."""

_LIGHT_PRINT = 180.0
"""Mean level of the lightest parts of a picture below which they are no paper."""

_SHRUNK = 0.35
"""Share of pictures that are shrunk, most of them beside their own mirror images."""

_MOST = 0.6
"""Share of a sample that damage covers, at most."""

_SHARES = {
    "fold": 2.5,
    "cracks": 2.0,
    "scratches": 1.5,
    "peeled": 1.5,
    "ink": 0.5,
    **dict.fromkeys(
        ("torn", "rubbed", "blots", "film-dots", "film-smut", "film-stain"),
        0.3,
    ),
}
"""How often kinds of damage are drawn, over what they would be if all were as frequent.

Most prints were folded or bent. Damage that covers much is rarer: were it as frequent, whatever is
light and plain would look more like bare paper than like a sky.
"""

_VISIBLE, _VISIBLE_LINE = 12.0, 6.0
"""Levels by which a place of smooth tone differs before one sees that it is damaged, and by which a
thin line does: the eye goes along it."""

_LINE = 9
"""Side in pixels of the square that does not fit into what is a thin line."""

_TINTS = ("stain",)
"""Kinds of artefacts that are opaque or tint: drawn opaque, or they would not be damage."""


@dataclass(frozen=True, eq=False)
class Damaged:
    """A picture and its damage.

    Attributes:
        image: uint8 (side, side, 3).
        label: uint8 (side, side): `DAMAGE`, `INTACT`, or `UNSURE` where it can hardly be seen, and
            along the edges of damage.
        kinds: Kinds of damage in it; none in an intact one.
    """

    image: Pixels
    label: NDArray[np.uint8]
    kinds: tuple[str, ...]


class Damager:
    """Ages and damages pictures.

    Args:
        side: Side of the samples in pixels.
        artefacts: Scanned artefacts besides the generated damage, or None.
        intact: Share of pictures that stay intact.
        content: Share of pictures into which things are drawn that look like damage and are none.
    """

    def __init__(
        self,
        side: int,
        artefacts: Artefacts | None = None,
        intact: float = 0.5,
        content: float = 0.25,
    ) -> None:
        self.side = side
        self.artefacts = artefacts
        self.intact = intact
        self.content = content

    @property
    def kinds(self) -> list[str]:
        """Names of all kinds of damage; those of the artefacts have a leading `film-`."""
        films = self.artefacts.files if self.artefacts else ()
        return [*FLAWS, *(f"film-{kind}" for kind in films)]

    def sample(
        self,
        picture: Pixels,
        rng: np.random.Generator,
        kinds: Sequence[str] | None = None,
    ) -> Damaged:
        """Make one sample.

        Args:
            picture: Any photograph, uint8 (H, W, 3).
            rng: Source of the randomness.
            kinds: Kinds of damage to lay over it, none for an intact one; drawn where not given.
        """
        return self.pair(picture, rng, kinds)[0]

    def pair(
        self,
        picture: Pixels,
        rng: np.random.Generator,
        kinds: Sequence[str] | None = None,
    ) -> tuple[Damaged, Pixels]:
        """Make one sample, and the same picture without its damage, uint8 (side, side, 3).

        Args:
            picture: As for `sample`.
            rng: As for `sample`.
            kinds: As for `sample`.
        """
        scene = _cut(picture, self.side, rng)
        if rng.random() < self.content:
            for _ in range(int(rng.integers(1, 3))):
                draw_content(scene, rng)
        plain = rng.random() < _PLAIN
        print_, grain = (scene, 0.0) if plain else aged(scene, rng)
        if rng.random() < 0.06:
            print_ = cut_out(print_, rng)
        if rng.random() < 0.12:
            print_ = bordered(print_, rng)
        chosen = self._draw_kinds(rng) if kinds is None else tuple(kinds)
        scan = Scan() if plain else Scan.draw(self.side, rng)
        paper = paper_of(print_, rng) if rng.random() < _ONE_PAPER else None
        while True:  # until enough of the picture is left
            flaws = [self._flaw(kind, rng) for kind in chosen]
            if paper is not None:
                flaws = [flaw.on_paper(paper) for flaw in flaws]
            laid = _laid(print_, flaws)
            if laid.opaque.mean() < _MOST:
                break
        damaged = scan(laid.damaged)
        intact = scan(laid.intact) if chosen else damaged
        label = label_of(print_, levels_apart(damaged, intact), laid.opaque, grain)
        return Damaged(damaged, label, chosen), intact

    def _draw_kinds(self, rng: np.random.Generator) -> tuple[str, ...]:
        if rng.random() < self.intact:
            return ()
        generated, films = list(FLAWS), [k for k in self.kinds if k.startswith("film-")]
        kinds = []
        for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1]))):
            pool = films if films and rng.random() < 0.3 else generated
            weights = np.array([_SHARES.get(kind, 1.0) for kind in pool])
            kinds.append(str(rng.choice(pool, p=weights / weights.sum())))
        return tuple(kinds)

    def _flaw(self, kind: str, rng: np.random.Generator) -> Flaw:
        if kind in FLAWS:
            return FLAWS[kind](self.side, rng)
        assert self.artefacts is not None
        film = kind.removeprefix("film-")
        mask = self.artefacts.draw(film, self.side, rng)
        for _ in range(int(rng.integers(0, 3))):
            np.maximum(mask, self.artefacts.draw(film, self.side, rng), out=mask)
        if film in _TINTS:
            mask = np.clip(mask * 1.6, 0, 1)
        else:
            mask = mask * np.float32(rng.uniform(0.6, 1.0))
        return Flaw([(mask, self._film_colour(rng))])

    def _film_colour(self, rng: np.random.Generator) -> Picture:
        kind = rng.random()
        if kind < 0.45:
            return mottled(self.side, rng, 262)
        if kind < 0.6:
            return np.full(3, rng.uniform(215, 265), np.float32)
        if kind < 0.9:
            return (rng.uniform(-10, 75) + rng.normal(0, 6, 3)).astype(np.float32)
        return rng.uniform(0, 255, 3).astype(np.float32)


def paper_of(print_: Picture, rng: np.random.Generator) -> Picture:
    """Draw the colour of a print's bare paper.

    Args:
        print_: float32 (H, W, 3), levels.
        rng: Source of the randomness.

    Returns:
        float32 (3,), levels.
    """
    drawn = bare_paper(rng)
    if rng.random() > _AS_LIGHT:
        return drawn
    grey = print_.mean(axis=2)
    lightest = print_[grey >= np.quantile(grey, 0.97)].mean(axis=0)
    if lightest.mean() < _LIGHT_PRINT:
        return drawn
    return np.asarray(lightest + rng.uniform(-8, 30), np.float32)


def _cut(picture: Pixels, side: int, rng: np.random.Generator) -> Picture:
    """Take a random part at a random scale.

    A shrunk picture is as sharp as damage is; would all be soft, sharpness alone gave damage away.
    But beside its own mirror images it is like no photograph, so it is seldom shrunk.
    """
    least = min(picture.shape[:2])
    if rng.random() < _SHRUNK:
        factor = float(np.exp(rng.uniform(np.log(0.35), 0.0)))
        factor = max(factor, 0.6 * side / least) if least > 0.6 * side else 1.0
        if factor < 1:
            picture = np.asarray(
                cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            )
        part = _window(picture, min(side, *picture.shape[:2]), rng)
        before, after = (side - len(part)) // 2, side - len(part) - (side - len(part)) // 2
        part = np.pad(part, ((before, after), (before, after), (0, 0)), "symmetric")
    else:
        part = _window(picture, int(min(least, side * rng.uniform(0.4, 1.4))), rng)
    if rng.random() < 0.06:
        part = np.rot90(part, int(rng.integers(1, 4)))
    part = np.ascontiguousarray(part)
    if len(part) != side:
        way = cv2.INTER_AREA if len(part) > side else cv2.INTER_CUBIC
        part = np.asarray(cv2.resize(part, (side, side), interpolation=way))
    scene = np.asarray(part, np.float32)
    if rng.random() < 0.3:
        blurred = np.asarray(cv2.GaussianBlur(scene, (0, 0), 1.0))
        scene = scene + np.float32(rng.uniform(0.3, 1.2)) * (scene - blurred)
    return scene


def _window(picture: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """Return a random square of a picture."""
    top = int(rng.integers(0, picture.shape[0] - side + 1))
    left = int(rng.integers(0, picture.shape[1] - side + 1))
    return picture[top : top + side, left : left + side]


@dataclass(frozen=True)
class _Laid:
    """A print with damage laid over it.

    Attributes:
        damaged: The damaged print.
        intact: The same without damage, but with what its folds shade.
        opaque: How opaque what lies over it is, float32 (side, side) in [0, 1].
    """

    damaged: Picture
    intact: Picture
    opaque: Mask


def _laid(print_: Picture, flaws: Sequence[Flaw]) -> _Laid:
    """Lay damage over a print."""
    intact, opaque = print_.copy(), np.zeros(print_.shape[:2], np.float32)
    for flaw in flaws:
        if flaw.shade is not None:
            intact += flaw.shade[:, :, None]
    damaged = intact.copy()
    for flaw in flaws:
        for mask, colour in flaw.layers:
            damaged += mask[:, :, None] * (colour - damaged)
            np.maximum(opaque, mask, out=opaque)
    return _Laid(damaged, intact, opaque)


def levels_apart(damaged: Pixels, intact: Pixels) -> NDArray[np.uint8]:
    """Return by how many levels of the strongest channel each pixel of two files differs.

    Damage changes more of a file than what it covers: sharpening leaves a halo, and JPEG specks.

    Args:
        damaged: uint8 (H, W, 3).
        intact: The same.

    Returns:
        uint8 (H, W).
    """
    red, green, blue = cv2.split(cv2.absdiff(damaged, intact))
    return np.maximum(np.maximum(red, green), blue)


def label_of(
    print_: Picture, visible: NDArray[np.uint8], opaque: Mask, grain: float
) -> NDArray[np.uint8]:
    """Say where damage is to be seen, and where that is open.

    Args:
        print_: The print without its damage, float32 (side, side, 3), levels.
        visible: By how many levels the damaged file differs from the intact one, (side, side).
        opaque: How opaque what lies over the print is, float32 (side, side) in [0, 1].
        grain: Standard deviation of the print's grain, levels.

    Returns:
        uint8 (side, side): `DAMAGE`, `INTACT`, `UNSURE`.
    """
    grey = print_.mean(axis=2)
    mean = np.asarray(cv2.blur(grey, (7, 7)))
    rough = np.sqrt(np.maximum(np.asarray(cv2.blur(grey * grey, (7, 7))) - mean * mean, 0))
    least = np.where(_lines(opaque), np.float32(_VISIBLE_LINE), np.float32(_VISIBLE))
    enough = least + 0.6 * np.float32(grain) + 0.35 * rough
    damage = visible > enough
    label = np.where(damage, DAMAGE, INTACT).astype(np.uint8)
    faint = (visible > 0.45 * enough) & ~damage
    # Opaque, but of the picture's own tone: part of a flake, or nothing at all.
    alike = (opaque > 0.5) & ~damage
    kernel = np.ones((3, 3), np.uint8)
    rim = (cv2.dilate(damage.astype(np.uint8), kernel) > 0) & ~damage
    label[faint | alike | rim] = UNSURE
    return label


def _lines(opaque: Mask) -> Hole:
    """Mark thin lines of what lies over a print, and the pixels beside them, which a scan blurs.

    Args:
        opaque: float32 (side, side) in [0, 1].
    """
    there = (opaque > 0.1).astype(np.uint8)
    wide = cv2.morphologyEx(there, cv2.MORPH_OPEN, np.ones((_LINE, _LINE), np.uint8)) > 0
    lines = np.where(wide, np.uint8(0), there)
    return np.asarray(cv2.dilate(lines, np.ones((3, 3), np.uint8)) > 0)
