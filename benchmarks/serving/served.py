"""`aleph serve` as a process of its own, for the benchmarks that need one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, int]]:
    """Run `aleph serve`; yield the address of its page and the number of its process."""
    command = [sys.executable, "-u", "-m", "aleph", "serve", "--port", "0", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        yield found[0], server.pid
    finally:
        server.terminate()
        server.wait()
