"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass

from aleph.config import Arithmetic, Serialisable, TrainedPart, check_choice, require


@dataclass(frozen=True)
class TrainConfig(Serialisable):
    """How a model is trained. The data and these settings determine the trained weights.

    Attributes:
        batch_size: Images per step over all devices together.
        steps: Optimizer steps of each network.
        part: What is trained: all networks, or the refiner alone on top of trained ones.
        learning_rate: Adam's step size; but for `dcgan` and discriminators it falls along half a
            cosine to the last step.
        beta1: Adam's decay of the first moment (Radford et al. 2015, section 4).
        average_half_life: Half-life of the exponential moving average of the weights, in images.
        seed: Seed of the initial weights and of every training step.
        holdout: Images set aside before training.
        precision: Arithmetic of the forward passes (bf16 by autocast); auto is bf16 where the
            device has instructions for it, and is settled when a run begins.
        flip: Mirror each image with probability 1/2.
        save_every: Steps between two saved states.
        sample_every: Steps between two sample grids.
        log_every: Steps over which a logged loss is averaged.
        adversary_start: Step from which the discriminator takes part (amortised models, refiners).
        adversary_weight: Weight of the adversarial loss of the generator or refiner.
        feature_weight: Weight of the feature-matching loss (amortised models, refiners).
        detail_weight: Weight of the loss of the amount of detail (refiners).
        kl_weight: Weight of the posterior's KL divergence from the prior, relative to a
            reconstruction loss summed over all values of an image (amortised models).
        r1_weight: γ of the R1 penalty on the discriminator (amortised models, refiners).
        backgrounds: Folder or zip of photographs that do not show the class (detectors); empty for
            those that scikit-image ships.
        artefacts: Zip of opacities of artefacts, a folder for each kind (finders of damage); empty
            for generated damage alone.
        labelled: Folder or zip of really damaged photographs (photos/) and masks of the same names
            (masks/): white is damaged, black is not, grey is open (finders of damage); empty for
            none.
    """

    batch_size: int = 64
    steps: int = 10_000
    part: TrainedPart = "all"
    learning_rate: float = 2e-4
    beta1: float = 0.5
    average_half_life: int = 10_000
    seed: int = 0
    holdout: int = 0
    precision: Arithmetic = "auto"
    flip: bool = True
    save_every: int = 500
    sample_every: int = 500
    log_every: int = 20
    adversary_start: int = 5_000
    adversary_weight: float = 0.01
    feature_weight: float = 0.1
    detail_weight: float = 0.0
    kl_weight: float = 0.5
    r1_weight: float = 1.0
    backgrounds: str = ""
    artefacts: str = ""
    labelled: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("precision", self.precision, Arithmetic)
        check_choice("part", self.part, TrainedPart)
        for name in ("batch_size", "steps", "save_every", "sample_every", "log_every"):
            require(
                getattr(self, name) >= 1, f"{name} must be at least 1, not {getattr(self, name)}"
            )
        require(self.batch_size >= 2, "batch_size must be at least 2 for batch normalisation")
        require(self.holdout >= 0, f"holdout must not be negative, not {self.holdout}")
        require(
            0 < self.learning_rate < 1,
            f"learning_rate must be above 0 and below 1, not {self.learning_rate}",
        )
        for name in (
            "adversary_weight", "feature_weight", "detail_weight", "kl_weight", "r1_weight",
        ):  # fmt: skip
            value = getattr(self, name)
            require(0 <= value < 1e6, f"{name} must be a number from 0 up, not {value}")
        require(0 <= self.beta1 < 1, f"beta1 must be from 0 up to 1, not {self.beta1}")
        require(
            self.average_half_life >= 1,
            f"average_half_life must be at least 1 image, not {self.average_half_life}",
        )
        require(
            0 <= self.seed < 2**63, f"seed must be a whole number from 0 to 2^63 − 1: {self.seed}"
        )
