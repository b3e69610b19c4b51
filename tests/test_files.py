from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aleph.datasets import find_sources
from aleph.errors import OutputError
from aleph.files import replacing
from aleph.models.folder import save_model
from aleph.models.networks import build_networks
from aleph.training.batches import pack
from helpers import TINY, files_below, write_plain_pictures


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def new_file_mode(request: pytest.FixtureRequest) -> Iterator[int]:
    """The mode of a new file of a process that hides some rights."""
    before = os.umask(request.param)
    yield 0o666 & ~request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_replaced_file_has_the_mode_of_any_new_file(new_file_mode: int, tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert mode(tmp_path / "a.txt") == new_file_mode
    # A library may write to a private file of its own and rename that.
    with replacing(tmp_path / "b.txt") as temporary:
        (tmp_path / "private").touch(mode=0o600)
        (tmp_path / "private").replace(temporary)
    assert mode(tmp_path / "b.txt") == new_file_mode


def test_the_files_of_a_model_have_the_mode_of_any_new_file(
    new_file_mode: int, tmp_path: Path
) -> None:
    save_model(tmp_path / "model", TINY, build_networks(TINY), "a card")
    assert {mode(path) for path in (tmp_path / "model").iterdir()} == {new_file_mode}


def test_the_umask_of_the_process_is_never_touched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def touched(mask: int) -> int:
        raise AssertionError("another thread would make its files with this mask")

    monkeypatch.setattr(os, "umask", touched)
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")


def test_what_goes_wrong_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert files_below(tmp_path) == {"a.txt"}


@pytest.mark.parametrize("damaged", [0, 2])
def test_images_are_packed_whole_or_not_at_all(damaged: int, tmp_path: Path) -> None:
    pictures = write_plain_pictures(tmp_path / "pictures", 6)
    for path in pictures[:damaged]:
        path.write_text("no picture")
    packed = tmp_path / "packed" / "images.npy"
    sources = find_sources([tmp_path / "pictures"])
    seen: list[set[str]] = []

    def on_image(done: int, total: int) -> None:
        seen.append(files_below(packed.parent) & {packed.name})

    assert len(pack(sources, 8, packed, on_image)) == damaged
    assert seen == [set()]  # nothing under its name while it is written
    assert files_below(packed.parent) == {packed.name}
    assert np.load(packed)[:, 4, 4, 0].tolist() == list(range(damaged, 6))
    assert mode(packed) == mode(pictures[0])


def test_images_that_cannot_be_packed_are_an_output_error(tmp_path: Path) -> None:
    sources = find_sources([write_plain_pictures(tmp_path / "pictures", 2)[0].parent])
    (tmp_path / "images.npy").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        pack(sources, 8, tmp_path / "images.npy")


def test_the_log_of_a_resumed_run_is_replaced_whole(tmp_path: Path) -> None:
    from aleph.training.log import LossLog

    log, before = tmp_path / "losses.jsonl", '{"step": 1}\n{"step": 2}\n{"step": 3'
    log.write_text(before)
    os.link(log, tmp_path / "as-a-kill-would-leave-it.jsonl")
    with LossLog(tmp_path, 1) as resumed:
        resumed.write(2, {"loss": 0.5}, 10.0)
    assert (tmp_path / "as-a-kill-would-leave-it.jsonl").read_text() == before
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
