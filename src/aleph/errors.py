"""The error tree. Every error that a user can cause is an `AlephError` with one clear sentence."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class AlephError(Exception):
    """Base of all errors that aleph raises on purpose; its message says what to do."""


class InputError(AlephError, ValueError):
    """An image, a mask or an option that cannot be used."""


class EmptyMaskError(InputError):
    """A mask that marks no pixel as missing, so that there is nothing to fill."""


class NothingFoundError(InputError):
    """A photo in which no damage was found, so that there is nothing to fill."""


class OutputError(AlephError, OSError):
    """A file or folder that cannot be written."""


class ModelError(AlephError):
    """A model that is unknown, damaged, of another version or of another kind than needed."""


class TrainingError(AlephError):
    """Training that cannot start or go on: too few images, another run's state, bad numbers."""


class UnfinishedError(AlephError):
    """Work that was bounded in time and has no result yet; the same call goes on with it."""


class MissingDependencyError(AlephError, ImportError):
    """An optional package that a feature needs is not installed."""


class MaskWarning(UserWarning):
    """A mask that is used as it is, but is probably meant otherwise."""


class PhotoWarning(UserWarning):
    """A photo that is read, but not with all that its file holds."""


class FrameWarning(UserWarning):
    """A photo in which no frame could be used, so that it was filled without the model."""


_unwarned: ContextVar[bool] = ContextVar("unwarned", default=False)


@contextmanager
def unwarned() -> Iterator[None]:
    """Give no warnings of aleph's in this thread: for those who read them from the result.

    `warnings.catch_warnings` changes the filters of all threads, and is undone by others of them.
    """
    token = _unwarned.set(True)
    try:
        yield
    finally:
        _unwarned.reset(token)


def warn(sentence: str, category: type[Warning]) -> None:
    """Warn at the caller's line: the nearest one outside aleph; not within `unwarned`.

    `warnings.warn` would show a warning once for each line that it points at; this shows it every
    time, as another photo may be what it is about. The filters of `warnings` apply.
    """
    if _unwarned.get():
        return
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "aleph":
        frame = frame.f_back
    place = frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__")
    warnings.warn_explicit(sentence, category, *place)


def shown(value: object, limit: int = 60) -> str:
    """Return a value from a file or a user as it can be quoted in a message: printable, short.

    >>> shown("two\\nlines")
    "'two\\\\nlines'"
    """
    text = ascii(value) if not str(value).isprintable() else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """Return a sentence that refuses `name` and offers the nearest known one.

    >>> unknown_name("weighting", "invers", ["uniform", "inverse"])
    "unknown weighting 'invers': did you mean 'inverse'? (known: uniform, inverse)"
    """
    names = list(known)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f": did you mean '{near[0]}'?" if near else ""
    return f"unknown {what} {shown(name)}{hint} (known: {', '.join(names)})"
