"""`aleph serve` as a process of its own, for the benchmarks that need one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def serving(
    *options: str, temporary: Path | None = None, log: Path | None = None
) -> Iterator[tuple[str, int]]:
    """Run `aleph serve`; yield the address of its page and the number of its process.

    Args:
        *options: Of the command.
        temporary: Folder of its temporary files; the system's by default.
        log: Where its standard error goes; to this process's own by default.
    """
    command = [sys.executable, "-u", "-m", "aleph", "serve", "--port", "0", *options]
    more = {"TMPDIR": str(temporary)} if temporary else {}
    with ExitStack() as stack:
        errors = stack.enter_context(log.open("wb")) if log else None
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **more}
        )
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        yield found[0], server.pid
    finally:
        server.terminate()
        server.wait()
