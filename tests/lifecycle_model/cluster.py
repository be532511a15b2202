"""The reference model of a cluster with one group: rules 6 and 7, order, and all it tells.

Each resource has the model of a monitor's resource below it, which says whether the monitor
may report what it reports; ``EngineModel`` says what the cluster makes of that, event by
event. What stands here besides does not ask how the engine decides: who comes first, who
may come online, what is so in the end.
"""

from __future__ import annotations

from math import inf
from typing import Final, Self

import attrs

from tests.lifecycle_model.engine import Begins, EngineModel
from tests.lifecycle_model.members import MemberModel
from tests.lifecycle_model.observations import (
    AllTaken,
    Answered,
    Ask,
    Asked,
    ClusterObservation,
    Deviation,
    Entered,
    Entry,
    GivenUp,
    Handled,
    HoldEnded,
    Sent,
    Taken,
    Told,
)
from tests.lifecycle_model.requests import CANCELLED
from trioresource._model.events import GroupStateChange, RecoveryPlanned
from trioresource._model.reports import Report, StateChange
from trioresource._model.states import DesiredState, ResourceState

__all__ = ["ClusterModel", "MemberModel"]

_RS = ResourceState
_EPSILON: Final = 1e-9
_ORDER: Final = 0
"""Not a rule with a number: providers come first and dependents go first."""
_COMMANDS: Final = (Ask.ONLINE, Ask.OFFLINE, Ask.TERMINATE)
_OF_THE_MONITOR: Final = (Ask.FAIL, Ask.REPORT, Ask.PROGRESS)
"""The cluster passes them on, or has nothing to do with them."""


@attrs.frozen
class ClusterModel(EngineModel):
    """What a cluster with one group has to be like. A value: what happens makes another."""

    soft: float = 0.3
    punctual: bool = True
    requests: tuple[Asked, ...] = ()

    # --- what is seen --------------------------------------------------------------------

    def see(self, seen: ClusterObservation) -> Self:
        """Take note of what has happened.

        Args:
            seen: what has happened.

        Returns:
            What is the case after it.

        Raises:
            Deviation: it must not happen now, or something else had to come first.
        """
        if seen.time < self.now:
            raise Deviation(10, f"time goes back, from {self.now:g} to {seen.time:g}")
        model = attrs.evolve(self, now=seen.time)
        if isinstance(seen, Told):
            return model._told(seen)
        if isinstance(seen, Sent):
            return model._sent(seen.report)
        model._check_done()
        if isinstance(seen, Taken):
            return model._taken(seen.report)
        if isinstance(seen, AllTaken):
            return model._work()
        if isinstance(seen, HoldEnded):
            return model._hold_ended(seen.resource)
        if isinstance(seen, GivenUp):
            return model._give_up()
        if isinstance(seen, Asked):
            return model._asked(seen)
        if isinstance(seen, Answered):
            return model._answered(seen)
        return model._handled(seen)

    def at_rest(self) -> None:
        """See whether everything is as it was asked to be, some time after all trouble.

        Raises:
            Deviation: it is not.
        """
        self._check_done()
        if self.untaken:
            raise Deviation(5, f"nobody took {self.untaken[0]}")
        for member in self.members:
            fit = self._fit(member)
            if member.state not in fit:
                states = " or ".join(one.value for one in fit)
                text = f"{member.name} is {member.state.value} in the end, not {states}"
                raise Deviation(6, text)
            if self.closing:
                member.hosted.at_rest(self.now)

    @property
    def is_at_rest(self) -> bool:
        """Whether ``at_rest`` has nothing to say."""
        return not self.untaken and all(one.state in self._fit(one) for one in self.members)

    def _fit(self, member: MemberModel) -> tuple[ResourceState, ...]:
        """The states that a resource may rest in."""
        given_up = member.hosted.stuck or (member.gave_up and not member.is_at_work)
        if member.desired is DesiredState.OFFLINE or self.closing:
            return (_RS.OFFLINE, _RS.FAILED) if given_up else (_RS.OFFLINE,)
        if any(self.member(one).state is not _RS.ONLINE for one in member.providers):
            return (_RS.OFFLINE, _RS.FAILED)
        if member.hosted.stuck or member.held_until == inf:
            # Offline if it was terminated, and asked for again before its failure was heard of.
            return (_RS.FAILED, _RS.OFFLINE)
        return (_RS.ONLINE,)

    def _check_done(self) -> None:
        """Whether all that had to happen has happened."""
        if self.expected:
            raise _missing(self.expected[0], "nothing")
        for member in self.members:
            held = member.held_until
            overdue = held is not None and self.now > held + _EPSILON
            if overdue and self.punctual and not self.closing:
                raise Deviation(7, f"{member.name} was to be held until {held}, no longer")

    # --- requests ------------------------------------------------------------------------

    def _asked(self, asked: Asked) -> Self:
        model = attrs.evolve(self, requests=(*self.requests, asked))
        if asked.what is Ask.CLOSE:
            return model._close()
        if asked.what in _COMMANDS:
            return model._command(asked.what, asked.resource)
        return model._pass_on(asked) if asked.what in _OF_THE_MONITOR else model

    def _answered(self, seen: Answered) -> Self:
        asked = next(one for one in self.requests if one.number == seen.number)
        model = attrs.evolve(self, requests=tuple(one for one in self.requests if one != asked))
        if asked.what in _OF_THE_MONITOR:
            return model._pass_on(seen)
        if asked.what not in (Ask.ONLINE, Ask.OFFLINE) or seen.answer == CANCELLED:
            return model
        what = f"{asked.what.value} of {asked.resource} was answered {seen.answer!r}"
        state = self.member(asked.resource).state
        if seen.answer in ("online", "offline") and seen.answer != state.value:
            raise Deviation(2, f"{what}, but it is {state.value}")
        if self.punctual and self.now > asked.time + self.soft + _EPSILON:
            raise Deviation(1, f"{what}, and that late: at {self.now:g}, asked at {asked.time:g}")
        return model

    def _pass_on(self, seen: Asked | Answered | Handled) -> Self:
        """It is a matter between the handler and the monitor."""
        member = self.member(seen.resource)
        return self._replace(member.with_(hosted=member.hosted.see(seen)))

    # --- the monitor ---------------------------------------------------------------------

    def _sent(self, report: Report) -> Self:
        if isinstance(report, StateChange) and report.old is _RS.INITIALIZING:
            return self
        member, model = self.member(report.resource), self
        if self.expected:
            if not isinstance(report, StateChange) or self.expected[0] != Begins(
                report.resource, report.new
            ):
                raise _missing(self.expected[0], report)
            model = attrs.evolve(self, expected=self.expected[1:])
        elif not member.hosted.expected and self._is_end(report):
            member = member.with_(hosted=member.hosted.begin(Ask.TERMINATE, self.now)[0])
        if isinstance(report, StateChange) and report.new is _RS.ONLINE_PENDING:
            self._check_start(member)
        hosted = member.hosted.see(Told(report, self.now))
        failed = hosted.epoch if hosted.state is _RS.FAILED else member.failed
        model = model._replace(member.with_(hosted=hosted, failed=failed))
        return attrs.evolve(model, untaken=(*self.untaken, report))

    def _check_start(self, member: MemberModel) -> None:
        if not self.is_wanted(member):
            raise Deviation(6, f"{member.name} comes online, and is to be offline")
        if member.held_until is not None:
            held = member.held_until
            raise Deviation(7, f"{member.name} comes online, and is held until {held:g}")
        for name in member.providers:
            state = self.member(name).now
            if state is not _RS.ONLINE:
                raise Deviation(_ORDER, f"{member.name} comes online, and {name} is {state.value}")

    def _is_end(self, report: Report) -> bool:
        """Whether one that had failed was terminated by its monitor, which is closing.

        When that does so is its own matter; that it must not before the cluster has given
        up, and what comes of it, is not.
        """
        return self.given_up and isinstance(report, StateChange) and report.old is _RS.FAILED

    def _hold_ended(self, name: str) -> Self:
        held = self.member(name).held_until
        if held is None or self.now < held - _EPSILON:
            raise Deviation(7, f"{name} was released, and was to be held until {held}")
        return self._release(name)

    # --- the handlers --------------------------------------------------------------------

    def _handled(self, seen: Handled) -> Self:
        member = self.member(seen.resource)
        if isinstance(seen, Entered) and seen.entry is Entry.OFFLINE:
            for other in self.members:
                if member.name in other.providers and other.is_at_work and not other.hosted.stuck:
                    text = f"{member.name} goes offline before {other.name}, which depends on it"
                    raise Deviation(_ORDER, text)
        return self._pass_on(seen)

    # --- events --------------------------------------------------------------------------

    def _told(self, told: Told) -> Self:
        event = told.report
        if event.time > self.now:
            raise Deviation(10, f"at {self.now:g} came {event}")
        if not self.expected:
            raise _missing(None, event)
        # Equal in all that they say, and in the same order.
        if self.expected[0] != event:
            raise _missing(self.expected[0], event)
        return attrs.evolve(self, expected=self.expected[1:])


def _missing(expected: object, came: object) -> Deviation:
    """Something else came than had to come."""
    rule = 5
    one = came if expected is None else expected
    if isinstance(one, RecoveryPlanned):
        rule = 7 if isinstance(came, RecoveryPlanned) else 6
    elif isinstance(one, GroupStateChange):
        rule = 11
    elif isinstance(one, StateChange):
        late = isinstance(came, StateChange) and came.epoch != one.epoch
        rule = 4 if late else 2
    elif isinstance(one, Begins):
        rule = 6
    what = "nothing" if expected is None else expected
    return Deviation(rule, f"{what} was to come, and {came} came")
