"""Commands killed at random moments: nothing lost, nothing half written, nothing done twice.

    python -m benchmarks kill [--each 20] [--seed 0] [--only 'export|full disk']

Each command is run once undisturbed; then it is killed (SIGKILL, SIGTERM, SIGINT) at a random
moment, so often of each, and called again: what is there then must be what the undisturbed run
left, bit for bit, times excepted. At the moment of the kill every file must be what it was or what
it is to be, and what the command reads must be untouched. Of folders that two workers work through
the workers are killed besides. A server is killed as it starts, waits and searches; another must
then take its place. Then come two commands at once, outputs that are inputs, full disks, and
folders that cannot be written. The table is Markdown; the exit code is 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from aleph.errors import InputError
from benchmarks.safety.places import (
    ROOM,
    Misplaced,
    can_mount,
    make_read_only,
    misplaced,
    resize,
    small_disk,
)
from benchmarks.safety.processes import Command, Ended, kill_a_child, run
from benchmarks.safety.server_kills import ServerBench, servers
from benchmarks.safety.subjects import (
    Facts,
    Subject,
    broken,
    differences,
    facts,
    make_given,
    missing,
    subjects,
    temporary_files,
)
from benchmarks.safety.tally import Tally

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


class Bench:
    """The folder in which commands are run and killed, one after the other.

    Args:
        root: An empty folder.
        seed: Of the moments.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.given, self.folder = root / "given", root / "work"
        self.rng = np.random.default_rng(seed)
        self.given.mkdir()
        make_given(self.given, _must)
        self.read = facts(self.given)

    def undisturbed(self, subject: Subject) -> tuple[Facts, Facts, float]:
        """Run a command; return what lay in its `out` before and after, and the seconds."""
        subject.prepare(self.given, self.folder)
        before = facts(self.folder / "out")
        ended = _must(subject.begin(self.folder), self.folder)
        return before, facts(self.folder / "out"), ended.seconds

    def check_read(self) -> list[str]:
        """Return what is wrong with the files that commands read."""
        found = facts(self.folder / "in")
        return [] if found == self.read else ["what the command reads was changed"]

    def go_on(self, subject: Subject, wanted: Facts) -> list[str]:
        """Call a command again; return what is wrong in the end."""
        ended = run(subject.begin(self.folder), self.folder)
        if ended.code != 0:
            return [f"called again it ended with {ended.code}: {ended.err[-200:]!r}"]
        found = facts(self.folder / "out")
        return differences(found, wanted, subject) + self.check_read()

    def killed(self, subject: Subject, number: signal.Signals, each: int) -> Tally:
        """Kill a command so many times, and call it again each time."""
        before, wanted, seconds = self.undisturbed(subject)
        tally = Tally()
        for _ in range(each):
            subject.prepare(self.given, self.folder)
            command = Command(subject.begin(self.folder), self.folder)
            moment = float(self.rng.uniform(0, seconds))
            tally.trials += 1
            if command.works_for(moment):
                tally.at_work += 1
                command.end_by(number)
            ended = command.wait(60.0)
            allowed = (0, -number, 128 + number)
            faults = self._found(subject, ended, before, wanted, allowed)
            if command.left_processes():
                faults.append("a process of its own is still there")
            left = temporary_files(self.folder)
            tally.temporaries += bool(left)
            if left and number != signal.SIGKILL:
                faults.append(f"temporary files were left: {', '.join(left)}")
            faults += self.go_on(subject, wanted)
            tally.faults += [f"after {moment:.2f} s: {fault}" for fault in faults]
        return tally

    def without_workers(self, subject: Subject, each: int) -> Tally:
        """Kill one or two of a command's own processes: it must end as if nothing had happened."""
        before, wanted, seconds = self.undisturbed(subject)
        tally = Tally()
        for _ in range(each):
            subject.prepare(self.given, self.folder)
            command = Command(subject.begin(self.folder), self.folder)
            moments = np.sort(self.rng.uniform(0, seconds, self.rng.integers(1, 3)))
            killed = [
                command.works_for(float(moment)) and kill_a_child(command.pid, self.rng)
                for moment in moments
            ]
            tally.trials += 1
            tally.at_work += any(killed)
            faults = self._found(subject, command.wait(), before, wanted, (0,))
            faults += differences(facts(self.folder / "out"), wanted, subject)
            faults += ["temporary files were left"] if temporary_files(self.folder) else []
            if command.left_processes():
                faults.append("a process of its own is still there")
            faults += self.go_on(subject, wanted)
            shown = ", ".join(f"{moment:.2f}" for moment in moments)
            tally.faults += [f"after {shown} s: {fault}" for fault in faults]
        return tally

    def short_of_room(self, subject: Subject, each: int) -> Tally:
        """Run a command on a disk that is too small, so many times; go on when there is room."""
        before, wanted, _ = self.undisturbed(subject)
        out = self.folder / "out"
        held = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        tally = Tally()
        for _ in range(each):
            subject.prepare(self.given, self.folder)
            size = int(self.rng.uniform(0, held))
            with small_disk(out, size):
                ended = run(subject.begin(self.folder), self.folder)
                tally.trials += 1
                tally.at_work += ended.code != 0
                faults = self._found(subject, ended, before, wanted, (0, 1, 2))
                faults += ["temporary files were left"] if temporary_files(self.folder) else []
                resize(out, ROOM)
                faults += self.go_on(subject, wanted)
            tally.faults += [f"with {size} bytes: {fault}" for fault in faults]
        return tally

    def read_only(self, subject: Subject) -> Tally:
        """Run a command where nothing can be written."""
        before, wanted, _ = self.undisturbed(subject)
        subject.prepare(self.given, self.folder)
        tally, out = Tally(1), self.folder / "out"
        with small_disk(out, ROOM):
            make_read_only(out)
            ended = run(subject.begin(self.folder), self.folder)
            tally.at_work += ended.code != 0
            tally.faults += self._found(subject, ended, before, wanted, (1, 2))
        return tally

    def misplaced(self, trial: Misplaced) -> Tally:
        """Run a command whose output is what it reads."""
        nothing = Subject(trial.name, trial.words)
        nothing.prepare(self.given, self.folder)
        for name, target in trial.links:
            if target.startswith("="):
                os.link(self.folder / target[1:], self.folder / name)
            else:
                (self.folder / name).symlink_to(self.folder / target)
        ended = run(trial.words.split(), self.folder)
        faults = self.check_read()
        if ended.fault:
            faults.append(ended.fault)
        if (ended.code != 0) != trial.refused:
            faults.append(f"it ended with {ended.code}: {ended.err[-200:]!r}")
        return Tally(1, int(ended.code != 0), faults=faults)

    def two_at_once(self, subject: Subject, each: int) -> Tally:
        """Begin a command twice, the second some time after the first; then call it once more."""
        before, wanted, seconds = self.undisturbed(subject)
        tally = Tally()
        for _ in range(each):
            subject.prepare(self.given, self.folder)
            words = subject.begin(self.folder)
            first = Command(words, self.folder, "first")
            tally.at_work += first.works_for(float(self.rng.uniform(0, seconds)))
            second = Command(subject.begin(self.folder), self.folder, "second")
            tally.trials += 1
            faults = self._found(subject, first.wait(), before, wanted, (0,))
            faults += self._found(subject, second.wait(), before, wanted, (0, 2))
            tally.faults += faults + self.go_on(subject, wanted)
        return tally

    def _found(
        self,
        subject: Subject,
        ended: Ended,
        before: Facts,
        wanted: Facts,
        allowed: tuple[int, ...],
    ) -> list[str]:
        """Return what is wrong after a command that was disturbed."""
        out = self.folder / "out"
        faults = broken(out, subject, [before, wanted]) + missing(out, before) + self.check_read()
        if ended.fault:
            faults.append(ended.fault)
        if ended.code not in allowed:
            faults.append(f"it ended with {ended.code}: {ended.err[-200:]!r}")
        return faults


def _must(words: Sequence[str], folder: Path) -> Ended:
    """Run a command that has to succeed."""
    ended = run(words, folder)
    if ended.code != 0:
        raise InputError(f"aleph {' '.join(words)}: ended with {ended.code}: {ended.err[-500:]}")
    return ended


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--each", type=int, default=20, help="kills of each command and signal (20)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--only", default="", help="regular expression of the names to try")
    return parser.parse_args(words)


def trials(bench: Bench, each: int) -> Iterator[tuple[str, Callable[[], Tally]]]:
    """Yield every kind of trial by its name, the kills first."""
    for subject in subjects():
        for number in SIGNALS:
            yield f"{subject.name}: {number.name}", partial(bench.killed, subject, number, each)
    for subject in subjects():
        if "--workers" in subject.words:
            yield f"{subject.name}: workers", partial(bench.without_workers, subject, each)
    kills = ServerBench(bench.given, bench.folder, bench.rng)
    for served in servers():
        for number in SIGNALS:
            yield f"{served.name}: {number.name}", partial(kills.killed, served, number, each)
    for subject in subjects():
        yield f"{subject.name}: twice at once", partial(bench.two_at_once, subject, each)
    for trial in misplaced():
        yield trial.name, partial(bench.misplaced, trial)
    if not can_mount(bench.folder / "out"):
        print("(no full disks and no read-only ones: only root can mount them, on Linux)")
        return
    for subject in subjects():
        yield f"{subject.name}: full disk", partial(bench.short_of_room, subject, each)
        yield f"{subject.name}: read-only disk", partial(bench.read_only, subject)


def _wanted(name: str, only: str) -> bool:
    return not only or re.search(only, name) is not None


def _say(name: str, tally: Tally) -> None:
    """Print a row of the table at once: the whole takes long."""
    print(
        f"| {name} | {tally.trials} | {tally.at_work} | {tally.temporaries} | "
        f"{len(tally.faults)} |",
        flush=True,
    )
    for fault, times in Counter(tally.faults).items():
        print(f"  {name}: {fault}" + (f" ({times} times)" if times > 1 else ""), file=sys.stderr)


def main() -> None:
    """Kill, compare, count."""
    os.environ["OMP_NUM_THREADS"] = "1"  # else resumed runs may add up in another order
    options = parse()
    with tempfile.TemporaryDirectory(prefix="kill-") as root:
        bench = Bench(Path(root), options.seed)
        print("| command: what happened | trials | it met work | left temporary files | faults |")
        print("| --- | --- | --- | --- | --- |")
        faults = 0
        for name, act in trials(bench, options.each):
            if _wanted(name, options.only):
                tally = act()
                faults += len(tally.faults)
                _say(name, tally)
    sys.exit(faults > 0)
