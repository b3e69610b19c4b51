"""Networks that are loaded and ready for inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aleph.arrays import Floats, Hole, Pixels
from aleph.config import Precision
from aleph.errors import ModelError
from aleph.models.config import ModelConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Model:
    """Networks ready for inference: frozen, in evaluation mode, on one device.

    Attributes:
        name: The name or folder that it was loaded by.
        config: What the networks were built from.
        generator: z (N, latent_dim) → (N, 3, resolution, resolution) in [−1, 1].
        discriminator: Image → logit (N,), positive for real; None if the model has none.
        encoder: Damaged image and hole → μ and log σ² of the latent code; None if there is none.
        refiner: Damaged image, hole and guess → fill; None if there is none.
        device: Where the weights lie.
        precision: Their arithmetic.
    """

    name: str
    config: ModelConfig
    generator: nn.Module
    discriminator: nn.Module | None
    encoder: nn.Module | None
    refiner: nn.Module | None
    device: torch.device
    precision: Precision

    @property
    def adaptable(self) -> int:
        """Length of the offsets that adapt the generator to a picture; 0 if it has none."""
        return sum(self.generator.offsets) if self.config.kind == "amortised" else 0  # type: ignore[arg-type]

    def generate(self, z: Tensor, offsets: Tensor | None = None) -> Tensor:
        """Return G(z), float32 whatever the precision of the weights.

        Args:
            z: Latent codes, (N, latent_dim).
            offsets: What is added to the styles and biases of G for each image, (N, `adaptable`);
                None for nothing.

        Raises:
            ModelError: if offsets are given and the model has none.
        """
        dtype = next(self.generator.parameters()).dtype
        if offsets is None:
            image: Tensor = self.generator(z.to(dtype))
        elif self.adaptable:
            image = self.generator(z.to(dtype), offsets.to(dtype))
        else:
            raise ModelError(f"the model '{self.name}' has no offsets: it cannot be adapted")
        return image.float()

    def discriminate(self, image: Tensor) -> Tensor:
        """Return D's logits, float32 (N,), positive for real.

        Raises:
            ModelError: if the model has no discriminator.
        """
        if self.discriminator is None:
            raise ModelError(
                f"the model '{self.name}' has no discriminator: set the prior weight 0"
            )
        logit: Tensor = self.discriminator(image.to(next(self.discriminator.parameters()).dtype))
        return logit.float()

    def encode(self, image: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posterior's μ and σ of damaged images, float32 (N, latent_dim) each.

        Args:
            image: (N, 3, H, W) in [−1, 1]; its values in the hole are ignored.
            hole: Boolean (N, 1, H, W), True = missing.

        Raises:
            ModelError: if the model has no encoder.
        """
        if self.encoder is None:
            raise ModelError(f"the model '{self.name}' has no encoder: it starts from random codes")
        dtype = next(self.encoder.parameters()).dtype
        mean, log_variance = self.encoder(image.to(dtype), hole)
        return mean.float(), (0.5 * log_variance.float()).exp()

    def refine(self, image: Pixels, hole: Hole, guess: Floats, kappa: float) -> Floats:
        """Return a guess with the detail that the known pixels ask for, at any size.

        Args:
            image: uint8 (H, W, 3); its values in the hole are not looked at.
            hole: Boolean (H, W), True = missing.
            guess: float32 (H, W, 3) in 0 to 255.
            kappa: κ per pixel, how fast the known residual is forgotten.

        Returns:
            float32 (H, W, 3) in 0 to 255, neither cut nor rounded; `image` outside the hole.

        Raises:
            ModelError: if the model has no refiner.
        """
        if self.refiner is None:
            raise ModelError(f"the model '{self.name}' has no refiner: choose another blending")
        return _refined(self.refiner, self.device, image, hole, guess, kappa)


@dataclass(frozen=True)
class SurroundingsModel:
    """A refiner of what no frame covers, ready for inference: frozen, on one device.

    Attributes:
        name: The name or folder that it was loaded by.
        config: What it was built from.
        refiner: Damaged image, hole and guess → fill (`aleph.models.networks.refiner.Refiner`).
        device: Where the weights lie.
    """

    name: str
    config: ModelConfig
    refiner: nn.Module
    device: torch.device

    def refine(self, image: Pixels, hole: Hole, guess: Floats, kappa: float) -> Floats:
        """Return a guess with the detail that the known pixels ask for; as `Model.refine`."""
        return _refined(self.refiner, self.device, image, hole, guess, kappa)


def _refined(
    refiner: nn.Module,
    device: torch.device,
    image: Pixels,
    hole: Hole,
    guess: Floats,
    kappa: float,
) -> Floats:
    import torch

    from aleph.photo.tensors import from_levels, to_levels, to_tensor

    with torch.inference_mode():
        fill = refiner(
            to_tensor(image[None]).to(device),
            torch.from_numpy(np.array(hole))[None, None].to(device),
            from_levels(guess[None]).to(device),
            kappa,
        )
    return np.asarray(to_levels(fill)[0], np.float32)


@dataclass(frozen=True)
class Detector:
    """A network that finds frames, ready for inference: frozen, on one device.

    Attributes:
        name: The name or folder that it was loaded by.
        config: What it was built from.
        network: A `aleph.models.networks.detector.DetectorNetwork`.
        device: Where the weights lie.
    """

    name: str
    config: ModelConfig
    network: nn.Module
    device: torch.device

    @property
    def resolution(self) -> int:
        """Side in pixels of the frames that it was trained to find."""
        return self.config.resolution

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Detect frames in pictures.

        Args:
            image: float32 (N, 4, H, W), H and W multiples of 16: the pictures in [−1, 1], 0 in
                the hole, and the hole, 1 = missing.

        Returns:
            On the CPU, for every cell of 8×8 pixels: scores (N, H / 8, W / 8) in [0, 1], and
            frames (N, H / 8, W / 8, 4): x and y of the centre and side in pixels, angle in degrees
            clockwise.
        """
        import torch

        from aleph.models.networks.detector import decode

        with torch.inference_mode():
            scores, frames = decode(self.network(image.to(self.device)), self.resolution)
        return scores.cpu(), frames.cpu()


@dataclass(frozen=True)
class DamageModel:
    """A network that sees where pictures are damaged, ready for inference: frozen, on one device.

    Attributes:
        name: The name or folder that it was loaded by.
        config: What it was built from.
        network: Pictures → logits (`aleph.models.networks.damage.DamageNetwork`).
        device: Where the weights lie.
        precision: Their arithmetic.
    """

    name: str
    config: ModelConfig
    network: nn.Module
    device: torch.device
    precision: Precision

    def __call__(self, image: Tensor, coarser: Tensor | None = None) -> Tensor:
        """Look at pictures.

        Args:
            image: uint8 (N, 3, H, W), H and W multiples of 32.
            coarser: What a look at half the size found, enlarged: uint8 (N, H, W), 255 = certainly
                damaged. None for the first look.

        Returns:
            On the CPU: how likely each pixel is damaged, uint8 (N, H, W), 255 = certainly.
        """
        import torch

        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32

        def scaled(values: Tensor) -> Tensor:
            return (values.to(self.device).float() / 127.5 - 1.0).to(dtype)

        with torch.inference_mode():
            before = None if coarser is None else scaled(coarser[:, None])
            probability = self.network(scaled(image), before)[:, 0].float().sigmoid()
            found: Tensor = (probability * 255).round().to(torch.uint8).cpu()
        return found
