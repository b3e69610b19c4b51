"""The routes of a fill: ask for it, follow it, fetch it, cancel it."""

# No `from __future__ import annotations`: FastAPI reads the annotations of these functions.

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, BinaryIO, NoReturn

from fastapi import APIRouter, Depends, Form, Header, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from aleph.web.engine import Fill, used_frames
from aleph.web.guard import client_of
from aleph.web.jobs import Draining, Job, QueueFull
from aleph.web.limits import MAX_CANDIDATES
from aleph.web.openapi import BUSY, QUEUED, Mask, Picture, pictures, problems, uploads
from aleph.web.schemas import (
    ANIMATION_TYPES,
    EVENT_SCHEMA,
    PICTURE_TYPES,
    Absent,
    AnimationFormat,
    CandidateInfo,
    FillOptions,
    JobInfo,
    PictureFormat,
)
from aleph.web.service import Service, TheJob, TheService, refusing
from aleph.web.uploads import Upload

router = APIRouter()

_AREA = r"^-?\d{1,6}(,-?\d{1,6}){3}$"

_EVENTS = {
    "description": "Server-sent events: `queued`, `running`, a `stage` for each thing begun, many "
    "`step`, and at the end `done`, `failed` or `cancelled`.",
    "content": {"text/event-stream": {"itemSchema": EVENT_SCHEMA}},
}


@router.post(
    "/inpaint",
    tags=["fill"],
    response_class=Response,
    responses={
        200: pictures(PICTURE_TYPES, "The best fill."),
        **QUEUED,
        **BUSY,
        **problems(400, 409, 500),
    },
    openapi_extra=uploads("image", "mask"),
)
async def inpaint(
    request: Request,
    service: TheService,
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
    client = client_of(request.scope)
    job, upload = await _submit(service, image.file, mask.file, options, client)
    if not wait:
        info = job_info(job).model_dump(mode="json")
        return JSONResponse(info, 202, {"Location": f"/api/v1/jobs/{job.id}"})
    try:
        await _finished(job, request)
    finally:
        if not job.over:
            service.jobs.cancel(job, "cancelled: the client has gone away")
    return await _picture(_result(job), 0, format or upload.format)


@router.get("/jobs/{job_id}", tags=["jobs"], responses=problems(404))
async def read_job(job: TheJob) -> JobInfo:
    """Return where a job stands."""
    return await run_in_threadpool(job_info, job)


@router.get(
    "/jobs/{job_id}/events",
    tags=["jobs"],
    response_class=StreamingResponse,
    responses={200: _EVENTS, **problems(404)},
)
async def follow_job(
    job: TheJob,
    last_event_id: Annotated[
        Annotated[int, Field(ge=0, le=10**9)] | Absent,
        Header(alias="Last-Event-ID", description="Number of the last event received."),
    ] = None,
) -> Response:
    """Follow a job: server-sent events as they come."""
    first = 0 if last_event_id is None else last_event_id + 1
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(job, first), 200, headers, "text/event-stream")


@router.delete("/jobs/{job_id}", tags=["jobs"], status_code=204, responses=problems(404))
async def cancel_job(job: TheJob, service: TheService) -> None:
    """Cancel a job, or forget its result."""
    service.jobs.forget(job)


@router.get(
    "/jobs/{job_id}/result",
    tags=["jobs"],
    response_class=Response,
    responses={200: pictures(PICTURE_TYPES, "The fill."), **problems(404, 409, 500)},
)
async def read_result(
    job: TheJob,
    candidate: Annotated[int, Query(ge=0, lt=MAX_CANDIDATES, description="0 = best.")] = 0,
    format: Annotated[
        PictureFormat | Absent, Query(description="The image's own by default.")
    ] = None,
    side: Annotated[
        Annotated[int, Field(ge=16, le=1024)] | Absent,
        Query(description="A thumbnail instead, WebP, this long at most."),
    ] = None,
    area: Annotated[
        Annotated[str, Field(pattern=_AREA)] | Absent,
        Query(description="Of a thumbnail: show only `left,top,right,bottom`, in pixels."),
    ] = None,
) -> Response:
    """Return a fill in the format of the image that was sent, or another."""
    fill = _candidate(_result(job), candidate)
    if side is not None:
        left, top, right, bottom = map(int, area.split(",")) if area else (0, 0, 10**6, 10**6)
        data = await refusing(lambda: fill.thumbnail(candidate, side, (left, top, right, bottom)))
        return Response(data, media_type="image/webp")
    return await _picture(fill, candidate, format or fill.format)


@router.get(
    "/jobs/{job_id}/animation",
    tags=["jobs"],
    response_class=Response,
    responses={200: pictures(ANIMATION_TYPES, "The search."), **problems(404, 409, 500)},
)
async def read_animation(
    job: TheJob,
    format: Annotated[AnimationFormat, Query(description="Kind of file.")] = "gif",
) -> Response:
    """Return the search, animated."""
    fill = _result(job)
    data = await refusing(lambda: fill.animation(format))
    return Response(data, media_type=ANIMATION_TYPES[format])


async def _submit(
    service: Service, image: BinaryIO, mask: BinaryIO, options: FillOptions, client: str
) -> tuple[Job[Fill], Upload]:
    """Check a request and queue it."""
    await refusing(lambda: service.engine.check(options))
    upload = await refusing(lambda: service.uploads.keep(image, mask))

    def run(job: Job[Fill]) -> Fill:
        return (service.crew or service.engine).fill(upload, options, job)

    job: Job[Fill] = Job(run, upload.close, client)
    try:
        service.jobs.submit(job)
    except (QueueFull, Draining) as refusal:
        upload.close()
        status = 429 if isinstance(refusal, QueueFull) else 503
        wait = {"Retry-After": str(refusal.retry_after)}
        raise HTTPException(status, str(refusal), wait) from None
    return job, upload


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


def _result(job: Job[Fill]) -> Fill:
    """Return what a job left behind, or say why there is nothing."""
    if job.result is not None:
        return job.result
    if job.state == "failed":
        raise HTTPException(500 if job.internal else 422, job.error)
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
    data = await refusing(lambda: fill.picture(candidate, form))
    return Response(data, media_type=PICTURE_TYPES[form], headers={"Cache-Control": "no-store"})


async def _stream(job: Job[Fill], first: int) -> AsyncIterator[str]:
    async for number, event in job.follow(first):
        if event is None:
            yield ": still here\n\n"
        else:
            data = json.dumps(event.data, allow_nan=False)
            yield f"id: {number}\nevent: {event.name}\ndata: {data}\n\n"


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
        candidates=[CandidateInfo(losses=one["losses"]) for one in report["candidates"]],
        frames=used_frames(report),
        warnings=report["warnings"],
        report=report,
    )
