"""What the wheel needs, and what is known of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aleph.errors import InputError
from benchmarks.safety.audit import verdict
from benchmarks.safety.sbom import check, needs, of_wheel

PROJECT = {
    "dependencies": ["torch>=2.6,<2.14", "Py.Patch_Match>=2"],
    "optional-dependencies": {"web": ["fastapi[all]>=0.1"], "dev": ["ruff"], "docs": ["mkdocs"]},
}


def bill() -> dict[str, Any]:
    names = ("torch", "sympy", "py-patch-match", "FastAPI", "ruff", "mkdocs")
    root = {"type": "application", "name": "aleph", "bom-ref": "root"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": [{"type": "library", "name": n, "bom-ref": f"{n}==1"} for n in names],
        "dependencies": [
            {"ref": "root", "dependsOn": [f"{name}==1" for name in names if name != "sympy"]},
            {"ref": "torch==1", "dependsOn": ["sympy==1"]},
            *({"ref": f"{name}==1"} for name in names[1:]),
        ],
    }


def test_the_bill_of_materials_holds_what_the_wheel_needs_and_no_more() -> None:
    wanted = needs(PROJECT)
    assert wanted == {"torch", "py-patch-match", "fastapi"}
    found = of_wheel(bill(), wanted)
    kept = {"torch==1", "sympy==1", "py-patch-match==1", "FastAPI==1"}
    assert {one["bom-ref"] for one in found["components"]} == kept
    assert {one["ref"] for one in found["dependencies"]} == {"root", *kept}
    needed = {one["ref"]: one.get("dependsOn") for one in found["dependencies"]}
    assert needed["root"] == ["torch==1", "py-patch-match==1", "FastAPI==1"]
    assert needed["torch==1"] == ["sympy==1"]


def test_a_bill_of_materials_is_held_against_the_schema() -> None:
    pytest.importorskip("cyclonedx", reason="it is no part of the installation for developing")
    check(json.dumps(of_wheel(bill(), needs(PROJECT))))
    with pytest.raises(InputError, match="not valid CycloneDX"):
        check(json.dumps({**bill(), "components": "none"}))


def test_an_audit_says_when_nothing_was_audited() -> None:
    skipped = {"name": "torch", "skip_reason": "not found"}
    sound = {"name": "numpy", "version": "2", "vulns": []}
    bad = {"name": "pillow", "version": "9", "vulns": [{"id": "CVE-1", "fix_versions": ["10"]}]}

    def said(*packages: dict[str, Any]) -> tuple[list[str], int]:
        return verdict(json.dumps({"dependencies": packages, "fixes": []}), "")

    assert verdict("", "WARNING: x\nERROR: no route to host\n") == (
        ["nothing was audited, for PyPI could not be asked: ERROR: no route to host"],
        2,
    )
    assert said(skipped) == (
        ["nothing was audited, for the package index that was reached knows none of the packages"],
        2,
    )
    assert said(sound, skipped) == (
        ["1 packages, 0 known faults; 1 more are not known to PyPI"],
        0,
    )
    assert said(sound, bad)[0][0] == "pillow 9: CVE-1, mended in 10"
    assert said(sound, bad)[1] == 1
