"""Tone mapping in the search: monochrome and faded photos with a model of ordinary colour photos.

Models are trained on colour photographs of ordinary contrast. A monochrome or faded frame is mapped
to such tones before the encoder gets it, and G(z) is mapped to the photo's tones before the context
loss compares it with the frame: for a monochrome photo to the colours of its tone curve, for a
faded one to its lower contrast. Both maps act on each pixel by itself and are differentiable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aleph.arrays import Doubles, Hole, Pixels
from aleph.photo.tensors import to_pixels
from aleph.photo.tone import LUMA, ToneCurve, fit_tone_curve, luminance

_FADED, _FADED_GREY = 160.0, 140.0
"""Range of the colours, or of the luminance of a monochrome frame, in grey levels, below which a
frame counts as faded. In 99 % of portraits it is larger."""

_NOTHING = 16.0
"""Range below which a frame is left as it is: it holds nothing but noise."""

_ENDS = (0.005, 0.995)
"""Quantiles that count as the darkest and the lightest value of a frame."""

_MOST_GAIN = 8.0
"""Largest factor by which contrast is raised."""

IMAGES = 16
"""Number of images of the model from which its tones are measured."""


@dataclass(frozen=True, eq=False)
class NaturalTones:
    """The tones of a model's own images.

    Attributes:
        curve: The mean colour of each luminance.
        ends: The darkest and the lightest red, green, blue and luminance of an image, in grey
            levels, float64 (2, 4); medians.
    """

    curve: ToneCurve
    ends: Doubles


def natural_tones(generator: Callable[[Tensor], Tensor], codes: Tensor) -> NaturalTones:
    """Measure the tones of a generator's images.

    Args:
        generator: z (n, latent_dim) → images (n, 3, H, W) in [−1, 1].
        codes: Latent codes of the prior, (n, latent_dim).
    """
    with torch.no_grad():
        images = to_pixels(generator(codes)).reshape(len(codes), -1, 3)
    ends = np.median([_ends(image) for image in images], axis=0)
    return NaturalTones(fit_tone_curve(images.reshape(-1, 3), robust=False), ends)


def _ends(colours: Pixels) -> Doubles:
    """Return the darkest and the lightest red, green, blue and luminance of colours (n, 3)."""
    channels = np.concatenate([colours, luminance(colours)[:, None]], axis=1)
    return np.asarray(np.quantile(channels, _ENDS, axis=0))


@dataclass(frozen=True, eq=False)
class ToneMap:
    """The map from the tones of N frames to those of the model, and back.

    Attributes:
        changed: Boolean (N, 1, 1, 1), the frames whose tones are mapped; others stay as they are.
        monochrome: Boolean (N, 1, 1, 1), those that have a tone curve.
        chroma: Their curves: colour minus luminance at the luminances 0 to 255, float32
            (N, 256, 3), scaled as images in [−1, 1] are.
        natural: The same curve of the model's own images, float32 (256, 3).
        gain: Factor from the frame's contrast to the model's, float32 (N, 1, 1, 1).
        shift: What is added after that, float32 (N, 3, 1, 1).
    """

    changed: Tensor
    monochrome: Tensor
    chroma: Tensor
    natural: Tensor
    gain: Tensor
    shift: Tensor

    def to(self, device: torch.device) -> ToneMap:
        """Return it on another device."""
        return ToneMap(
            *(getattr(self, field.name).to(device) for field in dataclasses.fields(self))
        )

    def seen(self, target: Tensor) -> Tensor:
        """Map frames (N, 3, H, W) in [−1, 1] to the tones of the model."""
        plain = (target * self.gain + self.shift).clamp(-1.0, 1.0)
        natural = self.natural.expand(len(target), -1, -1)
        toned = torch.where(self.monochrome, _coloured(_light(plain), natural), plain)
        return torch.where(self.changed, toned, target)

    def shown(self, generated: Tensor) -> Tensor:
        """Map images of the model to the tones of their frames.

        Args:
            generated: (N · K, 3, H, W), about [−1, 1]: K images for each of the N frames in turn.
        """
        starts = len(generated) // len(self.changed)
        changed, monochrome, chroma, gain, shift = (
            value.repeat_interleave(starts, 0)
            for value in (self.changed, self.monochrome, self.chroma, self.gain, self.shift)
        )
        plain = (generated - shift) / gain
        toned = torch.where(monochrome, _coloured(_light(plain), chroma), plain)
        return torch.where(changed, toned, generated)


def tone_map(
    frames: Sequence[Pixels],
    holes: Sequence[Hole],
    curves: Sequence[ToneCurve | None],
    natural: Callable[[], NaturalTones],
) -> ToneMap | None:
    """Return the tone map of some frames; None if none is monochrome or faded.

    Args:
        frames: uint8 (R, R, 3) each; values in the hole are ignored.
        holes: Boolean (R, R) each, True = missing.
        curves: The tone curves of those that are monochrome.
        natural: Returns the tones of the model; called only if they are needed.
    """
    known = [frame[~hole] for frame, hole in zip(frames, holes, strict=True)]
    ends = [_ends(pixels) for pixels in known]
    monochrome = [curve is not None for curve in curves]
    faded = [_faded(*pair) for pair in zip(ends, monochrome, strict=True)]
    changed = torch.tensor(faded) | torch.tensor(monochrome)
    if not changed.any():
        return None
    own = natural()
    affine = [
        _restoring(one, own.ends, toned) if low else (1.0, np.zeros(3))
        for one, low, toned in zip(ends, faded, monochrome, strict=True)
    ]
    grey = np.zeros((256, 3), np.float32)
    chroma = torch.from_numpy(np.stack([curve.chroma if curve else grey for curve in curves]))
    return ToneMap(
        changed.view(-1, 1, 1, 1),
        torch.tensor(monochrome).view(-1, 1, 1, 1),
        chroma / 127.5,
        torch.from_numpy(own.curve.chroma) / 127.5,
        torch.tensor([gain for gain, _ in affine]).float().view(-1, 1, 1, 1),
        torch.from_numpy(np.stack([shift for _, shift in affine])).float()[:, :, None, None],
    )


def _faded(ends: Doubles, monochrome: bool) -> bool:
    """Return whether a frame lacks contrast, given its darkest and lightest values."""
    low, high = ends[:, 3:] if monochrome else ends[:, :3]
    limit = _FADED_GREY if monochrome else _FADED
    return bool(_NOTHING < high.max() - low.min() < limit)


def _restoring(ends: Doubles, natural: Doubles, monochrome: bool) -> tuple[float, Doubles]:
    """Return gain and shift, (3,) in units of [−1, 1], that give a frame natural contrast.

    The range of its luminance becomes that of the model's images, and its darkest value in each
    channel, which fading and a colour cast have raised, becomes theirs.

    Args:
        ends: The frame's darkest and lightest values, (2, 4): red, green, blue, luminance.
        natural: Those of the model's images.
        monochrome: Whether the frame has a luminance only.
    """
    light, ordinary = (e[1, 3] - e[0, 3] for e in (ends, natural))
    gain = min(max(float(ordinary / max(light, 1.0)), 1.0), _MOST_GAIN)
    darkest, wanted = (np.repeat(e[0, 3:], 3) if monochrome else e[0, :3] for e in (ends, natural))
    return gain, (wanted / 127.5 - 1.0) - gain * (darkest / 127.5 - 1.0)


def _light(images: Tensor) -> Tensor:
    """Return the luminance of images (N, 3, H, W), (N, 1, H, W)."""
    shares = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    return (images * shares).sum(dim=1, keepdim=True)


def _coloured(light: Tensor, chroma: Tensor) -> Tensor:
    """Give luminances (N, 1, H, W) the colours of tone curves (N, 256, 3), linearly between two."""
    level = ((light + 1.0) * 127.5).clamp(0.0, 254.999)
    below = level.detach().floor()
    part = level - below
    place = below.long().flatten(1)[:, :, None].expand(-1, -1, 3)
    low, high = chroma.gather(1, place), chroma.gather(1, place + 1)
    share = part.flatten(1)[:, :, None]
    colour = (low + (high - low) * share).transpose(1, 2)
    return light + colour.reshape(len(light), 3, *light.shape[2:])
