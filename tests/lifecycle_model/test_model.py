"""The model itself: it can fail, and says which rule is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import pytest

from tests.lifecycle_model import Ask, Deviation, Entry, ResourceModel, resource_model
from tests.lifecycle_model.conduct import MONITOR
from tests.lifecycle_model.hosting import DEADLINES
from tests.lifecycle_model.observations import Answered, Asked, Entered, How, Left, Told
from trioresource import FailureReason, FailureReport, ResourceState, StateChange

if TYPE_CHECKING:
    from tests.lifecycle_model import Observation

RS = ResourceState
ASKED: Final = Asked("r", Ask.ONLINE, 1, 0.0)
LAUNCHED: Final = Told(StateChange("r", 1, RS.OFFLINE, RS.ONLINE_PENDING, 0.0), 0.0)
ENTERED: Final = Entered("r", Entry.ONLINE, 1, "r#1", MONITOR, 0, 0.0)
LEFT: Final = Left("r", Entry.ONLINE, How.RETURNED, 0.1)
ONLINE: Final = Told(StateChange("r", 1, RS.ONLINE_PENDING, RS.ONLINE, 0.1), 0.1)
ANSWERED: Final = Answered("r", 1, "online", 0.1)
UP: Final = (ASKED, LAUNCHED, ENTERED, LEFT, ONLINE)


def see(*seen: Observation) -> ResourceModel:
    model = resource_model("r", DEADLINES)
    for one in seen:
        model = model.see(one)
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
        (5, (*UP, ANSWERED, call(Entry.IS_ALIVE), Asked("r", Ask.OFFLINE, 2, 1.0))),
        (8, (ASKED, LAUNCHED, ENTERED, call(Entry.CONTROL, time=0.0))),
        (8, (ASKED, LAUNCHED, attrs.evolve(ENTERED, caller="a caller"))),
        (9, (Asked("r", Ask.CHANGE, 2, 0.0, value=1), ASKED, LAUNCHED, ENTERED)),
        (10, (*UP, attrs.evolve(ANSWERED, time=0.0))),
        (10, (ASKED, Told(StateChange("r", 1, RS.OFFLINE, RS.ONLINE_PENDING, 7.0), 0.0))),
        (11, (ASKED, LAUNCHED, attrs.evolve(ENTERED, task="a task"))),
    ],
)
def test_what_must_not_happen(rule: int, seen: tuple[Observation, ...]) -> None:
    if rule == 5 and isinstance(seen[-1], Asked):
        # A denial leads to a failure, at once.
        seen = (*seen[:-1], Left("r", Entry.IS_ALIVE, How.RETURNED, 1.0, alive=False), seen[-1])
    *before, last = seen
    model = see(*before)
    with pytest.raises(Deviation) as caught:
        model.see(last)
    assert caught.value.rule in (rule, 2) if rule == 5 else caught.value.rule == rule


def test_something_is_left_at_the_end() -> None:
    with pytest.raises(Deviation, match="rule 3: r: attempt 1 has not ended"):
        see(*UP, ANSWERED).at_rest(0.1)
    with pytest.raises(Deviation, match="rule 1: r: control was never answered"):
        see(Asked("r", Ask.CONTROL, 1, 0.0)).at_rest(0.1)
