"""Importing without looking for garbage.

What is imported stays, but while hundreds of thousands of objects come into being Python's
collector looks through all of them again and again: a fifth of the start of a command that fills.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def importing(*, program: bool = False) -> Iterator[None]:
    """Import in this context what takes long to import.

    Where the collector was switched off before, it stays so.

    Args:
        program: Whether this process is the program's own: then what the first such context leaves
            is never looked through again, not even when the process ends. A library leaves that to
            others.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if program and not gc.get_freeze_count():  # once: garbage would be kept as well
            gc.freeze()
        if collected:
            gc.enable()
