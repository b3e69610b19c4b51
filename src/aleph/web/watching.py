"""For those who watch the server: whether it lives, whether it is ready, and what it has done."""

# No `from __future__ import annotations`: FastAPI reads the annotations of these functions.

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector

from aleph.web.crew import Crew
from aleph.web.engine import Fill
from aleph.web.jobs import Jobs
from aleph.web.service import TheService

router = APIRouter(include_in_schema=False)

_STATES = ("done", "failed", "cancelled")


@router.get("/healthz")
async def healthz() -> Response:
    """Say that the process lives."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(service: TheService) -> Response:
    """Say whether jobs are taken: not while the server stops, or where its worker has died."""
    ready = service.jobs.ready
    return PlainTextResponse("ok\n" if ready else "not ready\n", 200 if ready else 503)


@router.get("/metrics")
async def metrics(service: TheService) -> Response:
    """Return what has been done, and what is waiting, as Prometheus reads it."""
    registry = CollectorRegistry()
    registry.register(_Collector(service.jobs, service.crew))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Collector:
    """The numbers of a queue."""

    def __init__(self, jobs: Jobs[Fill], crew: Crew | None) -> None:
        self._jobs, self._crew = jobs, crew

    def collect(self) -> Iterator[Metric]:
        """Yield every number as it is now."""
        jobs, counts = self._jobs, self._jobs.counts
        yield GaugeMetricFamily("aleph_jobs_waiting", "Jobs that wait.", jobs.waiting)
        yield GaugeMetricFamily("aleph_jobs_running", "Jobs that run.", jobs.running)
        yield GaugeMetricFamily("aleph_jobs_known", "Jobs that wait, run or are kept.", len(jobs))
        finished = CounterMetricFamily(
            "aleph_jobs_finished", "Jobs by their end.", labels=["state"]
        )
        for state in _STATES:
            finished.add_metric([state], counts.finished[state])
        yield finished
        yield CounterMetricFamily("aleph_jobs_refused", "Jobs without a place.", counts.refused)
        yield CounterMetricFamily("aleph_job_seconds", "Time that jobs have run.", counts.seconds)
        stages = CounterMetricFamily(
            "aleph_stage_seconds", "Time that jobs have run, by stage.", labels=["stage"]
        )
        for stage, seconds in sorted(counts.stages.items()):
            stages.add_metric([stage], seconds)
        yield stages
        if self._crew:
            yield from _of_workers(self._crew)


def _of_workers(crew: Crew) -> Iterator[Metric]:
    """Yield the numbers of each worker."""
    done = CounterMetricFamily("aleph_worker_jobs", "Jobs by worker.", labels=["worker"])
    deaths = CounterMetricFamily("aleph_worker_deaths", "Workers that died.", labels=["worker"])
    memory = GaugeMetricFamily(
        "aleph_worker_memory_bytes", "Resident memory of a worker.", labels=["worker"]
    )
    for member in crew.members:
        label = [str(member.name)]
        done.add_metric(label, member.jobs)
        deaths.add_metric(label, member.deaths)
        if (size := member.memory) is not None:
            memory.add_metric(label, size)
    yield from (done, deaths, memory)
