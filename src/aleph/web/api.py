"""The HTTP API: parse, call, answer; nothing else."""

# No `from __future__ import annotations`: FastAPI reads the annotations of these functions.

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args

from fastapi import (
    APIRouter,
    Depends,
    File,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    UploadFile,
)
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPBearer
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from aleph.config import Preset, Weighting
from aleph.errors import AlephError
from aleph.frames.placement import EYES
from aleph.web.engine import Engine, Fill, displayable, used_frames, weight_map
from aleph.web.jobs import Draining, Job, Jobs, QueueFull
from aleph.web.limits import MAX_CANDIDATES, MAX_STEPS, Limits
from aleph.web.samples import SAMPLES, sample_image, sample_mask
from aleph.web.schemas import (
    ANIMATION_TYPES,
    EVENT_SCHEMA,
    PICTURE_TYPES,
    UPLOAD_TYPES,
    Absent,
    AnimationFormat,
    CandidateInfo,
    FillOptions,
    FrameInfo,
    JobInfo,
    ModelInfo,
    Models,
    PictureFormat,
    Problem,
    Sample,
)
from aleph.web.uploads import TooManyPixels, Upload, Uploads, inspect_picture

# Many generators of clients know a file by the older word `binary` only.
_FILE: dict[str, Any] = {"json_schema_extra": {"format": "binary"}}
Picture = Annotated[
    UploadFile, File(description="PNG, JPEG, WebP, TIFF, AVIF, BMP, GIF or PPM.", **_FILE)
]
Mask = Annotated[
    UploadFile,
    File(description="A picture of the same shape: light (128 and up) = missing.", **_FILE),
]
Answers = dict[int | str, dict[str, Any]]

T = TypeVar("T")

_DECODERS = 2
"""Uploads decoded at once; each may take as much memory as the largest picture."""


@dataclass(frozen=True)
class Service:
    """What the API works with.

    Attributes:
        engine: Fills holes.
        jobs: The queue in front of it.
        limits: What clients may ask for.
        uploads: Keeps what clients send.
        locked: Whether a token is demanded; `guard` does that, the API only says so.
        decoding: Held while an upload is decoded.
    """

    engine: Engine
    jobs: Jobs[Fill]
    limits: Limits
    uploads: Uploads
    locked: bool = False
    decoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_DECODERS))


_WHY = {
    400: "The form cannot be parsed.",
    401: "The token is missing or wrong.",
    403: "The Host header or the origin is foreign.",
    404: "There is no such thing, or it was forgotten.",
    409: "There is no result: the search is not finished, or was cancelled.",
    413: "Too many bytes, or too many pixels.",
    422: "Something cannot be used as it is.",
    429: "All places are taken.",
    500: "The search failed for a reason of the server's own.",
    501: "This version cannot do it.",
    503: "The server is stopping.",
}


def _problem(status: int) -> dict[str, Any]:
    return {"model": Problem, "description": _WHY[status]}


def _problems(*statuses: int) -> Answers:
    return {status: _problem(status) for status in (401, 403, 413, 422, *statuses)}


def _header(name: str, description: str, kind: str = "integer") -> dict[str, Any]:
    return {name: {"description": description, "required": True, "schema": {"type": kind}}}


def _pictures(types: dict[str, str], description: str) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"description": description, "content": dict.fromkeys(types.values(), binary)}


def _uploads(*fields: str) -> dict[str, Any]:
    """Return what OpenAPI should say of form fields that are pictures."""
    types = {"contentType": ", ".join(UPLOAD_TYPES)}
    form = {"encoding": dict.fromkeys(fields, types)}
    return {"requestBody": {"content": {"multipart/form-data": form}}}


_LIMITED = {"headers": _header("Retry-After", "Seconds to wait.")}
_BUSY: Answers = {status: _problem(status) | _LIMITED for status in (429, 503)}
_OF_JOB = {"parameters": {"job_id": "$response.body#/id"}}
_QUEUED: Answers = {
    202: {
        "model": JobInfo,
        "description": "The job, where `wait=false`.",
        "headers": _header("Location", "Path of the job.", "string"),
        "links": {
            name: {"operationId": name, **_OF_JOB}
            for name in ("read_job", "follow_job", "cancel_job", "read_result", "read_animation")
        },
    }
}


def make_router(service: Service) -> APIRouter:
    """Return the routes of the API."""
    token = [Depends(HTTPBearer(auto_error=False, description="As aleph serve printed it."))]
    router = APIRouter(
        prefix="/api/v1", responses=_problems(), dependencies=token if service.locked else []
    )
    _add_jobs(router, service)
    _add_results(router, service)
    _add_tools(router, service)
    return router


def _add_jobs(router: APIRouter, service: Service) -> None:
    """Ask for a fill, follow it, cancel it."""
    jobs = service.jobs

    @router.post(
        "/inpaint",
        tags=["fill"],
        response_class=Response,
        responses={
            200: _pictures(PICTURE_TYPES, "The best fill."),
            **_QUEUED,
            **_BUSY,
            **_problems(400, 409, 500),
        },
        openapi_extra=_uploads("image", "mask"),
    )
    async def inpaint(
        request: Request,
        image: Picture,
        mask: Mask,
        options: Annotated[FillOptions, Depends()],
        format: Annotated[
            PictureFormat | Absent,
            Form(description="Format of the answer; the image's by default."),
        ] = None,
        wait: Annotated[
            bool, Query(description="Answer with the picture, or at once with a job.")
        ] = True,
    ) -> Response:
        """Fill the hole of a picture.

        Every pixel outside the hole comes back bit for bit where the format is lossless. A client
        that hangs up, or does not ask about its job for half a minute, gives up its place.
        """
        job, upload = await _submit(service, await image.read(), await mask.read(), options)
        if not wait:
            info = job_info(job).model_dump(mode="json")
            return JSONResponse(info, 202, {"Location": f"/api/v1/jobs/{job.id}"})
        try:
            await _finished(job, request)
        finally:
            if not job.over:
                jobs.cancel(job, "cancelled: the client has gone away")
        fill = _result(job)
        return await _picture(fill, 0, format or upload.format)

    @router.get("/jobs/{job_id}", tags=["jobs"], responses=_problems(404))
    async def read_job(job_id: str) -> JobInfo:
        """Return where a job stands."""
        return await run_in_threadpool(job_info, _job(jobs, job_id))

    @router.get(
        "/jobs/{job_id}/events",
        tags=["jobs"],
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Server-sent events: `queued`, `running`, many `step`, and at the "
                "end `done`, `failed` or `cancelled`.",
                "content": {"text/event-stream": {"itemSchema": EVENT_SCHEMA}},
            },
            **_problems(404),
        },
    )
    async def follow_job(
        job_id: str,
        last_event_id: Annotated[
            Annotated[int, Field(ge=0, le=10**9)] | Absent,
            Header(alias="Last-Event-ID", description="Number of the last event received."),
        ] = None,
    ) -> Response:
        """Follow a job: server-sent events as they come."""
        job = _job(jobs, job_id)
        first = 0 if last_event_id is None else last_event_id + 1
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_stream(job, first), 200, headers, "text/event-stream")

    @router.delete("/jobs/{job_id}", tags=["jobs"], status_code=204, responses=_problems(404))
    async def cancel_job(job_id: str) -> None:
        """Cancel a job, or forget its result."""
        jobs.forget(_job(jobs, job_id))


def _add_results(router: APIRouter, service: Service) -> None:
    """Fetch what came out."""
    jobs = service.jobs

    @router.get(
        "/jobs/{job_id}/result",
        tags=["jobs"],
        response_class=Response,
        responses={200: _pictures(PICTURE_TYPES, "The fill."), **_problems(404, 409, 500)},
    )
    async def read_result(
        job_id: str,
        candidate: Annotated[int, Query(ge=0, lt=MAX_CANDIDATES, description="0 = best.")] = 0,
        format: Annotated[
            PictureFormat | Absent, Query(description="The image's own by default.")
        ] = None,
        side: Annotated[
            Annotated[int, Field(ge=16, le=1024)] | Absent,
            Query(description="A thumbnail instead, WebP, this long at most."),
        ] = None,
    ) -> Response:
        """Return a fill in the format of the image that was sent, or another."""
        fill = _candidate(_result(_job(jobs, job_id)), candidate)
        if side is not None:
            data = await _sentence(lambda: fill.thumbnail(candidate, side))
            return Response(data, media_type="image/webp")
        return await _picture(fill, candidate, format or fill.format)

    @router.get(
        "/jobs/{job_id}/animation",
        tags=["jobs"],
        response_class=Response,
        responses={200: _pictures(ANIMATION_TYPES, "The search."), **_problems(404, 409, 500)},
    )
    async def read_animation(
        job_id: str,
        format: Annotated[AnimationFormat, Query(description="Kind of file.")] = "gif",
    ) -> Response:
        """Return the search, animated."""
        fill = _result(_job(jobs, job_id))
        data = await _sentence(lambda: fill.animation(format))
        return Response(data, media_type=ANIMATION_TYPES[format])


def _add_tools(router: APIRouter, service: Service) -> None:
    """What a client needs around a fill."""
    engine, limits = service.engine, service.limits

    @router.get("/models", tags=["tools"])
    def read_models() -> Models:
        """List the models and what may be asked for."""
        return Models(
            models=[ModelInfo(**facts) for facts in engine.models()],
            presets=list(get_args(Preset)),
            weightings=list(get_args(Weighting)),
            frames=engine.finder is not None,
            frame_eyes=[list(eye) for eye in EYES],
            max_candidates=MAX_CANDIDATES,
            max_steps=MAX_STEPS,
            max_pixels=limits.pixels,
            max_upload_bytes=limits.upload_bytes,
        )

    @router.post(
        "/weights",
        tags=["tools"],
        response_class=Response,
        responses={200: _pictures({"png": "image/png"}, "Grey, logarithmic."), **_problems(400)},
        openapi_extra=_uploads("mask"),
    )
    async def draw_weights(
        mask: Mask, weighting: Annotated[Weighting, Form()] = "inverse-square"
    ) -> Response:
        """Draw how much each known pixel counts: white = most, black = least, and the hole."""
        data = await mask.read()

        def draw() -> bytes:
            inspect_picture(data, "mask", min(limits.pixels, 2**22))
            return weight_map(data, weighting)

        return Response(await _decoded(service, draw), media_type="image/png")

    @router.post(
        "/display",
        tags=["tools"],
        response_class=Response,
        responses={
            200: {
                **_pictures({"webp": "image/webp"}, "The picture, upright, sRGB."),
                "headers": _header("X-Width", "Its own width.")
                | _header("X-Height", "Its own height."),
            },
            **_problems(400),
        },
        openapi_extra=_uploads("image"),
    )
    async def display(image: Picture) -> Response:
        """Return a picture as one that every browser shows, at most 4096 pixels long."""
        data = await image.read()

        def show() -> tuple[bytes, tuple[int, int]]:
            inspect_picture(data, "image", limits.pixels)
            return displayable(data)

        shown, (width, height) = await _decoded(service, show)
        sides = {"X-Width": str(width), "X-Height": str(height)}
        return Response(shown, headers=sides, media_type="image/webp")

    @router.post(
        "/frames",
        tags=["tools"],
        responses=_problems(400, 501),
        openapi_extra=_uploads("image", "mask"),
    )
    async def find_frames(image: Picture, mask: Mask) -> list[FrameInfo]:
        """Find the faces that the hole of a picture touches, the surest first."""
        data, missing = await image.read(), await mask.read()
        if engine.finder is None:
            raise HTTPException(501, "this version finds no faces by itself: point at their eyes")

        def find() -> list[FrameInfo]:
            inspect_picture(data, "image", limits.pixels)
            inspect_picture(missing, "mask", limits.pixels)
            return engine.frames(data, missing)

        return await _decoded(service, find)

    @router.post(
        "/damage",
        tags=["tools"],
        response_class=Response,
        responses={
            200: _pictures({"png": "image/png"}, "Grey, as large as the picture."),
            **_problems(400),
        },
        openapi_extra=_uploads("image"),
    )
    async def find_damage(image: Picture) -> Response:
        """Say how likely each pixel of a picture is damaged: 255 = certainly, 0 = certainly not.

        At a sensitivity s from 0 to 1, what has 255·(1 − s) or more counts as damaged.
        """
        data = await image.read()

        def find() -> bytes:
            inspect_picture(data, "image", limits.pixels)
            return engine.damage(data)

        return Response(await _decoded(service, find), media_type="image/png")

    @router.get("/samples", tags=["tools"])
    def read_samples() -> list[Sample]:
        """List pictures to try things on."""
        return SAMPLES

    @router.get(
        "/samples/{name}/{part}",
        tags=["tools"],
        response_class=Response,
        responses={200: _pictures({"png": "image/png"}, "The picture."), **_problems(404)},
    )
    def read_sample(name: str, part: Literal["image", "mask"]) -> Response:
        """Return the picture of a sample, or the mask of its damage."""
        mask = sample_mask(name)
        if mask is None:
            raise HTTPException(404, "there is no such sample")
        return Response(sample_image() if part == "image" else mask, media_type="image/png")


async def _submit(
    service: Service, image: bytes, mask: bytes, options: FillOptions
) -> tuple[Job[Fill], Upload]:
    """Check a request and queue it."""
    await _sentence(lambda: service.engine.check(options))
    upload = await _decoded(service, lambda: service.uploads.keep(image, mask))

    def run(job: Job[Fill]) -> Fill:
        return service.engine.fill(upload, options, job)

    job: Job[Fill] = Job(run, upload.close)
    try:
        service.jobs.submit(job)
    except QueueFull as full:
        upload.close()
        wait = {"Retry-After": str(full.retry_after)}
        raise HTTPException(429, "all places are taken: try again soon", wait) from None
    except Draining:
        upload.close()
        raise HTTPException(503, "the server is stopping", {"Retry-After": "10"}) from None
    return job, upload


async def _decoded(service: Service, work: Callable[[], T]) -> T:
    """Work on an upload, when it is its turn to be decoded."""
    async with service.decoding:
        return await _sentence(work)


async def _sentence(work: Callable[[], T]) -> T:
    """Work in a thread; an error that a user can cause becomes a refusal with its sentence."""
    try:
        return await run_in_threadpool(work)
    except TooManyPixels as error:
        raise HTTPException(413, str(error)) from None
    except AlephError as error:
        raise HTTPException(422, str(error)) from None


async def _finished(job: Job[Fill], request: Request) -> None:
    """Wait for the end of a job, or of the client's patience."""

    async def over() -> None:
        async for _ in job.follow():
            pass

    waiting = asyncio.ensure_future(over())
    try:
        while not waiting.done():
            await asyncio.wait([waiting], timeout=0.25)
            if await request.is_disconnected():
                return
    finally:
        waiting.cancel()


def _job(jobs: Jobs[Fill], job_id: str) -> Job[Fill]:
    job = jobs.get(job_id)
    if job is None:
        raise HTTPException(404, "there is no such job, or it was forgotten: fill again")
    return job


def _result(job: Job[Fill]) -> Fill:
    """Return what a job left behind, or say why there is nothing."""
    if job.result is not None:
        return job.result
    if job.state == "failed":
        internal = (job.error or "").startswith("internal error")
        raise HTTPException(500 if internal else 422, job.error)
    _not_there(job)


def _not_there(job: Job[Fill]) -> NoReturn:
    if job.state == "cancelled":
        raise HTTPException(409, job.error or "cancelled")
    raise HTTPException(409, "the search is not finished: follow its events")


def _candidate(fill: Fill, candidate: int) -> Fill:
    count = len(fill.inpainting.candidates)
    if candidate >= count:
        raise HTTPException(404, f"there are only {count} candidates, counted from 0")
    return fill


async def _picture(fill: Fill, candidate: int, form: str) -> Response:
    data = await _sentence(lambda: fill.picture(candidate, form))
    return Response(data, media_type=PICTURE_TYPES[form], headers={"Cache-Control": "no-store"})


async def _stream(job: Job[Fill], first: int) -> AsyncIterator[str]:
    async for number, event in job.follow(first):
        if event is None:
            yield ": still here\n\n"
        else:
            yield f"id: {number}\nevent: {event.name}\ndata: {json.dumps(event.data)}\n\n"


def job_info(job: Job[Fill]) -> JobInfo:
    """Return where a job stands, as clients get it."""
    if job.result is None:
        return JobInfo(id=job.id, state=job.state, error=job.error)
    inpainting = job.result.inpainting
    report, (height, width) = inpainting.report(), inpainting.hole.shape
    return JobInfo(
        id=job.id,
        state=job.state,
        format=job.result.format,
        seconds=inpainting.seconds,
        width=width,
        height=height,
        candidates=[CandidateInfo(losses=c.losses) for c in inpainting.candidates],
        frames=used_frames(report),
        warnings=report.get("warnings", []),
        report=report,
    )
