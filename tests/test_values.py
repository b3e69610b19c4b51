"""What holds of every class that carries arrays, wherever it lives."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re

import pytest

import aleph

ARRAYS = re.compile(r"\b(NDArray|Tensor|Pixels|Hole|Floats|Samples)\b")


def classes_with_arrays() -> list[type]:
    """Return every dataclass of aleph of which a field is an array or holds arrays."""
    found = set()
    for info in pkgutil.walk_packages(aleph.__path__, "aleph."):
        if info.name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(info.name)
        except ModuleNotFoundError:  # an extra that is not installed
            continue
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value):
                fields = dataclasses.fields(value)
                if any(ARRAYS.search(str(one.type)) for one in fields):
                    found.add(value)
    return sorted((one for one in found if one.__module__.startswith("aleph")), key=str)


@pytest.mark.parametrize("one", classes_with_arrays(), ids=lambda one: one.__qualname__)
def test_comparing_what_holds_arrays_never_raises(one: type) -> None:
    """A generated `__eq__` would ask an array whether it is true, which raises."""
    assert one.__eq__ is object.__eq__
