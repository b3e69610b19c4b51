"""What became of trials of one kind."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """What became of the trials of one kind.

    Attributes:
        trials: How many there were.
        at_work: How many of them disturbed a command: it was still at work when the signal or the
            other command came, or it could not write all.
        temporaries: Trials after which temporary files were left.
        faults: What must not happen, a sentence each.
    """

    trials: int = 0
    at_work: int = 0
    temporaries: int = 0
    faults: list[str] = field(default_factory=list)
