"""Writing the documents that benchmarks make, whole or a section of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aleph.errors import InputError
from aleph.files import replacing


def command_text(name: str, data: Sequence[str], *options: str) -> str:
    """Return a benchmark's command without the folders of this machine."""
    return " ".join(["python -m benchmarks", name, *(Path(path).name for path in data), *options])


def made_by(command: str) -> str:
    """Return the line below a document's title."""
    return f"Made by `{command}`; do not edit by hand."


def write_document(path: Path, text: str) -> None:
    """Write a document; its folder is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def replace_section(path: Path, name: str, text: str) -> None:
    """Replace what stands between the comments `<!-- name -->` and `<!-- /name -->`.

    Raises:
        InputError: if the document does not have both.
    """
    document = path.read_text(encoding="utf-8")
    before, begin, rest = document.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not begin or not end:
        raise InputError(f"'{path}' has no section between <!-- {name} --> and <!-- /{name} -->")
    write_document(path, f"{before}{begin}{text}{end}{after}")
