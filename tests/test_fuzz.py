"""The inputs that once failed, and the harness that finds such."""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from aleph.errors import InputError, MaskWarning
from benchmarks.safety.fuzz import GOOD, Bench, fault, fuzz, parse
from benchmarks.safety.mutants import mutate_model, mutated
from benchmarks.safety.seeds import pictures
from benchmarks.safety.trial import Trial, Trials, try_mask, try_photo, watched

CORPUS = sorted(p for p in (Path(__file__).parent / "corpus").iterdir() if p.suffix != ".md")


REFUSED = ("TIFF I", "TIFF F", "TGA RGBA", "ICO RGBA", "DDS RGBA")
"""Pictures of numbers, which no photo has; formats that are not written with transparency."""


Try = Callable[[str, Callable[[], object]], Trial]


@pytest.fixture(scope="module")
def tried() -> Iterator[Try]:
    """Watches in a process of its own, as the harness does: this one holds what tests have left."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield lambda name, act: pool.submit(watched, name, act).result()


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_once_failed_ends_in_a_result_or_a_sentence(path: Path, tried: Try) -> None:
    for act in (try_photo, try_mask):
        trial = tried(path.name, partial(act, path))
        assert fault(trial) is None, trial


@pytest.mark.parametrize("seed", pictures(), ids=lambda seed: seed.name)
def test_what_mutants_are_made_of_is_sound(seed: object, tmp_path: Path) -> None:
    path = tmp_path / f"sound{seed.suffix}"  # type: ignore[attr-defined]
    path.write_bytes(seed.data)  # type: ignore[attr-defined]
    trial = watched("sound", lambda: try_photo(path))
    refused = seed.name in REFUSED  # type: ignore[attr-defined]
    assert trial.ended == ("refused" if refused else "done"), trial


def test_the_same_numbers_are_the_same_mutants(tmp_path: Path) -> None:
    trials = Trials(3, tmp_path)
    first = [trials.mutant(np.random.default_rng([3, number]))[1] for number in range(50)]
    again = [trials.mutant(np.random.default_rng([3, number]))[1] for number in range(50)]
    assert first == again
    sound = {seed.data for seed in pictures()}
    assert sum(data not in sound for data in first) > 40


def test_a_mutant_of_nothing_is_no_matter() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert isinstance(mutated(b"", [], rng), bytes)


def fail(error: Exception) -> None:
    raise error


def say() -> None:
    print("odd", file=sys.__stderr__, flush=True)


@pytest.mark.parametrize(
    ("act", "ended"),
    [
        (bool, "done"),
        (partial(fail, InputError("it is broken")), "refused"),
        (partial(fail, InputError("two\nlines")), "sentence"),
        (partial(fail, TypeError("no")), "traceback"),
        (partial(warnings.warn, "odd", stacklevel=1), "warning"),
        (partial(warnings.warn, "look", MaskWarning, stacklevel=1), "done"),
        (partial(os.write, 2, b"libpng warning: odd\n"), "chatter"),
        (say, "chatter"),
    ],
)
def test_a_trial_tells_how_it_ended(act: Callable[[], object], ended: str, tried: Try) -> None:
    trial = tried("it", act)
    assert trial.ended == ended
    assert (fault(trial) is None) == (ended in GOOD)


def test_time_and_memory_are_faults_too() -> None:
    assert fault(Trial("it", "done", seconds=11.0)) == "too slow"
    assert fault(Trial("it", "refused", mebibytes=1100.0)) == "too much memory"


def test_spoilt_models_are_refused_or_sound(tmp_path: Path) -> None:
    trials = Trials(1, tmp_path)
    ended = Counter(trials._spoilt_model("model", rng(number)).ended for number in range(60))
    assert set(ended) <= set(GOOD), ended
    assert ended["refused"] > 20
    assert callable(mutate_model)


def test_odd_requests_are_refused_or_served(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
    trials = Trials(1, tmp_path)
    ended = Counter(trials._request("request", rng(number)).ended for number in range(150))
    assert set(ended) <= set(GOOD), ended
    assert min(ended["refused"], ended["done"]) > 10
    trial = trials._request("request", rng(7))
    assert trial.name.startswith("request ")
    assert trials._request("request", rng(7)).name == trial.name


def test_an_answer_that_no_client_caused_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
    monkeypatch.setattr("aleph.web.tool_routes.weight_map", lambda *_: fail(TypeError("no")))
    trials = Trials(1, tmp_path)
    ended = Counter(trials._request("request", rng(number)).ended for number in range(60))
    assert ended["traceback"] > 0, ended


def rng(number: int) -> np.random.Generator:
    return np.random.default_rng([9, number])


def test_the_harness_counts_and_goes_on_after_a_process_has_died(tmp_path: Path) -> None:
    said: list[str] = []
    words = ["--seconds", "60", "--mutants", "12", "--keep", str(tmp_path / "kept")]
    counts = fuzz(parse(words), said.append)
    assert sum(counts.values()) == 12
    assert set(counts) <= set(GOOD), said
    bench = Bench(0)
    try:
        bench._process.kill()
        bench._process.join()
        assert bench.run(0).ended == "killed the process"
        assert bench.run(1).ended in GOOD
    finally:
        bench.close()
