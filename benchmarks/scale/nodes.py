"""Photos to fill, and a Ray cluster whose nodes are processes of this machine."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aleph.masks.named import named_hole
from aleph.pictures import face

SIDES = (128, 192)
"""Sides of the photos in pixels, from and to."""


def write_photos(folder: Path, count: int, seed: int = 0) -> None:
    """Write photos of a face, no two alike, and one mask for all: `photos` and `mask.png`."""
    (folder / "photos").mkdir(parents=True)
    draw = np.random.default_rng(seed)
    for number in range(count):
        side = int(draw.integers(*SIDES))
        picture = np.asarray(Image.fromarray(face()).resize((side, side)), np.float32)
        shifted = picture + draw.normal(0, 4, picture.shape) + draw.integers(-20, 20)
        path = folder / "photos" / f"{number:05d}.png"
        Image.fromarray(shifted.clip(0, 255).astype(np.uint8)).save(path)
    hole = named_hole("center", (128, 128)).astype(np.uint8) * np.uint8(255)
    Image.fromarray(hole).save(folder / "mask.png")


class Nodes:
    """A Ray cluster of a head without cores, and nodes of one core each."""

    def __init__(self, count: int) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._nodes = [self._cluster.add_node(num_cpus=1) for _ in range(count)]

    @property
    def address(self) -> str:
        """What `--cluster` takes."""
        return str(self._cluster.address)

    def kill(self) -> None:
        """Kill the first node at once (SIGKILL)."""
        self._cluster.remove_node(self._nodes.pop(0), allow_graceful=False)

    def stop(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()  # type: ignore[no-untyped-call]


@contextmanager
def nodes(count: int) -> Iterator[Nodes]:
    """Start a cluster and connect to it."""
    import ray

    before: Any = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # for the nodes
    made = Nodes(count)
    try:
        ray.init(address=made.address, log_to_driver=False, logging_level=logging.ERROR)
        yield made
    finally:
        ray.shutdown()
        made.stop()
        if before is None:
            os.environ.pop("PYTHONPATH")
        else:
            os.environ["PYTHONPATH"] = before
