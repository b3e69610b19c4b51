"""The command `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aleph.cli.options import Cluster, Device, Model
from aleph.errors import MissingDependencyError
from aleph.imports import importing


def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; 0.0.0.0 lets other machines in, which need a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="ALEPH_TOKEN", help="Token that clients must give; made up if needed."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further host name to be called by; repeatable.")
    ] = None,
    model: Model = None,
    device: Device = "auto",
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that fill, or actors of --cluster; this process by default."),
    ] = None,
    cluster: Cluster = None,
    queue: Annotated[int, typer.Option(help="Searches that wait or run.", min=1)] = 8,
    max_upload: Annotated[int, typer.Option(help="MiB that a request may have.", min=1)] = 64,
    max_megapixels: Annotated[
        int, typer.Option(help="Largest picture, in megapixels.", min=1)
    ] = 50,
    browse: Annotated[
        bool, typer.Option("--open", help="Open the page in this machine's browser.")
    ] = False,
    photos: Annotated[
        Path | None, typer.Option("--input", help="Folder of photos that the page lists.")
    ] = None,
    grace: Annotated[
        float, typer.Option(help="Seconds that SIGTERM leaves the running search.", min=0)
    ] = 60.0,
) -> None:
    """Open a page to mend pictures on, and an HTTP API, on this machine."""
    try:
        with importing(program=True):
            from aleph.web.limits import Limits
            from aleph.web.server import ServeSettings
            from aleph.web.server import serve as run_server
            from aleph.workers.choose import WorkersWanted
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "aleph":
            raise
        raise MissingDependencyError(
            f"aleph serve needs {error.name}: pip install 'aleph-inpainting[web]'"
        ) from None
    wanted = WorkersWanted(workers, cluster) if workers is not None or cluster else None
    limits = Limits(upload_bytes=max_upload * 2**20, pixels=max_megapixels * 10**6, queue=queue)
    names = tuple(allow_host or ())
    settings = ServeSettings(
        host, port, token, names, model, device, grace, photos, browse, wanted, limits
    )
    run_server(settings, typer.echo)
