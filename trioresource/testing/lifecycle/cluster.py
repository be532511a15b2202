"""The reference model of a cluster of one group: rules 6 and 7, order, and the group's state.

It takes the monitors' part as it comes, as far as ``Conduct`` allows it, and says what the
cluster has to make of it.
"""

from __future__ import annotations

from math import inf
from typing import Any, Final

import attrs

from trioresource.model.events import GroupStateChange, RecoveryPlanned
from trioresource.model.policy import (
    RecoveryDecision,
    Restart,
    RestartAction,
    RestartPolicy,
    StayFailed,
)
from trioresource.model.reports import AttemptStuck, FailureReport, StateChange
from trioresource.model.states import DesiredState, GroupState, ResourceState, is_legal
from trioresource.testing.lifecycle.conduct import Conduct, Stage
from trioresource.testing.lifecycle.observations import (
    Answered,
    Ask,
    Asked,
    Deviation,
    Entered,
    Entry,
    Held,
    Left,
    Observation,
    Told,
)
from trioresource.testing.lifecycle.requests import CANCELLED

__all__ = ["ClusterModel", "MemberModel"]

_RS = ResourceState
_EPSILON: Final = 1e-9
_ORDER: Final = 0
"""Not a rule with a number: providers come first and dependents go first."""
_AT_WORK: Final = (Stage.STARTING, Stage.UP, Stage.STOPPING, Stage.CLEANING)


@attrs.frozen
class MemberModel:
    """What is known of one resource."""

    name: str
    providers: tuple[str, ...] = ()
    restart: RestartPolicy = RestartPolicy()
    desired: DesiredState = DesiredState.OFFLINE
    state: ResourceState = _RS.OFFLINE
    """As it was told."""
    epoch: int = 0
    failed_epoch: int = 0
    """The latest attempt whose failure was told."""
    gave_up: bool = False
    """Whether it has failed since it was last asked for anything."""
    stuck: bool = False
    histories: tuple[tuple[float, ...], ...] = ((),)
    """When its failures were, as far as they count. More than one where a command came in
    the very instant in which a hold ended: whichever was first is fine."""
    held_until: float | None = None
    """Before that it is not restarted; ``None`` if nothing holds it."""
    last_resort: bool = False
    """Whether a new series of restarts begins then."""
    conduct: Conduct = attrs.field(
        default=attrs.Factory(lambda self: Conduct(self.name), takes_self=True)
    )

    @property
    def is_at_work(self) -> bool:
        """Whether anything of it is left."""
        return self.conduct.stage in _AT_WORK or not self.conduct.is_clear

    def commanded(self, desired: DesiredState, now: float) -> MemberModel:
        """It is asked for by somebody, which renews a budget that was spent."""
        histories = self.histories
        if desired is DesiredState.ONLINE:
            if self.desired is DesiredState.OFFLINE:
                histories = ((),)
            elif self.held_until is not None:
                # In the instant in which it ends nobody can say which was first.
                histories = ((),) if now < self.held_until else (*histories, ())
        return attrs.evolve(
            self, desired=desired, histories=histories, held_until=None, gave_up=False
        )

    def failed(self, now: float) -> tuple[tuple[RecoveryDecision, tuple[float, ...]], ...]:
        """What may be decided about a failure now, and which failures count then."""
        found = []
        for history in self.histories:
            counting = (*(at for at in history if at > now - self.restart.period), now)
            found.append((self._decide(len(counting)), counting))
        return tuple(found)

    def _decide(self, count: int) -> RecoveryDecision:
        policy = self.restart
        if policy.action is RestartAction.NONE:
            return StayFailed(None, count)
        if count <= policy.threshold:
            return Restart(policy.delay, count)
        return StayFailed(policy.retry, count)


@attrs.frozen
class ClusterModel:
    """What a cluster with one group has to be like. A value: what happens makes another."""

    members: tuple[MemberModel, ...]
    soft: float = 0.3
    punctual: bool = True
    group: GroupState = GroupState.OFFLINE
    closing: bool = False
    requests: tuple[Asked, ...] = ()
    expected: tuple[object, ...] = ()
    """What has to be told next, before anything else happens."""
    now: float = 0.0

    def member(self, name: str) -> MemberModel:
        """One of its resources."""
        return next(one for one in self.members if one.name == name)

    # --- what is seen --------------------------------------------------------------------

    def see(self, seen: Observation) -> ClusterModel:
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
            return model._told(seen.report)
        if self.expected:
            raise Deviation(5, f"had to be told at once: {self.expected[0]}")
        if isinstance(seen, Asked):
            return model._asked(seen)
        if isinstance(seen, Answered):
            return model._answered(seen)
        member = self.member(seen.resource)
        if isinstance(seen, Entered):
            return model._entered(member, seen)
        if isinstance(seen, Left):
            conduct = member.conduct.left(seen)
        elif isinstance(seen, Held):
            conduct = member.conduct.held(seen)
        else:
            conduct = member.conduct.let_go(seen, late=member.stuck or not self.punctual)
        return model._with(member, conduct=conduct)

    def at_rest(self) -> None:
        """See whether everything is as it was asked to be, some time after all trouble.

        Raises:
            Deviation: it is not.
        """
        for member in self.members:
            fit = self._fit(member)
            if member.state not in fit:
                states = " or ".join(one.value for one in fit)
                text = f"{member.name} is {member.state.value} in the end, not {states}"
                raise Deviation(6, text)

    @property
    def is_at_rest(self) -> bool:
        """Whether ``at_rest`` has nothing to say."""
        return all(one.state in self._fit(one) for one in self.members)

    def _fit(self, member: MemberModel) -> tuple[ResourceState, ...]:
        """The states that a resource may rest in."""
        given_up = member.stuck or (member.gave_up and not member.is_at_work)
        if member.desired is DesiredState.OFFLINE or self.closing:
            return (_RS.OFFLINE, _RS.FAILED) if given_up else (_RS.OFFLINE,)
        if any(self.member(one).state is not _RS.ONLINE for one in member.providers):
            return (_RS.OFFLINE, _RS.FAILED)
        if member.stuck or member.held_until == inf:
            return (_RS.FAILED,)
        return (_RS.ONLINE,)

    # --- requests ------------------------------------------------------------------------

    def _asked(self, asked: Asked) -> ClusterModel:
        model = attrs.evolve(self, requests=(*self.requests, asked))
        if asked.what is Ask.CLOSE:
            return attrs.evolve(model, closing=True)
        if asked.what in (Ask.OFFLINE, Ask.TERMINATE):
            return model._commanded(asked.resource, DesiredState.OFFLINE)
        if asked.what is Ask.ONLINE and not self.closing:
            for name in (*self.member(asked.resource).providers, asked.resource):
                model = model._commanded(name, DesiredState.ONLINE)
        return model

    def _commanded(self, name: str, desired: DesiredState) -> ClusterModel:
        member = self.member(name)
        return self._replace(member, member.commanded(desired, self.now))

    def _answered(self, seen: Answered) -> ClusterModel:
        asked = next(one for one in self.requests if one.number == seen.number)
        model = attrs.evolve(self, requests=tuple(one for one in self.requests if one != asked))
        if asked.what not in (Ask.ONLINE, Ask.OFFLINE) or seen.answer == CANCELLED:
            return model
        what = f"{asked.what.value} of {asked.resource} was answered {seen.answer!r}"
        state = self.member(asked.resource).state
        if seen.answer in ("online", "offline") and seen.answer != state.value:
            raise Deviation(2, f"{what}, but it is {state.value}")
        if self.punctual and self.now > asked.time + self.soft + _EPSILON:
            raise Deviation(1, f"{what}, and that late: at {self.now:g}, asked at {asked.time:g}")
        return model

    # --- the handlers --------------------------------------------------------------------

    def _entered(self, member: MemberModel, seen: Entered) -> ClusterModel:
        changes: dict[str, Any] = {}
        if seen.entry is Entry.ONLINE:
            self._check_start(member)
            changes = {"held_until": None, "stuck": False}
            if member.held_until is not None and member.last_resort:
                changes["histories"] = ((),)
        elif seen.entry is Entry.OFFLINE:
            for other in self.members:
                if member.name in other.providers and other.is_at_work and not other.stuck:
                    text = f"{member.name} goes offline before {other.name}, which depends on it"
                    raise Deviation(_ORDER, text)
        return self._with(member, conduct=member.conduct.entered(seen), **changes)

    def _check_start(self, member: MemberModel) -> None:
        if member.desired is DesiredState.OFFLINE or self.closing:
            raise Deviation(6, f"{member.name} comes online, and is to be offline")
        held = member.held_until
        if held is not None and self.now < held - _EPSILON:
            raise Deviation(7, f"{member.name} comes online, and was to wait until {held:g}")
        for name in member.providers:
            provider = self.member(name)
            # That it has come online is told a little later than the monitor knows it.
            coming = provider.state is _RS.ONLINE_PENDING and provider.conduct.stage is Stage.UP
            if not (provider.state is _RS.ONLINE or coming):
                state = provider.state.value
                raise Deviation(_ORDER, f"{member.name} comes online, and {name} is {state}")

    # --- events --------------------------------------------------------------------------

    def _told(self, event: Any) -> ClusterModel:
        if event.time > self.now:
            raise Deviation(10, f"at {self.now:g} came {event}")
        if self.expected:
            return self._as_expected(event)
        if isinstance(event, StateChange):
            return self._changed(event)
        if isinstance(event, FailureReport):
            return self._failed(event)
        if isinstance(event, AttemptStuck):
            return self._with(self.member(event.resource), stuck=True)
        if isinstance(event, RecoveryPlanned):
            raise Deviation(6, f"nobody wants that: {event}")
        if isinstance(event, GroupStateChange):
            raise Deviation(11, f"nothing has led to {event}")
        return self

    def _as_expected(self, event: object) -> ClusterModel:
        first = self.expected[0]
        model = attrs.evolve(self, expected=self.expected[1:])
        if isinstance(first, GroupState):
            if isinstance(event, GroupStateChange) and event.new is first:
                return model
            raise Deviation(11, f"the group becomes {first.value} now, and what came is {event}")
        assert isinstance(first, FailureReport)
        member = self.member(first.resource)
        if not isinstance(event, RecoveryPlanned) or event.resource != member.name:
            raise Deviation(6, f"{member.name} has to be recovered, and what came is {event}")
        possible = [
            counting
            for decision, counting in member.failed(first.time)
            if decision == event.decision
        ]
        if not possible:
            decisions = [decision for decision, _ in member.failed(first.time)]
            raise Deviation(7, f"{member.name}: {event.decision}, where {decisions} was to come")
        decision, delay = event.decision, None
        if isinstance(decision, Restart):
            delay = decision.delay
        elif isinstance(decision, StayFailed):
            delay = decision.retry
        return model._with(
            member,
            histories=tuple(possible),
            held_until=inf if delay is None else first.time + delay,
            last_resort=isinstance(decision, StayFailed),
        )

    def _changed(self, change: StateChange) -> ClusterModel:
        member = self.member(change.resource)
        if change.old is not member.state or not is_legal(change.old, change.new):
            raise Deviation(2, f"{change}, in state {member.state.value}")
        if change.epoch < member.epoch:
            raise Deviation(4, f"{change}, in attempt {member.epoch}")
        model = self._with(member, state=change.new, epoch=change.epoch)
        group = _group_state(model.members)
        if group is not self.group:
            model = attrs.evolve(model, group=group, expected=(group,))
        return model

    def _failed(self, failure: FailureReport) -> ClusterModel:
        member = self.member(failure.resource)
        if failure.epoch <= member.failed_epoch:
            raise Deviation(5, f"a failure is told twice: {failure}")
        model = self._with(member, failed_epoch=failure.epoch, gave_up=True)
        if member.desired is DesiredState.ONLINE and not self.closing:
            return attrs.evolve(model, expected=(failure,))
        return model

    # --- steps ---------------------------------------------------------------------------

    def _with(self, member: MemberModel, **changes: Any) -> ClusterModel:
        return self._replace(member, attrs.evolve(member, **changes))

    def _replace(self, member: MemberModel, other: MemberModel) -> ClusterModel:
        members = tuple(other if one is member else one for one in self.members)
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
