"""The model of a cluster's engine: which events it has to publish, and which calls it makes.

It is told what goes in (commands, the reports that the engine takes from the monitor's
channel, the end of holds) and says what has to come out at once, in order. The order is
part of it, for rule 11 leaves none to accident: whoever was asked for or heard of is looked
at in that order, and then the neighbours of whom it mattered, dependents before providers.
"""

from __future__ import annotations

from typing import Any, Self

import attrs

from tests.lifecycle_model.members import MemberModel
from tests.lifecycle_model.observations import Ask, Deviation
from trioresource._model.events import ClusterEvent, GroupStateChange, RecoveryPlanned
from trioresource._model.reports import (
    AttemptEnded,
    AttemptStuck,
    FailureReport,
    Report,
    StateChange,
)
from trioresource._model.states import DesiredState, GroupState, ResourceState, is_legal

__all__ = ["Begins", "EngineModel"]

_RS = ResourceState


@attrs.frozen
class Begins:
    """A call to the monitor has to change a resource's state now."""

    resource: str
    new: ResourceState


@attrs.frozen
class EngineModel:
    """What an engine with one group has to do. A value: what happens makes another one."""

    members: tuple[MemberModel, ...]
    group_name: str
    group: GroupState = GroupState.OFFLINE
    closing: bool = False
    given_up: bool = False
    """Whether all that was left at the end was terminated."""
    untaken: tuple[Report, ...] = ()
    """What the monitor has sent and the engine has not taken yet."""
    touched: tuple[str, ...] = ()
    """Who has to be looked at, in this order."""
    expected: tuple[ClusterEvent | Begins, ...] = ()
    """What has to happen next, before anything else does."""
    now: float = 0.0

    def member(self, name: str) -> MemberModel:
        """One of its resources.

        Raises:
            Deviation: there is none of that name.
        """
        for one in self.members:
            if one.name == name:
                return one
        raise Deviation(11, f"there is no resource named {name!r}")

    def is_wanted(self, member: MemberModel) -> bool:
        """Whether it should be online."""
        return member.desired is DesiredState.ONLINE and not self.closing

    # --- commands ------------------------------------------------------------------------

    def _command(self, what: Ask, name: str) -> Self:
        """Carry out a command, and whatever comes of it."""
        if what is Ask.ONLINE:
            model = self
            for one in self._with_providers(name):
                member = model.member(one)
                model = model._replace(member.commanded(DesiredState.ONLINE))._touch(one)
            return model._work()
        member = self.member(name)
        model = self._replace(member.commanded(DesiredState.OFFLINE))._touch(name)
        if what is Ask.TERMINATE or member.now is _RS.FAILED:
            model = model._begin(name, what)
        return model._work()

    def _with_providers(self, name: str) -> list[str]:
        found = [name]
        for provider in self.member(name).providers:
            found += [one for one in self._with_providers(provider) if one not in found]
        return found

    def _close(self) -> Self:
        model = attrs.evolve(self, closing=True)
        return model._touch(*(one.name for one in self.members))._work()

    def _give_up(self) -> Self:
        model = attrs.evolve(self, given_up=True)
        for member in self.members:
            model = model._begin(member.name, Ask.TERMINATE)
        return model

    def _release(self, name: str) -> Self:
        return self._replace(self.member(name).released())._touch(name)._work()

    # --- reports -------------------------------------------------------------------------

    def _taken(self, report: Report) -> Self:
        """The engine takes a report: what it has to tell of it, at once."""
        model = self._touch(report.resource)
        if isinstance(report, StateChange) and report.old is _RS.INITIALIZING:
            return model
        if self.untaken[:1] != (report,):
            raise Deviation(5, f"{report} was taken, and the next one is {self.untaken[:1]}")
        model = attrs.evolve(model, untaken=self.untaken[1:])
        if isinstance(report, AttemptEnded):
            return model
        if isinstance(report, StateChange):
            return model._heard(report)
        model = model._expect(report)
        if isinstance(report, AttemptStuck):
            # Whatever was to come after its end is forgotten.
            return model._replace(model.member(report.resource).with_(gave_up=True))
        return model._failed(report) if isinstance(report, FailureReport) else model

    def _heard(self, change: StateChange) -> Self:
        member = self.member(change.resource).with_(heard=change.new, stopped=False)
        if change.new is _RS.ONLINE_PENDING:
            member = member.with_(begun=change.epoch, online_since=None)
        elif change.new is _RS.ONLINE:
            member = member.with_(online_since=change.time)
        return self._replace(member)._tell(member.name, change)

    def _failed(self, failure: FailureReport) -> Self:
        member = self.member(failure.resource)
        pardoned = failure.epoch <= member.pardoned
        gave_up = member.gave_up or not pardoned
        member = member.with_(failure_heard=failure.epoch, gave_up=gave_up)
        # Recover if, and only if, it should be online, and no command came after the failure.
        if pardoned or not self.is_wanted(member):
            return self._replace(member)
        decision, member = member.recovered(failure.time, self.now)
        planned = RecoveryPlanned(member.name, failure.epoch, decision, failure.time)
        return self._replace(member)._expect(planned)

    # --- decisions -----------------------------------------------------------------------

    def _work(self) -> Self:
        """Look at whoever was touched, and at whomever that touches."""
        model = self
        while model.touched:
            name, *others = model.touched
            model = attrs.evolve(model, touched=tuple(others))._look_at(model.member(name))
            member = model.member(name)
            standing = (member.is_available, member.is_coming, member.is_in_the_way)
            if standing != member.standing:
                model = model._replace(member.with_(standing=standing))
                model = model._touch(*model._dependents(name), *member.providers)
            model = model._tell(name, None)
        return model

    def _look_at(self, member: MemberModel) -> Self:
        """Whether it has to come up or to go down, and may."""
        name, wanted = member.name, self.is_wanted(member)
        satisfied = self._is_satisfied(member)
        # Once it was told to be going offline it goes; what is wanted now comes after that.
        gone = member.leaving and member.state is _RS.OFFLINE_PENDING
        leaving = member.is_up and (gone or not (wanted and satisfied))
        stopped = member.stopped or (gone and not member.is_up)
        member = member.with_(leaving=leaving, stopped=stopped, starting=False)
        model = self._replace(member)
        blocked = model._is_blocked(member)
        if leaving:
            # On what is only coming up nobody relies.
            if member.now is _RS.ONLINE and blocked:
                return model
            member = member.with_(leaving=False, stopped=member.heard is _RS.ONLINE)
            return model._replace(member)._begin(name, Ask.OFFLINE)
        if not wanted or member.is_up or member.now.is_pending or self._is_held(member):
            return model
        if satisfied and not (member.is_active or blocked):
            return model._begin(name, Ask.ONLINE)
        coming = all(self._may_come(self.member(one)) for one in member.providers)
        return model._replace(member.with_(starting=satisfied or coming))

    @staticmethod
    def _is_held(member: MemberModel) -> bool:
        return member.held_until is not None or member.hosted.stuck or not member.is_failure_heard

    def _is_satisfied(self, member: MemberModel) -> bool:
        return all(self.member(one).is_available for one in member.providers)

    def _may_come(self, member: MemberModel) -> bool:
        return member.is_available or (member.is_coming and self.is_wanted(member))

    def _is_blocked(self, member: MemberModel) -> bool:
        """Whether a dependent that can not be without it has still to go down."""
        dependents = [self.member(one) for one in self._dependents(member.name)]
        return any(one.is_in_the_way and not self._is_satisfied(one) for one in dependents)

    def _dependents(self, name: str) -> tuple[str, ...]:
        return tuple(one.name for one in self.members if name in one.providers)

    def _begin(self, name: str, what: Ask) -> Self:
        """A call to the monitor: what comes of that has to be reported at once."""
        member = self.member(name)
        hosted, new = member.hosted.begin(what, self.now)
        model = self._replace(member.with_(hosted=hosted))
        return model if new is None else model._expect(Begins(name, new))

    # --- telling -------------------------------------------------------------------------

    def _tell(self, name: str, change: StateChange | None) -> Self:
        """Tell of its state, if that has changed.

        What comes from a report is told as it was reported: with its attempt, time and
        words. What the engine itself knows is told of the latest attempt, as of now.
        """
        member, model = self.member(name), self
        new, heard = member.to_tell, member.heard
        if new is member.state:
            return self
        of_the_latest = (member.hosted.epoch, self.now, "")
        of_the_report = of_the_latest
        if change is not None:
            of_the_report = (change.epoch, change.time, change.detail)
        if new is not heard and not is_legal(member.state, new):
            # It is to come up again, but that it went down is told first.
            model = model._tell_state(name, heard, *of_the_report)
        how = of_the_report if new is heard else of_the_latest
        return model._tell_state(name, new, *how)

    def _tell_state(
        self, name: str, new: ResourceState, epoch: int, time: float, detail: str
    ) -> Self:
        member = self.member(name)
        if not is_legal(member.state, new):
            raise Deviation(2, f"{name}: {new.value} would follow {member.state.value}")
        model = self._replace(member.with_(state=new))
        model = model._expect(StateChange(name, epoch, member.state, new, time, detail))
        group = _group_state(model.members)
        if group is not self.group:
            model = model._expect(GroupStateChange(self.group_name, self.group, group, time))
        return attrs.evolve(model, group=group)

    # --- steps ---------------------------------------------------------------------------

    def _expect(self, what: Any) -> Self:
        return attrs.evolve(self, expected=(*self.expected, what))

    def _touch(self, *names: str) -> Self:
        new = (one for one in names if one not in self.touched)
        return attrs.evolve(self, touched=(*self.touched, *new))

    def _replace(self, member: MemberModel) -> Self:
        members = tuple(member if one.name == member.name else one for one in self.members)
        return attrs.evolve(self, members=members)


def _group_state(members: tuple[MemberModel, ...]) -> GroupState:
    """The worst that is told of any member; whole if all whom nobody depends on are online."""
    states = [one.state for one in members]
    needed = [name for one in members for name in one.providers]
    if _RS.FAILED in states:
        return GroupState.FAILED
    if _RS.ONLINE_PENDING in states or _RS.OFFLINE_PENDING in states:
        return GroupState.PENDING
    if _RS.ONLINE not in states:
        return GroupState.OFFLINE
    if all(one.state is _RS.ONLINE for one in members if one.name not in needed):
        return GroupState.ONLINE
    return GroupState.PARTIAL_ONLINE
