"""The one place where the web meets the pipeline: models, fills, previews, pictures of them."""

from __future__ import annotations

import base64
import io
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.config import Weighting
from aleph.errors import InputError, ModelError, unknown_name
from aleph.frames.detect import Finder
from aleph.frames.placement import Placement
from aleph.masks.read import read_hole
from aleph.photo.photo import decode_photo, read_photo
from aleph.photo.pixels import open_picture
from aleph.search.weighting import context_weight
from aleph.web.jobs import Job
from aleph.web.schemas import FillOptions, FrameInfo, PictureFormat
from aleph.web.uploads import Upload

if TYPE_CHECKING:
    from aleph.inpainter import Inpainter, Inpainting, SearchedFrame
    from aleph.search.latent import SearchStep


_PREVIEW_QUALITY = 85
_WEIGHT_FLOOR = 1e-3
"""Share of the largest weight that the weight map shows as nothing."""


@dataclass(frozen=True)
class Fill:
    """The result of a job.

    Attributes:
        inpainting: What the pipeline returned.
        format: Format of the picture that was sent.
    """

    inpainting: Inpainting
    format: PictureFormat

    @property
    def nbytes(self) -> int:
        """Bytes of its pictures."""
        candidates = self.inpainting.candidates
        return self.inpainting.original.nbytes + sum(c.image.nbytes for c in candidates)

    def picture(self, candidate: int, form: str) -> bytes:
        """Return one fill as the bytes of a file."""
        return self.inpainting.encode(f".{form}", candidate)

    def thumbnail(self, candidate: int, side: int) -> bytes:
        """Return one fill as a WebP whose longer side has at most `side` pixels."""
        picture = Image.fromarray(self.inpainting.candidates[candidate].image)
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        return _encoded(picture, "WEBP", quality=_PREVIEW_QUALITY)

    def animation(self, form: str) -> bytes:
        """Return the search as the bytes of an animation."""
        with tempfile.TemporaryDirectory(prefix="aleph-") as folder:
            path = Path(folder) / f"search.{form}"
            # A copy, as the one that is kept would keep every frame at the photo's full size.
            replace(self.inpainting).animate(path)
            return path.read_bytes()


class Engine:
    """Loads models once and fills holes with them; used by one worker thread.

    Args:
        device: As for `Inpainter.from_pretrained`.
        default_model: Name or folder of the model to use where none is named.
        preview_interval: Seconds between two previews.
        finder: Finds faces; None where that cannot be done.
    """

    def __init__(
        self,
        device: str = "auto",
        default_model: str | None = None,
        preview_interval: float = 0.08,
        finder: Finder | None = None,
    ) -> None:
        self.device, self._default, self._interval = device, default_model, preview_interval
        self.finder = finder
        self._loaded: dict[str, Inpainter] = {}

    @property
    def default_model(self) -> str:
        """Name or folder of the default model."""
        from aleph.models.zoo import DEFAULT_MODEL

        return self._default or DEFAULT_MODEL

    def models(self) -> list[dict[str, Any]]:
        """Return the facts of every model that may be asked for."""
        from aleph.models.folder import read_config
        from aleph.models.zoo import describe, find_model, list_models

        known = list_models()
        if self.default_model not in known:
            known = {self.default_model: read_config(find_model(self.default_model)), **known}
        return [
            {"name": Path(name).name, "default": name == self.default_model, **describe(config)}
            for name, config in known.items()
        ]

    def prepare(self) -> None:
        """Load what the first fill would have to wait for."""
        self._inpainter(None)

    def check(self, options: FillOptions) -> None:
        """Refuse options that name what is not there.

        Raises:
            InputError: with what is.
        """
        names = [model["name"] for model in self.models()]
        if options.model is not None and options.model not in names:
            raise InputError(unknown_name("model", options.model, names))

    def frames(self, image: bytes, mask: bytes) -> list[FrameInfo]:
        """Find the faces that the hole of a picture touches, the surest first.

        Raises:
            InputError: if the picture or the mask cannot be used.
        """
        assert self.finder is not None
        photo = decode_photo(image)
        hole = read_hole(open_picture(io.BytesIO(mask), "mask"), photo.shape)
        found = sorted(self.finder(photo.pixels, hole), key=lambda face: -face.score)
        return [_frame_info(face.placement, face.score) for face in found]

    def damage(self, image: bytes) -> bytes:
        """Return how likely each pixel of a picture is damaged, as a grey PNG: white = certainly.

        Raises:
            InputError: if the picture cannot be read.
        """
        from aleph.damage.find import read_probability

        return _encoded(Image.fromarray(read_probability(decode_photo(image))), "PNG")

    def fill(self, upload: Upload, options: FillOptions, job: Job[Fill]) -> Fill:
        """Fill the hole of an upload, reporting every step to its job.

        Raises:
            AlephError: with one sentence, if it cannot be filled.
            Cancelled: if the job was.
        """
        inpainter = self._inpainter(options.model)
        photo = read_photo(upload.image)
        previews = _Previews(job, photo.shape, self._interval)
        inpainting = inpainter(
            photo,
            upload.mask,
            preset=options.preset,
            candidates=options.candidates,
            seed=options.seed,
            on_step=previews,
            on_piece=lambda done, total: job.check(),
            record=True,
            frame=_frame(options.frame),
            eyes=[_numbers(eyes) for eyes in options.eyes or []],
            on_frames=previews.place,
            **options.overrides(),
        )
        return Fill(inpainting, upload.format)

    def _inpainter(self, name: str | None) -> Inpainter:
        """Return a model; only names that `models` lists reach the loader."""
        from aleph.inpainter import Inpainter

        wanted = self.default_model if name in (None, Path(self.default_model).name) else str(name)
        if wanted not in self._loaded:
            if len(self._loaded) >= 4:
                self._loaded.pop(next(iter(self._loaded)))
            try:
                self._loaded[wanted] = Inpainter.from_pretrained(wanted, device=self.device)
            except ModelError as error:
                raise ModelError(str(error).replace(f"{Path(wanted).parent}", "…")) from None
        return self._loaded[wanted]


def default_finder(model: str | None, device: str) -> Finder | None:
    """Return what finds the frames of a model, loaded when it is first asked; None if nothing does.

    Args:
        model: Name or folder of the model; the default one if None.
        device: Where it shall run.

    Raises:
        ModelError: if there is no such model.
    """
    from aleph.models.folder import read_config
    from aleph.models.zoo import DEFAULT_MODEL, find_model

    detector = read_config(find_model(model or DEFAULT_MODEL)).detector

    @cache
    def load() -> Finder:
        from aleph.frames.detect import load_finder

        finder = load_finder(detector, device)
        assert finder is not None
        return finder

    return (lambda pixels, hole: load()(pixels, hole)) if detector else None


def used_frames(report: dict[str, Any]) -> list[FrameInfo]:
    """Return the frames that a fill was taken from, by its report."""
    frames = [frame for frame in report.get("frames", []) if not frame["dropped"]]
    return [
        _frame_info(Placement(x, y, frame["side"], frame["angle"]), frame["score"])
        for frame in frames
        for x, y in [frame["center"]]
    ]


def weight_map(mask: bytes, weighting: Weighting) -> bytes:
    """Return the context weight of a mask as a grey PNG, logarithmic: white = most, black = none.

    Raises:
        InputError: if the mask cannot be read.
    """
    picture = open_picture(io.BytesIO(mask), "mask")
    hole = read_hole(picture, (picture.height, picture.width))
    weight = context_weight(hole, weighting)
    share = weight / max(float(weight.max()), 1e-30)
    levels = 1 + np.log10(np.maximum(share, _WEIGHT_FLOOR)) / -np.log10(_WEIGHT_FLOOR)
    return _encoded(Image.fromarray(np.rint(255 * levels).astype(np.uint8)), "PNG")


def displayable(image: bytes, side: int = 4096) -> tuple[bytes, tuple[int, int]]:
    """Return any readable picture as a WebP that a browser shows, and its own width and height.

    The WebP is upright and at most `side` pixels long.

    Raises:
        InputError: if it cannot be read.
    """
    picture = Image.fromarray(decode_photo(image).pixels)
    size = picture.size
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _encoded(picture, "WEBP", quality=92), size


class _Previews:
    """The search's callback: cancels, and reports the step with G(z) now and then."""

    def __init__(self, job: Job[Fill], shape: tuple[int, int], interval: float) -> None:
        self._job, self._interval = job, interval
        height, width = map(float, shape)
        self._whole = [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]]
        self._corners: list[list[list[float]]] = []
        self._next = 0.0

    def place(self, frames: Sequence[SearchedFrame]) -> None:
        """Note where the frames lie that are searched from now on; the whole picture if untold."""
        self._corners = [frame.placement.corners.tolist() for frame in frames]

    def __call__(self, step: SearchStep) -> None:
        self._job.check()
        total = step.losses["total"]
        data: dict[str, Any] = {
            "step": step.step,
            "steps": step.steps,
            "loss": round(float(total.min(dim=1).values.mean()), 6),
        }
        if time.monotonic() >= self._next or step.step == step.steps:
            data["previews"] = self._previews(step)
            self._next = time.monotonic() + self._interval
        self._job.report("step", **data)

    def _previews(self, step: SearchStep) -> list[dict[str, Any]]:
        """Return G(z) of the best start of every frame, and where the frame lies."""
        from aleph.photo.tensors import to_pixels

        best = step.losses["total"].argmin(dim=1)
        chosen = step.generated[range(len(best)), best]
        return [
            {"image": _data_url(pixels), "corners": corners}
            for pixels, corners in zip(
                to_pixels(chosen), self._corners or [self._whole] * len(chosen), strict=True
            )
        ]


def _data_url(pixels: NDArray[np.uint8]) -> str:
    data = _encoded(Image.fromarray(pixels), "JPEG", quality=_PREVIEW_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _encoded(picture: Image.Image, form: str, **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def _frame_info(placement: Placement, score: float | None) -> FrameInfo:
    return FrameInfo(
        x=placement.x,
        y=placement.y,
        side=placement.side,
        angle=placement.angle,
        corners=placement.corners.tolist(),
        eyes=placement.eyes.tolist(),
        score=score,
    )


def _frame(option: str) -> str | tuple[float, ...]:
    return _numbers(option) if "," in option else option


def _numbers(four: str) -> tuple[float, ...]:
    return tuple(float(word) for word in four.split(","))
