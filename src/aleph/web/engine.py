"""The one place where the web meets the pipeline: models, fills, previews, pictures of them."""

from __future__ import annotations

import base64
import io
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aleph.arrays import Hole
from aleph.config import Weighting
from aleph.errors import InputError, ModelError, unknown_name, unwarned
from aleph.files import temporary_folder
from aleph.frames.detect import Finder
from aleph.frames.placement import Placement
from aleph.imports import importing
from aleph.masks.read import read_hole
from aleph.photo.extend import read_extension
from aleph.photo.photo import Photo
from aleph.search.weighting import context_weight
from aleph.web.schemas import FillOptions, FrameInfo, PictureFormat, Stage
from aleph.web.uploads import check_pixels

if TYPE_CHECKING:
    from aleph.damage.tiles import OnTile
    from aleph.inpainter import Inpainter, Inpainting, SearchedFrame
    from aleph.search.latent import SearchStep


Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

_PREVIEW_QUALITY = 85
_MODELS = 4
"""Models kept in memory."""

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

    def thumbnail(self, candidate: int, side: int, area: Box | None = None) -> bytes:
        """Return one fill, or an area of it, as a WebP at most `side` pixels long.

        Args:
            candidate: Which fill, 0 the best.
            side: Pixels of the longer side, at most.
            area: Left, top, right and bottom in pixels; what lies beyond the picture is cut off.

        Raises:
            InputError: if the area holds no pixel of the picture.
        """
        pixels = self.inpainting.candidates[candidate].image
        if area is not None:
            left, top, right, bottom = area
            pixels = pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
            if not pixels.size:
                raise InputError("the area lies beyond the picture")
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        return _encoded(picture, "WEBP", quality=_PREVIEW_QUALITY)

    def animation(self, form: str) -> bytes:
        """Return the search as the bytes of an animation."""
        with temporary_folder() as folder:
            path = folder / f"search.{form}"
            # A copy, as the one that is kept would keep every frame at the photo's full size.
            replace(self.inpainting).animate(path)
            return path.read_bytes()


class Damaged(Protocol):
    """What a client sends, as `Upload`."""

    @property
    def format(self) -> PictureFormat:
        """What to answer in."""

    @property
    def pixels(self) -> int:
        """Largest width × height."""

    def image(self) -> Photo:
        """Decode the photo."""

    def mask(self) -> Image.Image:
        """Decode the mask."""


class Watcher(Protocol):
    """What a search tells and asks while it runs: as `Job` does."""

    def report(self, name: str, **data: Any) -> None:  # noqa: ANN401 - JSON values
        """Tell what happens."""

    def check(self) -> None:
        """Raise `Cancelled` if it shall end."""


class Engine:
    """Loads models and detectors once, fills holes with them and finds faces.

    One worker thread fills; faces are found in other threads meanwhile.

    Args:
        device: As for `Inpainter.from_pretrained`.
        default_model: Name or folder of the model to use where none is named.
        preview_interval: Seconds between two previews.
        finder: Finds faces for every model, in place of the detectors that the models name.
    """

    def __init__(
        self,
        device: str = "auto",
        default_model: str | None = None,
        preview_interval: float = 0.08,
        finder: Finder | None = None,
    ) -> None:
        self.device, self._default, self.interval = device, default_model, preview_interval
        self._finder = finder
        self._loaded: dict[str, Inpainter] = {}
        self._detectors: dict[str, Finder] = {}
        self._loading = threading.Lock()

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

    @property
    def finds_faces(self) -> bool:
        """Whether `frames` can find any."""
        return self._finder is not None or bool(self._default_detector)

    @property
    def _default_detector(self) -> str:
        """Name of the default model's detector; empty if it has none."""
        from aleph.models.folder import read_config
        from aleph.models.zoo import find_model

        return read_config(find_model(self.default_model)).detector

    def prepare(self) -> None:
        """Load the default model and its detector, which shows whether they can be used.

        Raises:
            ModelError: if one of them is not there or damaged.
            InputError: if the device is not there.
        """
        self.inpainter(None)
        self._find_with(self._default_detector)

    def check(self, options: FillOptions) -> None:
        """Refuse options that name what is not there.

        Raises:
            InputError: with what is.
        """
        names = [model["name"] for model in self.models()]
        if options.model is not None and options.model not in names:
            raise InputError(unknown_name("model", options.model, names))
        if options.blending == "refined" and not self._holds_refiner(options.model):
            raise InputError(
                "this model has no refiner: choose paste, poisson or matern as blending"
            )

    def _holds_refiner(self, model: str | None) -> bool:
        """Return whether a model, the default one if None, can blend by `refined`."""
        from aleph.models.folder import read_config
        from aleph.models.zoo import find_model

        config = read_config(find_model(self._wanted(model)))
        return config.refiner_width > 0

    def frames(self, photo: Photo, mask: Image.Image) -> list[FrameInfo]:
        """Find the faces that the hole of a photo touches, the surest first.

        Raises:
            InputError: if the mask cannot be used.
        """
        find = self._find_with(self._default_detector)
        assert find is not None
        hole = read_hole(mask, photo.shape)
        found = sorted(find(photo.pixels, hole), key=lambda face: -face.score)
        return [_frame_info(face.placement, face.score) for face in found]

    def damage(self, photo: Photo, on_tile: OnTile | None = None) -> bytes:
        """Return how likely each pixel of a photo is damaged, as a grey PNG: white = certainly.

        Args:
            photo: What is looked at.
            on_tile: Called after every tile; what it raises ends the looking.
        """
        from aleph.damage.find import read_probability

        return _encoded(Image.fromarray(read_probability(photo, on_tile=on_tile)), "PNG")

    def fill(self, upload: Damaged, options: FillOptions, job: Watcher) -> Fill:
        """Fill the hole of an upload, reporting every step to its job.

        Raises:
            AlephError: with one sentence, if it cannot be filled.
            Cancelled: if the job was.
        """
        inpainter = self._named(options.model)
        job.report("stage", stage="looking")
        photo, mask = upload.image(), upload.mask()
        canvas = _canvas(photo, options, upload.pixels)
        previews = _Previews(job, canvas, self.interval)
        with unwarned():  # the report tells the client; the server's log has no use for them
            inpainting = inpainter(
                photo,
                mask,
                preset=options.preset,
                candidates=options.candidates,
                seed=options.seed,
                on_step=previews,
                on_piece=previews.part("continuing"),
                on_adapt=previews.part("adapting"),
                record=True,
                frame=_frame(options.frame),
                eyes=[_numbers(eyes) for eyes in options.eyes or []],
                on_frames=previews.place,
                **options.overrides(),
            )
        return Fill(inpainting, upload.format)

    def _named(self, name: str | None) -> Inpainter:
        """Return a model for a client, who is not told in which folder a damaged one lies."""
        try:
            return self.inpainter(name)
        except ModelError as error:
            folder = Path(name or self.default_model).parent
            raise ModelError(str(error).replace(f"{folder}/", "…/")) from None

    def inpainter(self, name: str | None) -> Inpainter:
        """Return a model; only names that `models` lists reach the loader."""
        with importing():
            from aleph.inpainter import Inpainter
            from aleph.models.zoo import load_model

        wanted = self._wanted(name)
        if wanted not in self._loaded:
            if len(self._loaded) >= _MODELS:
                self._loaded.pop(next(iter(self._loaded)))
            model = load_model(wanted, self.device)
            self._loaded[wanted] = Inpainter(model, self._find_with(model.config.detector))
        return self._loaded[wanted]

    def _wanted(self, name: str | None) -> str:
        """Return the name or folder of a model; of the default one if None."""
        default = self.default_model
        return default if name in (None, Path(default).name) else str(name)

    def _find_with(self, detector: str) -> Finder | None:
        """Return what finds faces, loaded once for all models that name the same detector."""
        from aleph.frames.detect import load_finder

        if self._finder is not None or not detector:
            return self._finder
        with self._loading:
            if detector not in self._detectors:
                finder = load_finder(detector, self.device)
                assert finder is not None
                self._detectors[detector] = finder
            return self._detectors[detector]


def _canvas(photo: Photo, options: FillOptions, pixels: int) -> tuple[int, int]:
    """Return height and width of what is filled: the photo, or more where it is widened.

    Raises:
        TooManyPixels: if that has more than `pixels`.
        InputError: if the extension cannot be used.
    """
    extend = options.overrides()["extend"]
    height, width = read_extension(extend, photo.shape).size(photo.shape) if extend else photo.shape
    check_pixels("widened image", width, height, pixels)
    return height, width


def used_frames(report: dict[str, Any]) -> list[FrameInfo]:
    """Return the frames that a fill was taken from, by its report."""
    frames = [frame for frame in report.get("frames", []) if not frame["dropped"]]
    return [
        _frame_info(Placement(x, y, frame["side"], frame["angle"]), frame["score"])
        for frame in frames
        for x, y in [frame["center"]]
    ]


def weight_map(mask: Image.Image, weighting: Weighting) -> bytes:
    """Return the context weight of a mask as a grey PNG, logarithmic: white = most, black = none.

    Raises:
        InputError: if the mask cannot be used.
    """
    hole = read_hole(mask, (mask.height, mask.width))
    weight = context_weight(hole, weighting)
    share = weight / max(float(weight.max()), 1e-30)
    levels = 1 + np.log10(np.maximum(share, _WEIGHT_FLOOR)) / -np.log10(_WEIGHT_FLOOR)
    return _encoded(Image.fromarray(np.rint(255 * levels).astype(np.uint8)), "PNG")


def displayable(photo: Photo, side: int = 4096) -> tuple[bytes, tuple[int, int]]:
    """Return a photo as a WebP that a browser shows, and its own width and height.

    The WebP is upright and at most `side` pixels long.
    """
    picture = Image.fromarray(photo.pixels)
    size = picture.size
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _encoded(picture, "WEBP", quality=92), size


class _Previews:
    """The search's callback: cancels, and reports the step with G(z) now and then."""

    def __init__(self, job: Watcher, shape: tuple[int, int], interval: float) -> None:
        self._job, self._interval = job, interval
        height, width = map(float, shape)
        self._whole = [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]]
        self._corners: list[list[list[float]]] = []
        self._next = 0.0
        self._stage: Stage | None = None

    def place(self, frames: Sequence[SearchedFrame]) -> None:
        """Note where the frames lie that are searched from now on; the whole picture if untold."""
        self._corners = [frame.placement.corners.tolist() for frame in frames]
        self._job.check()
        self._enter("searching" if frames else "blending")

    def part(self, stage: Stage) -> Callable[[int, int], None]:
        """Return a callback for what is done after the search: how much of how much is done."""

        def report(done: int, total: int) -> None:
            self._job.check()
            if done >= total:
                self._enter("blending")
            elif stage != self._stage or time.monotonic() >= self._next:
                self._stage = stage
                self._job.report("stage", stage=stage, share=round(done / total, 3))
                self._next = time.monotonic() + self._interval

        return report

    def _enter(self, stage: Stage) -> None:
        if stage != self._stage:
            self._stage = stage
            self._job.report("stage", stage=stage)

    def __call__(self, step: SearchStep) -> None:
        self._job.check()
        loss = float(step.losses["total"].nan_to_num(math.inf).min(dim=1).values.mean())
        data: dict[str, Any] = {"step": step.step, "steps": step.steps}
        if math.isfinite(loss):
            data["loss"] = round(loss, 6)
        if time.monotonic() >= self._next or step.last:
            data["previews"] = self._previews(step)
            self._next = time.monotonic() + self._interval
        self._job.report("step", **data)
        if step.last:
            self._enter("blending")

    def _previews(self, step: SearchStep) -> list[dict[str, Any]]:
        """Return G(z) of the best start of every frame, and where the frame lies."""
        from aleph.photo.tensors import to_pixels
        from aleph.search.losses import lowest_first

        best = lowest_first(step.losses["total"])[:, 0]
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


def mask_url(hole: Hole) -> str:
    """Return a boolean (H, W) as the data URL of a PNG, white = True."""
    data = _encoded(Image.fromarray(hole), "PNG")
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


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
