"""What a model is built from; `config.json` of a model folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from aleph.config import ModelKind, Prior, Serialisable, check_choice, require
from aleph.errors import shown

MODEL_FORMAT = 2
"""Version of the model folder's layout that is written: 2 may hold a refiner."""

REFINER_WIDTH = 80
"""Usual width of a refiner: a million weights, two megabytes in a model folder."""

READABLE_FORMATS = (1, 2)
"""Versions that are read; any other is refused."""

_WITHOUT_CODES = {
    "latent_dim": 0,
    "prior": "normal",
    "generator_width": 0,
    "discriminator_width": 0,
}
"""The usual shape of what fills nothing by itself."""


@dataclass(frozen=True)
class ModelConfig(Serialisable):
    """What a model's networks are built from; stored as `config.json` beside the weights.

    Attributes:
        kind: Family of the networks. A `detector` fills nothing: it finds where frames lie, has no
            latent code, and is built from `resolution`, `encoder_width` and `maximum_width` alone.
            Nor does a finder of `damage`, which is built from the same. A model of `surroundings`
            is a refiner alone, for what no frame covers.
        resolution: Side of the square frame in pixels; a power of two. A detector is trained on
            frames of this size; finders of damage and models of surroundings on parts of
            photographs.
        latent_dim: Length of the latent code z.
        prior: Distribution that z was drawn from in training: `uniform` on [−1, 1], or `normal`.
        generator_width: Channels of the generator's last hidden layer.
        discriminator_width: Channels of the discriminator's first layer.
        encoder_width: Channels of the encoder's first layer; 0 where there is no encoder.
        maximum_width: Bound of the channels of any layer; 0 for none.
        detector: Name of the detector that finds this class's frames in photos; empty for none.
        refiner_width: Channels of the refiner's finest level; 0 where there is no refiner.
        mirrored: Whether it was trained on mirror images too, so that an image and its mirror image
            are equally likely.
        detail: Factor of the finest detail of a refined fill where the frame is all of the picture
            and both views were filled: their mean is smoother than either. 1 leaves it as it is.
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
    refiner_width: int = 0
    mirrored: bool = False
    detail: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("model kind", self.kind, ModelKind)
        check_choice("prior", self.prior, Prior)
        power_of_two = self.resolution & (self.resolution - 1) == 0
        least = 32 if self.of_photographs else 8  # as often as their networks halve it
        require(
            power_of_two and least <= self.resolution <= 1024,
            f"resolution must be a power of two from {least} to 1024, not {shown(self.resolution)}",
        )
        names = ("latent_dim", "generator_width", "discriminator_width")
        self._check_range(names, self.fills)
        encodes = self.kind not in ("dcgan", "surroundings")
        self._check_range(("encoder_width", "maximum_width"), encodes)
        self._check_range(("refiner_width",), self.kind == "surroundings")
        require(
            not self.refiner_width or self.kind in ("amortised", "surroundings"),
            f"a model of kind '{self.kind}' has no refiner: refiner_width must be 0",
        )
        require(
            0 < self.detail <= 4, f"detail must be over 0 and up to 4, not {shown(self.detail)}"
        )

    def _check_range(self, names: tuple[str, ...], needed: bool) -> None:
        """Refuse sizes beyond reason, and 0 where the kind of model needs the network."""
        least = 1 if needed else 0
        for name in names:
            value = getattr(self, name)
            require(
                least <= value <= 4096, f"{name} must be from {least} to 4096, not {shown(value)}"
            )

    @property
    def fills(self) -> bool:
        """Whether such a model fills holes: it has a latent code and a generator."""
        return self.kind in ("dcgan", "amortised")

    @property
    def of_photographs(self) -> bool:
        """Whether it is trained on parts of photographs, and works at any resolution."""
        return self.kind in ("damage", "surroundings")

    @property
    def image_resolution(self) -> int:
        """Side of the images to train on: a detector's scenes enlarge frames up to twice, and
        parts are cut out of photographs."""
        if self.of_photographs:
            return max(320, self.resolution)
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
            usual = {**_WITHOUT_CODES, "encoder_width": 32, "maximum_width": 128}
        elif kind == "damage":
            usual = {
                **_WITHOUT_CODES,
                "resolution": 128,
                "encoder_width": 24,
                "maximum_width": 128,
            }
        elif kind == "surroundings":
            usual = {
                **_WITHOUT_CODES,
                "resolution": 128,
                "refiner_width": REFINER_WIDTH,
            }
        return cls(kind=kind, **{**usual, **given})  # type: ignore[arg-type]
