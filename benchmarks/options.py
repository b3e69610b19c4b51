"""The options that benchmarks share, and the images that they read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from aleph.config import Precision
from aleph.datasets import Source, find_sources, load_squares
from aleph.errors import InputError

OPTIONS: dict[str, dict[str, Any]] = {
    "out": {"type": Path, "required": True, "help": "folder of what is written"},
    "doc": {"type": Path, "help": "Markdown file to write the tables to"},
    "images": {"type": int, "help": "images to take, at most"},
    "only": {"type": Path, "help": "file that lists the images to take, such as RUN/holdout.txt"},
    "model": {"help": "name of a model, or a model folder"},
    "models": {"help": "comma-separated names of models"},
    "mask": {"help": "name of a generated mask"},
    "masks": {"help": "comma-separated names of generated masks"},
    "preset": {"help": "preset to fill with"},
    "presets": {"help": "comma-separated presets to fill with"},
    "precision": {"choices": get_args(Precision), "help": "arithmetic of the networks"},
    "repeats": {"type": int, "help": "times that every measurement is repeated"},
    "seed": {"type": int, "help": "seed of what is drawn at random"},
    "device": {"help": "auto, cpu, cuda, cuda:1, mps"},
    "workers": {"type": int, "help": "processes"},
}
"""Every option that more than one benchmark has."""

PROCESSORS = os.cpu_count() or 1


def options_parser(
    text: str | None,
    *,
    data: bool = True,
    **defaults: Any,  # noqa: ANN401
) -> argparse.ArgumentParser:
    """Return a parser of some of `OPTIONS`.

    Args:
        text: The benchmark's docstring, shown by `--help`.
        data: Whether folders or zips of images are asked for.
        **defaults: The options by name, each with its default.
    """
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if data:
        parser.add_argument("data", nargs="+", help="folders or zips of images")
    for name, default in defaults.items():
        settings = OPTIONS[name]
        shown = "" if default in (None, "") else f" ({default})"
        more = {} if settings.get("required") else {"default": default}
        parser.add_argument(f"--{name}", **{**settings, **more, "help": settings["help"] + shown})
    return parser


def words(text: str) -> list[str]:
    """Split a comma-separated option."""
    return [word.strip() for word in text.split(",") if word.strip()]


def spread_sources(data: Sequence[str], count: int, only: Path | None = None) -> list[Source]:
    """Return `count` images spread evenly over the data, or over those that a list names.

    Args:
        data: Folders or zips.
        count: How many, at most.
        only: File of names as the trainer writes them (`holdout.txt`); the folders of those names
            may have moved.

    Raises:
        InputError: if the list cannot be read, or no image is left.
    """
    sources = find_sources(data)
    if only:
        try:
            names = {Path(line.strip()).name for line in only.read_text().splitlines()}
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the list '{only}' cannot be read: {error}") from None
        sources = [s for s in sources if {s.basename, Path(s.name).name} & names]
    if not sources:
        raise InputError(f"no picture of {', '.join(data)} is named in '{only}'")
    return sources[:: max(1, len(sources) // count)][:count]


def spread_squares(
    data: Sequence[str], count: int, side: int, only: Path | None = None
) -> list[NDArray[np.uint8]]:
    """Return `spread_sources` as squares, uint8 (side, side, 3)."""
    return [np.array(image) for image in load_squares(spread_sources(data, count, only), side)[0]]
