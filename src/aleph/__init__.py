"""aleph: image inpainting that fills a hole by searching the latent space of a generative model.

>>> import aleph
>>> inpainter = aleph.Inpainter.from_pretrained("faces-dcgan-64")  # doctest: +SKIP
>>> inpainter("photo.png", "mask.png").save("filled.png")          # doctest: +SKIP

Everything below is imported when it is first used, so that `import aleph` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from aleph.config import ModelConfig, SearchConfig, Settings, TrainConfig
    from aleph.errors import (
        AlephError,
        FrameWarning,
        InputError,
        MaskWarning,
        MissingDependencyError,
        ModelError,
        OutputError,
        TrainingError,
    )
    from aleph.inpainter import Inpainter, SearchedFrame
    from aleph.inpainting import Candidate, Inpainting
    from aleph.masks import Mask
    from aleph.photos import Photo, read_photo
    from aleph.placement import Placement
    from aleph.search import SearchStep
    from aleph.weighting import context_weight
    from aleph.zoo import list_models, load_model

_HOMES = {
    "AlephError": "errors",
    "Candidate": "inpainting",
    "FrameWarning": "errors",
    "InputError": "errors",
    "Inpainter": "inpainter",
    "Inpainting": "inpainting",
    "Mask": "masks",
    "MaskWarning": "errors",
    "MissingDependencyError": "errors",
    "ModelConfig": "config",
    "ModelError": "errors",
    "OutputError": "errors",
    "Photo": "photos",
    "Placement": "placement",
    "SearchConfig": "config",
    "SearchStep": "search",
    "SearchedFrame": "inpainter",
    "Settings": "config",
    "TrainConfig": "config",
    "TrainingError": "errors",
    "context_weight": "weighting",
    "list_models": "zoo",
    "load_model": "zoo",
    "read_photo": "photos",
}

__all__ = [
    "AlephError",
    "Candidate",
    "FrameWarning",
    "Inpainter",
    "Inpainting",
    "InputError",
    "Mask",
    "MaskWarning",
    "MissingDependencyError",
    "ModelConfig",
    "ModelError",
    "OutputError",
    "Photo",
    "Placement",
    "SearchConfig",
    "SearchStep",
    "SearchedFrame",
    "Settings",
    "TrainConfig",
    "TrainingError",
    "__version__",
    "context_weight",
    "list_models",
    "load_model",
    "read_photo",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module holds
    if name in _HOMES:
        return getattr(importlib.import_module(f"aleph.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'aleph' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
