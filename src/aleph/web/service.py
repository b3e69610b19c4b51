"""What the routes of the API share: the service behind them, and errors turned into refusals."""

# No `from __future__ import annotations`: FastAPI reads the annotations of these functions.

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends, HTTPException, Request, UploadFile
from starlette.concurrency import run_in_threadpool

from aleph.errors import AlephError
from aleph.web.crew import Crew
from aleph.web.engine import Engine, Fill
from aleph.web.folder import PhotoFolder
from aleph.web.jobs import Cancelled, Job, Jobs
from aleph.web.limits import Limits
from aleph.web.uploads import TooManyPixels, Uploads

T = TypeVar("T")

_DECODERS = 2
"""Uploads decoded at once; each may take as much memory as the largest picture."""

_LISTEN = 0.25
"""Seconds after which it is asked again whether a client has gone away."""


@dataclass(frozen=True)
class Service:
    """What the API works with.

    Attributes:
        engine: Fills holes, and finds faces and damage.
        crew: Fills holes in the engine's place, where workers were asked for.
        jobs: The queue in front of it.
        limits: What clients may ask for.
        uploads: Keeps what clients send.
        photos: Photos to work through, None where there are none.
        decoding: Held while an upload is decoded.
    """

    engine: Engine
    jobs: Jobs[Fill]
    limits: Limits
    uploads: Uploads
    photos: PhotoFolder | None = None
    crew: Crew | None = None
    decoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_DECODERS))


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(_service)]
"""A parameter of a route: the service of the application that it belongs to."""


async def _photos(service: TheService) -> PhotoFolder:
    if service.photos is None:
        raise HTTPException(404, "the server was started without a folder of photos")
    return service.photos


ThePhotos = Annotated[PhotoFolder, Depends(_photos)]
"""A parameter of a route: the folder of photos to work through."""


async def _job(job_id: str, service: TheService) -> Job[Fill]:
    job = service.jobs.get(job_id)
    if job is None:
        raise HTTPException(404, "there is no such job, or it was forgotten: fill again")
    return job


TheJob = Annotated[Job[Fill], Depends(_job)]
"""A parameter of a route: the job that its path names."""


async def refusing(work: Callable[[], T]) -> T:
    """Work in a thread; an error that a user can cause becomes a refusal with its sentence."""
    try:
        return await run_in_threadpool(work)
    except TooManyPixels as error:
        raise HTTPException(413, str(error)) from None
    except AlephError as error:
        raise HTTPException(422, str(error)) from None
    except Cancelled as why:
        raise HTTPException(409, str(why)) from None


@asynccontextmanager
async def waited_for(request: Request) -> AsyncIterator[Callable[[], None]]:
    """Give a function for the thread that works: it raises `Cancelled` once the client has gone."""
    gone = threading.Event()

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(_LISTEN)
        gone.set()

    def check() -> None:
        if gone.is_set():
            raise Cancelled("cancelled: the client has gone away")

    watching = asyncio.ensure_future(watch())
    try:
        yield check
    finally:
        watching.cancel()


async def decoding(service: Service, work: Callable[..., T], *uploads: UploadFile) -> T:
    """Call `work` with the bytes of uploads, when it is their turn to be decoded.

    They are read only then, so that no more than two requests' uploads are in memory.
    """
    async with service.decoding:
        data = [await upload.read() for upload in uploads]
        return await refusing(lambda: work(*data))
