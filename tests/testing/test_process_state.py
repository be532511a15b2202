"""The state of the whole process that a search changes is restored however it ends."""

from __future__ import annotations

import gc
import signal
import sys
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource.testing import Deadlock, explore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioresource.testing import Scenario


async def passes() -> None:
    await trio.lowlevel.checkpoint()


async def fails() -> None:
    await trio.lowlevel.checkpoint()
    raise LookupError


async def interrupted() -> None:
    await trio.lowlevel.checkpoint()
    raise KeyboardInterrupt


async def hangs() -> None:
    await trio.sleep_forever()


class Broken:
    """A strategy that fails."""

    def begin(self) -> bool:
        raise ZeroDivisionError

    def pick(self, keys: object, last: object) -> int:
        return 0

    def choose(self, count: int) -> int:
        return 0

    def end(self, picks: object, failed: bool) -> None: ...


@pytest.fixture(params=[True, False], ids=["collects", "does not collect"])
def collects(request: pytest.FixtureRequest) -> Iterator[bool]:
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("scenario", [passes, fails, interrupted, hangs])
def test_however_the_scenario_ends(scenario: Scenario, jobs: int, collects: bool) -> None:
    before = sys.gettrace(), signal.getsignal(signal.SIGINT)
    try:
        explore(scenario, schedules=5, jobs=jobs)
    except (LookupError, KeyboardInterrupt, Deadlock):
        assert scenario is not passes
    else:
        assert scenario is passes
    assert gc.isenabled() is collects
    assert (sys.gettrace(), signal.getsignal(signal.SIGINT)) == before


def test_when_the_strategy_fails(collects: bool) -> None:
    with pytest.raises(ZeroDivisionError):
        explore(passes, strategy=Broken())
    assert gc.isenabled() is collects


def test_no_finaliser_runs_in_the_middle_of_a_schedule() -> None:
    """It would run at a moment that depends on all that the program has allocated before."""
    finalised: list[int] = []

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            finalised.append(1)

    async def scenario() -> None:
        before = len(finalised)
        for _ in range(20):
            for _ in range(200):
                Cycle()
            await trio.lowlevel.checkpoint()
            assert len(finalised) == before

    assert gc.isenabled()
    explore(scenario, schedules=60, strategy="random")
    gc.collect()
    assert len(finalised) == 61 * 4000
