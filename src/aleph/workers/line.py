"""The line between a task and who waits for it: events go one way, a word to end the other.

In a worker the task reaches it by `line()`. A task that uses none need not know of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

OnEvent = Callable[[Any], None]


class Line:
    """What a task says while it works, and whether it shall end.

    Args:
        send: Called with every event.
    """

    def __init__(self, send: OnEvent) -> None:
        self._send, self._ended = send, threading.Event()

    def report(self, event: Any) -> None:  # noqa: ANN401 - whatever the task has to say
        """Say something: picklable, as it may go to another process."""
        self._send(event)

    def end(self) -> None:
        """Ask the task to end."""
        self._ended.set()

    @property
    def ended(self) -> bool:
        """Whether the task shall end: it looks as often as it can."""
        return self._ended.is_set()


_line: ContextVar[Line | None] = ContextVar("line", default=None)


def line() -> Line:
    """Return the line of the task that is being done; one to nowhere if nobody listens."""
    return _line.get() or Line(lambda event: None)


def work_on_line(function: Callable[[Any], Any], task: Any, own: Line) -> Any:  # noqa: ANN401
    """Do a task that can reach its line."""
    token = _line.set(own)
    try:
        return function(task)
    finally:
        _line.reset(token)
