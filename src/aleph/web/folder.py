"""A folder of photos to work through, as the page lists it."""

from __future__ import annotations

import os
from pathlib import Path

from aleph.errors import InputError

PHOTO_TYPES: dict[str, str] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".ppm": "image/x-portable-anymap",
    ".pgm": "image/x-portable-anymap",
}
"""Media type of a photo by the ending of its name, in lower case."""


def photo_type(name: str) -> str:
    """Return the media type of a photo by its name."""
    return PHOTO_TYPES[Path(name).suffix.lower()]


class PhotoFolder:
    """The photos that lie in a folder, not in those below it; nothing is written there.

    Args:
        folder: The folder.

    Raises:
        InputError: if it is no folder or holds no photo.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise InputError(f"'{folder}' is no folder: --input names a folder of photos")
        if not self.list():
            raise InputError(f"the folder '{folder}' holds no photo")

    def list(self) -> dict[str, int]:
        """Return the names of the photos that are there now, in order, and their sizes in bytes."""
        found = [
            (entry.name, entry.stat().st_size)
            for entry in os.scandir(self._folder)
            if entry.is_file()
            and not entry.name.startswith(".")
            and Path(entry.name).suffix.lower() in PHOTO_TYPES
        ]
        return dict(sorted(found, key=lambda one: one[0].casefold()))

    def read(self, name: str) -> bytes | None:
        """Return a photo that the list names, None if there is no such."""
        if name not in self.list():
            return None
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            return None
