"""What a run shows while it goes: a progress bar, and lines of text, on one process only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[[int, dict[str, float]], None]
"""Called with the number done and the figures to show."""


class Reporter:
    """Writes to standard error; silent where `enabled` is false."""

    def __init__(self, enabled: bool = True) -> None:
        self.console = Console(stderr=True, quiet=not enabled, highlight=False)

    def say(self, line: str) -> None:
        """Show one line of text."""
        self.console.print(line, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, what: str, total: int, done: int = 0) -> Iterator[Advance]:
        """Show a bar from `done` to `total`; yields the function that moves it."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, refresh_per_second=2) as bar:
            task = bar.add_task(what, total=total, completed=done, figures="")

            def advance(count: int, figures: dict[str, float]) -> None:
                text = " ".join(f"{k} {v:.4g}" for k, v in figures.items())
                bar.update(task, completed=count, figures=text)

            yield advance
