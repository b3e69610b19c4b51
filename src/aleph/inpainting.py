"""The result of the pipeline: a filled photo, its candidates, and the report of the search."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aleph.arrays import Floats, Hole, Pixels, rounded
from aleph.blending.compose import Outside, Shares, compose, filled_shares
from aleph.blending.refine import Refine, Refinement
from aleph.config import Blending, check_choice, check_whole
from aleph.errors import InputError
from aleph.files import replacing
from aleph.frames.frame import Frame
from aleph.frames.select import FrameCandidate
from aleph.photo.encode import encode_photo, write_photo
from aleph.photo.photo import Photo
from aleph.photo.pixels import write_image
from aleph.photo.tone import ToneCurve
from aleph.presets import Settings
from aleph.visual.animation import search_timing, write_animation
from aleph.visual.figure import show_hole, side_by_side
from aleph.visual.view import View, view_of


@dataclass(frozen=True, eq=False, repr=False)
class Candidate:
    """One fill. The k-th takes the k-th best start of every frame.

    Candidates are compared by identity: they hold arrays, which have no single truth value.

    Attributes:
        image: uint8 (H, W, 3), equal to the input outside the hole.
        generated: G(ẑ) of every frame, float32 (frames, R, R, 3) in 0 to 255, at the model's
            resolution.
        z: ẑ of every frame, float32 (frames, latent_dim).
        losses: Losses of ẑ by name, unweighted (`total` is weighted and summed), the mean of the
            frames; none if no frame was searched.
    """

    image: Pixels
    generated: Floats
    z: Floats
    losses: dict[str, float]

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        total = f", total loss {self.losses['total']:.4g}" if "total" in self.losses else ""
        return f"<Candidate: {width}×{height} pixels{total}>"


@dataclass(frozen=True, eq=False, repr=False)
class Inpainting:
    """A filled picture and how it came about.

    Results are compared by identity: they hold arrays, which have no single truth value.

    Attributes:
        candidates: The fills, best (lowest total loss) first.
        original: The photo as the model sees it, upright, uint8 sRGB (H, W, 3).
        hole: Boolean (H, W), True = missing.
        frames_used: The frames that the hole was filled from, as `Candidate.generated` holds them.
        frames_dropped: Those that were left out after the search: they hold no face, or their
            search diverged.
        history: The losses of the best candidate's search by name, float32 (steps + 1,), the mean
            of the frames; empty if no frame was searched.
        model: Name of the model.
        preset: Name of the preset.
        settings: All settings of the fill.
        seed: Seed of the starts.
        seconds: Time of the search of all pictures searched together, divided by their number,
            and of composing this one.
        warnings: Warnings about the fill, a sentence each.
        notes: Settings that were derived from others, and what the photo's file holds that the
            result does not, a sentence each.
    """

    candidates: list[Candidate]
    original: Pixels
    hole: Hole
    frames_used: list[FrameCandidate]
    frames_dropped: list[FrameCandidate]
    history: dict[str, Floats]
    model: str
    preset: str
    settings: Settings
    seed: int
    seconds: float
    warnings: list[str]
    notes: list[str]
    _photo: Photo = field(repr=False)
    _grain: bool = field(repr=False)
    _curve: ToneCurve | None = field(repr=False)
    _outside: Outside = field(repr=False)
    _refinement: Refinement | None = field(repr=False)
    _frame_losses: list[dict[str, float]] = field(repr=False)
    _adapted: list[list[Floats]] = field(repr=False)
    _recorded: NDArray[np.uint8] | None = field(repr=False)

    def __repr__(self) -> str:
        height, width = self.hole.shape
        counts = [
            _counted(len(self.candidates), "candidate"),
            _counted(len(self.frames_used), "frame"),
        ]
        return (
            f"<Inpainting: {width}×{height} pixels, {self.hole.mean():.2%} missing, "
            f"{', '.join(counts)}, model {self.model}, preset {self.preset}, "
            f"{self.seconds:.2f} s>"
        )

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
        """The fill at the recorded steps of the search, uint8 (h, w, 3) each; perhaps none.

        They are refined from one view, which is faster, where the result is from both.
        Of a photo larger than 512 pixels the part around its frames is shown, at that size at most.
        """
        if self._recorded is None:
            return []
        return self._composed([recorded.astype(np.float32) for recorded in self._recorded])

    @cached_property
    def _view(self) -> View:
        return view_of(self.hole, [chosen.frame for chosen in self.frames_used])

    def blended(self, blending: Blending, candidate: int = 0) -> Pixels:
        """Return a candidate put into the hole in another way, without its grain.

        Args:
            blending: `paste`, `poisson`, `matern` or, where the model has a refiner, `refined`.
            candidate: Which fill, 0 the best.

        Returns:
            New uint8 (H, W, 3), equal to the original outside the hole.

        Raises:
            InputError: if the blending is unknown, or the model has no refiner.
        """
        check_choice("blending", blending, Blending)
        if blending == "refined" and self._refinement is None:
            raise InputError(f"'{self.model}' has no refiner: choose paste, poisson or matern")
        return compose(
            self.original,
            self.hole,
            [chosen.frame for chosen in self.frames_used],
            [self._adapted[candidate]],
            blending,
            refinement=self._refinement,
            grain=False,
            curve=self._curve,
            outside=replace(self._outside, filled=self.image, on_piece=None),
        )[0]

    def without_model(self) -> Self:
        """Return the same without its model, of megabytes, as it can go to another process.

        Until `with_model` gives it one, it can neither be animated nor blended anew.
        """
        outside = replace(self._outside, refine=None, on_piece=None)
        return replace(self, _refinement=self._refined_by(_is_away), _outside=outside)

    def with_model(self, refine: Refine, refine_outside: Refine) -> Self:
        """Return the same with a model.

        Args:
            refine: As of `Model`; used if its own model had a refiner.
            refine_outside: As of `Inpainter`.
        """
        outside = replace(self._outside, refine=refine_outside)
        return replace(self, _refinement=self._refined_by(refine), _outside=outside)

    def _refined_by(self, refine: Refine) -> Refinement | None:
        return self._refinement and replace(self._refinement, refine=refine)

    def _composed(self, generated: Sequence[Sequence[Floats]]) -> list[Pixels]:
        """Compose fills as the view shows them, refined from one view."""
        view, outside = self._view, self._outside
        unseen = None if outside.unseen is None else view.hole(outside.unseen)
        return compose(
            view.picture(self.original),
            view.hole(self.hole),
            view.frames([chosen.frame for chosen in self.frames_used]),
            generated,
            self.settings.blending,
            refinement=self._refinement and replace(self._refinement, both_views=False),
            grain=self._grain,
            seed=self.seed,
            curve=self._curve,
            outside=replace(outside, unseen=unseen, filled=view.picture(self.image), on_piece=None),
        )

    @cached_property
    def shares(self) -> Shares:
        """What the hole was filled from."""
        return filled_shares(self.hole, [chosen.frame for chosen in self.frames_used])

    @property
    def sources(self) -> str:
        """What the hole was filled from, in words."""
        shares = self.shares
        parts = []
        if shares.generated > 0:
            parts.append(f"{shares.generated:.0%} of the hole generated by {self.model}")
        if shares.continued > 0:
            of = "" if parts else " of the hole"
            parts.append(f"{shares.continued:.0%}{of} continued from the surroundings")
        if round(100 * shares.guessed) > 0:
            parts.append(f"{shares.guessed:.0%} far from all that is known, where it is a guess")
        return ", ".join(parts)

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
        paths = candidate_paths(Path(path), len(self.candidates))
        for number, target in reversed(list(enumerate(paths))):  # the best last: then all are there
            self.save(target, number)
        return paths

    def _fill(self, candidate: int) -> Pixels:
        check_whole("candidate", candidate, 0, len(self.candidates) - 1)
        return self.candidates[candidate].image

    def animate(self, path: str | os.PathLike[str]) -> None:
        """Write the search as .gif, .webp or .mp4.

        Of a photo larger than 512 pixels the part around its frames is shown, at that size at most.
        Where no frame was searched, the damaged photo and the filled one are shown.

        Raises:
            InputError: if the search was not recorded.
            OutputError: if the place cannot be written or the format is another.
        """
        if self._recorded is None and self.frames_used:
            raise InputError("this search was not recorded: call with record=True to animate it")
        damaged, final = map(self._view.picture, (self.damaged, self.image))
        write_animation(search_timing(damaged, self.frames, final), path)

    def figure(self, path: str | os.PathLike[str]) -> None:
        """Write original, damaged, generated and filled side by side as a picture.

        Of a photo larger than 512 pixels the part around its frames is shown, at that size at most.

        Raises:
            OutputError: if the place cannot be written or the format is unknown.
        """
        original, damaged, filled = map(
            self._view.picture, (self.original, self.damaged, self.image)
        )
        frames = self._view.frames([chosen.frame for chosen in self.frames_used])
        generated = _pasted(filled, frames, self.candidates[0].generated)
        row = [original, damaged, generated, filled]
        write_image(side_by_side([row], ["original", "damaged", "generated G(z)", "filled"]), path)

    def report(self) -> dict[str, Any]:
        """Return what happened as plain JSON values; null stands for NaN and infinity."""
        height, width = self.hole.shape
        report = {
            "model": self.model,
            "preset": self.preset,
            "settings": self.settings.to_dict(),
            "seed": self.seed,
            "image": {"width": width, "height": height},
            "missing_pixels": int(self.hole.sum()),
            "missing_share": float(self.hole.mean()),
            "steps": max(0, len(self.history.get("total", [])) - 1),
            "seconds": round(self.seconds, 4),
            "candidates": [{"losses": c.losses} for c in self.candidates],
            "frames": self._frame_reports(),
            "regions": {key: round(share, 6) for key, share in asdict(self.shares).items()},
            "outside": "texture" if self._outside.texture else "smooth",
            "grain": self._grain,
            "warnings": self.warnings,
            "notes": self.notes,
        }
        return {name: finite_json(value) for name, value in report.items()}

    def _frame_reports(self) -> list[dict[str, Any]]:
        used = [
            {**_placed(chosen), "losses": losses}
            for chosen, losses in zip(self.frames_used, self._frame_losses, strict=True)
        ]
        return used + [_placed(chosen) for chosen in self.frames_dropped]

    def save_report(self, path: str | os.PathLike[str]) -> None:
        """Write `report()` as JSON."""
        with replacing(path) as temporary:
            text = json.dumps(self.report(), indent=2, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")


def _is_away(image: Pixels, hole: Hole, guess: Floats, kappa: float) -> Floats:
    """Stand for the refiner of a result that is without its model."""
    raise InputError("this result is without its model: give it one (with_model)")


def candidate_paths(best: Path, count: int) -> list[Path]:
    """Return where the candidates are written, the best first.

    >>> [path.name for path in candidate_paths(Path("filled.png"), 3)]
    ['filled.png', 'filled-2.png', 'filled-3.png']
    """
    later = range(2, count + 1)
    return [best, *(best.with_name(f"{best.stem}-{n}{best.suffix}") for n in later)]


def finite_json(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """Return JSON values with null for NaN and infinity, which JSON has no words for.

    >>> finite_json({"total": float("nan"), "steps": [1, 0.5]})
    {'total': None, 'steps': [1, 0.5]}
    """
    if isinstance(value, dict):
        return {name: finite_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _placed(chosen: FrameCandidate) -> dict[str, Any]:
    """Return a frame as plain JSON values."""
    place = chosen.frame.placement
    return {
        "found_by": chosen.how,
        "center": [round(place.x, 2), round(place.y, 2)],
        "side": round(place.side, 2),
        "angle": round(place.angle, 2),
        "corners": place.corners.round(2).tolist(),
        "eyes": place.eyes.round(2).ravel().tolist(),
        "score": None if chosen.score is None else round(float(chosen.score), 4),
        "unexplained": None if chosen.unexplained is None else round(chosen.unexplained, 4),
        "dropped": chosen.dropped,
    }


def _pasted(picture: Pixels, frames: Sequence[Frame], generated: Floats) -> Pixels:
    """Return a picture with the generated frames pasted over it, known pixels included."""
    shown = picture.astype(np.float32)
    for frame, image in zip(frames, generated, strict=True):
        alpha = (
            np.float32(1.0) if frame.whole else frame.back(frame.alpha, frame.region)[:, :, None]
        )
        region = frame.region
        shown[region] += np.clip(alpha, 0, 1) * (frame.back(image, region) - shown[region])
    return rounded(shown)
