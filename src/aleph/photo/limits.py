"""How large a picture may be: what its file declares, against a limit and the free memory."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from aleph.config import require
from aleph.errors import InputError

_HARMLESS = 8_000_000
"""Pixels that may be declared without the bytes to fill them."""

_BYTES_PER_PIXEL = 40
"""Memory that reading, filling and writing a photo take for each of its pixels, at most."""

_FILE_BYTES = 1 << 32
"""Bytes that a file may have: 4 GiB is all that a TIFF can."""


@dataclass(frozen=True)
class Limits:
    """How large a picture may be.

    Attributes:
        megapixels: Largest width × height in millions of pixels. The default takes an A3 sheet
            scanned at 1200 dots per inch.

    Raises:
        InputError: if it is no positive number.
    """

    megapixels: float = 300.0

    def __post_init__(self) -> None:
        require(
            0 < self.megapixels <= 1e6,  # false for NaN too
            f"max_megapixels must be a number above 0, at most 1000000, not {self.megapixels:g}",
        )

    def check_size(self, width: int, height: int, label: str) -> None:
        """Refuse a picture that is too large, by what its file declares.

        Args:
            width: Declared width in pixels.
            height: Declared height in pixels.
            label: What the sentence calls the picture.

        Raises:
            InputError: if it is above the limit, or more than the free memory holds.
        """
        pixels = width * height
        told = f"{label} has {width}×{height} pixels ({pixels / 1e6:.3g} megapixels)"
        if pixels > self.megapixels * 1e6:
            raise InputError(
                f"{told}, more than the limit of {self.megapixels:g}; raise it by "
                "--max-megapixels, or scale the picture down"
            )
        need, free = pixels * _BYTES_PER_PIXEL, free_memory()
        if pixels > _HARMLESS and free is not None and need > free:
            raise InputError(
                f"{told}, which take about {need / 2**30:.1f} GiB of memory to fill, and "
                f"{free / 2**30:.1f} GiB are free: scale it down, or cut out the part to be filled"
            )


def check_plausible(width: int, height: int, held: int, size: int, label: str) -> None:
    """Refuse a picture that declares far more pixels than its file can hold.

    Args:
        width: Declared width in pixels.
        height: Declared height in pixels.
        held: Pixels that the file's bytes can stand for, at most.
        size: Those bytes.
        label: What the sentence calls the picture.

    Raises:
        InputError: with what it declares.
    """
    if width * height > max(held, _HARMLESS):
        raise InputError(
            f"{label} is damaged: it declares {width}×{height} pixels, which its {size} bytes "
            "cannot hold"
        )


def check_file_size(size: int, label: str) -> None:
    """Refuse a file that is too large to be read at once.

    Raises:
        InputError: with its size.
    """
    free = free_memory()
    if size > _FILE_BYTES or (free is not None and size > free):
        raise InputError(f"{label} is too large to be read: {size / 2**30:.1f} GiB")


def free_memory() -> int | None:
    """Return the bytes of memory that this process may still take; None if nothing tells it.

    On Linux it is what the kernel calls available, or less where a control group (a container) or
    the process's own limit leaves less.
    """
    known = [_available(), _left_in_group(), _left_to_process()]
    return min((value for value in known if value is not None), default=None)


def _available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)
"""Limit, use and its parts of the control group of this process, version 2 and version 1."""


def _left_in_group() -> int | None:
    """Return what the control group of this process leaves; cached files make room if need be."""
    for limit, used, parts in _GROUPS:
        try:
            words = Path(parts).read_text().split()
            cached = dict(zip(words[::2], words[1::2], strict=False)).get("inactive_file", "0")
            left = int(Path(limit).read_text()) - int(Path(used).read_text()) + int(cached)
            return max(0, left)
        except (OSError, ValueError):  # no such group, or no limit: "max"
            continue
    return None


def _left_to_process() -> int | None:
    """Return what the limit of this process's address space leaves."""
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return max(0, limit - pages * resource.getpagesize())
