from __future__ import annotations

import errno
import io
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from aleph.datasets import find_sources
from aleph.errors import OutputError
from aleph.files import (
    check_apart,
    check_outside,
    remove_own_temporaries,
    replace_folder,
    replacing,
    temporary_folder,
    working_alone,
)
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


def test_a_temporary_folder_goes_also_when_a_signal_comes_as_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with temporary_folder(tmp_path) as folder:
        (folder / "inner").mkdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not list(tmp_path.iterdir())
    make = Path.mkdir

    def interrupted(path: Path, *words: int, **more: int) -> None:
        make(path, *words, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), temporary_folder(tmp_path):
        raise AssertionError("it was not interrupted")
    assert not list(tmp_path.iterdir())


def test_what_is_left_when_a_signal_comes_as_it_is_removed_goes_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("aleph.files._remove", interrupted)
        with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt") as temporary:
            raise ZeroDivisionError
        with pytest.raises(KeyboardInterrupt), temporary_folder(tmp_path) as folder:
            (folder / "inner").mkdir()
    assert temporary.is_file() and folder.is_dir()
    remove_own_temporaries()
    assert not list(tmp_path.iterdir())


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


def test_tensorboard_reads_the_log_of_a_resumed_run(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from aleph.training.log import LossLog

    for done, steps in ((0, (1, 2, 3)), (1, (2, 3))):  # resumed from step 1
        with LossLog(tmp_path, done) as log:
            for step in steps:
                log.write(step, {"generator": done + step / 8}, 10.0)
    events = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(events.Tags()["scalars"]) == ["images_per_second", "loss/generator"]
    read = [(event.step, event.value) for event in events.Scalars("loss/generator")]
    assert read == [(1, 0.125), (2, 1.25), (3, 1.375)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("what", ["losses.jsonl", "tensorboard"])
def test_a_log_that_cannot_be_written_is_a_sentence(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from aleph.training.log import LossLog

    log = LossLog(tmp_path, 0)
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - closed with the log
    if what == "tensorboard":
        log._board._records._writer.close()
        log._board._records._writer = full
    else:
        log._file.close()
        log._file = io.TextIOWrapper(full, write_through=True)
    with pytest.raises(OutputError, match=r"cannot write the log in '.*': No space left on"), log:
        log.write(1, {"loss": 0.5}, 10.0)
    assert capfd.readouterr().err == ""


def test_what_is_read_is_not_written_under_any_name(tmp_path: Path) -> None:
    photo, other = tmp_path / "photo.png", tmp_path / "other.png"
    photo.write_bytes(b"photo")
    (tmp_path / "link.png").symlink_to(photo)
    os.link(photo, tmp_path / "hard.png")
    for name in ("photo.png", "./photo.png", "link.png", "hard.png"):
        with pytest.raises(OutputError, match="would be lost"):
            check_apart([other, tmp_path / name], ["center", str(photo)])
    with pytest.raises(OutputError, match="twice"):
        check_apart([other, tmp_path / "sub" / ".." / "other.png"], [photo])
    check_apart([other, tmp_path / "third.png"], [photo, "center", None, b"\0"])


def test_results_do_not_go_into_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    for name in ("photos", "photos/deeper", "link", "photos/../photos"):
        with pytest.raises(OutputError, match="cannot go into"):
            check_outside(tmp_path / name, [tmp_path / "photos"])
    check_outside(tmp_path / "photographs", [tmp_path / "photos"])


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_one_process_writes_into_a_folder_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with working_alone(tmp_path), working_alone(tmp_path / "other"):
        for _ in range(2):  # the refused one must not let go of it
            with (
                pytest.raises(OutputError, match="another aleph is writing"),
                working_alone(tmp_path),
            ):
                pass
    with working_alone(tmp_path):
        pass
    assert files_below(tmp_path) == set()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_is_replaced_or_stays(
    at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not at_once:
        monkeypatch.setattr("aleph.files._exchanged", lambda one, other: False)
    fresh, target, aside = (tmp_path / name for name in ("fresh", "target", "aside"))
    for folder in (fresh, target):
        folder.mkdir()
        (folder / folder.name).touch()
    replace_folder(fresh, target, aside)
    assert files_below(target) == {"fresh"}
    shutil.rmtree(aside, ignore_errors=True)
    with pytest.raises(OSError, match="No such file"):
        replace_folder(tmp_path / "missing", target, aside)
    assert files_below(target) == {"fresh"}
    assert not aside.exists()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system does not tell")
def test_a_disk_too_full_for_the_images_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, first: int, size: int) -> None:
        assert size > 3 * 16 * 16 * 3
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sources = find_sources([write_plain_pictures(tmp_path / "pictures", 3)[0].parent])
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match="No space left"):
        pack(sources, 16, tmp_path / "images.npy")
    assert not list(tmp_path.glob("*.npy"))


def test_a_disk_too_full_for_weights_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        save_model(tmp_path / "model", TINY, build_networks(TINY), "# model\n")
    assert files_below(tmp_path) == set()
