"""What the numbers of a mask mean: 0 and 1, 0 to 255, labels, fractions."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aleph.errors import InputError, MaskWarning, warn
from aleph.photo.chatter import one_line

_LABELS = 64
"""Largest number that is taken for a label; 255 often marks the edges between labels."""

_FEW = 65
"""Different values that labels may have."""

_SCALES = (1, 255, 65535)
"""White, by how it is stored: as a fraction, in 8 bits, in 16."""


def read_array(data: bytes, label: str) -> NDArray[Any]:
    """Return the array of a file of numpy's (.npy); nothing in it is unpickled.

    Args:
        data: The file's bytes.
        label: What errors call it.

    Raises:
        InputError: if it is none, is damaged, or holds objects.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize > len(data):
            raise InputError(f"{label} holds no array of numbers, or not all of it")
        file.seek(0)
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except InputError:
        raise
    except Exception as error:  # numpy raises whatever it stumbles over
        raise InputError(f"{label} is damaged and cannot be read: {one_line(error)}") from None


def missing_numbers(values: NDArray[Any], lossy: bool = False) -> NDArray[np.uint8]:
    """Return how missing each pixel is by its number: uint8 (H, W), 255 = wholly.

    Two values of which one is 0 are known and missing. Small whole numbers are labels: all but 0
    are missing. Everything else is a grey that is cut half-way between black and white, where
    white is 1, 255 or 65535, the least of these that no value exceeds.

    Args:
        values: Numbers of any kind (H, W).
        lossy: Whether a lossy compression has blurred them, so that small ones mean nothing.

    Raises:
        InputError: if they can mean nothing of this, with what was seen.

    Warns:
        MaskWarning: if they are taken for labels.
    """
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    low, high = _range(values)
    whole = np.issubdtype(values.dtype, np.integer) or bool((values == np.rint(values)).all())
    few = _few(values)
    if few is not None and len(few) <= 2 and low == 0:
        return _marked(values != 0)
    if whole and few is not None and not lossy and _are_labels(values, few):
        named = ", ".join(f"{value:g}" for value in few[:8]) + (", …" if len(few) > 8 else "")
        warn(
            f"the mask holds the numbers {named}, as labels do: all but 0 are missing; if only "
            "some of them are, give a mask of 0 and 1",
            MaskWarning,
        )
        return _marked(values != 0)
    white = next((scale for scale in _SCALES if high <= scale), None)
    if white is None:
        raise InputError(
            f"the mask's values go from {low:g} to {high:g}: give 0 to 1, or 0 to 255, where high "
            "is missing"
        )
    if high < white / 2:
        raise InputError(
            f"the mask's brightest value is {high:g}, and from {white / 2:g} up is missing: draw "
            "what is missing white, or give a mask of 0 and 1"
        )
    if values.dtype == np.uint8 and white == 255:
        return np.asarray(values, np.uint8)
    return np.asarray(np.clip(values.astype(np.float64) * (256 / white), 0, 255), np.uint8)


def _range(values: NDArray[Any]) -> tuple[float, float]:
    if values.size == 0:
        raise InputError("the mask has no pixels")
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise InputError("the mask holds NaN or infinite values; nonzero means missing")
    if low < 0:
        raise InputError(
            f"the mask's values go from {low:g} to {high:g}: none may be below 0, high = missing"
        )
    return low, high


def _few(values: NDArray[Any]) -> NDArray[Any] | None:
    """Return the different values in ascending order; None if they are many."""
    step = max(1, values.size // (1 << 20))
    found = np.unique(values.ravel()[::step])
    if len(found) > _FEW:
        return None
    found = np.unique(values)
    return found if len(found) <= _FEW else None


def _are_labels(values: NDArray[Any], few: NDArray[Any]) -> bool:
    """Return whether numbers are labels: 0 and small ones, and 255 at most along their edges."""
    inner = few[(few > 0) & (few != 255)]
    if few[0] != 0 or not len(inner) or inner.max() > _LABELS:
        return False
    edges = int((values == 255).sum())
    return 2 * edges <= values.size - int((values == 0).sum()) - edges


def _marked(missing: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(missing, np.uint8) * np.uint8(255)
