"""Mutants of photos, masks, model folders and requests: each ends in a result or in one sentence.

    python -m benchmarks fuzz [--seconds 60] [--seed 0] [--keep FOLDER]

Every mutant is read, filled and written in another process, which is ended when it hangs. The exit
code is 1 if one ended in a traceback, let through what a decoder wrote or warned of, or took more
than `SECONDS` or `MEBIBYTES`; `--keep` keeps these. The same seed gives the same mutants; `--first`
goes on with a later one.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.safety.trial import Trial, Trials

SECONDS = 10.0
"""Time of the processor that a mutant may take: other programs do not count."""

HANGS = 60.0
"""Seconds by the clock after which a process is ended."""

MEBIBYTES = 1024.0
"""Memory that the process may have while it tries one, its libraries included."""

GOOD = ("done", "refused")


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="begin no mutant after these")
    parser.add_argument("--mutants", type=int, help="or after this many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--keep", type=Path, help="folder for the mutants that show a fault")
    return parser.parse_args(words)


def work(pipe: Connection, seed: int, folder: str) -> None:
    """Try the mutants whose numbers come through a pipe; the process that does the trials."""
    trials = Trials(seed, Path(folder))
    trials.prepare()
    gc.freeze()  # what is there from the beginning need not be looked through each time
    pipe.send(None)  # ready
    while (number := pipe.recv()) is not None:
        gc.collect()  # else the garbage of the mutants before counts as memory of this one
        pipe.send(asdict(trials.run(number)))


class Bench:
    """A process that tries mutants; a new one takes its place when it has to be ended.

    Args:
        seed: Decides all mutants, with their numbers.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        words = (theirs, self.seed, self._folder.name)
        self._process = context.Process(target=work, args=words, daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(120):
            raise RuntimeError("the process that tries mutants does not start")
        self._pipe.recv()

    def run(self, number: int) -> Trial:
        """Try a mutant; a process that dies or takes too long is a fault of the mutant's."""
        try:
            self._pipe.send(number)
            if self._pipe.poll(HANGS):
                return Trial(**self._pipe.recv())
            ended = "too slow"
        except (EOFError, OSError):
            ended = "killed the process"
        self._process.kill()
        self._process.join()
        self._start()
        return Trial(f"{number}", ended, seconds=HANGS)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._folder.cleanup()


def fault(trial: Trial) -> str | None:
    """Return what is wrong with how a mutant ended; None if nothing is."""
    if trial.ended not in GOOD:
        return trial.ended
    if trial.seconds > SECONDS:
        return "too slow"
    return "too much memory" if trial.mebibytes > MEBIBYTES else None


def fuzz(options: argparse.Namespace, say: Callable[[str], None] = print) -> Counter[str]:
    """Try mutants until the time is over; return how often each ending came."""
    bench, counts = Bench(options.seed), Counter[str]()
    slowest, largest = Trial("", "done"), Trial("", "done")
    end, number = time.monotonic() + options.seconds, options.first
    last = None if options.mutants is None else options.first + options.mutants
    try:
        while time.monotonic() < end and number != last:
            trial = bench.run(number)
            wrong = fault(trial)
            counts[wrong or trial.ended] += 1
            if wrong:
                say(f"{wrong}: {trial.name}: {trial.said}")
                _keep(options, number, trial)
            slowest = max(slowest, trial, key=lambda t: t.seconds)
            largest = max(largest, trial, key=lambda t: t.mebibytes)
            number += 1
    finally:
        bench.close()
    say(json.dumps({"mutants": sum(counts.values()), **dict(counts.most_common())}))
    say(f"slowest: {slowest.seconds:.2f} s ({slowest.name}); most memory: "
        f"{largest.mebibytes:.0f} MiB ({largest.name})")  # fmt: skip
    return counts


def _keep(options: argparse.Namespace, number: int, trial: Trial) -> None:
    """Keep the mutant of a fault, named by how it ended; models, requests are told by number."""
    if options.keep is None or trial.name.endswith("model") or " request " in trial.name:
        return
    rng = np.random.default_rng([options.seed, number])
    rng.random()
    seed, data = Trials(options.seed, Path()).mutant(rng)
    options.keep.mkdir(parents=True, exist_ok=True)
    name = f"{trial.ended}-{options.seed}-{number}{seed.suffix}".replace(" ", "-")
    (options.keep / name).write_bytes(data)
    (options.keep / f"{name}.txt").write_text(f"{trial.name}\n{trial.said}\n")


def main() -> None:
    """Parse, try, count."""
    counts = fuzz(parse())
    sys.exit(any(name not in GOOD for name in counts))
