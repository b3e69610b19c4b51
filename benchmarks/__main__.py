"""Run a benchmark by its name, or print which there are.

python -m benchmarks
python -m benchmarks NAME [OPTIONS]
"""

from __future__ import annotations

import ast
import importlib
import sys
import warnings
from pathlib import Path

from aleph.errors import AlephError, MaskWarning

BENCHMARKS = {
    "results": "results.run",
    "speed": "speed.run",
    "leads": "models.leads",
    "presets": "models.presets",
    "basins": "models.basins",
    "ranking": "models.ranking",
    "setting": "models.setting",
    "tones": "models.tones",
    "detail": "models.detail",
    "gallery": "models.gallery",
    "identity": "models.identity",
    "photographs": "photos.photographs",
    "photo-size": "photos.photo_size",
    "faces-found": "photos.faces_found",
    "damage": "photos.damage_found",
    "labelled": "photos.labelled",
    "sensitivity": "photos.sensitivity",
    "mask-growth": "photos.mask_growth",
    "mended": "photos.mended",
    "classical-fill": "photos.classical_fill",
    "outside": "photos.outside",
    "outside-gallery": "photos.outside_gallery",
    "unexplained": "photos.unexplained",
    "page": "serving.page",
    "load": "serving.load",
    "cluster": "scale.cluster",
    "fuzz": "safety.fuzz",
    "kill": "safety.kill",
    "soak": "safety.soak",
    "determinism": "safety.determinism",
    "audit": "safety.audit",
    "sbom": "safety.sbom",
}
"""Modules by the names of their benchmarks."""


def index() -> str:
    """Return a line per benchmark: its name, and the first line of its module's docstring."""
    lines = []
    for name, module in BENCHMARKS.items():
        path = Path(__file__).parent / (module.replace(".", "/") + ".py")
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        lines.append(f"{name:<16}{text.splitlines()[0]}")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark that the first argument names; the other arguments are its options."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in BENCHMARKS:
        print(f"python -m benchmarks NAME [OPTIONS]\n\n{index()}")
        sys.exit(0 if name in ("", "-h", "--help") else 2)
    sys.argv[:2] = [f"benchmarks {name}"]
    warnings.simplefilter("ignore", MaskWarning)  # the holes of benchmarks are meant as they are
    try:
        importlib.import_module(f"benchmarks.{BENCHMARKS[name]}").main()
    except AlephError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
