"""Schedules as they are recorded in a search, and replayed by their tokens."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from trioresource.testing._report.schedule import schedule_of
from trioresource.testing._report.tokens import decode
from trioresource.testing._scheduling.running import Run, run, search
from trioresource.testing._search.replay import Replay
from trioresource.testing._search.strategies import RandomWalk

from .scenarios import PORTABLE, Program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIGESTS: Final = Path(__file__).with_name("digests.txt")
TRACES: Final = 25
"""Of each program; 200 in all."""


@attrs.frozen
class Trace:
    """What two runs of one schedule must have in common."""

    token: str
    digest: str
    duration: float
    result: str
    delivered: tuple[str, ...]


def trace_of(result: Run) -> Trace:
    schedule = schedule_of(result)
    assert result.error is None, result.error
    return Trace(
        schedule.token,
        schedule.digest,
        schedule.duration,
        repr(result.value),
        schedule.delivered,
    )


def record(program: Program, count: int, seed: object = 0) -> list[Trace]:
    """Random schedules, recorded in one run of Trio if that can be."""
    traces: list[Trace] = []

    def report(result: Run) -> bool:
        traces.append(trace_of(result))
        return len(traces) < count

    strategy = RandomWalk(seed)
    if not search(program.scenario, strategy, program.settings, report):
        while len(traces) < count:
            report(run(program.scenario, strategy, program.settings))
    return traces


def replay(program: Program, token: str) -> Trace:
    """In a run of its own, as it is done for a report."""
    strategy = Replay(decode(token))
    return trace_of(run(program.scenario, strategy, program.settings, follow=True))


def exact_replays(programs: Mapping[str, Program], count: int) -> int:
    """Record so many schedules in all, and replay them; how many replays were the same."""
    exact = 0
    for number, program in enumerate(programs.values()):
        share = count // len(programs) + (number < count % len(programs))
        for trace in record(program, share, seed="replay"):
            exact += replay(program, trace.token) == trace
    return exact


def digests() -> Iterator[str]:
    """A line for each program: its name, and the digest of its traces."""
    for name, program in PORTABLE.items():
        text = "\n".join(map(repr, record(program, TRACES, seed=name)))
        yield f"{name}: {hashlib.sha256(text.encode()).hexdigest()[:32]}"
