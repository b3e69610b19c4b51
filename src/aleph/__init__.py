"""aleph: image inpainting that fills a hole by searching the latent space of a generative model.

>>> import aleph
>>> inpainter = aleph.Inpainter.from_pretrained("faces-dcgan-64")  # doctest: +SKIP
>>> inpainter("photo.png", "mask.png").save("filled.png")          # doctest: +SKIP

Everything below is imported when it is first used, so that `import aleph` costs nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from aleph.imports import importing as _importing

__version__ = "0.1.0"

# Threads of torch that wait for each other spin for 300,000 rounds by default. Where anything else
# uses the processors they keep each other from work: a fill takes five to ten times as long. With
# 1,000 rounds, what OpenMP itself takes when it knows of too many threads, that is gone. OpenMP
# reads this when torch is first imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if TYPE_CHECKING:
    from aleph.damage.find import find_damage
    from aleph.errors import (
        AlephError,
        EmptyMaskError,
        FrameWarning,
        InputError,
        MaskWarning,
        MissingDependencyError,
        ModelError,
        NothingFoundError,
        OutputError,
        PhotoWarning,
        TrainingError,
    )
    from aleph.frames.placement import Placement
    from aleph.inpainter import Inpainter, SearchedFrame, inpaint
    from aleph.inpainting import Candidate, Inpainting
    from aleph.masks.read import Mask
    from aleph.models.config import ModelConfig
    from aleph.models.zoo import list_models, load_model
    from aleph.photo.photo import Photo, read_photo
    from aleph.presets import Settings
    from aleph.search.config import SearchConfig
    from aleph.search.latent import SearchStep
    from aleph.search.weighting import context_weight
    from aleph.training.config import TrainConfig

_HOMES = {
    "AlephError": "errors",
    "Candidate": "inpainting",
    "EmptyMaskError": "errors",
    "FrameWarning": "errors",
    "InputError": "errors",
    "Inpainter": "inpainter",
    "Inpainting": "inpainting",
    "Mask": "masks.read",
    "MaskWarning": "errors",
    "MissingDependencyError": "errors",
    "ModelConfig": "models.config",
    "ModelError": "errors",
    "NothingFoundError": "errors",
    "OutputError": "errors",
    "Photo": "photo.photo",
    "PhotoWarning": "errors",
    "Placement": "frames.placement",
    "SearchConfig": "search.config",
    "SearchStep": "search.latent",
    "SearchedFrame": "inpainter",
    "Settings": "presets",
    "TrainConfig": "training.config",
    "TrainingError": "errors",
    "context_weight": "search.weighting",
    "find_damage": "damage.find",
    "inpaint": "inpainter",
    "list_models": "models.zoo",
    "load_model": "models.zoo",
    "read_photo": "photo.photo",
}

__all__ = [
    "AlephError",
    "Candidate",
    "EmptyMaskError",
    "FrameWarning",
    "Inpainter",
    "Inpainting",
    "InputError",
    "Mask",
    "MaskWarning",
    "MissingDependencyError",
    "ModelConfig",
    "ModelError",
    "NothingFoundError",
    "OutputError",
    "Photo",
    "PhotoWarning",
    "Placement",
    "SearchConfig",
    "SearchStep",
    "SearchedFrame",
    "Settings",
    "TrainConfig",
    "TrainingError",
    "__version__",
    "context_weight",
    "find_damage",
    "inpaint",
    "list_models",
    "load_model",
    "read_photo",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module holds
    if name in _HOMES:
        with _importing():
            return getattr(importlib.import_module(f"aleph.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'aleph' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
