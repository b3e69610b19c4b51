"""Folders filled by several workers: the same results whoever makes them, whoever dies."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aleph.damage.write import DamageRequest
from aleph.errors import InputError, MissingDependencyError, ModelError
from aleph.files import owning_temporaries, remove_temporaries, replacing
from aleph.folders import FolderOutcome, find_damage_in_folder, inpaint_folder
from aleph.folders.inpaint import _Filler, _Filling
from aleph.inpainter import Inpainter
from aleph.inpainting import Inpainting
from aleph.manifest import Entry, Manifest
from aleph.masks.read import Mask
from aleph.names import NameIndex
from aleph.pretrained import Pretrained
from aleph.storage import LocalFolder, Store, open_folder
from aleph.workers.choose import WorkersWanted
from helpers import files_below, noise, some_hole, write_mask

HOLE = some_hole(20, 20)
NAMES = [f"{number}.png" for number in range(6)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six photos and one mask for all."""
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(NAMES):
        Image.fromarray(noise(20, 20, number)).save(tmp_path / "photos" / name)
    write_mask(HOLE, tmp_path / "mask.png")
    return tmp_path


def fill(
    folder: Path, inpainter: Inpainter | Pretrained, out: str = "out", workers: int | None = None
) -> FolderOutcome:
    """Fill the folder; by processes of their own if a number is given."""
    return inpaint_folder(
        folder / "photos",
        Mask(folder / "mask.png"),
        folder / out,
        inpainter,
        workers=None if workers is None else WorkersWanted(workers),
        steps=2,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files_below(folder)}


class Deadly(Inpainter):
    """An inpainter that is killed while it writes the result of one photo: `3.png`."""

    def __call__(self, image: Any, mask: Any = None, **options: Any) -> Inpainting:  # noqa: ANN401
        """Fill; of that photo, the temporary file is written and no more."""
        result = super().__call__(image, mask, **options)
        if np.array_equal(image.pixels, noise(20, 20, 3)):
            os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
        return result


class Faulty(Inpainter):
    """An inpainter with a fault of the program."""

    def __call__(self, image: Any, mask: Any = None, **options: Any) -> Inpainting:  # noqa: ANN401
        """Divide by zero at one photo."""
        if np.array_equal(image.pixels, noise(20, 20, 3)):
            raise ZeroDivisionError("division by zero\nmore")
        return super().__call__(image, mask, **options)


def test_workers_give_the_same_results_as_one(
    folder: Path, tiny: Inpainter, tiny_folder: Path
) -> None:
    alone = fill(folder, tiny)
    assert fill(folder, Pretrained(tiny_folder, "cpu", "fp32"), "two", workers=2) == alone
    assert contents(folder / "two") == contents(folder / "out")
    assert fill(folder, tiny, "copied", workers=1) == alone
    assert contents(folder / "copied") == contents(folder / "out")
    assert fill(folder, tiny, "two").skipped == NAMES


def test_an_inpainter_is_copied_as_it_is(each_kind: Inpainter) -> None:
    copy = pickle.loads(pickle.dumps(each_kind))
    results = [one(noise(20, 20), HOLE, steps=2).image for one in (each_kind, copy)]
    assert np.array_equal(*results)
    assert copy.digest() == each_kind.digest()


def test_a_photo_that_kills_its_workers_is_named_and_left(folder: Path, tiny: Inpainter) -> None:
    fill(folder, tiny, "alone")
    outcome = fill(folder, Deadly(tiny.model), workers=1)
    assert outcome.filled == [name for name in NAMES if name != "3.png"]
    assert list(outcome.failed) == ["3.png"]
    assert "3 workers died" in outcome.failed["3.png"]
    there = contents(folder / "out")  # hidden files as well: nothing half written is left
    assert there == {n: d for n, d in contents(folder / "alone").items() if n != "3.png"}


def test_a_fault_of_the_program_keeps_no_other_photo_back(folder: Path, tiny: Inpainter) -> None:
    outcome = fill(folder, Faulty(tiny.model))
    assert len(outcome.filled) == 5
    assert outcome.failed["3.png"] == "internal error: ZeroDivisionError: division by zero"


def test_the_next_run_removes_what_a_killed_one_left_half_written(
    folder: Path, tiny: Inpainter
) -> None:
    (folder / "out").mkdir()
    ours, other = ".aleph-0123456789ab-1.png", ".aleph-ba9876543210-1.png"
    for name in (ours, other):
        (folder / "out" / name).write_bytes(b"half")
    out = LocalFolder(folder / "out")
    Manifest(out).add(Entry("3.png", "begun", owner="0123456789ab"))
    assert fill(folder, tiny).filled == NAMES
    assert files_below(folder / "out") == {*NAMES, other}


def test_temporary_files_are_removed_by_their_mark(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        owning_temporaries("abc"),
        replacing(tmp_path / "a.png") as temporary,
    ):
        assert temporary.name.startswith(".aleph-abc-")
        (tmp_path / ".aleph-abc-left.png").touch()
        (tmp_path / ".aleph-abcd-left.png").touch()
        raise KeyboardInterrupt
    remove_temporaries(tmp_path, "abc")
    assert files_below(tmp_path) == {".aleph-abcd-left.png"}


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no groups of processes here")
@pytest.mark.parametrize("wait", [0.0, 1.5], ids=["starting", "later"])
def test_ctrl_c_ends_the_run_without_a_word_of_the_workers(
    wait: float, folder: Path, tiny_folder: Path
) -> None:
    words = ["inpaint", "photos", "-m", "mask.png", "-o", "out", "--model", str(tiny_folder)]
    command = [sys.executable, "-m", "aleph", *words, "--steps", "2000", "--workers", "2", "-q"]
    run = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, start_new_session=True)
    manifest = folder / "out.manifest.jsonl"
    while not manifest.exists():  # written when the first worker is about to start
        assert run.poll() is None
        time.sleep(0.01)
    time.sleep(wait)
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert (run.returncode, said) == (130, b"aleph: stopped\n")
    assert not [name for name in files_below(folder / "out") if ".aleph-" in name]


def test_a_worker_with_another_model_is_refused(
    folder: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    filler = _Filling(
        folder / "photos", Mask("center"), folder / "out", Pretrained(tiny_folder), 0, None, {}
    ).begin
    assert isinstance(filler, _Filler)
    filler()
    for change in ({"version": "0.0.1"}, {"model": "another"}):
        with pytest.raises(ModelError, match="another version"):
            replace(filler, **change)()


def test_addresses_are_folders_as_well(folder: Path, tiny: Inpainter) -> None:
    fill(folder, tiny)
    outcome = inpaint_folder(
        f"file://{folder / 'photos'}",
        Mask(f"file://{folder / 'mask.png'}"),
        f"file://{folder / 'two'}",
        tiny,
        workers=WorkersWanted(2),
        steps=2,
    )
    assert outcome.filled == NAMES
    assert contents(folder / "two") == contents(folder / "out")


def test_a_store_is_read_and_written(folder: Path, tiny: Inpainter) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.put(str(folder / "photos"), "/shelf/photos", recursive=True)
    for name in NAMES:
        store.put(str(folder / "mask.png"), f"/shelf/masks/{name}")
    (folder / "photos" / "deep").mkdir()
    fill(folder, tiny)

    def run(**options: Any) -> FolderOutcome:  # noqa: ANN401
        options = {"steps": 2, **options}
        places = ("memory://shelf/photos", Mask("memory://shelf/masks"), "memory://shelf/out")
        return inpaint_folder(*places, tiny, **options)

    try:
        assert run().filled == NAMES
        for name, data in contents(folder / "out").items():
            assert store.cat_file(f"/shelf/out/{name}") == data
        assert run() == FolderOutcome(skipped=NAMES)
        store.rm("/shelf/out/2.png")
        store.put(str(folder / "mask.png"), "/shelf/photos/sub/new.png")
        outcome = run()
        assert (outcome.filled, list(outcome.failed)) == (["2.png"], ["sub/new.png"])
        assert run(candidates=2).filled == NAMES
        assert store.exists("/shelf/out/2-2.png")
        store.pipe("/shelf/out/1.png", b"somebody's own")
        assert "was changed since it was made" in run(seed=9).warned["1.png"]
        assert find_damage_in_folder("memory://shelf/photos", "memory://shelf/damage").found
        assert store.exists("/shelf/damage/0.png")
    finally:
        store.rm("/shelf", recursive=True)
        store.rm("/shelf/out.manifest", recursive=True) if store.exists("/shelf") else None


def test_a_store_is_asked_about_many_photos_at_the_same_time(
    tmp_path: Path, tiny: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer of a store takes a while: a second run must not wait for them one by one."""
    memory = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem
    picture = Image.fromarray(noise(8, 8))
    for number in range(64):
        with memory().open(f"/many/photos/{number:02}.png", "wb") as file:
            picture.save(file, "PNG")

    def run() -> FolderOutcome:
        places = ("memory://many/photos", Mask("center"), "memory://many/out")
        return inpaint_folder(*places, tiny, steps=0)

    try:
        assert len(run().filled) == 64
        info, lock, now, most = memory.info, threading.Lock(), 0, 0

        def slow(self: object, path: str, **options: Any) -> Any:  # noqa: ANN401
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.02)
            with lock:
                now -= 1
            return info(self, path, **options)

        monkeypatch.setattr(memory, "info", slow)
        assert len(run().skipped) == 64
        assert most >= 8
        memory().pipe("/many/photos/07.png", memory().cat("/many/photos/08.png") + b" ")
        assert run().filled == ["07.png"]
    finally:
        monkeypatch.undo()
        memory().rm("/many", recursive=True)


def test_a_store_that_cannot_be_used_is_one_sentence(
    folder: Path, tiny: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(InputError, match="nosuchkind"):
        open_folder("nosuchkind://bucket/folder")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingDependencyError, match="cloud"):
        open_folder("s3://bucket/folder")


def test_masks_of_a_folder_are_kept_when_they_were_corrected_by_hand(folder: Path) -> None:
    where = (folder / "photos", folder / "out")
    first = find_damage_in_folder(*where, folder / "seen", workers=WorkersWanted(2))
    assert sorted(first.found) == NAMES
    assert files_below(folder / "seen") == set(NAMES)
    write_mask(HOLE, folder / "out" / "3.png")
    (folder / "seen" / "4.png").unlink()
    second = find_damage_in_folder(*where, folder / "seen")
    assert second.skipped == [name for name in NAMES if name != "4.png"]
    assert second.found == first.found
    third = find_damage_in_folder(*where, None, DamageRequest(sensitivity=0.8))
    assert third.skipped == ["3.png"]
    assert "so it is kept" in third.warned["3.png"]


def test_names_are_found_by_their_keys() -> None:
    index = NameIndex()
    for key, name in (("a", "a.png"), ("a", "a.jpg"), ("b", "b\udcff.png"), ("a", "a.png")):
        index.add(key, name)
    assert index.names("a") == ["a.jpg", "a.png"]
    assert index.names("b") == ["b\udcff.png"]
    assert index.names("c") == []
    assert [index.claim("d", name) for name in ("1", "2")] == ["1", "1"]


@pytest.mark.parametrize("kind", ["names", "manifest", "manifest of a store"])
def test_what_one_thread_opened_another_may_collect(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python collects wherever it happens to run: a library's thread may be the one."""
    opened: dict[str, Callable[[], object]] = {
        "names": NameIndex,
        "manifest": lambda: Manifest(LocalFolder(tmp_path / "out")),
        "manifest of a store": lambda: Manifest(Store("memory://collected/out")),
    }
    if kind == "manifest of a store":
        pytest.importorskip("fsspec")
    ignored: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda seen: ignored.append(str(seen.exc_value)))
    owners = [opened[kind]()]
    thread = threading.Thread(target=owners.clear)
    thread.start()
    thread.join()
    assert owners == [] and ignored == []


def test_a_manifest_of_many_photos_finds_each(tmp_path: Path) -> None:
    manifest = Manifest(LocalFolder(tmp_path / "out"))
    for number in range(300):
        manifest.add(Entry(f"{number % 100}.png", "done", order=str(number)))
    for one in (manifest, Manifest(LocalFolder(tmp_path / "out"))):
        entries = [one.entry(f"{number}.png") for number in range(100)]
        assert [int(entry.order) for entry in entries if entry] == list(range(200, 300))
        assert one.entry("100.png") is None
