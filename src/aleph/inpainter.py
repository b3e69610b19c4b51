"""The pipeline: picture + mask → `Inpainting`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aleph.animation import search_timing, write_animation
from aleph.blending import Blender
from aleph.config import Arithmetic, Settings, check_whole, resolve_settings
from aleph.encoding import encode_photo, write_photo
from aleph.errors import InputError
from aleph.figures import show_hole, side_by_side
from aleph.framing import Frame, frame_whole
from aleph.images import (
    Pixels,
    replacing,
    to_levels,
    to_pixels,
    to_tensor,
    write_image,
)
from aleph.masks import Hole, MaskLike, read_damaged
from aleph.photos import Photo, PhotoLike
from aleph.search import (
    Anchor,
    SearchResult,
    SearchStep,
    latent_search,
    posterior_starts,
    random_starts,
)
from aleph.weighting import context_weight
from aleph.zoo import DEFAULT_MODEL, Model, load_model

OnStep = Callable[[SearchStep], None]

_CODES_AT_ONCE = 64
"""Codes searched together: more gain no speed on a processor and cost memory."""

_RECORDED = 48
"""Steps of a search that are kept for its animation."""


@dataclass(frozen=True)
class Candidate:
    """One fill.

    Attributes:
        image: uint8 (H, W, 3), equal to the input outside the hole.
        generated: G(ẑ), float32 (R, R, 3) in 0 to 255, at the model's resolution.
        z: ẑ, float32 (latent_dim,).
        losses: Losses of ẑ by name, unweighted (`total` is weighted and summed).
    """

    image: Pixels
    generated: NDArray[np.float32]
    z: NDArray[np.float32]
    losses: dict[str, float]


@dataclass(frozen=True)
class Inpainting:
    """A filled picture and how it came about.

    Attributes:
        candidates: The fills, best (lowest total loss) first.
        original: The photo as the model sees it, upright, uint8 sRGB (H, W, 3).
        hole: Boolean (H, W), True = missing.
        history: The losses of the best candidate's search by name, float32 (steps + 1,).
        model: Name of the model.
        preset: Name of the preset.
        settings: All settings of the fill.
        seed: Seed of the starts.
        seconds: Time of the search and blending of the whole batch, divided by its images.
    """

    candidates: list[Candidate]
    original: Pixels
    hole: Hole
    history: dict[str, NDArray[np.float32]]
    model: str
    preset: str
    settings: Settings
    seed: int
    seconds: float
    _photo: Photo = field(repr=False)
    _blender: Blender = field(repr=False)
    _frame: Frame = field(repr=False)
    _recorded: NDArray[np.uint8] | None = field(repr=False)

    @property
    def image(self) -> Pixels:
        """The best fill, uint8 (H, W, 3), equal to the input outside the hole."""
        return self.candidates[0].image

    @property
    def damaged(self) -> Pixels:
        """The picture with its hole in a plain colour, uint8 (H, W, 3)."""
        return show_hole(self.original, self.hole)

    @cached_property
    def frames(self) -> list[Pixels]:
        """The fill as the search went, uint8 (H, W, 3) each; empty if it was not recorded."""
        if self._recorded is None:
            return []
        return [self._compose(generated) for generated in self._recorded]

    def _compose(self, generated: NDArray[np.uint8]) -> Pixels:
        return self._blender(self.original, self._frame.back(generated.astype(np.float32)))

    def encode(self, suffix: str, candidate: int = 0) -> bytes:
        """Return a fill as a file's bytes, in the photo's own colours, depth and metadata.

        Args:
            suffix: Ending that names the format, as `.png`.
            candidate: Which fill, 0 the best.

        Raises:
            InputError: if there is no such candidate.
            OutputError: if the format is unknown or cannot hold the photo.
        """
        return encode_photo(self._photo, self._fill(candidate), self.hole, suffix)

    def save(self, path: str | os.PathLike[str], candidate: int = 0) -> None:
        """Write a fill, as `encode` does; the ending names the format.

        Raises:
            InputError: if there is no such candidate.
            OutputError: if the place cannot be written, or the format is unknown or cannot hold
                the photo.
        """
        write_photo(self._photo, self._fill(candidate), self.hole, path)

    def save_all(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write every candidate: the best to `path`, the others beside it as NAME-2, NAME-3, ….

        Returns:
            What was written.

        Raises:
            OutputError: as `save`.
        """
        first = Path(path)
        later = range(2, len(self.candidates) + 1)
        paths = [first, *(first.with_name(f"{first.stem}-{n}{first.suffix}") for n in later)]
        for number, target in reversed(list(enumerate(paths))):  # the best last: then all are there
            self.save(target, number)
        return paths

    def _fill(self, candidate: int) -> Pixels:
        check_whole("candidate", candidate, 0, len(self.candidates) - 1)
        return self.candidates[candidate].image

    def animate(self, path: str | os.PathLike[str]) -> None:
        """Write the search as .gif, .webp or .mp4.

        Raises:
            InputError: if the search was not recorded.
            OutputError: if the place cannot be written or the format is another.
        """
        if self._recorded is None:
            raise InputError("this search was not recorded: call with record=True to animate it")
        write_animation(search_timing(self.damaged, self.frames, self.image), path)

    def figure(self, path: str | os.PathLike[str]) -> None:
        """Write original, damaged, generated and filled side by side as a picture.

        Raises:
            OutputError: if the place cannot be written or the format is unknown.
        """
        generated = self._frame.back(self.candidates[0].generated)
        whole = np.clip(np.rint(generated), 0, 255).astype(np.uint8)
        row = [self.original, self.damaged, whole, self.image]
        write_image(side_by_side([row], ["original", "damaged", "generated G(z)", "filled"]), path)

    def report(self) -> dict[str, Any]:
        """Return what happened as plain JSON values."""
        height, width = self.hole.shape
        return {
            "model": self.model,
            "preset": self.preset,
            "settings": self.settings.to_dict(),
            "seed": self.seed,
            "image": {"width": width, "height": height},
            "missing_pixels": int(self.hole.sum()),
            "missing_share": float(self.hole.mean()),
            "steps": len(self.history["total"]) - 1,
            "seconds": round(self.seconds, 4),
            "candidates": [{"losses": c.losses} for c in self.candidates],
        }

    def save_report(self, path: str | os.PathLike[str]) -> None:
        """Write `report()` as JSON."""
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(self.report(), indent=2) + "\n", encoding="utf-8")


class Inpainter:
    """Fills holes with one model.

    Args:
        model: A loaded model; `from_pretrained` loads one by name.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str = "auto",
        precision: Arithmetic = "auto",
    ) -> Self:
        """Load a shipped model by its name, or a model folder by its path.

        Args:
            name_or_path: See `aleph models` for the names.
            device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
            precision: Arithmetic of the networks: `fp32`, `bf16`, or `auto`, bf16 where the
                device computes in it.

        Raises:
            ModelError: if there is no such model or its folder is damaged.
            InputError: if the device is not there.
        """
        return cls(load_model(name_or_path, device, precision))

    def __call__(
        self,
        image: PhotoLike,
        mask: MaskLike,
        *,
        preset: str = "balanced",
        frame: str = "auto",
        candidates: int = 1,
        seed: int = 0,
        on_step: OnStep | None = None,
        record: bool = True,
        **overrides: Any,  # noqa: ANN401 - fields of SearchConfig, checked there
    ) -> Inpainting:
        """Fill the hole of one picture.

        Args:
            image: uint8 array (H, W, 3) or (H, W), PIL image, path, or `Photo`. Never changed.
            mask: Boolean or uint8 array (H, W), nonzero = missing; PIL image or path, missing
                where its grey value is 128 or more; `alpha`, missing where the photo is
                transparent; `center`, `half`, `random`, `pattern`, `strokes`; or a `Mask` that
                inverts or grows one of these, or names a colour painted over the damage.
            preset: `fast`, `balanced`, `thorough` or `yeh2017`.
            frame: `whole` or `auto`: the whole square picture is the model's frame.
            candidates: Number of different fills to return, best first.
            seed: Seed of the random starts and of a named mask.
            on_step: Called with every `SearchStep`; what it raises ends the search.
            record: Keep what `frames` and `animate` need.
            **overrides: Fields of `aleph.SearchConfig` (`weighting`, `norm`, `prior_weight`,
                `steps`, …) and `blending`, in place of the preset's.

        Raises:
            InputError: if the picture, the mask or an option cannot be used.
        """
        return self.batch(
            [image],
            [mask],
            preset=preset,
            frame=frame,
            candidates=candidates,
            seeds=[seed],
            on_step=on_step,
            record=record,
            **overrides,
        )[0]

    def batch(
        self,
        images: Sequence[PhotoLike],
        masks: Sequence[MaskLike],
        *,
        preset: str = "balanced",
        frame: str = "auto",
        candidates: int = 1,
        seeds: Sequence[int] | None = None,
        on_step: OnStep | None = None,
        record: bool = False,
        **overrides: Any,  # noqa: ANN401
    ) -> list[Inpainting]:
        """Fill the holes of many pictures, searched together.

        Args:
            images: Pictures of any sizes.
            masks: One per picture.
            preset: As for one picture.
            frame: As for one picture.
            candidates: Fills per picture.
            seeds: One per picture; 0 for all by default.
            on_step: Called with every `SearchStep`, once for each group searched together.
            record: Keep what `frames` and `animate` need.
            **overrides: As for one picture.

        Returns:
            One `Inpainting` per picture, in order.

        Raises:
            InputError: if a picture, a mask or an option cannot be used.
        """
        settings = resolve_settings(preset, self.model.config.kind, **overrides)
        seeds = [0] * len(images) if seeds is None else list(seeds)
        _check_call(len(images), len(masks), seeds, candidates, frame)
        jobs = [
            self._read(image, mask, seed)
            for image, mask, seed in zip(images, masks, seeds, strict=True)
        ]
        starts = max(settings.search.starts, candidates)
        size = max(1, _CODES_AT_ONCE // starts)
        results: list[Inpainting] = []
        for first in range(0, len(jobs), size):
            group = jobs[first : first + size]
            results += self._fill(group, settings, starts, candidates, on_step, record, preset)
        return results

    def _read(self, image: PhotoLike, mask: MaskLike, seed: int) -> _Job:
        photo, hole = read_damaged(image, mask, seed)
        frame = frame_whole(photo.pixels, hole, self.model.config.resolution)
        return _Job(photo, hole, frame, seed)

    def _fill(
        self,
        jobs: Sequence[_Job],
        settings: Settings,
        starts: int,
        candidates: int,
        on_step: OnStep | None,
        record: bool,
        preset: str,
    ) -> list[Inpainting]:
        """Search one group together and compose every picture of it."""
        began = time.perf_counter()
        recorder = _Recorder(settings.search.steps, on_step) if record else None
        result = self._search(jobs, settings, starts, recorder or on_step)
        order = result.losses["total"].nan_to_num(float("inf")).argsort(dim=1)[:, :candidates]
        filled = []
        for index, job in enumerate(jobs):
            blender = Blender(job.hole, settings.blending)
            chosen = [_candidate(result, index, int(k), job, blender) for k in order[index]]
            best = int(order[index, 0])
            history = {n: v[:, index, best].cpu().numpy() for n, v in result.history.items()}
            recorded = recorder.of(index, best) if recorder else None
            filled.append((chosen, history, blender, recorded))
        seconds = (time.perf_counter() - began) / len(jobs)
        return [
            Inpainting(
                candidates=chosen,
                original=job.pixels,
                _photo=job.photo,
                hole=job.hole,
                history=history,
                model=self.model.name,
                preset=preset,
                settings=settings,
                seed=job.seed,
                seconds=seconds,
                _blender=blender,
                _frame=job.frame,
                _recorded=recorded,
            )
            for job, (chosen, history, blender, recorded) in zip(jobs, filled, strict=True)
        ]

    def _search(
        self, jobs: Sequence[_Job], settings: Settings, starts: int, on_step: OnStep | None
    ) -> SearchResult:
        config, device = self.model.config, self.model.device
        weights = [context_weight(job.frame.near, settings.search.weighting) for job in jobs]
        target = to_tensor(np.stack([job.frame.pixels for job in jobs])).to(device)
        hole = torch.from_numpy(np.stack([job.frame.hole for job in jobs])[:, None]).to(device)
        codes, anchor = self._starts(target, hole, settings, starts, [job.seed for job in jobs])
        return latent_search(
            self.model.generate,
            self.model.judge,
            target,
            torch.from_numpy(np.stack(weights)[:, None]).to(device),
            codes,
            settings.search,
            anchor=anchor,
            bounded=config.prior == "uniform",
            on_step=on_step,
        )

    @torch.no_grad()
    def _starts(
        self, target: Tensor, hole: Tensor, settings: Settings, starts: int, seeds: Sequence[int]
    ) -> tuple[Tensor, Anchor]:
        """Return where each image's search starts, (N, starts, latent_dim), and its anchor."""
        config = self.model.config
        if self.model.encoder is None or settings.search.start == "random":
            codes = random_starts(config.prior, config.latent_dim, starts, seeds)
            return codes.to(self.model.device), Anchor()
        anchor = posterior_starts(*self.model.encode(target, hole), starts, seeds)
        assert isinstance(anchor.mean, Tensor)
        return anchor.mean, anchor


@dataclass(frozen=True)
class _Job:
    """One picture on its way through the pipeline."""

    photo: Photo
    hole: Hole
    frame: Frame
    seed: int

    @property
    def pixels(self) -> Pixels:
        """What the model and the blending see of the photo."""
        return self.photo.pixels


class _Recorder:
    """Keeps the generated images of some steps, dense at the start, where the search moves most."""

    def __init__(self, steps: int, on_step: OnStep | None) -> None:
        self.wanted = {round(steps * (i / (_RECORDED - 1)) ** 2) for i in range(_RECORDED)}
        self.on_step = on_step
        self.kept: list[NDArray[np.uint8]] = []

    def __call__(self, step: SearchStep) -> None:
        if step.step in self.wanted:
            flat = to_pixels(step.generated.flatten(0, 1))
            self.kept.append(flat.reshape(*step.generated.shape[:2], *flat.shape[1:]))
        if self.on_step:
            self.on_step(step)

    def of(self, image: int, start: int) -> NDArray[np.uint8]:
        """Return what was kept of one start of one image: uint8 (frames, R, R, 3)."""
        return np.stack([kept[image, start] for kept in self.kept])


def _candidate(result: SearchResult, index: int, k: int, job: _Job, blender: Blender) -> Candidate:
    generated = to_levels(result.generated[index, k][None])[0]
    return Candidate(
        image=blender(job.pixels, job.frame.back(generated)),
        generated=generated,
        z=result.z[index, k].cpu().numpy(),
        losses={name: float(value[index, k]) for name, value in result.losses.items()},
    )


def _check_call(images: int, masks: int, seeds: Sequence[int], candidates: int, frame: str) -> None:
    if images != masks:
        raise InputError(f"{images} images but {masks} masks: give one mask per image")
    if len(seeds) != images:
        raise InputError(f"{images} images but {len(seeds)} seeds: give one seed per image")
    for seed in seeds:
        check_whole("seed", seed, 0, 2**63 - 1)
    check_whole("candidates", candidates, 1, 64)
    if frame not in ("auto", "whole"):
        raise InputError(f"unknown frame '{frame}': use 'auto' or 'whole'")
