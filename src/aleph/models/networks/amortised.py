"""Networks of the kind `amortised`: an encoder of damaged images, a generator, a discriminator.

The encoder estimates the latent code of a damaged image in one pass (amortised inference), so that
a search starts near its goal. The generator follows StyleGAN2 (Karras et al. 2020, arXiv
1912.04958, sections 2.2 and 4.1: modulated and demodulated convolutions, images summed over the
resolutions), made cheap for CPUs: the style scales the activations and the demodulation the
outputs, so that one plain convolution serves a whole batch; the first of the two convolutions of a
resolution runs before the upsampling, at a quarter of the cost; no noise is added, so that a search
can be repeated.

Encoder and discriminator are the same tower of residual blocks without normalisation (ibid.,
section 4.1 and figure 7c).
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.2
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))
"""Keeps the variance of activations through a leaky rectifier (He et al. 2015)."""


def level_channels(resolution: int, width: int, maximum: int) -> dict[int, int]:
    """Return the channels at every resolution from 4 up: `width` at the finest, doubling downwards.

    >>> level_channels(32, 24, 64)
    {4: 64, 8: 64, 16: 48, 32: 24}
    """
    levels = [4 * 2**i for i in range(int(math.log2(resolution // 4)) + 1)]
    return {level: min(maximum, width * resolution // level) for level in levels}


def _activate(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, _SLOPE) * _GAIN


class ModulatedConv(nn.Module):
    """3×3 convolution whose inputs are scaled by a style and whose outputs keep unit variance."""

    def __init__(self, inputs: int, outputs: int, latent_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        nn.init.normal_(self.weight).data.div_(math.sqrt(inputs * 9))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = nn.Linear(latent_dim, inputs)
        nn.init.normal_(self.style.weight, 0.0, 0.5 / math.sqrt(latent_dim))
        nn.init.ones_(self.style.bias)
        self._known_power: tuple[tuple[int, int], Tensor] | None = None

    def _power(self) -> Tensor:
        """Return Σ w² over each kernel, float32 (outputs, inputs).

        While the weights are frozen, as in a search of many steps, it is computed once.
        """
        if self.weight.requires_grad:
            return self.weight.float().square().sum(dim=(2, 3))
        state = (self.weight.data_ptr(), self.weight._version)
        if self._known_power and self._known_power[0] == state:
            return self._known_power[1]
        power = self.weight.float().square().sum(dim=(2, 3))
        if not power.is_inference():  # autograd cannot use an inference tensor
            self._known_power = (state, power)
        return power

    @property
    def offsets(self) -> int:
        """Length of an offset: one value for each input's style and each output's bias."""
        return self.weight.shape[1] + self.weight.shape[0]

    def forward(self, x: Tensor, latent: Tensor, offset: Tensor | None = None) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W).

        Args:
            x: The layer's input.
            latent: z, (N, latent_dim).
            offset: What is added to the styles (the first `inputs` values) and to the biases (the
                other `outputs`) of each image, (N, inputs + outputs); None for nothing.
        """
        style = self.style(latent)  # (N, inputs)
        bias = self.bias[:, None, None]
        if offset is not None:
            of_style, of_bias = torch.split(offset, [x.shape[1], len(self.bias)], dim=1)
            style, bias = style + of_style, bias + of_bias[:, :, None, None]
        power = self._power()
        # In float32: squares of small numbers are what bfloat16 is worst at.
        with torch.autocast(x.device.type, enabled=False):
            variance = style.float().square() @ power.T  # (N, outputs)
            # `_activate` scales its output; scaling these two instead saves a pass over the image,
            # for a leaky rectifier commutes with a positive factor.
            demodulation = torch.rsqrt(variance + 1e-8) * _GAIN
        x = functional.conv2d(x * style.to(x.dtype)[:, :, None, None], self.weight, padding=1)
        x = torch.addcmul((bias * _GAIN).to(x.dtype), x, demodulation.to(x.dtype)[:, :, None, None])
        return functional.leaky_relu(x, _SLOPE, inplace=True)


class _Level(nn.Module):
    """One doubling of the resolution, and the image that it adds."""

    def __init__(self, inputs: int, outputs: int, latent_dim: int) -> None:
        super().__init__()
        self.before = ModulatedConv(inputs, outputs, latent_dim)
        self.after = ModulatedConv(outputs, outputs, latent_dim)
        self.to_image = nn.Conv2d(outputs, 3, 1)
        nn.init.normal_(self.to_image.weight, 0.0, 0.1 / math.sqrt(outputs))
        self.to_image.bias = nn.Parameter(torch.zeros(3))

    def forward(
        self,
        x: Tensor,
        image: Tensor,
        latent: Tensor,
        before: Tensor | None = None,
        after: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        x = self.before(x, latent, before)
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.after(x, latent, after)
        image = functional.interpolate(image, scale_factor=2.0, mode="bilinear")
        return x, image + self.to_image(x).to(image.dtype)


class StyleGenerator(nn.Module):
    """z of shape (N, latent_dim) → image of shape (N, 3, resolution, resolution), about [−1, 1].

    The output is not squashed into [−1, 1]: tanh has hardly any gradient where an image is black or
    white, and the search needs one. The conversion to pixels clips.
    """

    def __init__(self, resolution: int, latent_dim: int, width: int, maximum: int) -> None:
        super().__init__()
        channels = level_channels(resolution, width, maximum)
        first = channels.pop(4)
        self.first = first
        self.seed = nn.Linear(latent_dim, first * 16)
        self.start = ModulatedConv(first, first, latent_dim)
        self.to_image = nn.Conv2d(first, 3, 1)
        inputs = [first, *list(channels.values())[:-1]]
        self.levels = nn.ModuleList(
            _Level(i, o, latent_dim) for i, o in zip(inputs, channels.values(), strict=True)
        )

    @property
    def offsets(self) -> list[int]:
        """For each modulated layer, from coarse to fine, the length of its offset."""
        return [layer.offsets for layer in self.modules() if isinstance(layer, ModulatedConv)]

    def forward(self, z: Tensor, offsets: Tensor | None = None) -> Tensor:
        """Generate the images of a batch of latent codes.

        Args:
            z: (N, latent_dim).
            offsets: The offsets of all modulated layers side by side, (N, sum of `offsets`), in the
                order of `offsets`; None for none.
        """
        own: list[Tensor | None] = [None] * (1 + 2 * len(self.levels))
        if offsets is not None:
            own = list(torch.split(offsets, self.offsets, dim=1))
        x = _activate(self.seed(z)).reshape(-1, self.first, 4, 4)
        x = self.start(x.contiguous(memory_format=torch.channels_last), z, own[0])
        image: Tensor = self.to_image(x)
        for level, before, after in zip(self.levels, own[1::2], own[2::2], strict=True):
            x, image = level(x, image, z, before, after)
        return image


class _Shrink(nn.Module):
    """Residual block that halves the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.same = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.down = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        residual = _activate(self.down(_activate(self.same(x))))
        skip: Tensor = self.skip(functional.avg_pool2d(x, 2))
        return (residual + skip) * math.sqrt(0.5)


class Tower(nn.Module):
    """Images (N, inputs, resolution, resolution) → features (N, features), and those of each block.

    Args:
        resolution: Side of the images.
        inputs: Channels of the images.
        width: Channels at the full resolution, doubling downwards.
        maximum: Bound of the channels.
        features: Length of the final features.
    """

    def __init__(
        self, resolution: int, inputs: int, width: int, maximum: int, features: int
    ) -> None:
        super().__init__()
        channels = list(level_channels(resolution, width, maximum).values())[::-1]
        self.stem = nn.Conv2d(inputs, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(_Shrink(i, o) for i, o in itertools.pairwise(channels))
        self.final = nn.Conv2d(channels[-1], channels[-1] // 2, 3, padding=1)
        self.flat = nn.Linear(channels[-1] // 2 * 16, features)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, _SLOPE, nonlinearity="leaky_relu")
                # `_activate` has the gain already.
                module.weight.data.div_(_GAIN)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the final features and those of every block, fine to coarse."""
        x = _activate(self.stem(image))
        steps = []
        for block in self.blocks:
            x = block(x)
            steps.append(x)
        x = _activate(self.final(x))
        return _activate(self.flat(x.flatten(1))), steps


class Encoder(nn.Module):
    """Damaged image and hole → the Gaussian posterior of the latent code.

    q(z | y, M) = N(μ, diag σ²), amortised (Kingma & Welling 2014, arXiv 1312.6114, section 3).
    """

    def __init__(self, resolution: int, latent_dim: int, width: int, maximum: int) -> None:
        super().__init__()
        self.tower = Tower(resolution, 4, width, maximum, latent_dim)
        self.posterior = nn.Linear(latent_dim, 2 * latent_dim)
        nn.init.normal_(self.posterior.weight, 0.0, 0.5 / math.sqrt(latent_dim))
        nn.init.zeros_(self.posterior.bias)

    def forward(self, image: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """Encode damaged images.

        Args:
            image: (N, 3, H, W) in [−1, 1]; its values in the hole are ignored.
            hole: Boolean (N, 1, H, W), True = missing.

        Returns:
            μ and log σ², each (N, latent_dim).
        """
        mean, log_variance = self.posterior(self.features(image, hole)).chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def features(self, image: Tensor, hole: Tensor) -> Tensor:
        """Return the features that the posterior is a linear map of, (N, latent_dim)."""
        known = image.masked_fill(hole, 0.0)
        features, _ = self.tower(torch.cat([known, hole.to(image.dtype)], dim=1))
        return features  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Image of shape (N, 3, resolution, resolution) → logit of shape (N,), real > 0."""

    def __init__(self, resolution: int, width: int, maximum: int) -> None:
        super().__init__()
        self.tower = Tower(resolution, 3, width, maximum, maximum // 2)
        self.logit = nn.Linear(maximum // 2, 1)

    def features(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logit (N,) and the features of every block, fine to coarse."""
        final, steps = self.tower(image)
        return self.logit(final).flatten(), steps

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N,) of a batch of images."""
        return self.features(image)[0]
