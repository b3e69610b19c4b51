"""Losses of a run as JSON lines and in TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from aleph.files import replacing


class LossLog:
    """Appends a row per logged step; rows after the step resumed from are dropped."""

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / "losses.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        # A kill may have cut the last line short.
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        with replacing(path) as temporary:
            kept = (json.dumps(row) + "\n" for row in rows if row["step"] <= step)
            temporary.write_text("".join(kept))
        self._file = path.open("a", buffering=1)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, losses: dict[str, float], rate: float) -> None:
        """Log the mean losses up to `step` and the images per second."""
        row = {"step": step, **{k: round(v, 6) for k, v in losses.items()}}
        self._file.write(json.dumps(row | {"images_per_second": round(rate, 1)}) + "\n")
        for name, value in losses.items():
            self._board.add_scalar(f"loss/{name}", value, step)
        self._board.add_scalar("images_per_second", rate, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._board.close()
