"""The models look at each event and command: if it is altered or doubled, they notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import attrs
import pytest

from tests.lifecycle_model import (
    Ask,
    Behave,
    Deviation,
    Do,
    Entry,
    Late,
    Manner,
    Operation,
    Say,
    Wait,
    resource_model,
    run_on_cluster,
    run_on_monitor,
)
from tests.lifecycle_model.clustering import RESTART, cluster_model
from tests.lifecycle_model.hosting import DEADLINES
from tests.lifecycle_model.observations import Command, Commanded, Delivered, Told
from trioresource import (
    AttemptStuck,
    FailureReason,
    FailureReport,
    RestartAction,
    RestartPolicy,
    StateChange,
)
from trioresource._model.events import ClusterEvent, GroupStateChange, RecoveryPlanned
from trioresource._model.policy import Restart
from trioresource.testing import explore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.lifecycle_model.observations import ClusterObservation

    Seen = Sequence[ClusterObservation]

ON, OFF, END = Do(Ask.ONLINE), Do(Ask.OFFLINE), Do(Ask.TERMINATE)
DB, WEB = Do(Ask.ONLINE, "db"), Do(Ask.ONLINE, "web")
FAIL_DB, FAIL_WEB = Say(Ask.FAIL, "db"), Say(Ask.FAIL, "web")
OFTEN: Final[list[Operation]] = [Wait(1), FAIL_DB] * 5

ON_A_MONITOR: Final[dict[str, list[Operation]]] = {
    "commands": [ON, Wait(1), OFF, Wait(1), ON, Wait(1), END, ON, Wait(1), Say(Ask.FAIL), OFF],
    "deadlines": [
        Behave(Entry.ONLINE, Manner.PROGRESS, 3.0),
        ON,
        Wait(4),
        Behave(Entry.OFFLINE, takes=4.0),
        OFF,
        Wait(4),
        Behave(Entry.TERMINATE, Manner.STUBBORN, 4.0),
        ON,
        Wait(4),
        END,
    ],
    "checks": [
        ON,
        Wait(1),
        Late(Ask.REPORT),
        Behave(Entry.IS_ALIVE, Manner.RAISE),
        Wait(5),
        Behave(Entry.IS_ALIVE, Manner.DENY),
        Say(Ask.REPORT),
    ],
}
ON_A_CLUSTER: Final[dict[str, list[Operation]]] = {
    "order": [WEB, Wait(1), Do(Ask.OFFLINE, "db"), Wait(1), DB, Wait(1), FAIL_DB, Wait(2)],
    "budget": [DB, Wait(1), FAIL_DB, Wait(1), FAIL_DB, Wait(8), FAIL_DB, Wait(1), DB, FAIL_DB],
    "window": [DB, Wait(1), FAIL_DB, Wait(4), FAIL_DB, Wait(4), FAIL_DB, Wait(1)],
    "again and again": [DB, *OFTEN, Wait(3), FAIL_DB, Wait(1)],
    "failed restart": [
        DB,
        Wait(1),
        Behave(Entry.ONLINE, Manner.RAISE, 0.0, "db"),
        FAIL_DB,
        Wait(3),
    ],
    "commands": [WEB, Do(Ask.TERMINATE, "db"), WEB, Wait(0.1), FAIL_WEB, Do(Ask.OFFLINE, "web")],
    "progress": [
        Behave(Entry.ONLINE, Manner.PROGRESS, 3.0, "db"),
        WEB,
        Wait(4),
        Behave(Entry.IS_ALIVE, Manner.RAISE, 0.0, "db"),
        Wait(5),
    ],
}
POLICIES: Final = {
    "usual": RESTART,
    "none": RestartPolicy(action=RestartAction.NONE),
    "at once, then never": RestartPolicy(threshold=1, delay=0.0, retry=None),
    "long window": attrs.evolve(RESTART, threshold=2, period=60.0, retry=1.5),
    "stable": attrs.evolve(RESTART, period=60.0, stable_after=0.5),
}


def altered_commands(command: Command) -> Iterator[tuple[str, list[Command]]]:
    """What might be commanded in the place of a command."""
    yield "left out", []
    yield "twice", [command, command]
    for what in (Ask.ONLINE, Ask.OFFLINE, Ask.TERMINATE, Ask.FAIL):
        if what is not command.what:
            yield f"to {what.value}", [attrs.evolve(command, what=what)]
    yield "of another resource", [attrs.evolve(command, resource="another")]
    yield "for another instance", [attrs.evolve(command, instance=-1)]
    for change in (-1, 1):
        yield "another number", [attrs.evolve(command, generation=command.generation + change)]
        yield "another attempt", [attrs.evolve(command, epoch=command.epoch + change)]


def alterations(seen: ClusterObservation) -> Iterator[tuple[str, list[ClusterObservation]]]:
    """What might have been seen in the place of an event, a report or a command."""
    if isinstance(seen, Told):
        for how, reports in altered(seen.report):
            yield how, [attrs.evolve(seen, report=report) for report in reports]
    elif isinstance(seen, Commanded | Delivered):
        for how, commands in altered_commands(seen.command):
            yield how, [attrs.evolve(seen, command=command) for command in commands]


def altered(report: Any) -> Iterator[tuple[str, list[Any]]]:
    """What might come in the place of a report."""
    yield "left out", []
    yield "twice", [report, report]
    yield "too early", [attrs.evolve(report, time=report.time - 0.125)]
    yield "too late", [attrs.evolve(report, time=report.time + 0.125)]
    if isinstance(report, StateChange | GroupStateChange):
        for state in type(report.new):
            if state is not report.new:
                yield f"new is {state.value}", [attrs.evolve(report, new=state)]  # type: ignore[arg-type]
            if state is not report.old:
                yield f"old is {state.value}", [attrs.evolve(report, old=state)]  # type: ignore[arg-type]
    if isinstance(report, GroupStateChange):
        yield "of another group", [attrs.evolve(report, group="another")]
        return
    yield "of another resource", [attrs.evolve(report, resource="another")]
    yield "of the attempt before", [attrs.evolve(report, epoch=report.epoch - 1)]
    yield "of the next attempt", [attrs.evolve(report, epoch=report.epoch + 1)]
    if isinstance(report, FailureReport):
        yield "for another reason", [attrs.evolve(report, reason=FailureReason.LOOP_BLOCKED)]
    if isinstance(report, RecoveryPlanned):
        yield "other decision", [attrs.evolve(report, decision=Restart(0.25, 1))]
        more = attrs.evolve(report.decision, failures=report.decision.failures + 1)
        yield "other count", [attrs.evolve(report, decision=more)]


def unnoticed(model: Any, seen: Seen, at_rest: Callable[[Any], object]) -> list[str]:
    """Replay what was seen, each time with one alteration: those that the model accepts."""
    found = []
    for index, observation in enumerate(seen):
        for how, others in alterations(observation):
            try:
                changed = model
                for other in (*others, *seen[index + 1 :]):
                    changed = changed.see(other)
                at_rest(changed)
            except Deviation:
                continue
            found.append(f"{how}: {observation}")
        model = model.see(observation)
    at_rest(model)
    return found


@pytest.mark.parametrize("workload", ON_A_MONITOR)
def test_each_report_of_a_monitor(workload: str) -> None:
    seen: list[ClusterObservation] = []

    async def scenario() -> None:
        seen[:] = await run_on_monitor(ON_A_MONITOR[workload])

    explore(scenario, strategy="fifo")
    model = resource_model("r", DEADLINES)
    assert sum(isinstance(told, Told) for told in seen) > 3
    assert unnoticed(model, seen, lambda model: model.at_rest(seen[-1].time)) == []


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("workload", ON_A_CLUSTER)
def test_each_event_of_a_cluster(workload: str, policy: str) -> None:
    restart, seen = POLICIES[policy], list[Any]()

    async def scenario() -> None:
        seen[:] = await run_on_cluster(ON_A_CLUSTER[workload], restart=restart)

    explore(scenario, strategy="fifo")
    assert sum(isinstance(told, Told) for told in seen) > 5
    model = cluster_model(restart)
    assert unnoticed(model, seen, lambda model: model.at_rest()) == []


def test_every_kind_of_event_is_there() -> None:
    """But for those of an attempt that is stuck."""
    kinds: set[type[object]] = set()

    async def scenario() -> None:
        for workload in ON_A_CLUSTER.values():
            seen = await run_on_cluster(workload)
            kinds.update(type(told.report) for told in seen if isinstance(told, Told))

    explore(scenario, strategy="fifo")
    assert kinds == set(get_args(ClusterEvent)) - {AttemptStuck}
