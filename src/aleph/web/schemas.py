"""What clients send and get: the options of a fill, jobs, models, samples, problems."""

# No `from __future__ import annotations`: FastAPI reads the annotations of these classes.

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from fastapi import Form
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from aleph.config import Blending, Norm, OutsideFill, Preset, Start, Weighting
from aleph.web.limits import MAX_CANDIDATES, MAX_STARTS, MAX_STEPS

Absent = SkipJsonSchema[None]
"""A field or parameter that may be left out, but cannot be sent as null."""

PictureFormat = Literal["png", "jpg", "webp", "tif", "avif", "bmp"]
AnimationFormat = Literal["gif", "webp", "mp4"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Stage = Literal["looking", "searching", "adapting", "continuing", "blending"]
"""What a running job does: it looks for faces, searches, adapts the model to the picture, continues
the texture of the surroundings, blends all that into the photo."""

PICTURE_TYPES: dict[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "tif": "image/tiff",
    "avif": "image/avif",
    "bmp": "image/bmp",
}
UPLOAD_TYPES = (*PICTURE_TYPES.values(), "image/gif", "image/x-portable-anymap")
ANIMATION_TYPES: dict[str, str] = {"gif": "image/gif", "webp": "image/webp", "mp4": "video/mp4"}

_NUMBER = r"\s*-?\d{1,6}(\.\d{1,3})?\s*"
_FOUR = f"{_NUMBER}(,{_NUMBER}){{3}}"

Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
_SHARE = r"(0\.[0-9]{0,2}[1-9]|[1-9][0-9]?(\.[0-9]{1,3})?|100)"
"""Per cent: above 0, at most 100, to a thousandth."""

Widened = Annotated[str, Field(pattern=rf"^(left|top|right|bottom)={_SHARE}%$")]
Eyes = Annotated[str, Field(pattern=f"^{_FOUR}$")]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]
"""x to the right and y down, in pixels of the upright picture."""


@dataclass(frozen=True)
class FillOptions:
    """Options of a fill, one form field each; what is left out is the preset's.

    They are the options of `aleph inpaint` and mean the same.
    """

    model: Annotated[
        Annotated[str, Field(max_length=100)] | Absent,
        Form(description="A name of `GET /api/v1/models`."),
    ] = None
    preset: Annotated[Preset, Form(description="How long and how to search.")] = "balanced"
    weighting: Annotated[
        Weighting | Absent, Form(description="Weight of a known pixel by its distance to the hole.")
    ] = None
    norm: Annotated[Norm | Absent, Form(description="Norm of the context loss.")] = None
    prior_weight: Annotated[Weight | Absent, Form(description="λ of the prior loss.")] = None
    latent_weight: Annotated[Weight | Absent, Form(description="Weight of the latent term.")] = None
    steps: Annotated[
        Annotated[int, Field(ge=0, le=MAX_STEPS)] | Absent, Form(description="Steps of the search.")
    ] = None
    start: Annotated[Start | Absent, Form(description="Where the search starts.")] = None
    starts: Annotated[
        Annotated[int, Field(ge=1, le=MAX_STARTS)] | Absent,
        Form(description="Starts, searched together."),
    ] = None
    blending: Annotated[Blending | Absent, Form(description="How the fill meets its rim.")] = None
    candidates: Annotated[
        int, Form(ge=1, le=MAX_CANDIDATES, description="Different fills, best first.")
    ] = 1
    seed: Annotated[int, Form(ge=0, le=2**53 - 1, description="Seed of the random starts.")] = 0
    frame: Annotated[
        str,
        Form(
            pattern=f"^(auto|face|whole|{_FOUR})$",
            description="Where the model looks: at faces, at the whole picture, or at the box "
            "`left,top,right,bottom`.",
        ),
    ] = "auto"
    eyes: Annotated[
        Annotated[list[Eyes], Field(max_length=16)] | Absent,
        Form(
            description="Where a face is: `x1,y1,x2,y2`, its left and right eye in the picture, in "
            "pixels. Repeat the field for more faces.",
        ),
    ] = None

    outside: Annotated[
        OutsideFill,
        Form(
            description="How what the model does not fill is filled: `texture` continues the "
            "texture of its surroundings, `smooth` does not."
        ),
    ] = "texture"
    extend: Annotated[
        Annotated[list[Widened], Field(max_length=4)] | Absent,
        Form(
            description="By how much of its side the picture is widened, as `left=20%`, at left, "
            "top, right or bottom; what is new is missing. Repeat the field for more sides."
        ),
    ] = None

    def overrides(self) -> dict[str, Any]:
        """Return what takes the place of the preset's own values."""
        names = ("weighting", "norm", "prior_weight", "latent_weight", "steps", "start", "starts")
        given = {name: getattr(self, name) for name in (*names, "blending", "outside")}
        return given | {"extend": dict(w.split("=") for w in self.extend) if self.extend else None}


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str = Field(description="One sentence: what is wrong and what to do.")


class FrameInfo(BaseModel):
    """A square of the picture that the model looks at, in pixels of the upright picture."""

    x: float = Field(description="Centre, from the left border.")
    y: float = Field(description="Centre, from the upper border.")
    side: float
    angle: float = Field(description="Degrees by which its upper edge is turned clockwise.")
    corners: list[Point] = Field(description="Upper left first, then clockwise.")
    eyes: list[Point] = Field(description="Where the eyes of an aligned face lie, the left first.")
    score: float | None = Field(
        default=None, description="How surely there is a face; null where it was pointed at."
    )


class CandidateInfo(BaseModel):
    """One fill."""

    losses: dict[str, float | None] = Field(
        description="Losses by name, unweighted; `total` is weighted. Null stands for no number."
    )


class JobInfo(BaseModel):
    """Where a job stands."""

    id: str = Field(description="Its unguessable name.")
    state: JobState
    error: str | None = Field(default=None, description="What went wrong, where it failed.")
    format: PictureFormat | None = Field(
        default=None, description="Format of the picture that was sent."
    )
    seconds: float | None = Field(default=None, description="Time of search and blending.")
    width: int | None = None
    height: int | None = None
    candidates: list[CandidateInfo] = Field(default=[], description="The fills, best first.")
    frames: list[FrameInfo] = Field(default=[], description="Where the model looked.")
    warnings: list[str] = Field(default=[], description="What the user should know of the fill.")
    report: dict[str, Any] | None = Field(
        default=None, description="As `aleph inpaint --json` prints it."
    )


_CORNERS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
_PREVIEW = {
    "type": "object",
    "required": ["image", "corners"],
    "properties": {
        "image": {"type": "string", "description": "G(z) as a data URL."},
        "corners": {**_CORNERS, "description": "Where it lies in the picture, as of a frame."},
    },
}
_EVENT_DATA = {
    "type": "object",
    "properties": {
        "position": {"type": "integer", "description": "Of `queued`: 1 is the next."},
        "stage": {
            "enum": list(get_args(Stage)),
            "description": "Of `stage`: what is done from now on.",
        },
        "share": {
            "type": "number",
            "description": "Of the stages `adapting` and `continuing`: how much is done, 0 to 1.",
        },
        "step": {"type": "integer", "description": "Of `step`, from 0."},
        "steps": {"type": "integer", "description": "Of `step`: how many there will be."},
        "loss": {"type": "number", "description": "Of `step`: the least total loss, if finite."},
        "previews": {"type": "array", "items": _PREVIEW, "description": "Of some `step`."},
        "error": {"type": "string", "description": "Of `failed` and `cancelled`."},
    },
}
EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["queued", "running", "stage", "step", "done", "failed", "cancelled"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": _EVENT_DATA,
        },
    },
}
"""A server-sent event of a job (OpenAPI 3.2, `itemSchema`)."""


class ModelInfo(BaseModel):
    """A model that is there."""

    name: str
    kind: str
    resolution: int = Field(description="Side of its square frame in pixels.")
    latent_dim: int
    prior: str
    default: bool = Field(description="Whether it is used where none is named.")


class Models(BaseModel):
    """The models, and what may be asked of them."""

    models: list[ModelInfo]
    presets: list[str]
    weightings: list[str]
    frames: bool = Field(description="Whether `POST /api/v1/frames` can find faces.")
    frame_eyes: list[Point] = Field(
        description="Where the eyes of an aligned face lie in its frame, which spans 0 to 1."
    )
    max_candidates: int
    max_steps: int
    max_pixels: int
    max_upload_bytes: int
    formats: list[str] = Field(description="Media types of the pictures that are taken.")
    photos: bool = Field(description="Whether `GET /api/v1/photos` lists photos to work through.")


class PhotoInfo(BaseModel):
    """What a photo that was sent is."""

    width: int = Field(description="Upright, in pixels.")
    height: int
    format: PictureFormat = Field(description="What it is answered in.")
    remarks: list[str] = Field(
        description="What is not in the result, or missing in the file, a sentence each."
    )
    missing: str | None = Field(
        description="What a file that is cut short lacks, as the data URL of a PNG, white = "
        "missing; it is filled too."
    )


class ListedPhoto(BaseModel):
    """A photo of the folder that the server was started with."""

    name: str
    bytes: int


class Sample(BaseModel):
    """A picture to try things on."""

    name: str
    title: str
    credit: str
