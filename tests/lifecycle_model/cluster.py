"""The reference model of a cluster with one group: rules 6 and 7, order, and all it tells.

Each resource has the model of a monitor's resource below it, which says whether the monitor
may report what it reports; ``EngineModel`` says what the cluster makes of that, event by
event and command by command. What stands here besides does not ask how the engine decides: what
comes first, what may come online, what is so in the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final, Self

import attrs

from tests.lifecycle_model.engine import EngineModel, are_enough
from tests.lifecycle_model.members import MemberModel
from tests.lifecycle_model.observations import (
    Added,
    AllTaken,
    Answered,
    Ask,
    Asked,
    Closed,
    Closing,
    ClusterObservation,
    Command,
    Commanded,
    Delivered,
    Deviation,
    Entered,
    Entry,
    Handled,
    HoldEnded,
    Sent,
    Taken,
    Told,
)
from tests.lifecycle_model.requests import CANCELLED, DONE
from tests.lifecycle_model.resource import resource_model
from trioresource._model.events import GroupStateChange, RecoveryPlanned
from trioresource._model.policy import Deadlines, RestartPolicy
from trioresource._model.reports import ResourceReport, StateChange
from trioresource._model.states import DesiredState, ResourceState

__all__ = ["ClusterModel", "MemberModel", "Needs"]

_EPSILON: Final = 1e-9
_ORDER: Final = 0
"""Not a rule with a number: providers come first and dependents go first."""
_COMMANDS: Final = (Ask.ONLINE, Ask.OFFLINE, Ask.TERMINATE, Ask.QUIT)
_OF_THE_MONITOR: Final = (Ask.REPORT, Ask.PROGRESS)
"""The cluster has nothing to do with them."""


@attrs.frozen
class Needs:
    """What a resource depends on."""

    providers: tuple[str, ...] = ()
    all_of_them: bool = True
    """Whether it needs all of them, and not any of them."""


@attrs.frozen
class ClusterModel(EngineModel):
    """What a cluster with one group has to be like. A value: what happens makes another."""

    layout: Mapping[str, Needs] = attrs.field(factory=dict)
    """What the resources that are added need, by their names."""
    restart: RestartPolicy = RestartPolicy()
    deadlines: Deadlines = Deadlines()
    punctual: bool = True
    gave_up: bool = False
    """Whether all that was left at the end was terminated."""
    requests: tuple[tuple[Asked, str | None], ...] = ()
    """What has not been answered, with the only possible answer where there is only one."""

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
        if isinstance(seen, Commanded):
            return model._commanded(seen.command)
        if isinstance(seen, Delivered):
            return model._delivered(seen.command)
        if isinstance(seen, Sent):
            return model._sent(seen.report)
        model._check_done()
        if isinstance(seen, Taken):
            return model._taken(seen.report)
        if isinstance(seen, AllTaken):
            return model._work()
        if isinstance(seen, HoldEnded):
            return model._hold_ended(seen)
        if isinstance(seen, Added | Closing | Closed):
            return model._hosted(seen)
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
            raise Deviation(5, f"{self.untaken[0]} was never taken")
        if self.undelivered:
            raise Deviation(6, f"{self.undelivered[0]} was never delivered")
        for member in self.members:
            fit = self._fit(member)
            if member.state not in fit:
                states = " or ".join(state.value for state in fit)
                text = f"{member.name} is {member.state.value} in the end, not {states}"
                raise Deviation(6, text)
            if self.closing:
                member.hosted.at_rest(self.now)
            else:
                self._check_known(member)

    def _check_known(self, member: MemberModel) -> None:
        """In the end the cluster knows how things are, and nothing uses what has gone."""
        hosted, heard = member.hosted, member.heard
        if not member.is_current:
            text = f"command {member.generation} of {member.name} was never answered"
            raise Deviation(1, text)
        if (heard.state, heard.epoch) != (hosted.state, hosted.epoch):
            text = f"{member.name} is {hosted.state.value} in attempt {hosted.epoch}"
            raise Deviation(4, f"{text}, and known as {heard.state.value} in {heard.epoch}")
        if member.state is ResourceState.ONLINE:
            alive = [self.member(name).hosted.epoch == epoch for name, epoch in member.given]
            if not are_enough(member, alive):
                text = f"{member.name} uses {member.given}, and some of that is over"
                raise Deviation(_ORDER, text)

    @property
    def is_at_rest(self) -> bool:
        """Whether ``at_rest`` has nothing to say."""
        if self.untaken or self.undelivered:
            return False
        return all(member.state in self._fit(member) for member in self.members)

    def _fit(self, member: MemberModel) -> tuple[ResourceState, ...]:
        """The states that a resource may rest in."""
        stuck = member.hosted.is_stuck
        gave_up = stuck or (member.gave_up and not member.is_at_work)
        if member.desired is DesiredState.OFFLINE or self.closing:
            down = (ResourceState.OFFLINE, ResourceState.FAILED)
            return down if gave_up else down[:1]
        if not are_enough(member, self._are_online(member)):
            return (ResourceState.OFFLINE, ResourceState.FAILED)
        if stuck or member.held_until == inf:
            return (ResourceState.FAILED,)
        return (ResourceState.ONLINE,)

    def _are_online(self, member: MemberModel) -> list[bool]:
        states = [self.member(name).heard.state for name in member.providers]
        return [state is ResourceState.ONLINE for state in states]

    def _check_done(self) -> None:
        """Whether all that had to happen has happened."""
        if self.expected:
            raise _missing(self.expected[0], "nothing")
        for member in self.members:
            if member.hosted.is_reporting:
                raise Deviation(1, f"{member.name} had to report at once")
            held = member.held_until
            overdue = held is not None and self.now > held + _EPSILON
            if overdue and self.punctual and not self.closing:
                raise Deviation(7, f"{member.name} was to be held until {held}, no longer")

    # --- requests ------------------------------------------------------------------------

    def _asked(self, asked: Asked) -> Self:
        if asked.what is Ask.CLOSE:
            return self._close()
        model, answer = self, None
        if asked.what in _COMMANDS:
            model = self._request(asked.what, asked.resource)
            asked = attrs.evolve(asked, epoch=self.member(asked.resource).epoch)
        elif asked.what is Ask.FAIL:
            model, answer = self._fail(asked.resource)
        elif asked.what is Ask.REMOVE:
            model, answer = self._begin_removal(asked.resource)
        elif asked.what in _OF_THE_MONITOR:
            model = self._pass_on(asked)
        return attrs.evolve(model, requests=(*self.requests, (asked, answer)))

    def _answered(self, seen: Answered) -> Self:
        asked, answer = next(
            request for request in self.requests if request[0].number == seen.number
        )
        kept = tuple(request for request in self.requests if request[0] is not asked)
        model = attrs.evolve(self, requests=kept)
        if asked.what in _OF_THE_MONITOR:
            return model._pass_on(seen)
        what = f"{asked.what.value} of {asked.resource} was answered {seen.answer!r}"
        if answer is not None and seen.answer != answer:
            raise Deviation(6, f"{what}, but it must be {answer!r}")
        found = [member for member in self.members if member.name == asked.resource]
        if not found:
            return model
        if asked.what is Ask.TERMINATE and seen.answer in (DONE, CANCELLED):
            hosted = found[0].hosted
            if hosted.has_attempt and hosted.epoch <= asked.epoch and not hosted.is_stuck:
                raise Deviation(3, f"{what}, but attempt {hosted.epoch} has not ended")
        if asked.what not in (Ask.ONLINE, Ask.OFFLINE) or seen.answer == CANCELLED:
            return model
        state = found[0].state
        if seen.answer in ("online", "offline") and seen.answer != state.value:
            raise Deviation(2, f"{what}, but it is {state.value}")
        if self.punctual and self.now > asked.time + self.deadlines.soft + _EPSILON:
            raise Deviation(1, f"{what}, and that late: at {self.now:g}, asked at {asked.time:g}")
        return model

    def _pass_on(self, seen: Asked | Answered | Handled) -> Self:
        """It is a matter between the handler and the monitor."""
        member = self.member(seen.resource)
        return self._replace(member.with_(hosted=member.hosted.see(seen)))

    # --- commands ------------------------------------------------------------------------

    def _commanded(self, command: Command) -> Self:
        model = self
        if not self.expected and self.closing and command.what is Ask.TERMINATE:
            model = self._begin_to_give_up()
        if not model.expected or model.expected[0] != command:
            raise _missing(model.expected[0] if model.expected else None, command)
        member = model.member(command.resource)
        if command.what is Ask.ONLINE and command.epoch > member.seen_to_begin:
            model._check_start(member)
            model = model._replace(member.with_(seen_to_begin=command.epoch))
        undelivered = (*model.undelivered, command)
        return attrs.evolve(model, expected=model.expected[1:], undelivered=undelivered)

    def _begin_to_give_up(self) -> Self:
        self._check_done()
        for member in self.members:
            if member.is_in_the_way and self.punctual and not self.gave_up:
                text = f"{member.name} is terminated at the end, and has still to go down"
                raise Deviation(_ORDER, text)
        return attrs.evolve(self, gave_up=True)._give_up()

    def _check_start(self, member: MemberModel) -> None:
        if not self.is_wanted(member):
            raise Deviation(6, f"{member.name} comes online, and is to be offline")
        if member.held_until is not None:
            held = member.held_until
            raise Deviation(7, f"{member.name} comes online, and is held until {held:g}")
        if not are_enough(member, self._are_online(member)):
            raise Deviation(_ORDER, f"{member.name} comes online before {member.providers}")

    def _delivered(self, command: Command) -> Self:
        if self.undelivered[:1] != (command,) or (self.expected and self.undelivered[1:]):
            raise Deviation(6, f"{command} was delivered, not {self.undelivered[:1]}")
        model = attrs.evolve(self, undelivered=self.undelivered[1:])
        member = self.member(command.resource)
        if command.what is Ask.ONLINE and command.epoch > member.hosted.epoch:
            for other in self.members:
                # Not even where the cluster has still to hear that they run.
                running = other.hosted.has_attempt and not other.hosted.is_stuck
                if member.name in other.providers and other.needs_all and running:
                    text = f"{member.name} comes online before {other.name}, which used it, is down"
                    raise Deviation(_ORDER, text)
        return model._replace(member.with_(hosted=member.hosted.take(command, self.now)))

    # --- the monitor ---------------------------------------------------------------------

    def _sent(self, report: ResourceReport) -> Self:
        if isinstance(report, StateChange) and report.old is ResourceState.INITIALIZING:
            return attrs.evolve(self, untaken=(*self.untaken, report))
        member = self.member(report.resource)
        if report.instance != member.instance:
            raise Deviation(4, f"{report} is of instance {report.instance}")
        hosted = member.hosted
        if self.expected and not hosted.is_reporting:
            raise _missing(self.expected[0], report)
        if not hosted.is_reporting and self._is_end(report):
            hosted = hosted.end(self.now)
        hosted = hosted.see(Told(report, self.now))
        model = self._replace(member.with_(hosted=hosted))
        return attrs.evolve(model, untaken=(*self.untaken, report))

    def _is_end(self, report: ResourceReport) -> bool:
        """Whether a failed resource was terminated by its monitor, which is closing.

        When that does so is its own matter; that it must not before the cluster has given
        up, and what comes of it, is not.
        """
        has_failed = isinstance(report, StateChange) and report.old is ResourceState.FAILED
        return self.gave_up and has_failed

    def _hold_ended(self, seen: HoldEnded) -> Self:
        found = [member for member in self.members if member.name == seen.resource]
        if self.closing or not found or found[0].holds != seen.number:
            return self
        held = found[0].held_until
        if held is None:
            if self.punctual and self.now != found[0].lifted_at:
                raise Deviation(6, f"{seen.resource} was still held, though that was lifted")
            return self
        if self.now < held - _EPSILON:
            raise Deviation(7, f"{seen.resource} was released, and was to be held until {held}")
        return self._release(seen.resource)

    def _hosted(self, seen: Added | Closing | Closed) -> Self:
        if isinstance(seen, Closed):
            name = seen.resource
            return self._removed(name) if seen.done else self._not_removed(name)
        if isinstance(seen, Closing):
            member = self.member(seen.resource)
            if not member.removed:
                raise Deviation(6, f"{member.name} is closed, and was not to be removed")
            return self._replace(member.with_(hosted=member.hosted.end(self.now)))
        hosted = resource_model(seen.resource, self.deadlines, punctual=self.punctual, now=self.now)
        needs = self.layout[seen.resource]
        return self._added(
            MemberModel(hosted, seen.instance, needs.providers, needs.all_of_them, self.restart)
        )

    # --- the handlers --------------------------------------------------------------------

    def _handled(self, seen: Handled) -> Self:
        member = self.member(seen.resource)
        if isinstance(seen, Entered) and seen.entry is Entry.OFFLINE:
            for other in self.members:
                at_work = other.is_at_work and not other.hosted.is_stuck
                if member.name in other.providers and other.needs_all and at_work:
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
        if isinstance(event, StateChange) and event.value is not None:
            raise Deviation(2, f"{event} holds what the resource provides: {event.value!r}")
        return attrs.evolve(self, expected=self.expected[1:])


def _missing(expected: object, came: object) -> Deviation:
    """Something else came than had to come."""
    rule = 5
    of = came if expected is None else expected
    if isinstance(of, RecoveryPlanned):
        rule = 7 if isinstance(came, RecoveryPlanned) else 6
    elif isinstance(of, GroupStateChange):
        rule = 11
    elif isinstance(of, StateChange):
        late = isinstance(came, StateChange) and came.epoch != of.epoch
        rule = 4 if late else 2
    elif isinstance(of, Command):
        rule = 6
    what = "nothing" if expected is None else expected
    return Deviation(rule, f"{what} was to come, and {came} came")
