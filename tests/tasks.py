"""What workers do in tests. Their processes import this file, so it imports nothing large."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from aleph.errors import AlephError


def _double(number: int) -> int:
    return 2 * number


def doubling() -> Callable[[int], int]:
    """Set up a worker that doubles."""
    return _double


def refusing() -> Callable[[int], int]:
    """Set up a worker that refuses odd numbers."""

    def work(number: int) -> int:
        if number % 2:
            raise AlephError(f"{number} is odd")
        return number

    return work


def dying(folder: Path, always: bool) -> Callable[[int], int]:
    """Set up a worker that 3 kills: the first time, or always."""

    def work(number: int) -> int:
        (folder / f"{number}-{os.getpid()}").touch()
        if number == 3 and (always or len(list(folder.glob("3-*"))) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * number

    return work


def failing() -> Callable[[int], int]:
    """Fail to set up."""
    raise AlephError("there is no such model")


def stillborn() -> Callable[[int], int]:
    """Die while being set up."""
    os._exit(9)


def broken() -> Callable[[int], int]:
    """Set up a worker with a fault of the program."""

    def work(number: int) -> int:
        raise ZeroDivisionError(number)

    return work


def half_sending() -> Callable[[int], bytes]:
    """Set up a worker that is killed when it has sent half of its result."""

    def work(number: int) -> bytes:
        whole = Connection._send  # type: ignore[attr-defined]

        def half(self: Connection, data: bytes) -> None:
            if len(data) < 1 << 16:
                whole(self, data)
                return
            os.write(self.fileno(), bytes(data[: 1 << 14]))
            os.kill(os.getpid(), signal.SIGKILL)

        Connection._send = half  # type: ignore[attr-defined]
        return bytes(1 << 20)

    return work


def threads() -> Callable[[int], int]:
    """Set up a worker that says how many threads torch has in it."""
    import torch

    return lambda number: torch.get_num_threads()


def collecting() -> Callable[[int], tuple[bool, bool]]:
    """Set up a worker that says whether garbage is collected, and none of what was imported."""
    return lambda number: (gc.isenabled(), gc.get_freeze_count() > 0)
