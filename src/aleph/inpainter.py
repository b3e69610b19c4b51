"""The pipeline: picture + mask → `Inpainting`."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from aleph.arrays import Floats, Hole, Pixels
from aleph.blending.compose import Outside, compose
from aleph.blending.refine import Refine, Refinement
from aleph.blending.surroundings import OnPiece
from aleph.blending.texture import texture_available
from aleph.config import Arithmetic, OutsideFill
from aleph.damage.auto import read_damaged_photo
from aleph.errors import FrameWarning, InputError, warn
from aleph.frames.detect import Detection, Finder, load_finder
from aleph.frames.frame import Frame, with_curve
from aleph.frames.placement import Placement
from aleph.frames.request import EyesLike, FrameLike, FrameRequest, read_request
from aleph.frames.select import FrameCandidate, select_frames
from aleph.inpainting import Candidate, Inpainting
from aleph.masks.read import MaskLike
from aleph.models.model import Model, SurroundingsModel
from aleph.models.zoo import DEFAULT_MODEL, load_model, load_surroundings_model
from aleph.photo.extend import ExtendLike
from aleph.photo.photo import Photo, PhotoLike
from aleph.photo.tensors import to_tensor
from aleph.photo.tone import ToneCurve, measure_tone_curve
from aleph.presets import Settings, resolve_settings, step_size_note
from aleph.pretrained import Pretrained, check_call
from aleph.search.adaptation import OnAdapt, adapt, fade
from aleph.search.candidates import RankedStarts, SearchRecorder
from aleph.search.latent import OnStep, SearchResult, latent_search
from aleph.search.losses import lowest_first
from aleph.search.starts import Anchor, encode_views, posterior_starts, random_starts
from aleph.search.symmetry import with_other_sides
from aleph.search.tone import IMAGES, NaturalTones, ToneMap, natural_tones, tone_map
from aleph.search.weighting import context_weight

__all__ = ["Candidate", "Inpainter", "Inpainting", "OnFrames", "OnStep", "SearchedFrame"]

_CODES_AT_ONCE = 64
"""Largest number of codes searched together: more gain no speed on a CPU and cost memory."""

_DIVERGED = (
    "the search of a frame met losses that are no numbers, so the frame was left out; try "
    "--precision fp32 or a lower --learning-rate (in Python: precision=, learning_rate=)"
)

_NO_FACE = (
    "no face was found at the hole, so it was filled from its surroundings alone; if there is one, "
    "point at its eyes with --eyes x1,y1,x2,y2 (in Python: eyes=[(x1, y1, x2, y2)])"
)


@dataclass(frozen=True)
class SearchedFrame:
    """A row of a search: which frame of which picture it is.

    Attributes:
        image: Number of the picture in the call, from 0.
        placement: Where the frame lies in it.
    """

    image: int
    placement: Placement


OnFrames = Callable[[list[SearchedFrame]], None]
OnResult = Callable[[int, Inpainting], None]


class Inpainter:
    """Fills holes with one model.

    Args:
        model: A loaded model; `from_pretrained` loads one by name.
        find: Finds the model's frames in photos; by default the detector that the model names, if
            it names one, loaded when it is first needed.
    """

    def __init__(self, model: Model, find: Finder | None = None) -> None:
        self.model = model
        self._find = find
        self._pretrained: Pretrained | None = None

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
        inpainter = cls(load_model(name_or_path, device, precision))
        inpainter._pretrained = Pretrained(name_or_path, device, precision)
        return inpainter

    def digest(self) -> str:
        """Return a SHA-256 that tells the model from others: of its files, or of its weights."""
        return self._pretrained.digest() if self._pretrained else _digest(self.model)

    def __call__(
        self,
        image: PhotoLike,
        mask: MaskLike | None = None,
        *,
        preset: str = "balanced",
        frame: FrameLike = "auto",
        eyes: Sequence[EyesLike] | None = None,
        grain: bool = True,
        outside: OutsideFill = "texture",
        extend: ExtendLike | None = None,
        candidates: int = 1,
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
        on_step: OnStep | None = None,
        on_frames: OnFrames | None = None,
        on_piece: OnPiece | None = None,
        on_adapt: OnAdapt | None = None,
        record: bool = True,
        **overrides: Any,  # noqa: ANN401 - fields of SearchConfig, checked there
    ) -> Inpainting:
        """Fill the hole of one picture.

        Args:
            image: uint8 array (H, W, 3) or (H, W), PIL image, path, or `Photo`. Never changed.
            mask: Boolean or uint8 array (H, W), nonzero = missing; PIL image or path, 128 and up =
                missing; `alpha`, transparent = missing; the name of a generated mask; or a `Mask`.
                None if nothing but what `extend` adds is missing.
            preset: `fast`, `balanced`, `thorough` or `yeh2017`.
            frame: Where the model's frame lies: `auto` (what the model's detector finds, or without
                one the largest square over the hole), `face` (nothing but what it finds), `whole`
                (a square picture), or a box: left, top, right, bottom in pixels.
            eyes: Faces to fill, in place of `frame`: x1, y1, x2, y2 in pixels of each one's eyes,
                the one at the left of the upright face first.
            grain: Whether the surroundings' grain is added where an enlarged frame lacks it.
            outside: How what no frame covers is filled: by the `texture` around it, or `smooth`.
            extend: By how much the picture is widened at its sides, as `left=200,top=10%` or a
                mapping; what is new is missing. Frames and eyes are given in the old picture.
            candidates: Number of different fills to return, best first.
            seed: Seed of the random starts, of the grain and of a generated mask; 0 by default.
            seeds: The same as a list of one, as `batch` takes it.
            on_step: Called with every `SearchStep`; what it raises ends the search.
            on_frames: Called once before each search with the frames of its rows; maybe none.
            on_piece: Called with the pixels continued so far and all; what it raises ends the fill.
            on_adapt: The same, with the steps of the adaptation that are done, and all.
            record: Keep what `frames` and `animate` need.
            **overrides: Fields of `aleph.SearchConfig`, and `blending`, in place of the preset's.
                More `steps` than the preset's can lower the step size, as the report's `notes` say.

        Raises:
            InputError: if the picture, the mask (`EmptyMaskError`) or an option cannot be used.

        Warns:
            FrameWarning: if no frame was found, so that the hole was filled classically.
        """
        return self.batch(
            [image], [mask], preset=preset, frame=frame, eyes=eyes, grain=grain, outside=outside,
            extend=extend, candidates=candidates, seed=seed, seeds=seeds, on_step=on_step,
            on_frames=on_frames, on_piece=on_piece, on_adapt=on_adapt, record=record, **overrides,
        )[0]  # fmt: skip

    def batch(
        self,
        images: Sequence[PhotoLike],
        masks: Sequence[MaskLike | None],
        *,
        preset: str = "balanced",
        frame: FrameLike = "auto",
        eyes: Sequence[EyesLike] | None = None,
        grain: bool = True,
        outside: OutsideFill = "texture",
        extend: ExtendLike | None = None,
        candidates: int = 1,
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
        on_step: OnStep | None = None,
        on_frames: OnFrames | None = None,
        on_piece: OnPiece | None = None,
        on_adapt: OnAdapt | None = None,
        on_result: OnResult | None = None,
        record: bool = False,
        **overrides: Any,  # noqa: ANN401
    ) -> list[Inpainting]:
        """Fill the holes of many pictures, all their frames searched together.

        Args:
            images: Pictures of any sizes.
            masks: One per picture.
            preset: As for one picture, like all that is not named here, and the same for all.
            seed: One for all pictures; 0 by default.
            seeds: One per picture, in place of `seed`.
            on_step: Called with every `SearchStep`, once for each group searched together.
            on_frames: Called before each group's search with the frame of each of its rows.
            on_result: Called with each picture's number and result as soon as that is composed.
            record: Keep what `frames` and `animate` need.
            **overrides: As for one picture.

        Returns:
            One `Inpainting` per picture, in order. Raises and warns as for one picture.
        """
        kind, refined = self.model.config.kind, self.model.refiner is not None
        settings = resolve_settings(preset, kind, refined=refined, **overrides)
        seeds = _seeds(len(images), seed, seeds)
        _check_counts(len(images), len(masks), len(seeds))
        check_call(candidates, seeds, outside)
        request = read_request(frame, eyes)
        order = _Order(preset, settings, step_size_note(preset, kind, settings), candidates,
                       grain, outside, record, on_step, on_frames, on_piece, on_adapt)  # fmt: skip
        jobs = [
            self._read(number, image, mask, seed, request, extend)
            for number, (image, mask, seed) in enumerate(zip(images, masks, seeds, strict=True))
        ]
        results: list[Inpainting] = []
        for group in _groups(jobs, max(1, _CODES_AT_ONCE // order.codes)):
            for result in self._fill(group, order):
                if on_result:
                    on_result(len(results), result)
                results.append(result)
        for sentence in dict.fromkeys(s for result in results for s in result.warnings):
            warn(sentence, FrameWarning)
        return results

    def _read(
        self,
        number: int,
        image: PhotoLike,
        mask: MaskLike | None,
        seed: int,
        request: FrameRequest,
        extend: ExtendLike | None,
    ) -> _DamagedPhoto:
        photo, hole = read_damaged_photo(image, mask, seed, extend=extend)
        request = request.shifted(*photo.origin)
        unknown = hole if photo.unseen is None else hole | photo.unseen
        found: list[Detection] = []
        find = self._finder() if request.searches else None

        def looked_for(pixels: Pixels, hole: Hole) -> list[Detection]:
            assert find is not None
            found.extend(find(pixels, hole))
            return found

        chosen = select_frames(
            photo.pixels, unknown, request, self.model.config, looked_for if find else None
        )
        curve = measure_tone_curve(photo.pixels, unknown)
        toned = [
            replace(one, frame=with_curve(one.frame, photo.pixels, unknown, curve))
            for one in chosen
            if hole[one.frame.region].any()
        ]
        faces = [frame.placement for frame in found]
        return _DamagedPhoto(number, photo, hole, toned, faces, seed, curve)

    def _finder(self) -> Finder | None:
        """Return the model's detector; loaded when it is first needed."""
        if self._find is None:
            self._find = load_finder(self.model.config.detector, str(self.model.device))
        return self._find

    @cached_property
    def _surroundings(self) -> SurroundingsModel:
        """The refiner of what no frame covers, which is the same for every model."""
        return load_surroundings_model(
            device=str(self.model.device), precision=self.model.precision
        )

    def refine_outside(self, image: Pixels, hole: Hole, guess: Floats, kappa: float) -> Floats:
        """Refine what no frame covers; the refiner is loaded when it is first needed."""
        return self._surroundings.refine(image, hole, guess, kappa)

    def _fill(self, jobs: Sequence[_DamagedPhoto], order: _Order) -> Iterator[Inpainting]:
        """Search one group together; compose every picture of it and yield it at once."""
        began = time.perf_counter()
        rows = [(job, chosen) for job in jobs for chosen in job.chosen]
        found = RankedStarts(None, None)
        if order.on_frames:
            order.on_frames(
                [SearchedFrame(job.number, chosen.frame.placement) for job, chosen in rows]
            )
        if rows:
            recorder = SearchRecorder(order.settings.search.steps, order.on_step)
            watch = recorder if order.record else order.on_step
            found = RankedStarts(
                self._search(rows, order, watch), recorder if order.record else None
            )
        searched, first = (time.perf_counter() - began) / len(jobs), 0
        for job in jobs:
            began, last = time.perf_counter(), first + len(job.chosen)
            result = self._compose(job, found, range(first, last), order)
            yield replace(result, seconds=searched + time.perf_counter() - began)
            first = last

    def _compose(
        self, job: _DamagedPhoto, found: RankedStarts, rows: range, order: _Order
    ) -> Inpainting:
        """Compose one picture from its rows of the search."""
        judged = [
            chosen.judged(found.generated(row, found.best(row)[0]))
            if found.best(row)
            else replace(chosen, diverged=True)
            for row, chosen in zip(rows, job.chosen, strict=True)
        ]
        kept = [row for row, chosen in zip(rows, judged, strict=True) if not chosen.dropped]
        used = [chosen for chosen in judged if not chosen.dropped]
        count = min([order.candidates, *(len(found.best(row)) for row in kept)]) if kept else 1
        fills = [found.fill(kept, rank) for rank in range(count)]
        size = self.model.config.resolution
        outside = job.outside(order, judged, self.refine_outside)
        refinement = self._refinement(order.settings.search.mirror)
        images = compose(
            job.photo.pixels,
            job.hole,
            [chosen.frame for chosen in used],
            [fill.adapted for fill in fills],
            order.settings.blending, refinement=refinement, grain=order.grain, seed=job.seed,
            curve=job.curve, outside=outside,
        )  # fmt: skip
        return Inpainting(
            candidates=[
                Candidate(
                    image,
                    np.reshape(np.array(fill.generated, np.float32), (len(kept), size, size, 3)),
                    np.reshape(np.array(fill.z, np.float32), (len(kept), -1 if kept else 0)),
                    fill.losses,
                )
                for image, fill in zip(images, fills, strict=True)
            ],
            original=job.photo.pixels,
            hole=job.hole,
            frames_used=used,
            frames_dropped=[chosen for chosen in judged if chosen.dropped],
            history=found.history(kept),
            model=self.model.name,
            preset=order.preset,
            settings=order.settings,
            seed=job.seed,
            seconds=0.0,
            warnings=_said_of(judged, outside.faces),
            notes=[*([order.note] if order.note else []), *job.photo.remarks],
            _photo=job.photo,
            _grain=order.grain,
            _curve=job.curve,
            _outside=outside,
            _refinement=refinement,
            _adapted=[list(fill.adapted) for fill in fills],
            _frame_losses=[found.losses(row, found.best(row)[0]) for row in kept],
            _recorded=found.recorded(kept) if order.record else None,
        )

    def _refinement(self, mirror: bool) -> Refinement | None:
        """Return how the model's refiner fills holes, if it has one.

        Args:
            mirror: Whether the mirror image was searched too.
        """
        config = self.model.config
        if self.model.refiner is None:
            return None
        both_views = mirror and config.mirrored
        return Refinement(self.model.refine, config.resolution, both_views, config.detail)

    def _search(
        self,
        rows: Sequence[tuple[_DamagedPhoto, FrameCandidate]],
        order: _Order,
        on_step: OnStep | None,
    ) -> SearchResult:
        config, device, settings = self.model.config, self.model.device, order.settings
        frames = [chosen.frame for _, chosen in rows]
        weights = [
            context_weight(frame.near, settings.search.weighting, frame.beyond) for frame in frames
        ]
        target = to_tensor(np.stack([frame.pixels for frame in frames])).to(device)
        hole = torch.from_numpy(np.stack([frame.hole for frame in frames])[:, None]).to(device)
        seeds = [job.seed + job.chosen.index(chosen) for job, chosen in rows]
        tones = self._tones(frames) if settings.search.tones else None
        seen = tones.seen(target) if tones else target
        codes, anchor = self._starts(seen, hole, settings, order.starts, seeds)
        turned = codes.shape[1] > order.starts
        weight = torch.from_numpy(np.stack(weights)[:, None]).to(device)
        found = latent_search(
            self.model.generate,
            self.model.discriminate,
            target,
            weight,
            codes,
            settings.search,
            anchor=anchor,
            tones=tones,
            bounded=config.prior == "uniform",
            turned=turned,
            on_step=on_step and (lambda step: on_step(step.of_starts(order.starts))),
        )
        if turned:
            found = found.with_mirror_image()
        return self._with_detail(found, target, weight, frames, order, tones)

    def _with_detail(
        self,
        found: SearchResult,
        target: Tensor,
        weight: Tensor,
        frames: Sequence[Frame],
        order: _Order,
        tones: ToneMap | None,
    ) -> SearchResult:
        """Give the best fills what their codes cannot express: by adaptation, and by symmetry."""
        settings, holes = order.settings.search, [frame.hole for frame in frames]
        symmetric = settings.symmetry and self.model.config.mirrored
        if settings.adaptation_steps == 0 and not symmetric:
            return found
        best = lowest_first(found.losses["total"])[:, : order.candidates]
        row = torch.arange(len(best), device=best.device)[:, None]
        fills = found.adapted[row, best]
        if settings.adaptation_steps > 0:
            images = adapt(
                self.model.generate, self.model.adaptable, target, weight, found.z[row, best],
                settings, tones, order.on_adapt,
            )  # fmt: skip
            fills = fade(fills, images, holes)
        if symmetric:
            fills = with_other_sides(fills, [frame.pixels for frame in frames], holes)
        adapted = found.adapted.clone()
        adapted[row, best] = fills
        return replace(found, adapted=adapted)

    def _tones(self, frames: Sequence[Frame]) -> ToneMap | None:
        """Return the map between the frames' tones and the model's; None if they are alike."""
        tones = tone_map(
            [frame.pixels for frame in frames],
            [frame.hole for frame in frames],
            [frame.curve for frame in frames],
            lambda: self._natural,
        )
        return tones and tones.to(self.model.device)

    @cached_property
    def _natural(self) -> NaturalTones:
        """The tones of the model's own images; measured when they are first needed."""
        config = self.model.config
        codes = random_starts(config.prior, config.latent_dim, IMAGES, [0])[0]
        return natural_tones(self.model.generate, codes.to(self.model.device))

    @torch.no_grad()
    def _starts(
        self, target: Tensor, hole: Tensor, settings: Settings, starts: int, seeds: Sequence[int]
    ) -> tuple[Tensor, Anchor]:
        """Return where each image's search starts, (N, starts, latent_dim), and its anchor.

        Where the mirror image is searched too, its start comes after the others.
        """
        config, search = self.model.config, settings.search
        if self.model.encoder is None or search.start == "random":
            codes = random_starts(config.prior, config.latent_dim, starts, seeds)
            return codes.to(self.model.device), Anchor()
        twice = search.start == "encoder-twice"
        own, *turned = encode_views(
            self.model.encode, self.model.generate, target, hole,
            twice=twice, mirrored=config.mirrored and (twice or search.mirror),
        )  # fmt: skip
        anchor = posterior_starts(*own, starts, seeds)
        if turned and search.mirror:
            anchor = anchor.beside(posterior_starts(*turned[0], 1, seeds))
        assert isinstance(anchor.mean, Tensor)
        return anchor.mean, anchor


@dataclass(frozen=True)
class _Order:
    """The options of a call, the same for all its pictures."""

    preset: str
    settings: Settings
    note: str | None
    candidates: int
    grain: bool
    outside: OutsideFill
    record: bool
    on_step: OnStep | None
    on_frames: OnFrames | None
    on_piece: OnPiece | None
    on_adapt: OnAdapt | None

    @property
    def starts(self) -> int:
        """Starts of every frame."""
        return max(self.settings.search.starts, self.candidates)

    @property
    def codes(self) -> int:
        """Codes of every frame that are searched together, at most."""
        return self.starts + self.settings.search.mirror


@dataclass(frozen=True, eq=False)
class _DamagedPhoto:
    """One picture on its way through the pipeline."""

    number: int
    photo: Photo
    hole: Hole
    chosen: list[FrameCandidate]
    faces: list[Placement]
    seed: int
    curve: ToneCurve | None

    def outside(
        self, order: _Order, judged: Sequence[FrameCandidate], refine: Refine | None
    ) -> Outside:
        """Return how what no frame covers is filled.

        Faces that were found are no source of texture, but for those that the search has shown to
        be none.
        """
        none = [chosen.frame.placement for chosen in judged if chosen.dropped]
        faces = [place for place in self.faces if place not in none]
        texture = order.outside == "texture" and texture_available()
        return Outside(texture, refine, self.photo.unseen, faces, order.on_piece)


def _digest(model: Model) -> str:
    """Return the SHA-256 of a model's settings and weights."""
    digest = hashlib.sha256(json.dumps(model.config.to_dict(), sort_keys=True).encode())
    for name, network in vars(model).items():
        if isinstance(network, nn.Module):
            for key, tensor in network.state_dict().items():
                digest.update(f"{name}.{key}".encode())
                data = tensor.detach().cpu().contiguous().reshape(-1)
                digest.update(data.view(torch.uint8).numpy())
    return digest.hexdigest()


def _said_of(judged: Sequence[FrameCandidate], faces: Sequence[Placement]) -> list[str]:
    """Return the warnings about a fill, given its frames and the faces of the photo.

    A photo whose faces are intact is filled from its surroundings, as it should be.
    """
    if any(chosen.diverged for chosen in judged):
        return [_DIVERGED]
    return [] if faces or any(not chosen.dropped for chosen in judged) else [_NO_FACE]


def _groups(jobs: Sequence[_DamagedPhoto], most: int) -> Iterator[list[_DamagedPhoto]]:
    """Part the pictures into groups of up to `most` frames; those of a picture stay together."""
    group: list[_DamagedPhoto] = []
    count = 0
    for job in jobs:
        frames = max(1, len(job.chosen))
        if group and count + frames > most:
            yield group
            group, count = [], 0
        group.append(job)
        count += frames
    if group:
        yield group


def _seeds(images: int, seed: int | None, seeds: Sequence[int] | None) -> list[int]:
    """Return the seed of each picture."""
    if seeds is None:
        return [0 if seed is None else seed] * images
    if seed is not None:
        raise InputError("give one seed for all images, or seeds, one per image: not both")
    return list(seeds)


def _check_counts(images: int, masks: int, seeds: int) -> None:
    if images != masks:
        raise InputError(f"{images} images but {masks} masks: give one mask per image")
    if seeds != images:
        raise InputError(f"{images} images but {seeds} seeds: give one seed per image")


def inpaint(
    image: PhotoLike,
    mask: MaskLike,
    *,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    **options: Any,  # noqa: ANN401 - those of `Inpainter`
) -> Pixels:
    """Fill the hole of one picture, as the functions of scikit-image do.

    The model is loaded at the first call and kept for the next ones.

    Args:
        image: uint8 array (H, W, 3) or (H, W), PIL image or path. Never changed.
        mask: Boolean or uint8 array (H, W), nonzero = missing; or as for `Inpainter`.
        model: As for `Inpainter.from_pretrained`.
        **options: As for `Inpainter`: `preset`, `frame`, `seed`, ….

    Returns:
        uint8 (H, W, 3), equal to the picture wherever the mask is zero.

    Raises:
        EmptyMaskError: if the mask marks no pixel as missing.
        InputError: if the picture, the mask or an option cannot be used.
        ModelError: if there is no such model.
    """
    return _kept(os.fspath(model))(image, mask, record=False, **options).image


@lru_cache(maxsize=2)
def _kept(model: str) -> Inpainter:
    return Inpainter.from_pretrained(model)
