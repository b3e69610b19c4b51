"""Pipes: a picture from standard input, a picture to standard output, and nothing else there."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import RunCli
from helpers import Outcome, files_below, noise, some_hole, write_mask

HOLE = some_hole(20, 20)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    Image.fromarray(noise(20, 20)).save(tmp_path / "image.png")
    write_mask(HOLE, tmp_path / "mask.png")
    return tmp_path


def piped(folder: Path, data: bytes, *words: str | Path) -> tuple[int, bytes, str]:
    """Run the command with something on standard input; code, standard output, standard error."""
    command = [sys.executable, "-m", "aleph", *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, input=data, capture_output=True, timeout=150, check=False
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("which", ["image", "mask"])
def test_a_picture_goes_through_a_pipe(which: str, scene: Path, tiny_folder: Path) -> None:
    words = ("-", "-m", "mask.png") if which == "image" else ("image.png", "-m", "-")
    data = (scene / f"{which}.png").read_bytes()
    model = ("--model", tiny_folder, "--steps", "2")
    code, out, err = piped(scene, data, "inpaint", *words, "-o", "-", *model)
    assert code == 0, err
    with Image.open(io.BytesIO(out)) as picture:
        assert picture.format == "PNG"
        assert np.array_equal(np.array(picture)[~HOLE], noise(20, 20)[~HOLE])
        assert not np.array_equal(np.array(picture)[HOLE], noise(20, 20)[HOLE])
    assert "filled in" in err
    assert files_below(scene) == {"image.png", "mask.png"}


def refused(outcome: Outcome, says: str) -> None:
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert says in outcome.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-", "-m", "-", "-o", "a.png"), "cannot both come from standard input"),
        (("image.png", "-m", "mask.png", "-o", "-", "--json"), "both write to standard output"),
        (("image.png", "-m", "mask.png", "-o", "-", "--candidates", "2"), "takes one picture"),
        ((".", "-m", "center", "-o", "-"), "need a folder"),
        (("-", "-m", "mask.png", "-o", "a.png"), "the image from standard input gave no data"),
        (("image.png", "-m", "-", "-o", "a.png"), "the mask from standard input gave no data"),
    ],
)
def test_what_a_pipe_cannot_do_is_refused(
    words: tuple[str, ...], says: str, call_cli: RunCli, scene: Path, tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    refused(call_cli("inpaint", *words, "--model", tiny_folder), says)


def test_the_search_for_damage_alone_refuses_pipes_in_a_sentence(
    scene: Path, call_cli: RunCli
) -> None:
    refused(call_cli("damage", "-", "-o", scene / "found.png"), "no pipes")
    refused(call_cli("damage", scene / "image.png", "-o", "-"), "no pipes")


def test_what_is_no_picture_is_called_by_where_it_came_from(
    call_cli: RunCli, scene: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"this is text")))
    outcome = call_cli("inpaint", "-", "-m", "mask.png", "-o", "a.png", "--model", tiny_folder)
    refused(outcome, "the image from standard input is not a picture in a known format")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_written_to_and_not_replaced(
    call_cli: RunCli, scene: Path, tiny_folder: Path
) -> None:
    os.mkfifo(scene / "pipe.bmp")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((scene / "pipe.bmp").read_bytes()))
    reader.start()
    words = ("image.png", "-m", "mask.png", "-o", "pipe.bmp", "--steps", "1", "-q")
    outcome = call_cli("inpaint", *words, "--model", tiny_folder)
    reader.join(30)
    assert outcome.code == 0, outcome
    assert got[0].startswith(b"BM")
    assert (scene / "pipe.bmp").is_fifo()


def test_more_megapixels_are_taken_when_asked_for(
    call_cli: RunCli, scene: Path, tiny_folder: Path
) -> None:
    words = ("inpaint", "image.png", "-m", "mask.png", "-o", "a.png", "--model", tiny_folder, "-q")
    small = call_cli(*words, "--steps", "1", "--max-megapixels", "0.0003")
    refused(small, "raise it by --max-megapixels")
    assert call_cli(*words, "--steps", "1", "--max-megapixels", "0.0004").code == 0
    refused(call_cli(*words, "--max-megapixels", "-1"), "max_megapixels")


def test_verbose_shows_what_a_decoder_grumbled_about(
    call_cli: RunCli, scene: Path, tiny_folder: Path
) -> None:
    whole = (scene / "image.png").read_bytes()
    control = b"acTL" + bytes(8)  # an animation of no frame
    chunk = struct.pack(">I", 8) + control + struct.pack(">I", zlib.crc32(control))
    (scene / "odd.png").write_bytes(whole[:33] + chunk + whole[33:])
    words = ("inpaint", "odd.png", "-m", "mask.png", "-o", "a.png", "--model", tiny_folder, "-q")
    quiet = call_cli(*words, "--steps", "1")
    assert (quiet.code, quiet.err) == (0, "")
    loud = call_cli(*words, "--steps", "1", "-v")
    assert loud.code == 0
    assert "aleph: debug: image 'odd.png': Invalid APNG" in loud.err
