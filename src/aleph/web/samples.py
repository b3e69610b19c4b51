"""The samples of the page: damaged photographs, each with the mask of its damage."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Literal

from PIL import Image

from aleph import pictures
from aleph.arrays import Hole, Pixels
from aleph.masks.read import widened
from aleph.web.schemas import PictureFormat, Sample

SamplePart = Literal["image", "mask", "thumbnail"]

SAMPLE_FORMATS: dict[SamplePart, PictureFormat] = {
    "image": "jpg",
    "mask": "png",
    "thumbnail": "webp",
}

_RIM = 2
"""Pixels by which a mask is wider than the damage, whose rim is soft."""

_SIDE = 240
"""Longer side of a thumbnail in pixels."""

_PORTRAIT = "Eileen Collins, NASA portrait, public domain"

SAMPLES = [
    Sample(name="portrait", title="Old portrait", credit=f"{_PORTRAIT}; aged"),
    Sample(name="group", title="Group", credit=f"{_PORTRAIT}; composed"),
    Sample(name="landscape", title="Landscape", credit="Launch pad, public domain (CC0)"),
]


def sample_part(name: str, part: SamplePart) -> bytes | None:
    """Return a sample's photo, its mask or its thumbnail as a file, in its own format.

    Args:
        name: One of `SAMPLES`; for others None is returned.
        part: `image`, damaged; `mask`, white = missing; or `thumbnail`.
    """
    if name not in _MADE:
        return None
    photo, hole = _made(name)
    if part == "mask":
        return _encoded(Image.fromarray(hole), "PNG")
    if part == "image":
        return _encoded(Image.fromarray(photo), "JPEG", 92)
    small = Image.fromarray(photo)
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return _encoded(small, "WEBP", 85)


@cache
def _made(name: str) -> tuple[Pixels, Hole]:
    """Return a damaged photo and the mask of its damage."""
    picture, damage = _MADE[name]()
    return pictures.paper_through(picture, damage), widened(damage, _RIM)


def _portrait() -> tuple[Pixels, Hole]:
    return pictures.old_print(pictures.portrait(), 1), pictures.cracks((512, 512), 5)


def _group() -> tuple[Pixels, Hole]:
    return pictures.group(), pictures.group_damage()


def _landscape() -> tuple[Pixels, Hole]:
    return pictures.launch_pad(), pictures.launch_pad_damage()


_MADE: dict[str, Callable[[], tuple[Pixels, Hole]]] = {
    "portrait": _portrait,
    "group": _group,
    "landscape": _landscape,
}


def _encoded(picture: Image.Image, form: str, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, quality=quality)
    return buffer.getvalue()
