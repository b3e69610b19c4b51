"""The notebooks: they run, and what they hold is what they give."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="needs nbclient, which `make install` brings")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel", reason="needs ipykernel, which `make install` brings")

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs/notebooks").glob("*.ipynb"))

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def said(cell: Any) -> str:  # noqa: ANN401 - a node of nbformat
    """All text that a cell gave, pictures left out."""
    outputs = cell.get("outputs", [])
    shown = [o for o in outputs if "image/png" not in o.get("data", {})]
    return "".join(o.get("text", o.get("data", {}).get("text/plain", "")) for o in shown)


def pictures(cell: Any) -> int:  # noqa: ANN401
    return sum("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["mend", "weightings"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::Warning")  # of the kernel's own packages
def test_a_notebook_runs_and_gives_what_it_holds(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        fresh, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    for old, new in zip(stored.cells, fresh.cells, strict=True):
        assert pictures(new) == pictures(old)
        assert NUMBER.sub("N", said(new)) == NUMBER.sub("N", said(old))
        numbers = [[float(n) for n in NUMBER.findall(said(cell))] for cell in (old, new)]
        assert numbers[1] == pytest.approx(numbers[0], abs=0.5), "run it anew and save it"
