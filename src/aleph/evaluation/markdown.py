"""Numbers, differences, tables and paragraphs as Markdown."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from aleph.evaluation.statistics import Difference

WIDTH = 100
"""Characters in a line of running text."""


def number(value: float | None, digits: int) -> str:
    """Return a number with a true minus sign; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _signed(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:+.{digits}f}".replace("-", "−")


def interval_text(difference: Difference | None, digits: int = 2) -> str:
    """Return a difference with its interval, and its verdict where none is shown.

    >>> interval_text(Difference(0.5, 0.25, 0.75, 100))
    '+0.50 [+0.25, +0.75]'
    >>> interval_text(Difference(0.5, -0.25, 1.25, 100))
    '+0.50 [−0.25, +1.25], no difference shown'
    """
    if difference is None:
        return ""
    low, high = (_signed(value, digits) for value in (difference.low, difference.high))
    text = f"{_signed(difference.mean, digits)} [{low}, {high}]"
    return text if difference.shown else f"{text}, no difference shown"


def gain_text(difference: Difference) -> str:
    """Return a difference with its interval and without a verdict."""
    return interval_text(difference).removesuffix(", no difference shown")


def cell_text(difference: Difference | None, digits: int = 2) -> str:
    """Return a difference for a narrow column: mean, interval and verdict below each other."""
    return interval_text(difference, digits).replace(" [", "<br>[").replace("], ", "]<br>")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def keyed_table(keys: Sequence[str], head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first columns say what a row is of.

    Those that say the same in every row are named once, above the table.

    Args:
        keys: Names of the first columns.
        head: Names of the others.
        rows: Cells of both, one row at least.
    """
    alike = [i for i in range(len(keys)) if len({row[i] for row in rows}) == 1]
    said = ", ".join(f"{keys[i]} {rows[0][i]}" for i in alike if rows[0][i])
    kept = [i for i in range(len(rows[0])) if i not in alike]
    names = [*keys, *head]
    text = table([names[i] for i in kept], [[row[i] for i in kept] for row in rows])
    return f"In every row: {said}.\n\n{text}" if said else text


def section(title: str, text: str, body: str) -> str:
    """Return a section: heading, paragraph, table; nothing without a table."""
    return "\n\n".join(filter(None, [f"## {title}", text, body])) if body else ""


def paragraph(*sentences: str) -> str:
    """Return sentences as one paragraph of lines of `WIDTH`; empty ones are left out."""
    return _wrapper().fill(" ".join(filter(None, sentences)))


def bullets(items: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(map(_wrapper(initial_indent="- ", subsequent_indent="  ").fill, items))


def _wrapper(initial_indent: str = "", subsequent_indent: str = "") -> textwrap.TextWrapper:
    return textwrap.TextWrapper(
        WIDTH,
        initial_indent=initial_indent,
        subsequent_indent=subsequent_indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
