"""What the command line shows while it works."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from aleph.blending.surroundings import OnPiece
    from aleph.search.latent import OnStep, SearchStep


@contextmanager
def search_bar(quiet: bool) -> Iterator[OnStep]:
    """Show a bar of the search's steps; yields the callback for the search."""
    from aleph.progress import Reporter

    with Reporter(not quiet).progress("searching", transient=True) as advance:

        def on_step(step: SearchStep) -> None:
            lowest = step.losses["total"].nan_to_num(float("inf")).min()
            advance(step.step, {"loss": float(lowest)}, step.steps)

        yield on_step


def show_log(wanted: bool) -> None:
    """Show the debug log on standard error, a line each, if it is wanted."""
    log = logging.getLogger("aleph")
    for handler in [h for h in log.handlers if isinstance(h, logging.StreamHandler)]:
        log.removeHandler(handler)
    if wanted:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("aleph: debug: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)


@contextmanager
def fill_bar(quiet: bool) -> Iterator[tuple[OnStep, OnPiece]]:
    """Show a bar of the search's steps, then of the pixels that are continued; yields both."""
    from aleph.progress import Reporter

    with Reporter(not quiet).progress("filling", transient=True) as advance:

        def on_step(step: SearchStep) -> None:
            lowest = step.losses["total"].nan_to_num(float("inf")).min()
            advance(step.step, {"loss": float(lowest)}, step.steps)

        yield on_step, lambda done, total: advance(done, total=total)


@contextmanager
def warnings_said() -> Iterator[None]:
    """Print warnings, one line each."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for warning in caught:
        typer.echo(f"aleph: warning: {warning.message}", err=True)
