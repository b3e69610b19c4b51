"""The rows of an evaluation: one JSON object a line, one per image × mask × setting.

Rows are appended as they come, so that a killed run loses only the tasks in progress.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aleph.errors import InputError, OutputError
from aleph.files import replacing

Row = dict[str, Any]
"""One result as plain JSON values.

`image` (its number, from 0), `name`, `mask` and `setting` say what was filled and how; then follow
the parts of the setting (`method`, `weighting`, `norm`, `blending`), the measures (`psnr_hole`,
`psnr_image`, `ssim_hole`, `ssim_image`, `texture`: see `aleph.evaluation.realism`), `seconds` per
image and the `device` they were measured on, `context_loss` and `steps` (null without a search).
The row of a search's first blending also has `curve`: lists `step`, `context_loss` and `psnr_hole`
(of G(z) pasted) over the steps."""

Key = tuple[int, str, str]
"""Image, mask and setting of a row."""

DIGITS = 6
"""Decimals that are written."""


def row_key(row: Row) -> Key:
    """Return image, mask and setting of a row."""
    return row["image"], row["mask"], row["setting"]


class RowFile:
    """The file `results.jsonl` of an evaluation.

    Args:
        path: The file; made with the first row.

    Raises:
        InputError: if a line other than the last cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = {row_key(row): row for row in _recover(path)}

    def __contains__(self, key: Key) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, rows: Iterable[Row]) -> None:
        """Append the rows that are not there yet, and wait until they are on the disk.

        Raises:
            OutputError: if the file cannot be written.
        """
        fresh = [row for row in rows if row_key(row) not in self._rows]
        text = "".join(_line(row) for row in fresh)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot write '{self.path}': {error.strerror}") from None
        self._rows |= {row_key(row): json.loads(_line(row)) for row in fresh}

    def ordered(self, keys: Sequence[Key]) -> list[Row]:
        """Return the rows of `keys`, in their order."""
        return [self._rows[key] for key in keys]

    def finished(self, keys: Iterable[Key]) -> list[Key]:
        """Return those of `keys` whose image has all of its rows."""
        wanted = list(keys)
        lacking = {image for image, mask, setting in wanted if (image, mask, setting) not in self}
        return [key for key in wanted if key[0] not in lacking]

    def sort(self, keys: Sequence[Key]) -> None:
        """Write the whole file again in the order of `keys`, so that equal runs give equal files.

        Raises:
            OutputError: if the file cannot be written.
        """
        with replacing(self.path) as temporary:
            temporary.write_text("".join(map(_line, self.ordered(keys))), encoding="utf-8")


def _line(row: Row) -> str:
    return json.dumps(_rounded(row), allow_nan=False) + "\n"


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None  # JSON knows no NaN
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def _recover(path: Path) -> list[Row]:
    """Read the rows; a last line that a killed run left half-written is cut off the file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from None
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return [_read(line, path, number) for number, line in enumerate(whole.splitlines(), 1)]


def _read(line: bytes, path: Path, number: int) -> Row:
    try:
        row = json.loads(line)
        row_key(row)
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"'{path}', line {number} is damaged: delete that line, and it will be done again"
        ) from None
    return dict(row)
