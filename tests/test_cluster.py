"""A cluster of Ray: tasks and the page's searches are done on it as they are here, whoever dies.

All tests that need a cluster are here, so that it is started once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ray", reason="the extra 'cluster' is not installed")

from aleph.errors import AlephError
from aleph.inpainter import Inpainter
from aleph.web.crew import Crew
from aleph.workers.choose import WorkersWanted
from aleph.workers.dispatch import Workers, dispatch
from tasks import doubling, dying, failing, refusing
from test_web_api import HOLE, IMAGE, LONG, TestClient, submit, wait_for
from test_web_workers import SHORT, ended, started, visited
from test_workers import results

_NODE_SECONDS = 180
"""Seconds that a node may take to start on a busy machine."""


def patient(get_node: Callable[..., object]) -> Callable[..., object]:
    """Wait for a node of Ray's that has just been started; Ray gives it up after half a minute."""

    def get(*which: object) -> object:
        latest = time.monotonic() + _NODE_SECONDS
        while time.monotonic() < latest:
            with contextlib.suppress(RuntimeError):  # it is not there yet
                return get_node(*which)
            time.sleep(0.1)
        return get_node(*which)

    return get


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Two nodes of one core each on this machine, made by Ray's own simulator."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))  # for the nodes
    patch.setenv("RAY_worker_niceness", "0")  # it leaves the processors to all else
    import ray
    from ray._private import services
    from ray.cluster_utils import Cluster

    patch.setattr(services, "get_node", patient(services.get_node))
    # Nothing but what the tests need: each of its processes starts for seconds.
    spared = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **spared})
    made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()
    patch.undo()


def on_cluster(cluster: object, setup: Callable[[], Callable[[int], int]]) -> Workers:
    """Return the workers of the simulated cluster."""
    from aleph.workers.cluster import Cluster

    return Cluster(setup, cluster.address)  # type: ignore[attr-defined]


def test_a_cluster_does_every_task_once(cluster: object) -> None:
    workers = on_cluster(cluster, doubling)
    assert workers.count == 2
    assert results(dispatch(range(9), workers)) == list(range(0, 18, 2))


def test_on_a_cluster_a_dead_worker_is_replaced(cluster: object, tmp_path: Path) -> None:
    workers = on_cluster(cluster, functools.partial(dying, tmp_path, always=False))
    assert results(dispatch(range(8), workers)) == list(range(0, 16, 2))


def test_on_a_cluster_errors_are_those_of_the_task(cluster: object) -> None:
    outcomes = sorted(dispatch(range(2), on_cluster(cluster, refusing)), key=lambda o: o.task)
    assert [str(outcome.error) for outcome in outcomes] == ["None", "1 is odd"]
    with pytest.raises(AlephError, match="no such model"):
        list(dispatch(range(2), on_cluster(cluster, failing)))


@pytest.fixture(scope="module")
def actors(tiny_folder: Path, cluster: object) -> Iterator[Crew]:
    """Two actors of a Ray cluster, ready."""
    wanted = WorkersWanted(2, cluster.address)  # type: ignore[attr-defined]
    yield from started(tiny_folder, wanted)


@pytest.fixture
def served(actors: Crew) -> Iterator[TestClient]:
    yield from visited(actors)


def test_an_actor_gives_the_pixels_and_tells_every_step(
    served: TestClient, alone: Inpainter
) -> None:
    job = submit(served, **SHORT)
    assert ended(served, job)["state"] == "done"
    expected = alone(IMAGE, HOLE, preset="fast", steps=5, seed=3, candidates=2)
    for number, candidate in enumerate(expected.candidates):
        answer = served.get(f"{job}/result?candidate={number}")
        assert np.array_equal(np.asarray(Image.open(BytesIO(answer.content))), candidate.image)
    lines = served.get(f"{job}/events").text.splitlines()
    assert lines.count("event: step") == 6
    assert lines.count("event: done") == 1


def test_a_cancelled_job_frees_its_actor(served: TestClient, actors: Crew) -> None:
    jobs = [submit(served, **LONG) for _ in range(2)]
    for job in jobs:
        wait_for(served, job, "running")
        served.delete(job)
    assert ended(served, submit(served, **SHORT))["state"] == "done"
    assert [member.deaths for member in actors.members] == [0, 0]


def test_the_job_of_a_dead_actor_is_done_again(
    served: TestClient, actors: Crew, alone: Inpainter
) -> None:
    import ray

    job = submit(served, preset="yeh2017", steps="1000")
    wait_for(served, job, "running")
    member = next(one for one in actors.members if one not in actors._free)
    ray.kill(member.worker._actor)  # type: ignore[union-attr]
    assert ended(served, job)["state"] == "done"
    result = Image.open(BytesIO(served.get(f"{job}/result").content))
    assert np.array_equal(
        np.asarray(result), alone(IMAGE, HOLE, preset="yeh2017", steps=1000).image
    )
    assert member.deaths == 1
