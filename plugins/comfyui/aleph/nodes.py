"""The nodes: fill the masked part of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import aleph
from aleph.models.zoo import list_models

_PRESETS = ["fast", "balanced", "thorough"]


class AlephInpaint:
    """Fills the masked part of every image of a batch; all else stays as it is, bit for bit."""

    CATEGORY = "image/inpainting"
    FUNCTION = "inpaint"
    RETURN_TYPES = ("IMAGE",)
    DESCRIPTION = "Fills what the mask marks by searching the latent space of a generative model."

    def __init__(self) -> None:
        self._loaded: dict[str, aleph.Inpainter] = {}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """Describe the node's inputs to ComfyUI."""
        seed = {"default": 0, "min": 0, "max": 2**63 - 1}
        return {
            "required": {
                "image": ("IMAGE",),
                "mask": ("MASK",),
                "model": (sorted(list_models()), {"default": "faces-128"}),
                "preset": (_PRESETS, {"default": "balanced"}),
                "seed": ("INT", seed),
            }
        }

    def inpaint(
        self, image: Tensor, mask: Tensor, model: str, preset: str, seed: int
    ) -> tuple[Tensor]:
        """Fill a batch.

        Args:
            image: float32 (N, H, W, 3), 0 to 1.
            mask: float32 (H, W), (1, H, W) or (N, H, W), 0 to 1; 0.5 and more is missing. Of
                another size it is scaled to the image's.
            model: A name of `aleph models`.
            preset: `fast`, `balanced` or `thorough`.
            seed: Seed of the fills.

        Returns:
            The filled batch, float32 (N, H, W, 3), 0 to 1.
        """
        inpainter = self._inpainter(model)
        filled = image.clone()
        masks = mask.reshape(-1, *mask.shape[-2:]).expand(len(image), -1, -1)
        for picture, missing in zip(filled, masks, strict=True):
            hole = self._hole(missing, (picture.shape[0], picture.shape[1]))
            if not hole.any():
                continue
            levels = picture[:, :, :3].mul(255).round().clamp(0, 255).to(torch.uint8)
            result = inpainter(
                levels.cpu().numpy(), hole.cpu().numpy(), preset=preset, seed=seed, record=False
            )
            fill = torch.from_numpy(result.image.astype(np.float32) / 255).to(picture)
            picture[:, :, :3][hole] = fill[hole]
        return (filled,)

    def _inpainter(self, model: str) -> aleph.Inpainter:
        if model not in self._loaded:
            self._loaded[model] = aleph.Inpainter.from_pretrained(model)
        return self._loaded[model]

    @staticmethod
    def _hole(mask: Tensor, size: tuple[int, int]) -> Tensor:
        if tuple(mask.shape) != size:
            mask = functional.interpolate(mask[None, None].float(), size, mode="bilinear")[0, 0]
        return mask >= 0.5


NODE_CLASS_MAPPINGS = {"AlephInpaint": AlephInpaint}
NODE_DISPLAY_NAME_MAPPINGS = {"AlephInpaint": "Inpaint (aleph)"}
