"""Training on two simulated nodes under torchrun: a process is killed, and the run gone on with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import load_file

SIZES = (
    *("--resolution", "16", "--latent-dim", "8", "--batch-size", "8", "--precision", "fp32"),
    *("--generator-width", "8", "--discriminator-width", "8"),
    *("--log-every", "1", "--save-every", "4"),
)
"""A model that costs little, and whose state is saved often."""


def write_pictures(folder: Path, count: int = 24) -> None:
    """Write pictures of noise."""
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def start_nodes(folder: Path, run: str, steps: int, *options: str) -> list[subprocess.Popen[bytes]]:
    """Start `torchrun` on two nodes of one process each, which meet at a port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    for node in (0, 1):
        launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
        launcher += ["--node-rank", str(node), "--master-addr", "127.0.0.1"]
        launcher += ["--master-port", str(port), "-m", "aleph", "train"]
        data = [] if "--resume" in options else ["pictures", *SIZES]
        words = [*data, "--out", run, "--steps", str(steps), "--accelerator", "cpu", *options]
        log = (folder / f"{run}-{node}.log").open("ab")
        with log:
            command = [sys.executable, *launcher, *words]
            started.append(subprocess.Popen(command, cwd=folder, stderr=log, stdout=log))
    return started


def finish(nodes: list[subprocess.Popen[bytes]], seconds: float = 600.0) -> list[int]:
    """Wait until all nodes have ended; return their exit codes."""
    return [node.wait(seconds) for node in nodes]


def ranks(node: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes that a node trains with (Linux)."""
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
    return [int(child) for child in children]


def kill_a_rank(folder: Path, steps: int = 12) -> bool:
    """Kill a process in the middle of a run, go on with it; return whether the model is the same.

    The other run is never killed.
    """
    write_pictures(folder / "pictures")
    if any(finish(start_nodes(folder, "whole", steps))):
        raise SystemExit((folder / "whole-0.log").read_text()[-2000:])
    nodes = start_nodes(folder, "killed", steps)
    log = folder / "killed" / "losses.jsonl"
    while not log.exists() or len(log.read_text().splitlines()) < steps // 3:
        if any(node.poll() is not None for node in nodes):
            raise SystemExit((folder / "killed-0.log").read_text()[-2000:])
        time.sleep(0.01)
    os.kill(ranks(nodes[1])[0], signal.SIGKILL)
    codes = finish(nodes)
    print(f"a rank killed after step {len(log.read_text().splitlines())}: exit codes {codes}")
    if any(finish(start_nodes(folder, "killed", steps, "--resume"))):
        raise SystemExit((folder / "killed-0.log").read_text()[-2000:])
    one, other = (load_file(folder / run / "state.safetensors") for run in ("whole", "killed"))
    return one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)
