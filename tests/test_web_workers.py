"""The page's searches on workers: the same answers, whoever dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")

from aleph.inpainter import Inpainter
from aleph.web.app import create_app
from aleph.web.crew import Crew
from aleph.web.engine import Engine
from aleph.web.limits import Limits
from aleph.workers.choose import WorkersWanted
from test_web_api import FILES, HERE, HOLE, IMAGE, LONG, TestClient, submit, wait_for

SHORT = {"preset": "fast", "steps": "5", "seed": "3", "candidates": "2"}


def started(folder: Path, wanted: WorkersWanted) -> Iterator[Crew]:
    """Start a crew, and stop it when it is no longer needed."""
    made = Crew(Engine("cpu", str(folder)), wanted)
    made.start()
    yield made
    made.stop()


def visited(crew: Crew) -> Iterator[TestClient]:
    """Serve the page with a crew, and visit it."""
    web = create_app(crew._engine, limits=Limits(queue=6, abandoned_after=600.0), crew=crew)
    with TestClient(web.app, base_url=HERE) as client:
        yield client


@pytest.fixture(scope="module")
def crew(tiny_folder: Path) -> Iterator[Crew]:
    """Two workers, ready."""
    yield from started(tiny_folder, WorkersWanted(2))


@pytest.fixture
def client(crew: Crew) -> Iterator[TestClient]:
    yield from visited(crew)


def kill(crew: Crew, killed: set[int]) -> None:
    """Kill a worker that is at a job; not one of those that were killed before."""
    for _ in range(3000):
        for member in crew.members:
            worker = None if member in crew._free else member.worker
            if worker is None or not worker.ready.done() or worker.process is None:
                continue
            if worker.process not in killed:
                killed.add(worker.process)
                os.kill(worker.process, signal.SIGKILL)
                return
        time.sleep(0.02)
    raise AssertionError("no worker is at a job")


def ended(client: TestClient, job: str) -> dict[str, Any]:
    """Wait for the end of a job: a worker that is started anew takes its time."""
    for _ in range(2400):
        info: dict[str, Any] = client.get(job).json()
        if info["state"] in ("done", "failed", "cancelled"):
            return info
        time.sleep(0.05)
    raise AssertionError(info)


def test_a_worker_gives_the_pixels_of_the_inpainter(client: TestClient, alone: Inpainter) -> None:
    job = submit(client, **SHORT)
    info = ended(client, job)
    assert info["state"] == "done", info
    expected = alone(IMAGE, HOLE, preset="fast", steps=5, seed=3, candidates=2)
    for number, candidate in enumerate(expected.candidates):
        answer = client.get(f"{job}/result?candidate={number}")
        assert np.array_equal(np.asarray(Image.open(BytesIO(answer.content))), candidate.image)
    assert client.get(f"{job}/animation?format=gif").content.startswith(b"GIF8")
    lines = client.get(f"{job}/events").text.splitlines()
    names = [line[7:] for line in lines if line.startswith("event: ")]
    happened = [name for name in names if name != "stage"]
    assert happened == ["queued", "running", *["step"] * 6, "done"]


def test_what_cannot_be_filled_is_told(client: TestClient) -> None:
    black = BytesIO()
    Image.new("L", (24, 24)).save(black, "PNG")
    answer = client.post("/api/v1/inpaint", files={**FILES, "mask": black.getvalue()})
    assert answer.status_code == 422
    assert "nothing to fill" in answer.json()["detail"]


def test_the_job_of_a_dead_worker_is_done_again(
    client: TestClient, crew: Crew, alone: Inpainter
) -> None:
    jobs = [submit(client, preset="yeh2017", steps="1000") for _ in range(2)]
    killed: set[int] = set()
    kill(crew, killed)
    kill(crew, killed)
    expected = alone(IMAGE, HOLE, preset="yeh2017", steps=1000).image
    for job in jobs:
        assert ended(client, job)["state"] == "done"
        result = Image.open(BytesIO(client.get(f"{job}/result").content))
        assert np.array_equal(np.asarray(result), expected)
    text = client.get("/metrics").text
    assert sum(member.deaths for member in crew.members) == 2
    assert 'aleph_worker_deaths_total{worker="0"} 1.0' in text
    assert 'aleph_worker_jobs_total{worker="1"}' in text
    assert 'aleph_stage_seconds_total{stage="searching"}' in text


def test_a_cancelled_job_frees_its_worker(client: TestClient, crew: Crew) -> None:
    jobs = [submit(client, **LONG) for _ in range(2)]
    for job in jobs:
        wait_for(client, job, "running")
    deaths = [member.deaths for member in crew.members]
    for job in jobs:
        client.delete(job)
    last = submit(client, **SHORT)
    assert ended(client, last)["state"] == "done"
    assert [member.deaths for member in crew.members] == deaths


def test_a_job_that_kills_three_workers_fails_with_a_sentence(
    client: TestClient, crew: Crew
) -> None:
    job = submit(client, **LONG)
    killed: set[int] = set()
    for _ in range(3):
        kill(crew, killed)
    info = ended(client, job)
    assert "3 workers died" in info["error"]
