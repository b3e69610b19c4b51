"""Presets: named settings of a fill, for each kind of model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from aleph.config import Blending, Preset, Serialisable, check_choice
from aleph.errors import InputError, unknown_name
from aleph.search.config import SearchConfig


@dataclass(frozen=True)
class Settings(Serialisable):
    """All settings of a fill: with the model, the picture, the mask and the seed they decide it.

    Attributes:
        search: The search.
        blending: How G(ẑ) is put into the hole.
    """

    search: SearchConfig = dataclasses.field(default_factory=SearchConfig)
    blending: Blending = "matern"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("blending", self.blending, Blending)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from plain JSON values, the search's settings nested."""
        nested = values.get("search", {})
        return super().from_dict({**values, "search": SearchConfig.from_dict(nested)})


_YEH = Settings(
    SearchConfig(
        weighting="box",
        norm="l1",
        prior_weight=0.003,
        latent_weight=0.0,
        steps=1500,
        learning_rate=0.03,
        learning_rate_end=1.0,
        start="random",
        tones=False,
    ),
    blending="poisson",
)
"""Yeh et al. 2017, sections 3.4 and 4: z ~ prior, 1500 steps of Adam, z clipped, λ = 0.003."""

_FROM_RANDOM = SearchConfig(learning_rate=0.2, latent_weight=0.4)
_FROM_GUESS = SearchConfig(weighting="inverse", prior_weight=0.0, latent_weight=0.01)


_ADAPTABLE = ("amortised",)
"""Kinds of models whose generator can be adapted to a picture."""


_FULL_STEPS = 20
"""Steps of the usual size after which a search from an encoder's estimate has gone far enough."""

_FROM_BOTH_VIEWS = dataclasses.replace(
    _FROM_GUESS, start="encoder-twice", mirror=True, symmetry=True
)


def _searches(
    search: SearchConfig, steps: int, starts: int = 1, adaptation_steps: int = 0
) -> Settings:
    return Settings(
        dataclasses.replace(search, steps=steps, starts=starts, adaptation_steps=adaptation_steps)
    )


PRESETS: dict[str, dict[str, Settings]] = {
    "dcgan": {
        "fast": _searches(_FROM_RANDOM, 40),
        "balanced": _searches(_FROM_RANDOM, 80),
        "thorough": _searches(_FROM_RANDOM, 200, starts=8),
        "yeh2017": _YEH,
    },
    "amortised": {
        "fast": _searches(_FROM_GUESS, 0),
        "balanced": _searches(_FROM_BOTH_VIEWS, 10, adaptation_steps=20),
        "thorough": _searches(_FROM_BOTH_VIEWS, 20, starts=2, adaptation_steps=40),
        "yeh2017": _YEH,
    },
}
"""The presets of each kind of model; a search from random codes needs more steps."""


def resolve_settings(
    preset: str = "balanced",
    kind: str = "dcgan",
    *,
    refined: bool = False,
    **overrides: Any,  # noqa: ANN401
) -> Settings:
    """Return a preset with some of its values overridden; an override of None changes nothing.

    Args:
        preset: `fast`, `balanced`, `thorough` or `yeh2017`.
        kind: The kind of model that the preset is for.
        refined: Whether the model has a refiner: it takes the place of `matern` in the presets.
        **overrides: Fields of `SearchConfig`, and `blending`. A larger number of `steps` lowers
            the step size of a search that starts at the encoder's estimate: `learning_rate` becomes
            the preset's times (the preset's steps, at least 20) / `steps`. A given
            `learning_rate` is never changed. `step_size_note` says what was done.

    Raises:
        InputError: if a name is unknown or a value impossible, or the kind fills nothing, or the
            blending is `refined` and the model has no refiner, or it shall be adapted and cannot.
    """
    check_choice("preset", preset, Preset)
    if kind not in PRESETS:
        raise InputError(f"a model of kind '{kind}' fills nothing: there are no presets for it")
    settings = PRESETS[kind][preset]
    given = {key: value for key, value in overrides.items() if value is not None}
    own: Blending = "refined" if refined and settings.blending == "matern" else settings.blending
    blending = given.pop("blending", own)
    if given.get("adaptation_steps") and kind not in _ADAPTABLE:
        raise InputError("this model cannot be adapted to a picture: adaptation_steps must be 0")
    if blending == "refined" and not refined:
        raise InputError("this model has no refiner: choose paste, poisson or matern as blending")
    known = [f.name for f in dataclasses.fields(SearchConfig)]
    for key in given:
        if key not in known:
            raise InputError(unknown_name("setting", key, [*known, "blending"]))
    search = dataclasses.replace(settings.search, **given)
    if "learning_rate" not in given:
        step = _step_size(kind, settings.search, search)
        search = dataclasses.replace(search, learning_rate=step)
    return Settings(search, blending)


def step_size_note(preset: str, kind: str, settings: Settings) -> str | None:
    """Return a sentence if `resolve_settings` lowered a preset's step size, else None."""
    usual, search = PRESETS[kind][preset].search, settings.search
    lowered = _step_size(kind, usual, search)
    if lowered == usual.learning_rate or search.learning_rate != lowered:
        return None
    return (
        f"{search.steps} steps are more than the preset '{preset}' has ({usual.steps}), so the "
        f"step size was lowered from {usual.learning_rate:g} to {search.learning_rate:g}: the "
        "search goes no further from the encoder's estimate; learning_rate sets it"
    )


def _step_size(kind: str, preset: SearchConfig, search: SearchConfig) -> float:
    """Return Adam's step size for a search that may have more steps than its preset.

    The distance that z may move from the encoder's estimate regularises the search: it keeps G(z)
    from overfitting the known pixels beside the hole (early stopping; Bishop 1995, Neural Networks
    for Pattern Recognition, section 9.2.4). Adam moves z by at most about steps times step size, so
    the step size is lowered in proportion as steps are added. A search from a random code has no
    good estimate to stay near, so its step size is kept.
    """
    longest = max(preset.steps, _FULL_STEPS)
    if kind != "amortised" or search.start == "random" or search.steps <= longest:
        return preset.learning_rate
    return preset.learning_rate * longest / search.steps
