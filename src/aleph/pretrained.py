"""A model by its name: what a process needs to load an inpainter itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aleph.config import Arithmetic, OutsideFill, check_choice, check_whole
from aleph.frames.request import read_request
from aleph.models.folder import digest_model, read_config
from aleph.models.zoo import DEFAULT_MODEL, find_model
from aleph.presets import resolve_settings

if TYPE_CHECKING:
    from aleph.inpainter import Inpainter


def check_call(candidates: int, seeds: Sequence[int], outside: str) -> None:
    """Refuse what a call asks for besides its settings and frames.

    Raises:
        InputError: naming the first value that is out of bounds.
    """
    for seed in seeds:
        check_whole("seed", seed, 0, 2**63 - 1)
    check_whole("candidates", candidates, 1, 64)
    check_choice("fill of what no frame covers", outside, OutsideFill)


@dataclass(frozen=True)
class Pretrained:
    """A model that is loaded where it is needed: `load` is called in every worker.

    Nothing here loads torch but `load`.

    Attributes:
        name_or_path: As for `Inpainter.from_pretrained`, like the others.
        device: Where it computes.
        precision: Its arithmetic.

    Raises:
        InputError: if the precision is unknown.
        ModelError: if there is no such model.
    """

    name_or_path: str | os.PathLike[str] = DEFAULT_MODEL
    device: str = "auto"
    precision: Arithmetic = "auto"

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, Arithmetic)
        read_config(find_model(self.name_or_path))

    def load(self) -> Inpainter:
        """Load it.

        Raises:
            ModelError: if it is damaged or fills nothing.
            InputError: if the device is not there.
        """
        from aleph.inpainter import Inpainter

        return Inpainter.from_pretrained(
            self.name_or_path, device=self.device, precision=self.precision
        )

    def digest(self) -> str:
        """Return the SHA-256 of its configuration and weights."""
        return digest_model(find_model(self.name_or_path))

    def check_options(
        self,
        *,
        preset: str = "balanced",
        frame: Any = "auto",  # noqa: ANN401 - what `read_request` takes
        eyes: Any = None,  # noqa: ANN401
        outside: str = "texture",
        candidates: int = 1,
        grain: bool = True,
        seed: int = 0,
        **overrides: Any,  # noqa: ANN401 - fields of SearchConfig
    ) -> None:
        """Refuse options that `Inpainter` would refuse, before anything is read or loaded.

        Raises:
            InputError: if an option cannot be used.
        """
        config = read_config(find_model(self.name_or_path))
        resolve_settings(preset, config.kind, refined=config.refiner_width > 0, **overrides)
        read_request(frame, eyes)
        check_call(candidates, [seed], outside)
