"""Reading and changing EXIF data in place, so that nothing in them moves.

Cameras' maker notes hold absolute offsets, which become invalid if the data are parsed and written
anew.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = b"Exif\0\0"
_ORIENTATION = 0x0112
_JPEG = (0x0201, 0x0202)
_STRIPS = (0x0111, 0x0117)
"""Tags of a thumbnail's place and length: of a JPEG; of plain pixels."""


@dataclass(frozen=True)
class Thumbnail:
    """Where a thumbnail lies in EXIF data.

    Attributes:
        start: Its first byte.
        end: The byte behind its last.
        jpeg: Whether it is a JPEG, and not plain pixels.
        link: Where the place of its directory is written.
        length: Where the number of its bytes is written.
        order: Byte order, as `struct` calls it.
    """

    start: int
    end: int
    jpeg: bool
    link: int
    length: int
    order: str


class _Directories:
    """The numbers in EXIF data, by their places in the TIFF structure within (EXIF 2.32, 4.5)."""

    def __init__(self, exif: bytes | bytearray) -> None:
        self.exif = exif
        self.base = len(_HEADER) if exif.startswith(_HEADER) else 0
        self.order = "<" if exif[self.base : self.base + 2] == b"II" else ">"

    def number(self, at: int, kind: str) -> int:
        return int(struct.unpack_from(self.order + kind, self.exif, self.base + at)[0])

    def entries(self, directory: int) -> dict[int, int]:
        """Return where the entry of each tag begins."""
        count = self.number(directory, "H")
        places = range(directory + 2, directory + 2 + 12 * count, 12)
        return {self.number(at, "H"): at for at in places}

    def value(self, entry: int) -> int:
        """Return the value of an entry that is one short or long number."""
        return self.number(entry + 8, "H" if self.number(entry + 2, "H") == 3 else "I")

    def link(self, directory: int) -> int:
        """Return where the place of the next directory is written."""
        return directory + 2 + 12 * self.number(directory, "H")


def find_thumbnail(exif: bytes) -> Thumbnail | None:
    """Return where the thumbnail of EXIF data lies; None if there is none.

    Raises:
        struct.error: if the data make no sense.
    """
    tiff = _Directories(exif)
    link = tiff.link(tiff.number(4, "I"))
    second = tiff.number(link, "I")
    if second == 0:
        return None
    entries = tiff.entries(second)
    for tags in (_JPEG, _STRIPS):
        if all(tag in entries for tag in tags):
            place, length = (entries[tag] for tag in tags)
            start = tiff.base + tiff.value(place)
            end = min(start + tiff.value(length), len(exif))
            where = (tiff.base + link, tiff.base + length + 8, tiff.order)
            return Thumbnail(min(start, end), end, tags is _JPEG, *where)
    return Thumbnail(0, 0, False, tiff.base + link, 0, tiff.order)


def with_orientation(exif: bytes, orientation: int) -> bytes:
    """Return EXIF data that say another orientation, if they say any.

    Raises:
        struct.error: if the data make no sense.
    """
    tiff = _Directories(exif)
    entry = tiff.entries(tiff.number(4, "I")).get(_ORIENTATION)
    if entry is None:
        return exif
    body = bytearray(exif)
    struct.pack_into(tiff.order + "H", body, tiff.base + entry + 8, orientation)
    return bytes(body)
