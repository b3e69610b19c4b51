"""The bill of materials of the wheel, CycloneDX: what it needs, and what its extras need.

    python -m benchmarks sbom FILE

cyclonedx-py lists what is installed here; what only developing needs is left out. The file is
checked against CycloneDX's own schema.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from aleph.errors import InputError

_ROOT = Path(__file__).parents[2]
_DEVELOPING = ("dev", "docs")
"""Extras that nobody needs who uses the wheel."""


def needs(project: dict[str, Any]) -> set[str]:
    """Return the names of the packages that a project and its extras ask for, as PyPI has them."""
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"]]
    lines += [line for name in extras if name not in _DEVELOPING for line in extras[name]]
    return {_normal(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in lines}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def of_wheel(bill: dict[str, Any], wanted: set[str]) -> dict[str, Any]:
    """Return a bill of materials of what some packages need, themselves included.

    Args:
        bill: Of all that is installed.
        wanted: Names of the packages.
    """
    needed = {one["ref"]: one.get("dependsOn", []) for one in bill["dependencies"]}
    root = bill["metadata"]["component"]["bom-ref"]
    names = {one["bom-ref"]: _normal(one["name"]) for one in bill["components"]}
    first = [ref for ref in needed[root] if names.get(ref) in wanted]
    kept, waiting = set[str](), list(first)
    while waiting:
        ref = waiting.pop()
        if ref not in kept:
            kept.add(ref)
            waiting += needed.get(ref, [])
    needed[root] = first
    return {
        **bill,
        "components": [one for one in bill["components"] if one["bom-ref"] in kept],
        "dependencies": [
            {"ref": ref, **({"dependsOn": needed[ref]} if needed[ref] else {})}
            for ref in sorted({root, *kept} & needed.keys())
        ],
    }


def check(text: str) -> None:
    """Hold a bill of materials against CycloneDX's schema.

    Raises:
        InputError: with the first thing that is wrong.
    """
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    wrong = JsonStrictValidator(version).validate_str(text)
    if wrong is not None:
        raise InputError(f"the bill of materials is not valid CycloneDX: {wrong}")


def main() -> None:
    """List, leave out, check, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="where it is written, JSON")
    file: Path = parser.parse_args().file
    project = _ROOT / "pyproject.toml"
    words = ["environment", sys.executable, "--pyproject", str(project), "--output-file", "-"]
    listed = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *words], capture_output=True, check=True
    )
    wanted = needs(tomllib.loads(project.read_text(encoding="utf-8"))["project"])
    bill = of_wheel(json.loads(listed.stdout), wanted)
    text = json.dumps(bill, indent=2) + "\n"
    check(text)
    file.write_text(text, encoding="utf-8")
    print(f"{file}: {len(bill['components'])} packages, valid CycloneDX {bill['specVersion']}")
