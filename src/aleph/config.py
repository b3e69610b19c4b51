"""Frozen, self-validating configuration; written into every run and model folder."""

from __future__ import annotations

import dataclasses
import numbers
from typing import Any, Literal, Self, get_args

from aleph.errors import InputError, shown, unknown_name

ModelKind = Literal["dcgan", "amortised", "detector", "damage", "surroundings"]
Prior = Literal["uniform", "normal"]
Weighting = Literal["uniform", "box", "inverse", "inverse-square"]
Norm = Literal["l1", "l2"]
Blending = Literal["paste", "poisson", "matern", "refined"]
OutsideFill = Literal["texture", "smooth"]
Precision = Literal["fp32", "bf16"]
Arithmetic = Literal["auto", "fp32", "bf16"]
Start = Literal["encoder", "encoder-twice", "random"]
TrainedPart = Literal["all", "refiner"]
Preset = Literal["fast", "balanced", "thorough", "yeh2017"]

SENSITIVITY = 0.5
"""How readily damage is found by default: what is more likely damaged than not is marked. That
leaves the filled photo nearest to what it was before the damage (docs/damage.md)."""


class Serialisable:
    """Conversion between a frozen dataclass and plain JSON values, with every key checked."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            _check_type(field.name, getattr(self, field.name), field.default)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from plain JSON values; unknown keys and values of the wrong type are refused.

        Raises:
            InputError: on an unknown key, a missing one, or a value of another type.
        """
        if not isinstance(values, dict):
            raise InputError(f"settings must be a mapping, not {shown(values)}")
        fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for key in values:
            if key not in fields:
                raise InputError(unknown_name("setting", key, fields))
        return cls(**values)


def _check_type(name: str, value: object, default: object) -> None:
    """Refuse a value that is not of its default's type; an integer is accepted for a float."""
    if isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        fits, wanted = whole, "a whole number"
    elif isinstance(default, float):
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        fits, wanted = real, "a number"
    else:
        fits, wanted = isinstance(value, str) or not isinstance(default, str), "a name"
    if not fits:
        raise InputError(f"setting '{name}' must be {wanted}, not {shown(value)}")


def check_whole(what: str, value: object, least: int, most: int) -> None:
    """Refuse a value that is no whole number or outside its bounds.

    Raises:
        InputError: with the bounds.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not least <= int(value) <= most:  # type: ignore[call-overload]
        raise InputError(
            f"{what} must be a whole number from {least} to {most}, not {shown(value)}"
        )


def check_share(what: str, value: object) -> None:
    """Refuse a value that is no number from 0 to 1.

    Raises:
        InputError: with the bounds.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not 0 <= float(value) <= 1:  # type: ignore[arg-type]
        raise InputError(f"{what} must be a number from 0 to 1, not {shown(value)}")


def check_choice(what: str, value: str, choices: Any) -> None:  # noqa: ANN401 - a typing Literal
    """Refuse a value that a `Literal` type does not list, naming the nearest one that it does.

    Raises:
        InputError: if `value` is none of the choices.
    """
    known = get_args(choices)
    if value not in known:
        raise InputError(unknown_name(what, str(value), known))


def require(condition: bool, sentence: str) -> None:
    """Refuse a value with a sentence unless a condition holds.

    Raises:
        InputError: with the sentence.
    """
    if not condition:
        raise InputError(sentence)
