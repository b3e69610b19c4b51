"""Known faults of the installed packages, as PyPI tells them; says so where it tells nothing.

    python -m benchmarks audit

Asks by pip-audit. The exit code is 1 if a package has a known fault, and 2 if PyPI could not be
asked, or knows none of the packages: then nothing was audited.
"""

from __future__ import annotations

import json
import subprocess
import sys

_COMMAND = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--format", "json"]


def verdict(out: str, err: str) -> tuple[list[str], int]:
    """Return what is to be said, a line each, and the exit code.

    Args:
        out: What pip-audit wrote to standard output.
        err: What it wrote to standard error.
    """
    try:
        packages = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = (err.strip().splitlines() or ["it said nothing"])[-1]
        return [f"nothing was audited, for PyPI could not be asked: {said}"], 2
    known = [package for package in packages if "skip_reason" not in package]
    if not known:
        index = "the package index that was reached"
        return [f"nothing was audited, for {index} knows none of the packages"], 2
    faults = [
        f"{package['name']} {package['version']}: {fault['id']}, mended in "
        f"{', '.join(fault['fix_versions']) or 'no version'}"
        for package in known
        for fault in package["vulns"]
    ]
    rest = len(packages) - len(known)
    return [*faults, f"{len(known)} packages, {len(faults)} known faults; {rest} more are not "
            "known to PyPI"], int(bool(faults))  # fmt: skip


def main() -> None:
    """Ask, and say what was answered."""
    done = subprocess.run(_COMMAND, capture_output=True, text=True, check=False)
    lines, code = verdict(done.stdout, done.stderr)
    print("\n".join(lines), file=sys.stderr if code == 2 else sys.stdout)
    sys.exit(code)
