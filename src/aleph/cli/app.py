"""The program `aleph`: its commands, and what becomes of errors."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Annotated, NoReturn

import typer

from aleph import __version__
from aleph.cli.damage import damage
from aleph.cli.evaluate import evaluate
from aleph.cli.inpaint import demo, inpaint, models
from aleph.cli.serve import serve
from aleph.cli.train import export, train
from aleph.errors import AlephError
from aleph.files import remove_own_temporaries

app = typer.Typer(
    name="aleph",
    help="Fill holes in images by searching the latent space of a generative model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Stopped(BaseException):
    """Raised by a signal, so that what is half written is removed before the program ends.

    Attributes:
        code: What the program exits with: 128 and the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


@contextlib.contextmanager
def _stopped_by_signals(received: list[int]) -> Iterator[None]:
    """Raise `_Stopped` on SIGINT and SIGTERM; a second one ends the program as it stands.

    Args:
        received: Gets the number of a signal that comes.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    # What the shell had ignored (in scripts: of what runs in the background) stays ignored.
    numbers = [n for n in numbers if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        received.append(number)
        raise _Stopped(number)

    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def main() -> None:
    """Run the command line; an error that a user can cause is one sentence and exit code 2."""
    received: list[int] = []
    try:
        with _stopped_by_signals(received):
            app()
    except _Stopped as stopped:
        _exit_stopped(stopped.code)
    except BrokenPipeError:
        # Whoever read our output has gone; say nothing more, not even while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if received:  # a library took the signal for an error of its own, as of a damaged file
            _exit_stopped(128 + received[0])
        if not isinstance(error, AlephError):
            raise
        typer.echo(f"aleph: {error}", err=True)
        sys.exit(2)


def _exit_stopped(code: int) -> NoReturn:
    remove_own_temporaries()
    typer.echo("aleph: stopped", err=True)
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aleph {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fill holes in images by searching the latent space of a generative model."""


for command in (inpaint, damage, models, train, export, evaluate, demo, serve):
    app.command()(command)
