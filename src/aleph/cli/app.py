"""The program `aleph`: its commands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from aleph import __version__
from aleph.cli.damage import damage
from aleph.cli.evaluate import evaluate
from aleph.cli.inpaint import demo, inpaint, models
from aleph.cli.serve import serve
from aleph.cli.train import export, train
from aleph.errors import AlephError

app = typer.Typer(
    name="aleph",
    help="Fill holes in images by searching the latent space of a generative model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line; an error that a user can cause is one sentence and exit code 2."""
    try:
        app()
    except AlephError as error:
        typer.echo(f"aleph: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("aleph: stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone; say nothing more, not even while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


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
