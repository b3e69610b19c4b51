"""What the commands over a folder show: progress, warnings and failures as they come, the end."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from aleph.errors import InputError

if TYPE_CHECKING:
    from aleph.folders import OnPhoto, OnProgress, PhotoOutcome
    from aleph.folders.run import Collected
    from aleph.workers.choose import WorkersWanted


def is_folder(place: str) -> bool:
    """Return whether a place is a folder, of this machine or of a store."""
    from aleph.storage import is_url

    return is_url(place) or Path(place).is_dir()


def refuse_workers(wanted: WorkersWanted) -> None:
    """Refuse workers for one picture.

    Raises:
        InputError: if they were asked for.
    """
    if wanted.count or wanted.cluster:
        raise InputError("--workers and --cluster are for a folder: not for one picture")


class FolderShow:
    """Shows what becomes of the photos of a folder.

    Args:
        as_json: Whether the names of all are printed as JSON at the end; only then are they kept.
        quiet: Whether no progress is shown.

    Attributes:
        counts: Photos by their state.
        as_json: As given.
        quiet: As given.
    """

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self.as_json, self.quiet = as_json, quiet
        self.counts: Counter[str] = Counter()

    @contextmanager
    def progress(self, what: str, outcome: Collected) -> Iterator[tuple[OnPhoto, OnProgress]]:
        """Show a bar; yields what is told of every photo, and of how many are done."""
        from aleph.progress import Reporter

        with Reporter(not self.quiet).progress(what, transient=True) as advance:

            def on_photo(photo: PhotoOutcome) -> None:
                self.counts[photo.state] += 1
                if self.as_json:
                    outcome.add(photo)
                if photo.warned:
                    typer.echo(f"aleph: warning: {photo.name}: {photo.warned}", err=True)
                if photo.reason:
                    typer.echo(f"aleph: {photo.name}: {photo.reason}", err=True)

            yield on_photo, lambda done, total: advance(done, total=total)

    def end(self, line: str, outcome: Collected) -> None:
        """Print the end; exit with 1 if a photo failed."""
        if self.as_json:
            from aleph.folders.run import sort_by_name

            sort_by_name(outcome)
            typer.echo(json.dumps(dataclasses.asdict(outcome)))
        elif not self.quiet:
            typer.echo(line)
        if self.counts["failed"]:
            raise typer.Exit(1)
