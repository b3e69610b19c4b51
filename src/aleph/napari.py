"""The plug-in for napari: an image layer and a labels layer → a filled image layer.

napari finds it by `napari.yaml`, and makes its panel from the annotations of `inpaint_layer`.
"""

# No `from __future__ import annotations`: napari reads those of this function.

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from aleph.errors import InputError
from aleph.inpainter import inpaint
from aleph.models.zoo import DEFAULT_MODEL, list_models

if TYPE_CHECKING:
    import napari.layers
    import napari.types


def _models(_widget: object) -> list[str]:
    """Return the names of the models to choose from."""
    return sorted(list_models())


def inpaint_layer(
    image: "napari.layers.Image",
    missing: "napari.layers.Labels",
    model: Annotated[str, {"choices": _models}] = DEFAULT_MODEL,
    preset: Literal["fast", "balanced", "thorough"] = "balanced",
    seed: int = 0,
) -> "napari.types.LayerDataTuple":
    """Fill what a labels layer marks of an image layer.

    Args:
        image: RGB(A) (H, W, 3 or 4) or one channel (H, W), of any type of numbers. What the model
            sees is what the contrast limits show; outside the labels nothing changes.
        missing: Labels (H, W); what is not 0 is missing.
        model: A name of `aleph models`.
        preset: `fast`, `balanced` or `thorough`.
        seed: Seed of the fill.

    Returns:
        Data, attributes and type of a new image layer, at the place of the old one.

    Raises:
        InputError: if the image has more dimensions, the labels have another size, or nothing is
            marked.
    """
    data, hole = np.asarray(image.data), np.asarray(missing.data) != 0
    if data.ndim != (3 if image.rgb else 2):
        raise InputError(f"aleph fills single pictures; this layer has the shape {data.shape}")
    if hole.shape != data.shape[:2]:
        raise InputError(f"the labels are of {hole.shape}, the image is of {data.shape[:2]} pixels")
    low, high = _limits(image, data.dtype)
    colours = data[..., :3] if image.rgb else data
    levels = (colours.clip(low, high) - low) * (255 / (high - low))
    seen = np.rint(levels).astype(np.uint8)
    fill = inpaint(seen, hole, model=model, preset=preset, seed=seed)[hole]
    values = low + (fill if image.rgb else fill[:, 0]) * ((high - low) / 255)
    filled = data.copy()
    filled[(hole, slice(3)) if image.rgb else hole] = (
        values if np.issubdtype(data.dtype, np.floating) else np.rint(values)
    )
    place = {name: getattr(image, name) for name in ("scale", "translate", "rotate", "shear")}
    return filled, {"name": f"{image.name}, filled", "rgb": image.rgb, **place}, "image"


def _limits(image: "napari.layers.Image", kind: np.dtype[Any]) -> tuple[float, float]:
    """Return what napari shows black, and what white: only layers of one channel have limits."""
    if not image.rgb:
        low, high = map(float, image.contrast_limits)
        return low, max(high, low + 1e-9)
    return 0.0, float(np.iinfo(kind).max) if np.issubdtype(kind, np.integer) else 1.0
