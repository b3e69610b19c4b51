"""Progress bars and lines of text, on standard error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(
        self, done: float, figures: Mapping[str, float] | None = None, total: int | None = None
    ) -> None:
        """Show how much is done.

        Args:
            done: In units of the total.
            figures: Numbers to show beside the bar, by name.
            total: A new total; None keeps the one there is.
        """


class Reporter:
    """Writes to standard error; silent where `enabled` is false."""

    def __init__(self, enabled: bool = True) -> None:
        self.console = Console(stderr=True, quiet=not enabled, highlight=False)

    def say(self, line: str) -> None:
        """Show one line of text."""
        self.console.print(line, markup=False, soft_wrap=True)

    @contextmanager
    def progress(
        self, what: str, total: int | None = None, done: int = 0, transient: bool = False
    ) -> Iterator[Advance]:
        """Show a bar from `done` to `total`; yields the function that moves it.

        Args:
            what: What is being done, shown before the bar.
            total: Number of units; None until it is known.
            done: Units that are done already.
            transient: Whether the bar vanishes at the end, and is shown on a terminal only.
        """
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        hidden = transient and not self.console.is_terminal
        with Progress(
            *columns,
            console=self.console,
            refresh_per_second=2,
            transient=transient,
            disable=hidden,
        ) as bar:
            task = bar.add_task(what, total=total, completed=done, figures="")

            def advance(
                done: float, figures: Mapping[str, float] | None = None, total: int | None = None
            ) -> None:
                text = " ".join(f"{name} {value:.4g}" for name, value in (figures or {}).items())
                bar.update(task, completed=done, figures=text, total=total)

            yield advance
