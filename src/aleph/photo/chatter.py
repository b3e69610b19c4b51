"""Catching the warnings of image decoders: Python's, and what C libraries write to standard error.

A decoder warns of a damaged file and then either fails or continues. Its warnings go into the
message that refuses the file, or into the debug log; they are not shown by themselves.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

from PIL import Image

logging.getLogger("PIL").addHandler(logging.NullHandler())  # or Python prints its errors itself

_DECODERS = r"(PIL|pillow_heif|pillow_jxl)(\.|$)"
"""Modules whose warnings are caught, as a regular expression."""

_MOST = 1 << 16
"""Largest number of bytes that are read of what C libraries wrote."""

_lock = threading.Lock()
_heard = threading.local()
_entered: list[contextlib.ExitStack] = []
_count = 0


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Catch the decoders' warnings in this thread; yields the list of them, complete at the end.

    Several threads may do so at once. Messages of C libraries are caught in the main thread only:
    standard error belongs to the whole process and is redirected there while nothing else decodes.
    What Python itself writes to standard error meanwhile still gets there.

    Meanwhile PIL's own limit of pixels is off: `aleph.photo.limits` has another.
    """
    mine: list[str] = []
    before: list[str] | None = getattr(_heard, "lines", None)
    outermost = before is None
    _heard.lines = mine
    _enter()
    try:
        with _libraries(mine) if outermost else contextlib.nullcontext():
            yield mine
    finally:
        _leave()
        _heard.lines = before


def _enter() -> None:
    """Install the routing of warnings to the threads that catch them, if it is not there yet."""
    global _count
    with _lock:
        _count += 1
        if _count > 1:
            return
        stack = contextlib.ExitStack()
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("always", module=_DECODERS)
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        _route(warnings.showwarning)
        if Image.MAX_IMAGE_PIXELS is not None:
            stack.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            # Not None: another thread may be between PIL's test for None and its multiplication.
            Image.MAX_IMAGE_PIXELS = sys.maxsize
        _entered.append(stack)


def _leave() -> None:
    global _count
    with _lock:
        _count -= 1
        if _count == 0:
            _entered.pop().close()


def _route(shown: Any) -> None:  # noqa: ANN401 - whatever function shows warnings now
    """Return a hook that gives catching threads their warnings, and shows the others as before."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        lines: list[str] | None = getattr(_heard, "lines", None)
        if lines is None:
            shown(message, category, filename, lineno, file, line)
        else:
            lines.append(one_line(message))

    warnings.showwarning = show


@contextlib.contextmanager
def _libraries(lines: list[str]) -> Iterator[None]:
    """Redirect standard error, and add what was written to it to `lines`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            saved = os.dup(2)
        except OSError:  # there is no standard error
            saved = -1
        if saved >= 0:
            stack.callback(os.close, saved)
            aside = stack.enter_context(tempfile.TemporaryFile())
            stack.callback(_collect, aside, lines)
            stack.enter_context(_python_errors_on(saved))
            os.dup2(aside.fileno(), 2)
            stack.callback(os.dup2, saved, 2)
        yield


def _collect(aside: Any, lines: list[str]) -> None:  # noqa: ANN401 - a binary file
    aside.seek(0)
    text = aside.read(_MOST).decode("utf-8", "replace")
    lines += [one_line(line) for line in text.splitlines() if line.strip()]


class _ProcessErrors(io.TextIOBase):
    """Standard error of the process, wherever its descriptor is kept now.

    It is never closed: another thread may have taken it for `sys.stderr` and write to it later.
    """

    encoding = "utf-8"
    descriptor = 2

    def write(self, text: str) -> int:
        data = text.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self.descriptor, data) :]
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def fileno(self) -> int:
        return self.descriptor


_errors = _ProcessErrors()


@contextlib.contextmanager
def _python_errors_on(descriptor: int) -> Iterator[None]:
    """Let what Python writes to standard error go to `descriptor`, if it goes to 2 now."""
    now = sys.stderr
    try:
        of_process = now.fileno() == 2
        now.flush()
    except (AttributeError, OSError, ValueError):  # none, closed, or no file
        of_process = False
    if not of_process:
        yield
        return
    _errors.descriptor = descriptor
    sys.stderr = _errors
    try:
        yield
    finally:
        _errors.descriptor = 2
        if sys.stderr is _errors:
            sys.stderr = now


def one_line(message: object, limit: int = 160) -> str:
    """Return a library's message as it can be quoted in a sentence: printable and short."""
    text = " ".join(str(message).split())
    text = "".join(c if c.isprintable() else "?" for c in text).rstrip(".")
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
