"""Which photos and masks there are: listed as a stream, never all in memory."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from aleph.damage.auto import read_auto
from aleph.errors import InputError
from aleph.files import ENDINGS
from aleph.masks.read import Mask
from aleph.names import NameIndex
from aleph.photo.formats import RAW_ENDINGS
from aleph.storage import Folder, is_url, open_file, open_folder

CHUNK = 10_000
"""Names that are sorted at a time: larger folders are worked through chunk by chunk."""


class Photos:
    """The photos of a folder.

    Args:
        folder: Where they lie.

    Attributes:
        found: Photos that were listed so far.
        raw: Raw files of cameras among the files that were listed so far.
        first_raw: The first of them by name.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.found = self.raw = 0
        self.first_raw = ""

    def chunks(self) -> Iterator[list[str]]:
        """Yield the names of the photos, sorted by chunks."""
        chunk: list[str] = []
        for name in self._folder.names():
            ending = PurePosixPath(name).suffix.lower()
            if ending in RAW_ENDINGS:
                self.raw += 1
                self.first_raw = min(self.first_raw or name, name)
            if ending not in ENDINGS:
                continue
            self.found += 1
            chunk.append(name)
            if len(chunk) == CHUNK:
                yield sorted(chunk)
                chunk = []
        if chunk:
            yield sorted(chunk)

    @property
    def left_alone(self) -> str:
        """A warning about the raw files; empty if there are none."""
        if not self.raw:
            return ""
        files = "this raw file of a camera is" if self.raw == 1 else f"{self.raw} raw files are"
        return (
            f"{files} left alone: develop them in a raw converter and save them as TIFF, PNG or "
            "JPEG"
        )


class Masks:
    """What was given as the mask, and the mask of each photo.

    Args:
        mask: The mask; its source may be a folder or a file, on this machine or in a store.

    Attributes:
        folder: Where the files of masks lie; None if the mask is none that is read from a file.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        source, self._before = _joined(mask)
        self.folder: Folder | None = None
        self._name: str | None = None
        self._index: NameIndex | None = None
        if isinstance(source, str) and is_url(source):
            found = open_folder(source)
            if found.is_there():
                self.folder = found
            else:
                self.folder, self._name = open_file(source)
        elif isinstance(source, str | Path) and Path(source).exists():
            if Path(source).is_dir():
                self.folder = open_folder(source)
            else:
                self.folder, self._name = open_file(source)

    @property
    def shown(self) -> Any:  # noqa: ANN401 - plain JSON values
        """What of the mask is the same for every photo and lies in no file."""
        mask = self._mask
        values: list[Any] = [mask.color, mask.tolerance, mask.invert, mask.grow, mask.sensitivity]
        if self.folder is not None:
            return [*values, self._before]
        return [*values, mask.source if isinstance(mask.source, str | None) else _digest(mask)]

    @property
    def is_paired(self) -> bool:
        """Whether every photo has a mask of its own in a folder."""
        return self.folder is not None and self._name is None

    def name_for(self, photo: str) -> str | None:
        """Return the name of a photo's mask in `folder`; None if it is read from no file.

        Raises:
            InputError: if it has none, or more than one.
        """
        if self.folder is None or self._name is not None:
            return self._name
        if self._index is None:
            self._index = _index(self.folder)
        masks = self._index.names(_key(photo))
        stem = PurePosixPath(photo).with_suffix("")
        exact = [name for name in masks if PurePosixPath(name).with_suffix("") == stem]
        masks = exact or masks
        if len(masks) == 1:
            return masks[0]
        names = " and ".join(f"'{self.folder.shown(name)}'" for name in masks)
        raise InputError(
            f"it has two masks, {names}" if masks else f"it has no mask in '{self.folder.shown()}'"
        )

    def read_from(self) -> MaskFile:
        """Return what a worker makes a photo's mask of."""
        return MaskFile(self._mask, self._before)


class MaskFile:
    """How a mask is read, once it is known from which file.

    Args:
        mask: As it was given.
        before: What stands before the file's path: `auto+`, or nothing.
    """

    def __init__(self, mask: Mask, before: str) -> None:
        self._mask, self._before = mask, before

    def at(self, path: Path | None) -> Mask:
        """Return the mask, read from a file if it is."""
        if path is None:
            return self._mask
        return replace(self._mask, source=f"{self._before}{path}" if self._before else path)


def _index(folder: Folder) -> NameIndex:
    index = NameIndex()
    for chunk in Photos(folder).chunks():
        for name in chunk:
            index.add(_key(name), name)
    return index


def _key(name: str) -> str:
    """Return a name without its ending, the same in every form that Unicode has for it."""
    return unicodedata.normalize("NFC", PurePosixPath(name).with_suffix("").as_posix())


def _joined(mask: Mask) -> tuple[object, str]:
    """Return a mask's file or folder, and what stands before it: `auto+`, or nothing."""
    auto = read_auto(mask)
    if auto is None:
        return mask.source, ""
    return auto.joined, str(mask.source).removesuffix(auto.joined or "")


def _digest(mask: Mask) -> str:
    """Return the SHA-256 of a mask that is an array or a picture in memory."""
    import hashlib

    import numpy as np

    values = np.ascontiguousarray(mask.source)
    return hashlib.sha256(f"{values.shape} {values.dtype}".encode() + values.tobytes()).hexdigest()
