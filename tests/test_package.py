from __future__ import annotations

import ast
import doctest
import gc
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import aleph
from aleph.imports import importing

SOURCE = Path(aleph.__file__).parent

ROOT = SOURCE.parent.parent

LONGEST_FUNCTION = 60

HEAVY = {"torch", "numpy", "scipy", "PIL", "cv2", "skimage", "av", "lightning_fabric", "matplotlib"}


def test_every_public_name_can_be_imported() -> None:
    for name in aleph.__all__:
        assert getattr(aleph, name) is not None
    assert len(set(aleph.__all__)) == len(aleph.__all__)
    namespace: dict[str, object] = {}
    exec("from aleph import *", namespace)
    assert set(aleph.__all__) <= namespace.keys() | {"__version__"}


def test_the_public_names_are_those_of_the_design() -> None:
    wanted = {"Inpainter", "Inpainting", "Candidate", "SearchStep", "context_weight"}
    wanted |= {"AlephError", "InputError", "OutputError", "ModelError", "TrainingError"}
    wanted |= {"ModelConfig", "SearchConfig", "TrainConfig", "Settings"}
    wanted |= {"list_models", "load_model", "__version__"}
    assert wanted <= set(aleph.__all__)


def test_dir_lists_the_public_names_and_no_other_name_is_there() -> None:
    assert sorted(dir(aleph)) == sorted(aleph.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Inpaint'"):
        _ = aleph.Inpaint  # type: ignore[attr-defined]


def test_every_error_is_an_aleph_error_and_of_the_kind_that_python_programmers_expect() -> None:
    errors = (aleph.InputError, aleph.OutputError, aleph.ModelError, aleph.TrainingError)
    assert all(issubclass(error, aleph.AlephError) for error in errors)
    assert issubclass(aleph.InputError, ValueError)
    assert issubclass(aleph.OutputError, OSError)
    assert issubclass(aleph.MissingDependencyError, ImportError)


def loaded_by(*command: str) -> set[str]:
    """The top-level packages that a fresh Python loads while it runs a command."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "command",
    [
        ("-c", "import aleph"),
        ("-c", "import aleph; dir(aleph); aleph.__version__; aleph.ModelConfig"),
        ("-m", "aleph", "--help"),
        ("-m", "aleph", "--version"),
        ("-m", "aleph", "inpaint", "--help"),
        ("-m", "aleph", "train", "--help"),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded_before_it_is_needed(command: tuple[str, ...]) -> None:
    loaded = loaded_by(*command)
    assert "aleph" in loaded
    assert loaded & HEAVY == set()


def source_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", source_files(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_nothing_is_ever_unpickled(path: Path) -> None:
    forbidden = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & forbidden
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in forbidden
            if (node.module or "").partition(".")[0] == "torch":
                assert "load" not in {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) != ("torch", "load")
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function, decorators not counted."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_function_is_long() -> None:
    files = [*source_files(), *sorted((ROOT / "benchmarks").rglob("*.py"))]
    long = [
        f"{path.relative_to(ROOT)}: {node.name} has {length(node)} lines"
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and length(node) > LONGEST_FUNCTION
        and path != SOURCE / "web" / "api.py"
    ]
    assert long == []


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_files_that_contributors_are_sent_to_exist() -> None:
    named = set(re.findall(r"`((?:src|tests|docs)/[\w./-]+)`", CONTRIBUTING))
    assert len(named) > 15
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_readme_is_whole_on_a_package_index_too() -> None:
    """Pictures and links are absolute, what they name is in the repository, and it is short."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    homes = ("raw.githubusercontent.com/aleph-inpainting/aleph/main/",)
    homes += ("github.com/aleph-inpainting/aleph/blob/main/",)
    for address in re.findall(r"\]\(([^)]+)\)", text):
        home = next(home for home in homes if address.startswith(f"https://{home}"))
        path = address.removeprefix(f"https://{home}").partition("#")[0]
        assert (ROOT / path).is_file(), address
    assert "make demo" in text and "make test" in text and len(text.split()) < 500


def test_contributors_are_told_the_layers_that_are_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    _, _, table = CONTRIBUTING.partition("| --- | --- |\n")
    rows = table.partition("\n\n")[0].splitlines()
    told = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in rows]
    checked = [re.findall(r"aleph\.(\w+)", layer) for layer in layers[1:]]
    assert [sorted(names) for names in told] == [sorted(names) for names in _merged(checked)]


def _merged(layers: list[list[str]]) -> list[list[str]]:
    """Put the command line and the web into one row, as the table does."""
    return [[*layers[0], *layers[1]], *layers[2:]]


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCE / "py.typed").is_file()


@pytest.mark.parametrize(
    "name", ["aleph.errors", "aleph.search.latent", "aleph.training.recipes.ema"]
)
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_that_wait_leave_the_processors_to_others(
    given: dict[str, str], spins: str
) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_WAIT", "GOMP_SPIN"))}
    code = "import aleph, os, sys; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**kept, **given}, capture_output=True, text=True
    )
    assert done.stdout.split() == [spins, "False"], done.stderr


_FILLS = """
import sys, numpy as np, aleph
photo = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
aleph.find_damage(photo)
few = {"balanced": {"steps": 1, "adaptation_steps": 1}, "yeh2017": {"steps": 1, "starts": 1}}
for preset, overrides in few.items():
    model = "faces-dcgan-64" if preset == "yeh2017" else "faces-64"
    aleph.inpaint(photo, "center", model=model, preset=preset, **overrides)
print([name for name in ("torch._dynamo", "sympy", "networkx") if name in sys.modules])
"""


def test_a_fill_does_not_wait_for_the_compiler_of_torch() -> None:
    """It takes more than a second to import, and nothing here compiles."""
    done = subprocess.run([sys.executable, "-c", _FILLS], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


_IMPORTS = """
import gc
{before}
import aleph
from aleph.imports import importing
aleph.Mask
with importing(program={program}):
    inside = gc.isenabled()
print(inside, gc.isenabled(), gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(
    ("before", "program", "expected"),
    [
        ("", False, "False True False"),
        ("", True, "False True True"),
        ("gc.disable()", False, "False False False"),
        ("gc.disable()", True, "False False True"),
    ],
)
def test_garbage_is_collected_as_it_was_once_all_is_imported(
    before: str, program: bool, expected: str
) -> None:
    code = _IMPORTS.format(before=before, program=program)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == expected, done.stderr


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ModuleNotFoundError), importing():
        import nowhere_to_be_found  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled()
