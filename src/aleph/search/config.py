"""Settings of the latent search."""

from __future__ import annotations

from dataclasses import dataclass

from aleph.config import Norm, Serialisable, Start, Weighting, check_choice, require


@dataclass(frozen=True)
class SearchConfig(Serialisable):
    """How ẑ = argmin L_c(z) + λ L_p(z) + μ |z|² is searched.

    Attributes:
        weighting: How much a known pixel counts, by its distance from the hole (see
            `aleph.search.weighting`).
        norm: Distance between the weighted known pixels and the generated ones.
        prior_weight: λ, weight of the prior loss; at 0 the discriminator is not evaluated.
        latent_weight: μ, weight of the latent term: the squared distance of z from the encoder's
            posterior, or from the prior if the search starts at random.
        steps: Adam steps on z. More steps than a preset has are made smaller if the search starts
            at the encoder's estimate and no `learning_rate` is given.
        learning_rate: Adam's step size at the first step.
        learning_rate_end: Step size at the last step as a share of the first (cosine between).
        start: Where the search starts: at the encoder's estimate of z, where the model has an
            encoder; at its second estimate, from the image with the first one's fill in its hole;
            or at random draws from the prior.
        starts: Starts per image, searched together; the one that ends with the lowest loss is kept.
        mirror: Search and refine the mirror image of each picture as well, and fill with the mean
            of both, which errs less than either; where the model has an encoder and was trained on
            mirror images. Of several starts the first alone is searched in its mirror image.
        symmetry: Fill what the code cannot express with what is known of the object's other side
            (see `aleph.search.symmetry`), where the model was trained on mirror images.
        clip: Clip z to [−1, 1] after each step, if the model's prior is uniform there.
        tones: Search a monochrome or faded frame in the tones that the model knows, and compare in
            the frame's own.
        patience: Stop when no image's loss has fallen by 0.1 % for this many steps; 0 never stops.
        adaptation_steps: Adam steps that adapt the generator to each picture after the search (see
            `aleph.search.adaptation`); 0 for none, as where the model has no encoder.
        adaptation_rate: Step size of the adaptation at its first step; it falls to a tenth.
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
    mirror: bool = False
    symmetry: bool = False
    clip: bool = True
    tones: bool = True
    patience: int = 0
    adaptation_steps: int = 0
    adaptation_rate: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("weighting", self.weighting, Weighting)
        check_choice("norm", self.norm, Norm)
        check_choice("start", self.start, Start)
        require(0 <= self.steps <= 100_000, f"steps must be from 0 to 100000, not {self.steps}")
        require(1 <= self.starts <= 256, f"starts must be from 1 to 256, not {self.starts}")
        require(self.patience >= 0, f"patience must not be negative, not {self.patience}")
        for name in ("prior_weight", "latent_weight"):
            value = getattr(self, name)
            require(0 <= value < 1e6, f"{name} must be a number from 0 up, not {value}")
        for name in ("learning_rate", "adaptation_rate"):
            value = getattr(self, name)
            require(0 < value < 10, f"{name} must be above 0 and below 10, not {value}")
        require(
            0 <= self.adaptation_steps <= 10_000,
            f"adaptation_steps must be from 0 to 10000, not {self.adaptation_steps}",
        )
        require(
            0 <= self.learning_rate_end <= 1,
            f"learning_rate_end must be from 0 to 1, not {self.learning_rate_end}",
        )
