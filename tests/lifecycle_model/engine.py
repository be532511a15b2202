"""The model of a cluster's engine: which events it has to publish, and which commands it gives.

It is told what goes in (requests, the reports that the engine takes from its channel, the end
of holds) and says what has to come out at once, in order. The order is part of it, for rule 11
leaves none to accident: what was asked for or heard of is looked at in that order, and then the
neighbours to which it mattered, dependents before providers.

It knows no more of a monitor than the engine may: its reports, and the commands that they have
not answered (G1 to G6, G8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import attrs

from tests.lifecycle_model.members import MemberModel
from tests.lifecycle_model.observations import Ask, Command, Deviation
from trioresource._model.events import ClusterEvent, GroupStateChange, RecoveryPlanned
from trioresource._model.reports import (
    AttemptEnded,
    AttemptStuck,
    CommandTaken,
    FailureReport,
    ResourceReport,
    StateChange,
)
from trioresource._model.states import DesiredState, GroupState, ResourceState, is_legal

__all__ = ["EngineModel", "are_enough"]

_DONE: Final = "done"
_REFUSED: Final = "InvalidStateError"


@attrs.frozen
class EngineModel:
    """What an engine with one group has to do. A value: what happens makes another one."""

    members: tuple[MemberModel, ...]
    group_name: str
    group: GroupState = GroupState.OFFLINE
    closing: bool = False
    untaken: tuple[ResourceReport, ...] = ()
    """What the monitor has sent and the engine has not taken yet."""
    undelivered: tuple[Command, ...] = ()
    """What the engine has commanded and the monitor has not taken yet."""
    touched: tuple[str, ...] = ()
    """What has to be looked at, in this order."""
    expected: tuple[ClusterEvent | Command, ...] = ()
    """What has to happen next, before anything else does."""
    holds: Mapping[str, int] = attrs.field(factory=dict)
    """How many holds those of a name have had that were removed."""
    now: float = 0.0

    def member(self, name: str) -> MemberModel:
        """Get a resource by its name.

        Raises:
            Deviation: there is none of that name.
        """
        for member in self.members:
            if member.name == name:
                return member
        raise Deviation(11, f"there is no resource named {name!r}")

    def is_wanted(self, member: MemberModel) -> bool:
        """Whether it should be online."""
        return member.desired is DesiredState.ONLINE and not self.closing

    # --- requests ------------------------------------------------------------------------

    def _request(self, what: Ask, name: str) -> Self:
        """Carry out a request, and whatever comes of it."""
        if what is Ask.ONLINE:
            wanted = self._with_providers(name)
            if self.closing or any(self.member(other).removed for other in wanted):
                return self
            model = self
            for other in wanted:
                member = model.member(other)
                model = model._replace(member.asked(DesiredState.ONLINE, self.now))
                if member.is_active and member.heard.state is not ResourceState.FAILED:
                    # It may be over by now: only the answer tells (G3).
                    model = model._command(other, Ask.ONLINE, member.epoch)
                model = model._touch(other)
            return model._work()
        member = self.member(name)
        if member.removed:
            return self
        model = self._replace(member.asked(DesiredState.OFFLINE, self.now))._touch(name)
        if what is not Ask.OFFLINE:
            model = model._command(name, Ask.TERMINATE)
        elif member.heard.state is ResourceState.FAILED:
            model = model._command(name, Ask.OFFLINE)
        return model._work()

    def _with_providers(self, name: str) -> list[str]:
        found = [name]
        for provider in self.member(name).providers:
            found += [other for other in self._with_providers(provider) if other not in found]
        return found

    def _fail(self, name: str) -> tuple[Self, str]:
        """Have it fail, if there is anything to fail; what comes of that is reported."""
        member = self.member(name)
        going = member.heard.state is ResourceState.OFFLINE_PENDING
        if member.removed or not (member.is_up or going):
            return self, _REFUSED
        model = self._replace(member.with_(told_to_fail=member.epoch))
        command = Command(name, member.instance, Ask.FAIL, epoch=member.epoch)
        return model._expect(command), _DONE

    def _begin_removal(self, name: str) -> tuple[Self, str | None]:
        member = self.member(name)
        is_up = member.is_up or member.state.is_active
        if member.removed or is_up or self._dependents(name):
            return self, _REFUSED
        member = member.asked(DesiredState.OFFLINE, self.now).with_(removed=True)
        return self._touch(name)._replace(member), None

    def _removed(self, name: str) -> Self:
        others = tuple(member for member in self.members if member.name != name)
        touched = tuple(other for other in self.touched if other != name)
        holds = {**self.holds, name: self.member(name).holds}
        model = attrs.evolve(self, members=others, touched=touched, holds=holds)
        return model._tell_group(self.now)

    def _not_removed(self, name: str) -> Self:
        return self._replace(self.member(name).with_(removed=False))._touch(name)._work()

    def _added(self, member: MemberModel) -> Self:
        member = member.with_(holds=self.holds.get(member.name, 0))
        return attrs.evolve(self, members=(*self.members, member))._tell_group(self.now)

    def _close(self) -> Self:
        model = attrs.evolve(self, closing=True)
        return model._touch(*(member.name for member in self.members))._work()

    def _give_up(self) -> Self:
        """At the end, terminate all that is left."""
        model = self
        for member in self.members:
            if member.is_active or member.heard.state is ResourceState.FAILED:
                model = model._command(member.name, Ask.TERMINATE)
        return model

    def _release(self, name: str) -> Self:
        return self._replace(self.member(name).released())._touch(name)._work()

    # --- reports -------------------------------------------------------------------------

    def _taken(self, report: ResourceReport) -> Self:
        """The engine takes a report: what it has to tell of it, at once."""
        if not self.untaken or self.untaken[0] is not report:
            raise Deviation(5, f"{report} was taken, and the next one is {self.untaken[:1]}")
        model = attrs.evolve(self, untaken=self.untaken[1:])
        found = [member for member in self.members if member.instance == report.instance]
        if not found:
            # Of one that was removed, whatever has its name by now (G8).
            return model
        member, name = found[0], found[0].name
        if isinstance(report, StateChange) and report.old is ResourceState.INITIALIZING:
            return model._touch(name)
        was_current = report.generation == member.generation
        model = model._replace(member.with_(heard=member.heard.with_report(report)))
        if isinstance(report, StateChange):
            return model._tell(name, report)._touch(name)
        if isinstance(report, CommandTaken):
            member = model.member(name)
            if was_current and member.is_new:
                # The attempt was refused, so its number is free again.
                model = model._replace(member.with_(epoch=report.epoch))
            return model._touch(name)
        if isinstance(report, AttemptEnded):
            return model._touch(name)
        if isinstance(report, FailureReport):
            model = model._tell(name, member.heard.failed_change)
        model = model._expect(report)
        if isinstance(report, AttemptStuck):
            model = model._replace(model.member(name).with_(gave_up=True))
        elif isinstance(report, FailureReport):
            model = model._failed(report, name, is_decided=was_current)
        return model._touch(name)

    def _failed(self, failure: FailureReport, name: str, *, is_decided: bool) -> Self:
        member = self.member(name).with_(gave_up=True)
        # Recover if, and only if, it should be online. A report that has not observed the
        # latest command spends nothing: that command came after the failure (G2).
        if not (is_decided and self.is_wanted(member)):
            return self._replace(member)
        decision, member = member.recovered(failure.time, self.now)
        planned = RecoveryPlanned(name, failure.epoch, decision, failure.time)
        return self._replace(member)._expect(planned)

    # --- decisions -----------------------------------------------------------------------

    def _work(self) -> Self:
        """Look at what was touched, and at whatever that touches."""
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
        name, heard, wanted = member.name, member.heard, self.is_wanted(member)
        satisfied = self._is_satisfied(member)
        # Once it was told to be going offline it goes; what is wanted now comes after that.
        gone = member.leaving and member.state is ResourceState.OFFLINE_PENDING
        leaving = member.is_up and (gone or not (wanted and satisfied))
        member = member.with_(leaving=leaving, starting=False)
        model = self._replace(member)
        if leaving:
            # Nothing relies yet on what is only coming up.
            relied_on = heard.state is ResourceState.ONLINE and not member.is_new
            if relied_on and model._is_blocked(member):
                return model
            return model._replace(member.with_(leaving=False))._command(name, Ask.OFFLINE)
        if not wanted or member.is_up or self._is_held(member):
            return model
        if not satisfied:
            coming = [model._may_come(model.member(other)) for other in member.providers]
            return model._replace(member.with_(starting=are_enough(member, coming)))
        if member.is_active or model._is_blocked(member):
            return model._replace(member.with_(starting=True))
        return model._begin(member)

    @staticmethod
    def _is_held(member: MemberModel) -> bool:
        """Whether nothing may be begun yet: it is held, or has still to be heard of."""
        heard = member.heard
        missing = heard.failed_change is not None
        unclear = heard.state.is_pending or missing or not member.is_current
        return member.held_until is not None or heard.stuck or unclear

    def _is_satisfied(self, member: MemberModel) -> bool:
        given = [self._gives(self.member(other), member) for other in member.providers]
        return are_enough(member, given)

    @staticmethod
    def _gives(provider: MemberModel, member: MemberModel) -> bool:
        """Whether it has the provider: a running attempt the very one that it was given (G4)."""
        if not provider.is_available:
            return False
        return not member.is_active or (provider.name, provider.epoch) in member.given

    def _may_come(self, member: MemberModel) -> bool:
        return member.is_available or (member.is_coming and self.is_wanted(member))

    def _is_blocked(self, member: MemberModel) -> bool:
        """Whether a dependent that cannot be without it has still to go down."""
        dependents = [self.member(other) for other in self._dependents(member.name)]
        return any(other.is_in_the_way and not self._is_satisfied(other) for other in dependents)

    def _dependents(self, name: str) -> tuple[str, ...]:
        return tuple(member.name for member in self.members if name in member.providers)

    # --- commands ------------------------------------------------------------------------

    def _begin(self, member: MemberModel) -> Self:
        """Command the next attempt to begin, with what its providers provide (G4)."""
        providers = [self.member(other) for other in member.providers]
        given = [(other.name, other.epoch) for other in providers if other.is_available]
        epoch = member.epoch + 1
        model = self._replace(member.with_(epoch=epoch, given=tuple(given)))
        return model._command(member.name, Ask.ONLINE, epoch)

    def _command(self, name: str, what: Ask, epoch: int = 0) -> Self:
        """Give a command; its number rises by one."""
        member = self.member(name)
        generation = member.generation + 1
        member = member.with_(generation=generation)
        if what is not Ask.ONLINE:
            member = member.with_(going_down=generation, terminating=what is Ask.TERMINATE)
        model = self._replace(member)
        return model._expect(Command(name, member.instance, what, generation, epoch))

    # --- telling -------------------------------------------------------------------------

    def _tell(self, name: str, change: StateChange | None) -> Self:
        """Tell of its state, if that has changed.

        What comes from a report is told as it was reported: with its attempt, time and
        words. What the engine itself knows is told of the latest attempt, as of now.
        """
        member, model = self.member(name), self
        (new, detail), heard = member.to_tell, member.heard.state
        if new is member.state or member.heard.failed_change is not None:
            return self
        of_the_latest = (member.epoch, self.now, detail)
        of_the_report = (member.epoch, self.now, "")
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
        change = StateChange(name, epoch, member.state, new, time, detail)
        return model._expect(change)._tell_group(time)

    def _tell_group(self, time: float) -> Self:
        group = _group_state(self.members)
        if group is self.group:
            return self
        model = self._expect(GroupStateChange(self.group_name, self.group, group, time))
        return attrs.evolve(model, group=group)

    # --- steps ---------------------------------------------------------------------------

    def _expect(self, what: Any) -> Self:
        return attrs.evolve(self, expected=(*self.expected, what))

    def _touch(self, *names: str) -> Self:
        new = (name for name in names if name not in self.touched)
        return attrs.evolve(self, touched=(*self.touched, *new))

    def _replace(self, member: MemberModel) -> Self:
        members = tuple(member if old.name == member.name else old for old in self.members)
        return attrs.evolve(self, members=members)


def are_enough(member: MemberModel, there: list[bool]) -> bool:
    """Whether it has what it needs, if these of its providers are there."""
    return all(there) if member.needs_all else any(there)


def _group_state(members: tuple[MemberModel, ...]) -> GroupState:
    """The worst that is told of any member; whole if all on which none depends are online."""
    states = [member.state for member in members]
    needed = [name for member in members for name in member.providers]
    if ResourceState.FAILED in states:
        return GroupState.FAILED
    if ResourceState.ONLINE_PENDING in states or ResourceState.OFFLINE_PENDING in states:
        return GroupState.PENDING
    if ResourceState.ONLINE not in states:
        return GroupState.OFFLINE
    top = [member for member in members if member.name not in needed]
    if all(member.state is ResourceState.ONLINE for member in top):
        return GroupState.ONLINE
    return GroupState.PARTIAL_ONLINE
