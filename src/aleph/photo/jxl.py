"""JPEG XL: the size that a file declares (ISO/IEC 18181-1, section D.2), before it is decoded."""

from __future__ import annotations

_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_CODESTREAM = b"\xff\x0a"
_BITS = (9, 13, 18, 30)
_RATIOS = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, by their number in the file; 0 stands for a width that is given."""


def jxl_size(data: bytes) -> tuple[int, int] | None:
    """Return the declared width and height of a JPEG XL file; None if the file is none."""
    if data.startswith(_CONTAINER):
        data = _codestream(data)
    if not data.startswith(_CODESTREAM):
        return None
    bits = int.from_bytes(data[2:14], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (1 + take(5)) if small else 1 + take(_BITS[take(2)])

    height = side()
    ratio = take(3)
    if ratio == 0:
        return side(), height
    across, down = _RATIOS[ratio]
    return height * across // down, height


def _codestream(data: bytes) -> bytes:
    """Return the beginning of the codestream in a container (ISO/IEC 18181-2)."""
    at = len(_CONTAINER)
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        if kind in (b"jxlc", b"jxlp"):
            start += 4 if kind == b"jxlp" else 0
            return data[start : start + 16]
        if size < 8:  # to the end of the file, or nonsense
            break
        at += size
    return b""
