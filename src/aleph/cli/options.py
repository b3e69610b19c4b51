"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


DEFAULT_MODEL_HELP = "A name of `aleph models`, or a model folder."


def given(**options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
