"""The application: the page, the API, its queue, and the guard in front."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from aleph import __version__
from aleph.web import watching
from aleph.web.api import PREFIX, allowed_methods, make_router
from aleph.web.crew import Crew
from aleph.web.engine import Engine, Fill
from aleph.web.folder import PhotoFolder
from aleph.web.guard import Door, Guard
from aleph.web.jobs import Jobs
from aleph.web.limits import Limits
from aleph.web.service import Service
from aleph.web.uploads import Uploads

_SWEEP_INTERVAL = 1.0
_FILL = f"{PREFIX}/inpaint"
_PAGE = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Web:
    """An application and its queue.

    Attributes:
        app: The ASGI application.
        jobs: Its jobs.
    """

    app: FastAPI
    jobs: Jobs[Fill]


def create_app(
    engine: Engine | None = None,
    door: Door | None = None,
    limits: Limits | None = None,
    photos: PhotoFolder | None = None,
    crew: Crew | None = None,
) -> Web:
    """Build the application.

    Args:
        engine: Fills holes; one with the default model by default.
        door: Who may come in; the loopback only, by default.
        limits: What clients may ask for.
        photos: Photos to work through.
        crew: Workers that fill in the engine's place; started and ended by the caller.
    """
    limits = limits or Limits()
    engine = engine or Engine(preview_interval=limits.preview_interval)
    jobs: Jobs[Fill] = Jobs(limits, len(crew.members) if crew else 1)
    uploads = Uploads(limits.pixels)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with uploads:
            jobs.start()
            sweeping = asyncio.create_task(_sweep(jobs))
            yield
            sweeping.cancel()
            jobs.stop()
            jobs.join(10.0)

    app = FastAPI(
        title="aleph",
        summary="Fill holes in photographs by searching the latent space of a generative model.",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,  # a path that is none of ours is answered 404, never passed on
        # Names that a generated client can use.
        generate_unique_id_function=lambda route: route.name,
    )
    door = door or Door()
    app.state.service = Service(engine, jobs, limits, uploads, photos, crew)
    app.include_router(make_router(locked=door.token is not None))
    app.include_router(watching.router)
    # Some systems have another type for it registered, which browsers do not run.
    mimetypes.add_type("text/javascript", ".js")
    # Not mounted: a mount would also answer the API's paths, where the method is wrong.
    app.router.default = StaticFiles(directory=_PAGE, html=True)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_values)
    app.add_middleware(Guard, door=door, upload_bytes=limits.upload_bytes, check_room=_room(jobs))
    return Web(app, jobs)


def _room(jobs: Jobs[Fill]) -> Callable[[str, str, str], None]:
    """Return the check whether a request's body is worth reading."""

    def check(method: str, path: str, client: str) -> None:
        if method == "POST" and path == _FILL:
            jobs.check_room(client)

    return check


async def _sweep(jobs: Jobs[Fill]) -> None:
    while True:
        await asyncio.sleep(_SWEEP_INTERVAL)
        jobs.sweep()


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    """Answer a refusal with its sentence, and a wrong method with those that are right."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(allowed_methods(request.url.path))) or "GET, HEAD"
    return JSONResponse({"detail": str(error.detail)}, error.status_code, headers)


async def _refuse_values(request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong with the first value that is."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    # Its place: the body or the query, the field, then what pydantic calls the part of its type.
    where = str(first["loc"][1]) if len(first["loc"]) > 1 else "request"
    sentence = f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return JSONResponse({"detail": sentence}, 422)
