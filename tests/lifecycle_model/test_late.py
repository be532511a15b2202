"""The cluster's engine is slow: whatever its monitor reports, it hears of only later."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import pytest

from tests.lifecycle_model import (
    Ask,
    Behave,
    Do,
    Entry,
    Finish,
    Late,
    Manner,
    Operation,
    Renew,
    Say,
    Wait,
    run_on_cluster,
)
from tests.lifecycle_model.observations import Sent, Taken, Told
from trioresource import ResourceState, StateChange
from trioresource.testing import explore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lifecycle_model.observations import ClusterObservation

RS = ResourceState
ENGINE: Final = "trioresource engine"
DB, WEB = Do(Ask.ONLINE, "db"), Do(Ask.ONLINE, "web")
END_DB, END_WEB = Do(Ask.TERMINATE, "db"), Do(Ask.TERMINATE, "web")
TURNS: Final = [Wait(0)] * 20
"""Every task may go on, and no time passes."""


class EngineLast:
    """One schedule: the engine goes only when no other task can; for so long, at the most.

    Args:
        turns: how often others go first.
    """

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self._begun = False

    def begin(self) -> bool:
        begun, self._begun = self._begun, True
        return not begun

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        if ENGINE in keys[0] and self._turns > 0:
            self._turns -= 1
            return 1
        return 0

    def choose(self, count: int) -> int:
        return 0

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None: ...


WORKLOADS: Final[dict[str, list[Operation]]] = {
    "of an attempt before the one that was begun": [
        WEB,
        Wait(1),
        END_DB,
        *TURNS,
        DB,
        *TURNS,
        END_DB,
        *TURNS,
        DB,
        Wait(1),
    ],
    "of an attempt that never began": [
        DB,
        END_DB,
        *TURNS,
        DB,
        *TURNS,
        END_DB,
        *TURNS,
        WEB,
        Wait(1),
    ],
    "while time passes": [DB, END_DB, Wait(0.1), DB, Wait(1), Say(Ask.FAIL, "db"), Wait(3)],
    "of an attempt that is over": [WEB, *TURNS, END_WEB, END_DB, *TURNS, WEB, Wait(3)],
    "of a failure": [
        WEB,
        Wait(1),
        Say(Ask.FAIL, "db"),
        *TURNS,
        Do(Ask.OFFLINE, "db"),
        *TURNS,
        DB,
        *TURNS,
        Say(Ask.FAIL, "web"),
        Wait(3),
    ],
    "of a failure during a restart": [
        Behave(Entry.ONLINE, Manner.RAISE, resource="db"),
        WEB,
        Wait(0.5),
        *TURNS,
        DB,
        *TURNS,
        Do(Ask.OFFLINE, "db"),
        *TURNS,
        DB,
        Wait(1),
    ],
    "of the handler": [
        WEB,
        Wait(1),
        END_WEB,
        *TURNS,
        Say(Ask.REPORT, "web"),
        Say(Ask.PROGRESS, "web"),
        WEB,
        *TURNS,
        Late(Ask.REPORT, "web"),
        Late(Ask.PROGRESS, "web"),
        Say(Ask.PROGRESS, "web"),
        Behave(Entry.IS_ALIVE, Manner.DENY, resource="web"),
        Say(Ask.REPORT, "web"),
        Wait(2),
        Finish(Manner.FINE, "web"),
        Late(Ask.REPORT, "web"),
        Wait(2),
    ],
}


@pytest.mark.parametrize("turns", [3, 10, 30, 1000])
@pytest.mark.parametrize("reports", WORKLOADS)
def test_late_reports(reports: str, turns: int) -> None:
    workload = WORKLOADS[reports]
    explore(lambda: run_on_cluster(workload), strategy=EngineLast(turns))
    slow = functools.partial(run_on_cluster, workload, punctual=False)
    explore(slow, strategy=EngineLast(turns), timers=True)


@pytest.mark.parametrize("reports", WORKLOADS)
def test_reports_that_may_be_late(reports: str) -> None:
    workload = WORKLOADS[reports]
    explore(lambda: run_on_cluster(workload), schedules=16)
    explore(lambda: run_on_cluster(workload, punctual=False), schedules=16, timers=True)


@pytest.mark.parametrize("reports", WORKLOADS)
def test_reports_from_far_away(reports: str) -> None:
    run = functools.partial(run_on_cluster, WORKLOADS[reports], hosting="delayed")
    explore(run, schedules=8)
    explore(functools.partial(run, punctual=False), schedules=4, timers=True)


def test_no_attempt_is_begun_before_all_of_the_one_before_was_heard() -> None:
    """However late that is: a late report never speaks of an attempt before the latest."""
    found: list[ClusterObservation] = []

    async def scenario() -> None:
        found[:] = await run_on_cluster([DB, END_DB, *TURNS, DB, Wait(1)])

    explore(scenario, strategy=EngineLast(1000))
    begins = [
        (type(seen), seen.report.epoch)
        for seen in found
        if isinstance(seen, Sent | Taken | Told)
        and isinstance(seen.report, StateChange)
        and seen.report.new is RS.ONLINE_PENDING
    ]
    assert begins == [(Sent, 1), (Told, 1), (Taken, 1), (Sent, 2), (Told, 2), (Taken, 2)]


@pytest.mark.parametrize("turns", [3, 10, 1000])
def test_late_reports_of_one_that_was_removed(turns: int) -> None:
    """G8: they say nothing of the one that has its name now."""
    workload: list[Operation] = [
        Behave(Entry.TERMINATE, takes=0.0, resource="web"),
        WEB,
        Wait(1),
        Behave(Entry.ONLINE, Manner.RAISE, resource="web"),
        Say(Ask.FAIL, "web"),
        Wait(1),
        Behave(Entry.ONLINE, resource="web"),
        Renew("web"),
        *TURNS,
        *TURNS,
        WEB,
        *TURNS,
        WEB,
        Wait(1),
    ]
    explore(lambda: run_on_cluster(workload), strategy=EngineLast(turns))
    explore(lambda: run_on_cluster(workload, hosting="delayed"), schedules=16)
