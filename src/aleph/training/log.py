"""Losses of a run as JSON lines and in TensorBoard."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from aleph.errors import OutputError
from aleph.files import make_folder, replacing


class LossLog:
    """Appends a row per logged step; rows after the step resumed from are dropped.

    Args:
        folder: Of the run.
        step: That the run is resumed from.

    Raises:
        OutputError: if the log cannot be written; so does every method.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder
        path = folder / "losses.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        # A kill may have cut the last line short.
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        with replacing(path) as temporary:
            kept = (json.dumps(row) + "\n" for row in rows if row["step"] <= step)
            temporary.write_text("".join(kept))
        with self._writing():
            self._board = _Board(folder / "tensorboard", step + 1)
            self._file = path.open("a", buffering=1)

    def write(self, step: int, losses: dict[str, float], rate: float) -> None:
        """Log the mean losses up to `step` and the images per second."""
        row = {"step": step, **{k: round(v, 6) for k, v in losses.items()}}
        with self._writing():
            self._file.write(json.dumps(row | {"images_per_second": round(rate, 1)}) + "\n")
            values = {f"loss/{name}": value for name, value in losses.items()}
            self._board.write(step, {**values, "images_per_second": rate})

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Say in a sentence why something cannot be written."""
        try:
            yield
        except OSError as error:
            place = f"the log in '{self._folder}'"
            raise OutputError(f"cannot write {place}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._writing(), contextlib.ExitStack() as stack:
            stack.callback(self._board.close)
            stack.callback(self._file.close)


class _Board:
    """A new file of numbers for TensorBoard, below a folder.

    TensorBoard's own writer writes in a thread, whose errors would be tracebacks on the terminal.

    Args:
        folder: Made if it is not there.
        first: Step from which on older files do not count any more.
    """

    def __init__(self, folder: Path, first: int) -> None:
        make_folder(folder)
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self._records = RecordWriter((folder / name).open("wb", buffering=0))
        self._add(file_version="brain.Event:2")
        self._add(step=first, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, values: dict[str, float]) -> None:
        """Write numbers by their names."""
        numbers = [Summary.Value(tag=name, simple_value=one) for name, one in values.items()]
        self._add(step=step, summary=Summary(value=numbers))

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _add(self, **what: Any) -> None:  # noqa: ANN401 - a protocol buffer's fields
        self._records.write(Event(wall_time=time.time(), **what).SerializeToString())
