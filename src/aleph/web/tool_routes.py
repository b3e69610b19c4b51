"""The routes of what a client needs around a fill: models, faces, weights, pictures, samples."""

# No `from __future__ import annotations`: FastAPI reads the annotations of these functions.

import io
from typing import Annotated, get_args

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import Response

from aleph.config import Preset, Weighting
from aleph.frames.placement import EYES
from aleph.web.engine import displayable, mask_url, weight_map
from aleph.web.folder import PHOTO_TYPES, photo_type
from aleph.web.limits import MAX_CANDIDATES, MAX_STEPS
from aleph.web.openapi import Mask, Picture, header, pictures, problems, uploads
from aleph.web.samples import SAMPLE_FORMATS, SAMPLES, SamplePart, sample_part
from aleph.web.schemas import (
    PICTURE_TYPES,
    UPLOAD_TYPES,
    FrameInfo,
    ListedPhoto,
    ModelInfo,
    Models,
    PhotoInfo,
    Sample,
)
from aleph.web.service import ThePhotos, TheService, decoding, waited_for
from aleph.web.uploads import check_picture, read_image, read_mask

router = APIRouter(tags=["tools"])

_SAMPLE_TYPES: dict[str, str] = {form: PICTURE_TYPES[form] for form in set(SAMPLE_FORMATS.values())}
_PHOTO_TYPES = {media: media for media in sorted(set(PHOTO_TYPES.values()))}

_MAP_PIXELS = 2**22
"""Largest mask whose weights are drawn."""


@router.get("/models")
def read_models(service: TheService) -> Models:
    """List the models and what may be asked for."""
    engine, limits = service.engine, service.limits
    return Models(
        models=[ModelInfo(**facts) for facts in engine.models()],
        presets=list(get_args(Preset)),
        weightings=list(get_args(Weighting)),
        frames=engine.finds_faces,
        frame_eyes=[list(eye) for eye in EYES],
        max_candidates=MAX_CANDIDATES,
        max_steps=MAX_STEPS,
        max_pixels=limits.pixels,
        max_upload_bytes=limits.upload_bytes,
        formats=list(UPLOAD_TYPES),
        photos=service.photos is not None,
    )


@router.post(
    "/weights",
    response_class=Response,
    responses={200: pictures({"png": "image/png"}, "Grey, logarithmic."), **problems(400)},
    openapi_extra=uploads("mask"),
)
async def draw_weights(
    service: TheService,
    mask: Mask,
    weighting: Annotated[Weighting, Form()] = "inverse-square",
) -> Response:
    """Draw how much each known pixel counts: white = most, black = least, and the hole."""
    pixels = min(service.limits.pixels, _MAP_PIXELS)

    def draw(data: bytes) -> bytes:
        return weight_map(read_mask(data, pixels), weighting)

    return Response(await decoding(service, draw, mask), media_type="image/png")


@router.post(
    "/display",
    response_class=Response,
    responses={
        200: {
            **pictures({"webp": "image/webp"}, "The picture, upright, sRGB."),
            "headers": header("X-Width", "Its own width.") | header("X-Height", "Its own height."),
        },
        **problems(400),
    },
    openapi_extra=uploads("image"),
)
async def display(service: TheService, image: Picture) -> Response:
    """Return a picture as one that every browser shows, at most 4096 pixels long."""

    def show(data: bytes) -> tuple[bytes, tuple[int, int]]:
        return displayable(read_image(data, service.limits.pixels))

    shown, (width, height) = await decoding(service, show, image)
    sides = {"X-Width": str(width), "X-Height": str(height)}
    return Response(shown, headers=sides, media_type="image/webp")


@router.post("/check", responses=problems(400), openapi_extra=uploads("image"))
async def check_photo(service: TheService, image: Picture) -> PhotoInfo:
    """Decode a photo and say what it is; what could not be filled is refused here already."""
    pixels = service.limits.pixels

    def check(data: bytes) -> PhotoInfo:
        form = check_picture(io.BytesIO(data), "image", pixels)
        photo = read_image(data, pixels)
        height, width = photo.shape
        return PhotoInfo(
            width=width,
            height=height,
            format=form,
            remarks=list(photo.remarks),
            missing=None if photo.missing is None else mask_url(photo.missing),
        )

    return await decoding(service, check, image)


@router.post("/frames", responses=problems(400, 501), openapi_extra=uploads("image", "mask"))
async def find_frames(service: TheService, image: Picture, mask: Mask) -> list[FrameInfo]:
    """Find the faces that the hole of a picture touches, the surest first."""
    engine, pixels = service.engine, service.limits.pixels
    if not engine.finds_faces:
        raise HTTPException(501, "this version finds no faces by itself: point at their eyes")

    def find(data: bytes, missing: bytes) -> list[FrameInfo]:
        return engine.frames(read_image(data, pixels), read_mask(missing, pixels))

    return await decoding(service, find, image, mask)


@router.post(
    "/damage",
    response_class=Response,
    responses={
        200: pictures({"png": "image/png"}, "Grey, as large as the picture."),
        **problems(400, 409),
    },
    openapi_extra=uploads("image"),
)
async def find_damage(request: Request, service: TheService, image: Picture) -> Response:
    """Say how likely each pixel of a picture is damaged: 255 = certainly, 0 = certainly not.

    At a sensitivity s from 0 to 1, what has 255·(1 − s) or more counts as damaged. When
    the client hangs up, the looking ends.
    """
    async with waited_for(request) as check:

        def find(data: bytes) -> bytes:
            check()
            photo = read_image(data, service.limits.pixels)
            return service.engine.damage(photo, lambda *_: check())

        return Response(await decoding(service, find, image), media_type="image/png")


@router.get("/samples")
def read_samples() -> list[Sample]:
    """List pictures to try things on."""
    return SAMPLES


@router.get(
    "/samples/{name}/{part}",
    response_class=Response,
    responses={200: pictures(_SAMPLE_TYPES, "The picture."), **problems(404)},
)
def read_sample(name: str, part: SamplePart) -> Response:
    """Return the photo of a sample, the mask of its damage, or a small picture of it."""
    data = sample_part(name, part)
    if data is None:
        raise HTTPException(404, "there is no such sample")
    return Response(data, media_type=_SAMPLE_TYPES[SAMPLE_FORMATS[part]])


@router.get("/photos", responses=problems(404))
def list_photos(photos: ThePhotos) -> list[ListedPhoto]:
    """List the photos of the folder that the server was started with."""
    return [ListedPhoto(name=name, bytes=size) for name, size in photos.list().items()]


@router.get(
    "/photos/{name}",
    response_class=Response,
    responses={200: pictures(_PHOTO_TYPES, "The file."), **problems(404)},
)
def read_listed_photo(name: str, photos: ThePhotos) -> Response:
    """Return a photo of the folder that the server was started with."""
    data = photos.read(name)
    if data is None:
        raise HTTPException(404, "there is no such photo")
    return Response(data, media_type=photo_type(name), headers={"Cache-Control": "no-store"})
