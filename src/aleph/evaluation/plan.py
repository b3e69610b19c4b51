"""The plan of an evaluation: images, masks and settings."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aleph.config import Blending, Norm, Precision, Preset, Weighting, check_choice
from aleph.errors import InputError, unknown_name
from aleph.evaluation.classical import CLASSICAL
from aleph.models.folder import read_config
from aleph.models.zoo import find_model
from aleph.presets import Settings, resolve_settings
from aleph.search.config import SearchConfig

Protocol = Literal["plain", "celeba"]
ExtraMetric = Literal["lpips", "fid"]

OWN = "preset"
"""Stands for the preset's own weighting, norm or blending."""

YEH = "yeh2017"
"""Name of the baseline, and of the preset, that follow Yeh et al. 2017."""

CELEBA_IMAGES, CELEBA_RESOLUTION = 500, 64
"""The protocol `celeba`: number of held-out images, and the side of their centre crops."""


@dataclass(frozen=True)
class Setting:
    """One way of filling a hole.

    Attributes:
        method: A preset, `yeh2017` as a baseline, a classical fill, or `original`.
        model: Of a baseline with a model: that model. Empty otherwise: a preset runs the plan's.
        weighting: Of the context loss; empty unless something is searched.
        norm: Of the context loss; empty unless something is searched.
        blending: Empty unless something is searched.
    """

    method: str
    model: str = ""
    weighting: str = ""
    norm: str = ""
    blending: str = ""

    @property
    def searches(self) -> bool:
        """Whether this is a latent search."""
        return bool(self.weighting)

    @property
    def label(self) -> str:
        """The method with its model, as tables show it."""
        return f"{self.method}@{Path(self.model).name}" if self.model else self.method

    @property
    def name(self) -> str:
        """What names the setting in rows: `balanced/inverse/l1/poisson`, `telea`."""
        return "/".join(filter(None, (self.label, self.weighting, self.norm, self.blending)))

    def columns(self) -> dict[str, str]:
        """Return the name and its parts, as rows and tables hold them."""
        return {
            "setting": self.name,
            "method": self.label,
            "weighting": self.weighting,
            "norm": self.norm,
            "blending": self.blending,
        }


ORIGINAL = Setting("original")
"""The undamaged image: the reference of the measures that compare sets."""

Work = tuple[Setting, ...]
"""Settings that share one search, because they differ only in blending; else a single one."""


@dataclass(frozen=True)
class EvaluationPlan:
    """Everything on which the rows of an evaluation depend besides the machine.

    Image i is damaged by the mask of seed `seed` + i and searched from the starts of seed
    `seed` + i, in every setting alike, so that settings are compared on equal terms.

    Attributes:
        model: A model's name or folder.
        data: Folders or zips of images.
        images: How many to take, at most, in the order of their names.
        masks: Names of generated masks, or pictures of the images' size.
        weightings: To compare; `preset` is the preset's own.
        norms: To compare; `preset` is the preset's own.
        presets: To compare, each with every weighting, norm and blending.
        blendings: To compare, on the same searches; `preset` is the preset's own.
        baselines: `mean`, `telea`, `navier-stokes`, `biharmonic`; `yeh2017` (Yeh's procedure as
            published, untouched by `overrides`, with this model) or `yeh2017@MODEL`.
        overrides: Fields of `SearchConfig` in place of every preset's, such as `steps`.
        seed: Seed of masks, starts and resampling.
        resolution: Side of the squares that the images are cut and scaled to; the model's if None.
        protocol: `plain`, or `celeba`: 500 images that are held out of CelebA (its official test
            part where the partition file is given, else drawn by `seed`), at 64×64.
        batch_size: Images searched together.
        precision: Arithmetic of the networks.
        extra_metrics: `lpips`, `fid`: by downloaded networks, from optional packages.
        shown: Images whose fills are kept for the figures.
    """

    model: str
    data: tuple[str, ...]
    images: int = 500
    masks: tuple[str, ...] = ("center", "half", "random", "pattern", "strokes")
    weightings: tuple[str, ...] = ("uniform", "box", "inverse", "inverse-square")
    norms: tuple[str, ...] = ("l1",)
    presets: tuple[str, ...] = ("balanced",)
    blendings: tuple[str, ...] = ("paste", "poisson", OWN)
    baselines: tuple[str, ...] = tuple(CLASSICAL)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    resolution: int | None = None
    protocol: Protocol = "plain"
    batch_size: int = 16
    precision: Precision = "fp32"
    extra_metrics: tuple[ExtraMetric, ...] = ()
    shown: int = 8

    def __post_init__(self) -> None:
        self._check_lists()
        self._check_numbers()
        self._check_overrides()
        check_choice("protocol", self.protocol, Protocol)
        check_choice("precision", self.precision, Precision)

    def _check_lists(self) -> None:
        for name in ("data", "masks", "weightings", "norms", "blendings"):
            _check(bool(getattr(self, name)), f"nothing to evaluate: give at least one of {name}")
        _check(bool(self.presets or self.baselines), "nothing to evaluate: give presets, baselines")
        _check_each("weighting", self.weightings, Weighting)
        _check_each("norm", self.norms, Norm)
        _check_each("blending", self.blendings, Blending)
        for preset in self.presets:
            check_choice("preset", preset, Preset)
        for metric in self.extra_metrics:
            check_choice("extra metric", metric, ExtraMetric)
        for baseline in self.baselines:
            if baseline not in CLASSICAL and baseline.partition("@")[0] != YEH:
                raise InputError(unknown_name("baseline", baseline, [*CLASSICAL, YEH]))
        labels = [mask_label(mask) for mask in self.masks]
        _check(len(set(labels)) == len(labels), f"two masks have one name: {', '.join(labels)}")

    def _check_numbers(self) -> None:
        _check(self.images >= 1, f"images must be at least 1, not {self.images}")
        _check(1 <= self.batch_size <= 4096, f"batch_size must be 1 to 4096: {self.batch_size}")
        _check(self.shown >= 0, f"shown must not be negative, not {self.shown}")
        _check(0 <= self.seed < 2**31, f"seed must be a whole number from 0 up: {self.seed}")
        _check(
            self.resolution is None or 16 <= self.resolution <= 4096,
            f"resolution must be from 16 to 4096, not {self.resolution}",
        )

    def _check_overrides(self) -> None:
        for name in ("weighting", "norm", "precision"):
            if name in self.overrides:
                raise InputError(f"'{name}' is no override here: it has an option of its own")
        known = [f.name for f in dataclasses.fields(SearchConfig)]
        for name in self.overrides:
            if name not in known:
                raise InputError(unknown_name("override", name, known))
        for preset in self.presets:
            resolve_settings(preset, **self.overrides)

    def works(self) -> list[Work]:
        """List everything that is run on every image and mask: the original first, then searches
        (one for all blendings), then baselines; nothing twice.

        Raises:
            ModelError: if a model, whose kind decides what a preset is, is not there or damaged.
            InputError: if a blending needs a refiner and the model has none.
        """
        refiner = read_config(find_model(self.model)).refiner_width > 0
        for blending in self.blendings:
            if blending != OWN:
                resolve_settings(refined=refiner, blending=blending)
        works: list[Work] = [(ORIGINAL,)]
        for preset, norm, weighting in itertools.product(self.presets, self.norms, self.weightings):
            works.append(self._search(preset, weighting, norm))
        works += [_baseline(name, self.model) for name in self.baselines]
        return list(dict.fromkeys(works))

    def settings(self) -> list[Setting]:
        """List every setting once, the original included."""
        return [setting for work in self.works() for setting in work]

    def _search(self, preset: str, weighting: str, norm: str) -> Work:
        own = own_settings(preset, self.model)
        chosen = {
            Setting(
                preset,
                "",
                own.search.weighting if weighting == OWN else weighting,
                own.search.norm if norm == OWN else norm,
                own.blending if blending == OWN else blending,
            ): None
            for blending in self.blendings
        }
        return tuple(chosen)

    def overrides_of(self, setting: Setting) -> dict[str, Any]:
        """Return the keyword arguments of `Inpainter.batch` that make a search this setting."""
        named = {"weighting": setting.weighting, "norm": setting.norm, "blending": setting.blending}
        return named if setting.model else {**self.overrides, **named}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def command(self) -> str:
        """Return the command line that makes this evaluation, without its --out."""
        words = ["aleph", "evaluate", self.model, *self.data]
        for item in dataclasses.fields(self)[2:]:
            value = getattr(self, item.name)
            usual = (
                item.default_factory()
                if item.default_factory is not dataclasses.MISSING
                else item.default
            )
            if value == usual:
                continue
            if isinstance(value, Mapping):
                value = tuple(f"{key}={word}" for key, word in value.items())
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            words += [f"--{item.name.replace('_', '-')}", text]
        return shlex.join(words)


def _check(condition: bool, sentence: str) -> None:
    if not condition:
        raise InputError(sentence)


def _check_each(what: str, values: Sequence[str], choices: Any) -> None:  # noqa: ANN401 - a Literal
    for value in values:
        if value != OWN:
            check_choice(what, value, choices)


def own_settings(preset: str, model: str) -> Settings:
    """Return what a preset is for a model."""
    config = read_config(find_model(model))
    return resolve_settings(preset, config.kind, refined=config.refiner_width > 0)


def _baseline(name: str, model: str) -> Work:
    """Return a baseline as a work; Yeh's runs with its own settings and no other."""
    if name in CLASSICAL:
        return (Setting(name),)
    chosen = name.partition("@")[2] or model
    own = own_settings(YEH, chosen)
    return (Setting(YEH, chosen, own.search.weighting, own.search.norm, own.blending),)


def mask_label(mask: str) -> str:
    """Return what a mask is called in rows and file names: its name, or that of its picture."""
    return Path(mask).stem


def parse_overrides(words: Iterable[str]) -> dict[str, Any]:
    """Turn `name=value` words into values for `EvaluationPlan.overrides`.

    >>> parse_overrides(["steps=20", "prior_weight=0", "clip=no"])
    {'steps': 20, 'prior_weight': 0.0, 'clip': False}

    Raises:
        InputError: if a word has no '=', names no field of `SearchConfig`, or does not fit it.
    """
    defaults = {f.name: f.default for f in dataclasses.fields(SearchConfig)}
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"an override is NAME=VALUE, such as steps=100, not '{word}'")
        if name not in defaults:
            raise InputError(unknown_name("override", name, defaults))
        values[name] = _parse(name, text, type(defaults[name]))
    return values


def _parse(name: str, text: str, kind: type) -> Any:  # noqa: ANN401 - a field of SearchConfig
    if kind is bool:
        if text.lower() not in ("yes", "no", "true", "false", "1", "0"):
            raise InputError(f"override {name} is yes or no, not '{text}'")
        return text.lower() in ("yes", "true", "1")
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"override {name} must be a {kind.__name__}, not '{text}'") from None
