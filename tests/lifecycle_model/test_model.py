"""The model itself: it can fail, and says which rule is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from tests.lifecycle_model import Ask, Deviation, Entry, ResourceModel, resource_model
from tests.lifecycle_model.conduct import MONITOR
from tests.lifecycle_model.hosting import DEADLINES
from tests.lifecycle_model.observations import (
    Answered,
    Asked,
    Command,
    Ended,
    Entered,
    Held,
    How,
    Left,
    Released,
    Told,
)
from trioresource import (
    AttemptEnded,
    FailureReason,
    FailureReport,
    ResourceState,
    StateChange,
)
from trioresource._model.reports import CommandTaken

if TYPE_CHECKING:
    from tests.lifecycle_model import Observation

RS = ResourceState
ASKED: Final = Asked("r", Ask.ONLINE, 1, 0.0)
LAUNCHED: Final = Told(StateChange("r", 1, RS.OFFLINE, RS.ONLINE_PENDING, 0.0), 0.0)
ENTERED: Final = Entered("r", Entry.ONLINE, 1, "r#1", MONITOR, 0, 0.0)
LEFT: Final = Left("r", Entry.ONLINE, How.RETURNED, 0.1)
ONLINE: Final = Told(StateChange("r", 1, RS.ONLINE_PENDING, RS.ONLINE, 0.1, value=1), 0.1)
ANSWERED: Final = Answered("r", 1, "online", 0.1)
UP: Final = (ASKED, LAUNCHED, ENTERED, LEFT, ONLINE)
DENIED: Final = Left("r", Entry.IS_ALIVE, How.RETURNED, 1.0, alive=False)
STOPPED: Final = Asked("r", Ask.OFFLINE, 2, 1.0)
GOING: Final = Told(StateChange("r", 1, RS.ONLINE, RS.OFFLINE_PENDING, 1.0), 1.0)
CRASHED: Final = Ended("r", "a task", How.RAISED, 1.0)
CLEANED: Final = (
    Entered("r", Entry.TERMINATE, 0, "r#1", MONITOR, 0, 1.0),
    Left("r", Entry.TERMINATE, How.RETURNED, 1.0),
)
ENDED: Final = (*CLEANED, Told(AttemptEnded("r", 1, 1.0), 1.0))
HOLDING: Final = (
    ASKED,
    LAUNCHED,
    ENTERED,
    Held("r", "context 1 of 1", "r#1", 0.1),
    Held("r", "task of 1", "r#1 background", 0.1),
    LEFT,
    ONLINE,
    ANSWERED,
)


def see(*seen: Observation) -> ResourceModel:
    model = resource_model("r", DEADLINES)
    for observation in seen:
        model = model.see(observation)
    return model


def test_what_should_happen_may_happen() -> None:
    model = see(*UP, ANSWERED)
    assert model.state is RS.ONLINE
    assert model.requests == ()


def failed(epoch: int, time: float = 1.0) -> FailureReport:
    return FailureReport("r", epoch, FailureReason.SIGNAL, "", time)


def call(entry: Entry, time: float = 1.0) -> Entered:
    return attrs.evolve(ENTERED, entry=entry, time=time)


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        (1, (ASKED, LAUNCHED, Answered("r", 1, "online-pending", 0.1))),
        (1, (ASKED, LAUNCHED, ENTERED, attrs.evolve(ENTERED, time=0.4))),
        (2, (ASKED, ENTERED)),
        (2, (ASKED, LAUNCHED, attrs.evolve(ENTERED, epoch=2))),
        (2, (*UP, Answered("r", 1, "OnlineFailed", 0.1))),
        (3, (ASKED, LAUNCHED, call(Entry.OFFLINE, time=0.0))),
        (3, (*UP, ANSWERED, call(Entry.TERMINATE))),
        (4, (*UP, ANSWERED, Told(failed(2), 1.0))),
        (5, (*UP, ANSWERED, Told(failed(1), 1.0))),
        (5, (*UP, ANSWERED, call(Entry.IS_ALIVE), DENIED, call(Entry.LOOKS_ALIVE, time=1.5))),
        (2, (*UP, ANSWERED, call(Entry.IS_ALIVE), DENIED, STOPPED, GOING)),
        (5, (*UP, ANSWERED, CRASHED, call(Entry.TERMINATE, time=1.5))),
        (3, (*UP, ANSWERED, CRASHED, call(Entry.IS_ALIVE))),
        (5, (*UP, ANSWERED, CRASHED, *ENDED)),
        (8, (ASKED, LAUNCHED, ENTERED, call(Entry.CONTROL, time=0.0))),
        (8, (ASKED, LAUNCHED, attrs.evolve(ENTERED, caller="a caller"))),
        (9, (Asked("r", Ask.CHANGE, 2, 0.0, value=1), ASKED, LAUNCHED, ENTERED)),
        (10, (*UP, attrs.evolve(ANSWERED, time=0.0))),
        (10, (ASKED, Told(StateChange("r", 1, RS.OFFLINE, RS.ONLINE_PENDING, 7.0), 0.0))),
        (11, (ASKED, LAUNCHED, attrs.evolve(ENTERED, task="a task"))),
    ],
)
def test_what_must_not_happen(rule: int, seen: tuple[Observation, ...]) -> None:
    *before, last = seen
    model = see(*before)
    with pytest.raises(Deviation) as caught:
        model.see(last)
    assert caught.value.rule == rule


def test_a_failure_is_reported_a_moment_later() -> None:
    """What the failing attempt does comes first or after; a later command comes after."""
    left = (Ended("r", "task of 1", How.RAISED, 1.0), Released("r", "context 1 of 1", 1.0))
    failure = FailureReport("r", 1, FailureReason.TASK_CRASHED, "", 1.0)
    reports = (Told(StateChange("r", 1, RS.ONLINE, RS.FAILED, 1.0), 1.0), Told(failure, 1.0))
    for seen in ((*left, *reports), (left[0], *reports, left[1]), (*left, STOPPED, *reports)):
        assert see(*HOLDING, *seen).state is RS.FAILED
    with pytest.raises(Deviation, match="rule 2"):
        see(*HOLDING, *left, STOPPED, GOING)


ON: Final = Command("r", 0, Ask.ONLINE, 1, 1)
OFF: Final = Command("r", 0, Ask.OFFLINE, 2)


def test_each_command_is_answered() -> None:
    """G1: by the change that it makes, or else by the full status."""
    launched = StateChange("r", 1, RS.OFFLINE, RS.ONLINE_PENDING, 0.0, generation=1)
    begun = resource_model("r", DEADLINES).take(ON, 0.0)
    model = begun.see(Told(launched, 0.0))
    confirmed = model.take(attrs.evolve(ON, generation=2), 0.0)
    status = CommandTaken("r", 1, RS.ONLINE_PENDING, False, False, False, 0.0, generation=2)
    assert confirmed.see(Told(status, 0.0)).state is RS.ONLINE_PENDING
    wrong: list[tuple[ResourceModel, Any]] = [
        (begun, attrs.evolve(launched, generation=0)),
        (begun, attrs.evolve(launched, value=1)),
        (begun, status),
        (model, status),
        (confirmed, attrs.evolve(status, generation=1)),
        (confirmed, attrs.evolve(status, is_ended=True)),
        (confirmed, attrs.evolve(status, is_settled=True)),
        (confirmed, attrs.evolve(status, is_stuck=True)),
        (confirmed, attrs.evolve(status, epoch=2)),
        (confirmed, attrs.evolve(status, state=RS.ONLINE)),
        (model.take(OFF, 0.0), attrs.evolve(status, state=RS.OFFLINE_PENDING)),
    ]
    for before, report in wrong:
        with pytest.raises(Deviation):
            before.see(Told(report, 0.0))
    with pytest.raises(Deviation, match="was to come"):
        confirmed.see(attrs.evolve(ENTERED, time=1.0))


def test_something_is_left_at_the_end() -> None:
    with pytest.raises(Deviation, match="rule 3: r: attempt 1 has not ended"):
        see(*UP, ANSWERED).at_rest(0.1)
    with pytest.raises(Deviation, match="rule 1: r: control was never answered"):
        see(Asked("r", Ask.CONTROL, 1, 0.0)).at_rest(0.1)
