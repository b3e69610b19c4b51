"""Which workers a command uses: what its user asked for, or what suits this machine."""

from __future__ import annotations

from dataclasses import dataclass

from aleph.errors import InputError
from aleph.workers.dispatch import Setup, Workers
from aleph.workers.local import MOST, local_workers, usual_count


@dataclass(frozen=True)
class WorkersWanted:
    """What a user asked for.

    Attributes:
        count: Workers; None for what suits this machine or the cluster.
        cluster: Address of a Ray cluster, or `auto`; None for processes on this machine.

    Raises:
        InputError: if `count` is not from 1 to 256.
        MissingDependencyError: if a cluster is wanted and Ray is not installed.
    """

    count: int | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        if self.count is not None and not 1 <= self.count <= MOST:
            raise InputError(f"workers must be from 1 to {MOST}, not {self.count}")
        if self.cluster is not None:
            from aleph.workers.cluster import check_ray

            check_ray()


def choose_workers(
    setup: Setup, wanted: WorkersWanted, tasks: int | None = None, apart: bool = False
) -> Workers:
    """Return the workers that were asked for.

    Args:
        setup: What every worker calls first; picklable.
        wanted: What the user asked for.
        tasks: Tasks there are, if that is known: no more workers are started.
        apart: Whether a single worker is a process of its own, too, whose death ends nothing.

    Raises:
        InputError: if the cluster does not answer.
    """
    if wanted.cluster is not None:
        from aleph.workers.cluster import Cluster

        return Cluster(setup, wanted.cluster, count=wanted.count)
    count = usual_count() if wanted.count is None else wanted.count
    return local_workers(setup, count if tasks is None else max(1, min(count, tasks)), apart)
