"""Frozen, self-validating configuration; written into every run and model folder."""

from __future__ import annotations

import dataclasses
import numbers
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from aleph.errors import InputError, shown, unknown_name

ModelKind = Literal["dcgan", "amortised", "detector"]
Prior = Literal["uniform", "normal"]
Weighting = Literal["uniform", "box", "inverse", "inverse-square"]
Norm = Literal["l1", "l2"]
Blending = Literal["paste", "poisson", "matern"]
Precision = Literal["fp32", "bf16"]
Arithmetic = Literal["auto", "fp32", "bf16"]
Start = Literal["encoder", "random"]
Preset = Literal["fast", "balanced", "thorough", "yeh2017"]

MODEL_FORMAT = 1
"""Version of the model folder's layout; another version is refused."""


class _Serialisable:
    """Conversion between a frozen dataclass and plain JSON values, with every key checked."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            _check_type(field.name, getattr(self, field.name), field.default)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from plain JSON values; unknown keys and values of the wrong type are refused.

        Raises:
            InputError: on an unknown key, a missing one, or a value of another type.
        """
        if not isinstance(values, dict):
            raise InputError(f"settings must be a mapping, not {shown(values)}")
        fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for key in values:
            if key not in fields:
                raise InputError(unknown_name("setting", key, fields))
        return cls(**values)


def _check_type(name: str, value: object, default: object) -> None:
    """Refuse a value that is not of its default's type; whole numbers may stand for others."""
    if isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        fits, wanted = whole, "a whole number"
    elif isinstance(default, float):
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        fits, wanted = real, "a number"
    else:
        fits, wanted = isinstance(value, str) or not isinstance(default, str), "a name"
    if not fits:
        raise InputError(f"setting '{name}' must be {wanted}, not {shown(value)}")


def check_whole(what: str, value: object, least: int, most: int) -> None:
    """Refuse a value that is no whole number or outside its bounds.

    Raises:
        InputError: with the bounds.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not least <= int(value) <= most:  # type: ignore[call-overload]
        raise InputError(
            f"{what} must be a whole number from {least} to {most}, not {shown(value)}"
        )


def check_choice(what: str, value: str, choices: Any) -> None:  # noqa: ANN401 - a typing Literal
    """Refuse a value that a `Literal` type does not list, naming the nearest one that it does.

    Raises:
        InputError: if `value` is none of the choices.
    """
    known = get_args(choices)
    if value not in known:
        raise InputError(unknown_name(what, str(value), known))


def _check(condition: bool, sentence: str) -> None:
    if not condition:
        raise InputError(sentence)


@dataclass(frozen=True)
class ModelConfig(_Serialisable):
    """What a model's networks are built from; stored as `config.json` beside the weights.

    Attributes:
        kind: Family of the networks. A `detector` fills nothing: it finds where frames lie, has no
            latent code, and is built from `resolution`, `encoder_width` and `maximum_width` alone.
        resolution: Side of the square frame in pixels; a power of two. A detector knows frames by
            their look at this size.
        latent_dim: Length of the latent code z.
        prior: Distribution that z was drawn from in training: `uniform` on [−1, 1], or `normal`.
        generator_width: Channels of the generator's last hidden layer.
        discriminator_width: Channels of the discriminator's first layer.
        encoder_width: Channels of the encoder's first layer; 0 where there is no encoder.
        maximum_width: Bound of the channels of any layer; 0 for none.
        detector: Name of the detector that finds this class's frames in photos; empty for none.
    """

    kind: ModelKind = "dcgan"
    resolution: int = 64
    latent_dim: int = 100
    prior: Prior = "uniform"
    generator_width: int = 64
    discriminator_width: int = 32
    encoder_width: int = 0
    maximum_width: int = 0
    detector: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("model kind", self.kind, ModelKind)
        check_choice("prior", self.prior, Prior)
        power_of_two = self.resolution & (self.resolution - 1) == 0
        _check(
            power_of_two and 8 <= self.resolution <= 1024,
            f"resolution must be a power of two from 8 to 1024, not {shown(self.resolution)}",
        )
        self._check_range(
            ("latent_dim", "generator_width", "discriminator_width"), self.kind != "detector"
        )
        self._check_range(("encoder_width", "maximum_width"), self.kind != "dcgan")

    def _check_range(self, names: tuple[str, ...], needed: bool) -> None:
        """Refuse sizes beyond reason, and 0 where the kind of model needs the network."""
        least = 1 if needed else 0
        for name in names:
            value = getattr(self, name)
            _check(
                least <= value <= 4096, f"{name} must be from {least} to 4096, not {shown(value)}"
            )

    @property
    def image_resolution(self) -> int:
        """Side of the images to train on: a detector's scenes enlarge frames up to twice."""
        return self.resolution * (2 if self.kind == "detector" else 1)

    @classmethod
    def default(cls, kind: str, **given: Any) -> Self:  # noqa: ANN401 - its own fields
        """Return the usual shape of a kind of model, with some fields given.

        Raises:
            InputError: if the kind is unknown or a value impossible.
        """
        check_choice("model kind", kind, ModelKind)
        usual: dict[str, Any] = {}
        if kind == "amortised":
            usual = {
                "latent_dim": 256,
                "prior": "normal",
                "generator_width": 48,
                "discriminator_width": 24,
                "encoder_width": 32,
                "maximum_width": 256,
            }
        elif kind == "detector":
            usual = {
                "latent_dim": 0,
                "prior": "normal",
                "generator_width": 0,
                "discriminator_width": 0,
                "encoder_width": 32,
                "maximum_width": 128,
            }
        return cls(kind=kind, **{**usual, **given})  # type: ignore[arg-type]


@dataclass(frozen=True)
class SearchConfig(_Serialisable):
    """How ẑ = argmin L_c(z) + λ L_p(z) + μ |z|² is searched.

    Attributes:
        weighting: Weight of a known pixel by its place (see `aleph.weighting`).
        norm: l1 or l2 distance on the weighted known pixels.
        prior_weight: λ, weight of the prior loss; at 0 the discriminator is not evaluated.
        latent_weight: μ, weight of the latent term: how far z is from where it is expected.
        steps: Adam steps on z.
        learning_rate: Adam's step size at the start.
        learning_rate_end: Step size at the last step as a share of the first (cosine between).
        start: Where the search starts: the `encoder`'s guess, where the model has an encoder, or
            `random`, a draw from the prior.
        starts: Starts per image, searched together; the one with the lowest loss is kept.
        clip: Clip z to [−1, 1] after each step where the prior is bounded there.
        patience: Stop when no image's loss has fallen by 0.1 % for this many steps; 0 never stops.
    """

    weighting: Weighting = "inverse-square"
    norm: Norm = "l1"
    prior_weight: float = 0.003
    latent_weight: float = 0.0
    steps: int = 300
    learning_rate: float = 0.05
    learning_rate_end: float = 0.1
    start: Start = "encoder"
    starts: int = 1
    clip: bool = True
    patience: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("weighting", self.weighting, Weighting)
        check_choice("norm", self.norm, Norm)
        check_choice("start", self.start, Start)
        _check(0 <= self.steps <= 100_000, f"steps must be from 0 to 100000, not {self.steps}")
        _check(1 <= self.starts <= 256, f"starts must be from 1 to 256, not {self.starts}")
        _check(self.patience >= 0, f"patience must not be negative, not {self.patience}")
        for name in ("prior_weight", "latent_weight"):
            value = getattr(self, name)
            _check(0 <= value < 1e6, f"{name} must be a number from 0 up, not {value}")
        _check(
            0 < self.learning_rate < 10,
            f"learning_rate must be above 0 and below 10, not {self.learning_rate}",
        )
        _check(
            0 <= self.learning_rate_end <= 1,
            f"learning_rate_end must be from 0 to 1, not {self.learning_rate_end}",
        )


@dataclass(frozen=True)
class TrainConfig(_Serialisable):
    """How a model is trained. Together with the data it decides every number of the run.

    Attributes:
        batch_size: Images per step over all devices together.
        steps: Optimizer steps of each network.
        learning_rate: Adam's step size; a detector's falls along half a cosine to the last step.
        beta1: Adam's first decay (Radford et al. 2015, section 4: 0.5).
        average_half_life: Images after which a weight's share in the average has halved.
        seed: Seed of the first weights and of all randomness of all steps.
        holdout: Images set aside before training.
        precision: `bf16` (autocast) or `fp32`.
        flip: Mirror each image with probability 1/2.
        save_every: Steps between two saved states.
        sample_every: Steps between two sample grids.
        log_every: Steps over which a logged loss is averaged.
        adversary_start: Step from which the discriminator takes part (amortised models).
        adversary_weight: Weight of its verdict in the generator's loss (amortised models).
        feature_weight: Weight of the match of its features (amortised models).
        kl_weight: Weight of the posterior's divergence from the prior, per image value
            (amortised models).
        r1_weight: γ of the R1 penalty on the discriminator (amortised models).
        backgrounds: Folder or zip of photographs that do not show the class (detectors); empty for
            those that scikit-image ships.
    """

    batch_size: int = 64
    steps: int = 10_000
    learning_rate: float = 2e-4
    beta1: float = 0.5
    average_half_life: int = 10_000
    seed: int = 0
    holdout: int = 0
    precision: Precision = "bf16"
    flip: bool = True
    save_every: int = 500
    sample_every: int = 500
    log_every: int = 20
    adversary_start: int = 5_000
    adversary_weight: float = 0.01
    feature_weight: float = 0.1
    kl_weight: float = 0.5
    r1_weight: float = 1.0
    backgrounds: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("precision", self.precision, Precision)
        for name in ("batch_size", "steps", "save_every", "sample_every", "log_every"):
            _check(
                getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}"
            )
        _check(self.batch_size >= 2, "batch_size must be at least 2 for batch normalisation")
        _check(self.holdout >= 0, f"holdout must not be negative, not {self.holdout}")
        _check(
            0 < self.learning_rate < 1,
            f"learning_rate must be above 0 and below 1, not {self.learning_rate}",
        )
        for name in ("adversary_weight", "feature_weight", "kl_weight", "r1_weight"):
            value = getattr(self, name)
            _check(0 <= value < 1e6, f"{name} must be a number from 0 up, not {value}")
        _check(0 <= self.beta1 < 1, f"beta1 must be from 0 up to 1, not {self.beta1}")
        _check(
            self.average_half_life >= 1,
            f"average_half_life must be at least 1 image, not {self.average_half_life}",
        )
        _check(
            0 <= self.seed < 2**63, f"seed must be a whole number from 0 to 2^63 − 1: {self.seed}"
        )


@dataclass(frozen=True)
class Settings(_Serialisable):
    """Everything that decides a fill besides the model, the picture and the seed.

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
    ),
    blending="poisson",
)
"""Yeh et al. 2017, sections 3.4 and 4: z ~ prior, 1500 steps of Adam, z clipped, λ = 0.003."""

_FROM_RANDOM = SearchConfig(learning_rate=0.2, latent_weight=0.4)
_FROM_GUESS = SearchConfig(weighting="inverse", prior_weight=0.0, latent_weight=0.01)


def _searches(search: SearchConfig, steps: int, starts: int = 1) -> Settings:
    return Settings(dataclasses.replace(search, steps=steps, starts=starts))


PRESETS: dict[str, dict[str, Settings]] = {
    "dcgan": {
        "fast": _searches(_FROM_RANDOM, 40),
        "balanced": _searches(_FROM_RANDOM, 80),
        "thorough": _searches(_FROM_RANDOM, 200, starts=8),
        "yeh2017": _YEH,
    },
    "amortised": {
        "fast": _searches(_FROM_GUESS, 0),
        "balanced": _searches(_FROM_GUESS, 20),
        "thorough": _searches(_FROM_GUESS, 40, starts=2),
        "yeh2017": _YEH,
    },
}
"""What the presets mean for each kind of model: one that starts anywhere searches longer."""


def resolve_settings(
    preset: str = "balanced",
    kind: str = "dcgan",
    **overrides: Any,  # noqa: ANN401
) -> Settings:
    """Return a preset with some of its values overridden; an override of None changes nothing.

    Args:
        preset: `fast`, `balanced`, `thorough` or `yeh2017`.
        kind: The kind of model that the preset is for.
        **overrides: Fields of `SearchConfig`, and `blending`. More steps from an encoder's guess
            than the preset has are smaller ones, unless a `learning_rate` is given.

    Raises:
        InputError: if a name is unknown or a value impossible, or the kind fills nothing.
    """
    check_choice("preset", preset, Preset)
    if kind not in PRESETS:
        raise InputError(f"a model of kind '{kind}' fills nothing: there are no presets for it")
    settings = PRESETS[kind][preset]
    given = {key: value for key, value in overrides.items() if value is not None}
    blending = given.pop("blending", settings.blending)
    known = [f.name for f in dataclasses.fields(SearchConfig)]
    for key in given:
        if key not in known:
            raise InputError(unknown_name("setting", key, [*known, "blending"]))
    search = dataclasses.replace(settings.search, **given)
    if "learning_rate" not in given:
        step = _step_size(kind, settings.search, search)
        search = dataclasses.replace(search, learning_rate=step)
    return Settings(search, blending)


def _step_size(kind: str, preset: SearchConfig, search: SearchConfig) -> float:
    """Return Adam's step size for a search that may have more steps than its preset.

    How far z may go from the encoder's guess is what keeps a search from fitting the rim (early
    stopping; Bishop 1995, Neural Networks for Pattern Recognition, section 9.2.4). Adam goes about
    as far as steps times step size, so more steps are smaller ones: they end where fewer do, more
    exactly. A search from a random code has far to go, and does.
    """
    longest = max(preset.steps, PRESETS[kind]["balanced"].search.steps)
    if kind != "amortised" or search.start == "random" or search.steps <= longest:
        return preset.learning_rate
    return preset.learning_rate * longest / search.steps
