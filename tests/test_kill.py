"""The harnesses that kill commands and soak a server tell what is lost from what is whole."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.safety import kill
from benchmarks.safety.places import misplaced
from benchmarks.safety.processes import Command, Ended, children, kill_a_child
from benchmarks.safety.server_kills import ServerBench, servers
from benchmarks.safety.subjects import (
    Subject,
    broken,
    differences,
    facts,
    missing,
    subjects,
    temporary_files,
)
from helpers import serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is forked there")

FREE = Subject("a run", "train", ("run/state.safetensors", "run/*.png"))


def test_a_file_that_is_neither_old_nor_new_is_told(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "a.png").write_bytes(b"old")
    (tmp_path / "b.png").write_bytes(b"old")
    before = facts(tmp_path)
    (tmp_path / "b.png").write_bytes(b"new")
    wanted = facts(tmp_path)
    assert broken(tmp_path, FREE, [before, wanted]) == []
    (tmp_path / "b.png").write_bytes(b"ne")
    assert broken(tmp_path, FREE, [before, wanted]) == [
        "'b.png' is neither what it was nor what it is to be"
    ]
    (tmp_path / "a.png").unlink()
    assert missing(tmp_path, before) == ["'a.png' is lost"]
    assert sorted(differences(facts(tmp_path), wanted, FREE)) == [
        "'a.png' differs in the end",
        "'a.png' is missing in the end",
        "'b.png' differs in the end",
    ]


def test_what_is_written_several_times_has_to_be_whole(tmp_path: Path) -> None:
    state = tmp_path / "out" / "run" / "state.safetensors"
    state.parent.mkdir(parents=True)
    save_file({"weights": torch.ones(9)}, state)
    assert broken(tmp_path / "out", FREE, []) == []
    state.write_bytes(state.read_bytes()[:-1])
    assert broken(tmp_path / "out", FREE, []) == ["'run/state.safetensors' is half written"]
    state.with_name(".aleph-12.png").touch()
    (tmp_path / "tmp" / "torchinductor_me").mkdir(parents=True)
    (tmp_path / "tmp" / "aleph-34").mkdir()
    assert temporary_files(tmp_path) == [".aleph-12.png", "aleph-34"]


def test_a_photo_that_was_filled_twice_differs(tmp_path: Path) -> None:
    path = tmp_path / "out.manifest.jsonl"
    line = json.dumps({"photo": "a.png", "state": "done", "files": {"a.png": {"sha256": "1"}}})
    path.write_text(f"{line}\n")
    once = facts(tmp_path)
    path.write_text(f'{line}\n{{"photo": "b.p\n{line}\n')
    assert differences(facts(tmp_path), once, FREE) == ["'out.manifest.jsonl' differs in the end"]


@pytest.mark.parametrize(
    ("code", "err", "fault"),
    [
        (0, "", False),
        (2, "aleph: no\n", False),
        (2, "aleph: warning: odd\naleph: no\n", False),
        (2, "", True),
        (130, "filling 3/9\naleph: stopped\n", False),
        (2, "aleph: a/b.png: no room\naleph: no room\n", False),
        (130, "", True),
        (1, "Traceback (most recent call last):\n", True),
    ],
)
def test_how_a_command_may_end(code: int, err: str, fault: bool) -> None:
    assert (Ended(code, "", err, 0.0).fault is not None) == fault


def test_a_command_is_killed_and_its_sentence_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    ended = Command(["inpaint", "nowhere.png", "-m", "center", "-o", "a.png"], folder).wait()
    assert (ended.code, ended.fault) == (2, None)
    assert ended.err == "aleph: image 'nowhere.png' does not exist\n"
    command = Command(["serve", "--port", "0", "--model", "faces-dcgan-64"], folder)
    assert command.works_for(0.2)
    command.end_by(signal.SIGKILL)
    assert command.wait().code == -signal.SIGKILL
    assert not command.left_processes()


def test_names_of_trials_are_told_apart_and_chosen() -> None:
    names = [one.name for one in (*subjects(), *servers(), *misplaced())]
    assert len(set(names)) == len(names)
    assert kill._wanted("export: SIGINT", "")
    assert kill._wanted("export: SIGINT", "^export|disk")
    assert not kill._wanted("train, dcgan: SIGINT", "^export|disk")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> kill.Bench:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return kill.Bench(tmp_path_factory.mktemp("bench"), seed=0)


def test_a_kill_in_the_midst_of_damage_loses_nothing(bench: kill.Bench) -> None:
    subject = next(one for one in subjects() if one.name == "damage, a photo")
    tally = bench.killed(subject, signal.SIGTERM, 2)
    assert (tally.trials, tally.faults) == (2, [])


@pytest.mark.skipif(sys.platform != "linux", reason="nothing tells which processes it has")
def test_one_of_the_processes_of_a_command_is_killed() -> None:
    rng = np.random.default_rng(0)
    command = subprocess.Popen(["sh", "-c", "sleep 60 & wait $!"])
    while not children(command.pid):
        assert command.poll() is None
    (child,) = children(command.pid)
    assert kill_a_child(command.pid, rng)
    assert command.wait(30) == 128 + signal.SIGKILL
    assert not children(command.pid) and not kill_a_child(child, rng)


def test_a_server_that_is_stopped_leaves_its_place_to_another(bench: kill.Bench) -> None:
    pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
    served = next(one for one in servers() if one.name == "serve, searching")
    tally = ServerBench(bench.given, bench.folder, bench.rng).killed(served, signal.SIGTERM, 1)
    assert (tally.trials, tally.faults) == (1, [])


def test_an_answer_that_does_not_come_in_time_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
    from benchmarks.safety import clients

    monkeypatch.setattr(clients, "PATIENCE", 0.2)
    answers = clients.Answers()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        client = clients.Client(address, "127.0.0.1", 0, answers)
        client._ways = ((0.5, client.fill), (0.5, client.dawdle))
        client.run(time.monotonic() + 1.0)
    late = sum(statuses[clients.LATE] for statuses in answers.statuses.values())
    assert late == len(answers.problems) > 0
    assert answers.seconds == [0.2] * answers.statuses["fill"][clients.LATE]


def test_clients_note_what_a_server_answers(tiny_folder: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
    from aleph.web.app import create_app
    from aleph.web.engine import Engine
    from benchmarks.safety.clients import Answers, Client

    answers = Answers()
    with serving(create_app(Engine("cpu", str(tiny_folder))).app) as address:
        client = Client(address, "127.0.0.1", 0, answers)
        for way in (client.fill, client.follow, client.cancel, client.hang_up, client.look_around):
            way()
        for _ in range(4):
            client.junk()
            client.pry()
        time.sleep(0.2)
    assert answers.problems == []
    assert answers.statuses["fill"] == {200: 1}
    assert answers.statuses["follow"] == {202: 1, 200: 1, 204: 1}
    assert len(answers.seconds) == 1
    assert sum(answers.statuses["pry"].values()) == 4
