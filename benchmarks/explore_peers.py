"""The same scenario in each explorer: ours in Trio, the others in asyncio.

``python -m benchmarks.explore_peers NAME TASKS STEPS JOBS`` first prints the explorer and its
version, or only the explorer if it is not installed. Then it answers each line of its input
with the seconds that one schedule took. Only ours can have more than one job.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 (the others explore nothing else)
import importlib
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Explore = Callable[[int], int]

_AT_LEAST: Final = 0.3
"""Seconds that are measured at once."""


class Twin:
    """The same in asyncio."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.value = 0

    async def work(self, steps: int) -> None:
        for _ in range(steps):
            async with self.lock:
                before = self.value
                await asyncio.sleep(0)
                self.value = before + 1

    @staticmethod
    def scenario(tasks: int, steps: int) -> Callable[[], Coroutine[Any, Any, None]]:
        async def scenario() -> None:
            twin = Twin()
            async with asyncio.TaskGroup() as group:
                for _ in range(tasks):
                    group.create_task(twin.work(steps))
            assert twin.value == tasks * steps

        return scenario


# Each returns a function that explores so many schedules at most, and says how many it did.
# Nothing is imported for the others that they do not need: some collect the garbage of the
# whole process after each schedule.


def _ours(tasks: int, steps: int, jobs: int) -> Explore:
    testing = importlib.import_module("trioresource.testing")
    scenario = importlib.import_module("benchmarks.explore_scenarios").counter(tasks, steps)

    def explore(count: int) -> int:
        testing.explore(scenario, schedules=count, strategy="random", jobs=jobs)
        return count

    return explore


def _detangle(tasks: int, steps: int) -> Explore:
    detangle = importlib.import_module("detangle")
    scenario = Twin.scenario(tasks, steps)

    def explore(count: int) -> int:
        detangle.explore(scenario, runs=count, strategy="random", seed=0, database=False)
        return count

    return explore


def _simloom(tasks: int, steps: int) -> Explore:
    simloom = importlib.import_module("simloom")
    scenario = Twin.scenario(tasks, steps)

    def explore(count: int) -> int:
        assert not simloom.explore(scenario, runs=count, world=False).failures
        return count

    return explore


def _simloop(tasks: int, steps: int) -> Explore:
    simloop = importlib.import_module("simloop")
    scenario = Twin.scenario(tasks, steps)

    def explore(count: int) -> int:
        assert simloop.explore(scenario, seeds=range(count)) is None
        return count

    return explore


def _frontrun(tasks: int, steps: int) -> Explore:
    # Its random strategy does not decide scenarios with an asyncio.Lock; for those its
    # documentation names this one, which ends when it has seen all schedules that differ.
    frontrun = importlib.import_module("frontrun")

    async def work(twin: Twin) -> None:
        await twin.work(steps)

    async def search(count: int) -> int:
        result = await frontrun.explore(
            setup=Twin,
            workers=work,
            count=tasks,
            invariant=lambda twin: twin.value == tasks * steps,
            strategy="dpor",
            max_executions=count,
        )
        assert result.property_holds, result.explanation
        explored: int = result.num_explored
        return explored

    return lambda count: asyncio.run(search(count))


PEERS: Final = {
    "detangle": _detangle,
    "simloom": _simloom,
    "simloop": _simloop,
    "frontrun": _frontrun,
}


def main(name: str, tasks: int, steps: int, jobs: int) -> None:
    """Measure, whenever a line comes."""
    try:
        # Ours is here, whether it is installed or not.
        installed = version(name) if name in PEERS else "here"
        peer = PEERS.get(name)
        explore = _ours(tasks, steps, jobs) if peer is None else peer(tasks, steps)
    except (ImportError, PackageNotFoundError):
        print(name, flush=True)
        return
    print(name, installed, flush=True)
    count = 10
    for _ in sys.stdin:
        while True:
            begun = time.perf_counter()
            explored = explore(count)
            taken = time.perf_counter() - begun
            if taken >= _AT_LEAST or explored < count:
                break
            count *= 2
        print(taken / explored, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
