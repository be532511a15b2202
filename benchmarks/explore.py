"""How fast the test kit searches: against plain runs, against others, and how fast it shrinks."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import trio
import trio.testing

from benchmarks import explore_peers
from benchmarks.explore_scenarios import counter, order_bug, three_resources
from benchmarks.measure import Row, row_of_ratios, row_of_values
from trioresource.testing import explore
from trioresource.testing._scheduling.running import Run, Settings, search
from trioresource.testing._scheduling.running import run as run_schedule
from trioresource.testing._search.replay import Replay
from trioresource.testing._search.shrink import Shrinker
from trioresource.testing._search.strategies import RandomWalk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.measure import Effort, Pairs

NAME = "explore"
TITLE = "one schedule of a search / a plain run, other explorers; shrinking a bug"
BAR_PLAIN = 2.0
BAR_PEER = 1.0
BAR_SHRINKING = 1.0

_SHAPES: Final = ((2, 2), (3, 5))
_SCHEDULES: Final = 100
"""Schedules in one half of a pair."""
_PROCESSORS: Final = os.cpu_count() or 1
_PEERS: Final = Path(__file__).parents[1] / ".venv" / "peers" / "bin" / "python"
"""Where scripts/install-peers puts the others."""


def run(effort: Effort) -> Iterator[Row]:
    """The search against plain runs, against other explorers, and the shrinking."""
    for tasks, steps in _SHAPES:
        what = f"{tasks} tasks x {steps}, plain run"
        yield _row(_against_plain(counter(tasks, steps), effort), what, BAR_PLAIN)
    yield _row(_against_plain(three_resources, effort), "a cluster of 3, plain run", BAR_PLAIN)
    for peer in explore_peers.PEERS:
        for tasks, steps in _SHAPES:
            yield _against_peer(peer, tasks, steps, max(effort.pairs // 4, 3))
    yield _shrinking(max(effort.pairs // 4, 3))


def _row(pairs: Pairs, what: str, bar: float) -> Row:
    return row_of_ratios(pairs, benchmark=NAME, what=what, unit="us", scale=1e6, bar=bar)


# -- against a plain run


def _against_plain(scenario: Callable[[], Awaitable[None]], effort: Effort) -> Pairs:
    """Seconds for one schedule, and for one run of Trio without a kit, in turn."""

    def searched() -> float:
        begun = time.perf_counter()
        explore(scenario, schedules=_SCHEDULES, strategy="random")
        return (time.perf_counter() - begun) / _SCHEDULES

    def plain() -> float:
        begun = time.perf_counter()
        for _ in range(_SCHEDULES):
            trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))
        return (time.perf_counter() - begun) / _SCHEDULES

    return _in_turn(effort.pairs, searched, plain)


def _in_turn(pairs: int, ours: Callable[[], float], other: Callable[[], float]) -> Pairs:
    """As benchmarks.measure.alternate, outside of Trio: each half is a run of its own."""
    found: Pairs = []
    for turn in range(pairs + 1):
        if turn % 2:
            first = ours()
            found.append((first, other()))
        else:
            second = other()
            found.append((ours(), second))
    # The first one was for nothing.
    return found[1:]


# -- against others


def _against_peer(peer: str, tasks: int, steps: int, pairs: int) -> Row:
    """Each in processes of their own, of the same interpreter, in turn.

    Ours uses the whole machine, which none of the others can. What it is in one process
    is measured as well, and told.
    """
    what = f"{tasks} tasks x {steps}, {peer}"
    with (
        _worker("trioresource", tasks, steps, jobs=_PROCESSORS) as (_, ours),
        _worker("trioresource", tasks, steps) as (_, alone),
        _worker(peer, tasks, steps) as (version, theirs),
    ):
        if version is None:
            note = "SKIPPED: it is not installed (scripts/install-peers)"
            return Row(benchmark=NAME, what=what, unit="us", note=note)
        found = _in_turn(pairs, ours, theirs)
        single = statistics.median(a / b for a, b in _in_turn(pairs, alone, theirs))
    row = _row(found, f"{what} {version}", BAR_PEER)
    return attrs.evolve(row, note=f"with jobs={_PROCESSORS}; in one process {single:.2f} x")


@contextmanager
def _worker(
    explorer: str, tasks: int, steps: int, *, jobs: int = 1
) -> Iterator[tuple[str | None, Callable[[], float]]]:
    """A process that measures one explorer: its version, and what measures once."""
    command = [_interpreter(), "-m", explore_peers.__name__, explorer]
    command += map(str, (tasks, steps, jobs))
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        requests, answers = process.stdin, process.stdout
        assert requests is not None
        assert answers is not None

        def measure() -> float:
            requests.write("\n")
            return float(answers.readline())

        _, _, version = answers.readline().strip().partition(" ")
        yield version or None, measure
        requests.close()


def _interpreter() -> str:
    """The one that the others are installed for."""
    return os.environ.get("TRIORESOURCE_PEERS") or str(
        _PEERS if _PEERS.exists() else sys.executable
    )


# -- shrinking


def _shrinking(count: int) -> Row:
    """Seconds from a schedule that a search has found to one with a single preemption."""
    values, before, tried = [], [], []
    for seed in range(count):
        failed = _failing(seed)
        shrinker = Shrinker(order_bug, Settings())
        begun = time.perf_counter()
        simplest = shrinker.shrink(failed)
        values.append(time.perf_counter() - begun)
        assert len(simplest.controller.departures) == 1, "not shrunk to one preemption"
        before.append(len(failed.controller.departures))
        tried.append(shrinker.tried)
    return row_of_values(
        values,
        Row(
            benchmark=NAME,
            what="shrinking: 5 tasks, an order bug",
            unit="s",
            result_unit="s",
            bar=BAR_SHRINKING,
            note=f"{min(before)} .. {max(before)} preemptions to 1 in at most {max(tried)} runs",
        ),
    )


def _failing(seed: int) -> Run:
    """A random schedule that fails, run once more by itself."""
    failed: list[Run] = []

    def report(result: Run) -> bool:
        failed.extend([result] if result.failed else [])
        return not failed

    search(order_bug, RandomWalk(seed), Settings(), report)
    picks = [index for index, _ in failed[0].controller.picks]
    return run_schedule(order_bug, Replay(picks), Settings(), follow=True)
