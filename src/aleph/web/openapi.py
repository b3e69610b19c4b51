"""How the routes describe themselves in `openapi.json`: refusals, pictures, uploads, jobs."""

# No `from __future__ import annotations`: FastAPI reads these annotations.

from typing import Annotated, Any

from fastapi import File, UploadFile

from aleph.web.schemas import UPLOAD_TYPES, JobInfo, Problem

Answers = dict[int | str, dict[str, Any]]

# Many generators of clients know a file by the older word `binary` only.
_FILE: dict[str, Any] = {"json_schema_extra": {"format": "binary"}}
Picture = Annotated[
    UploadFile, File(description="PNG, JPEG, WebP, TIFF, AVIF, BMP, GIF or PPM.", **_FILE)
]
Mask = Annotated[
    UploadFile,
    File(description="A picture of the same shape: light (128 and up) = missing.", **_FILE),
]

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


def problems(*statuses: int) -> Answers:
    """Return the refusals that every route knows, and some more."""
    return {status: _problem(status) for status in (401, 403, 413, 422, *statuses)}


def header(name: str, description: str, kind: str = "integer") -> dict[str, Any]:
    """Return a header that is always sent."""
    return {name: {"description": description, "required": True, "schema": {"type": kind}}}


def pictures(types: dict[str, str], description: str) -> dict[str, Any]:
    """Return an answer that is a file in one of some media types."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"description": description, "content": dict.fromkeys(types.values(), binary)}


def uploads(*fields: str) -> dict[str, Any]:
    """Return what is to be said of form fields that are pictures."""
    types = {"contentType": ", ".join(UPLOAD_TYPES)}
    form = {"encoding": dict.fromkeys(fields, types)}
    return {"requestBody": {"content": {"multipart/form-data": form}}}


_LIMITED = {"headers": header("Retry-After", "Seconds to wait.")}
BUSY: Answers = {status: _problem(status) | _LIMITED for status in (429, 503)}

_OF_JOB = {"parameters": {"job_id": "$response.body#/id"}}
QUEUED: Answers = {
    202: {
        "model": JobInfo,
        "description": "The job, where `wait=false`.",
        "headers": header("Location", "Path of the job.", "string"),
        "links": {
            name: {"operationId": name, **_OF_JOB}
            for name in ("read_job", "follow_job", "cancel_job", "read_result", "read_animation")
        },
    }
}
