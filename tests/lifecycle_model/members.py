"""What the model of a cluster knows of one resource: wishes, reports, commands, rule 7."""

from __future__ import annotations

from math import inf
from typing import Any, Final, Self

import attrs

from tests.lifecycle_model.resource import ResourceModel
from trioresource._model.policy import (
    RecoveryDecision,
    Restart,
    RestartAction,
    RestartPolicy,
    StayFailed,
)
from trioresource._model.reports import (
    AttemptEnded,
    AttemptStuck,
    CommandTaken,
    FailureReport,
    StateChange,
)
from trioresource._model.states import DesiredState, ResourceState

__all__ = ["Heard", "MemberModel"]

TERMINATED: Final = "terminated"
_UP: Final = (ResourceState.ONLINE, ResourceState.ONLINE_PENDING)
_DOWN: Final = (ResourceState.OFFLINE, ResourceState.FAILED)


@attrs.frozen
class Heard:
    """What the reports of a resource come to that its engine has taken so far."""

    state: ResourceState = ResourceState.OFFLINE
    epoch: int = 0
    generation: int = 0
    """The latest command that the monitor had taken by then."""
    ended: bool = True
    """Whether nothing of that attempt is left."""
    settled: bool = True
    """Whether nothing is under way in the monitor."""
    stuck: bool = False
    failed_change: StateChange | None = None
    """That it has failed, until it was heard why: both are told together."""
    online_since: float | None = None

    def with_report(self, report: Any) -> Self:
        """What it comes to with one more report."""
        if isinstance(report, StateChange):
            return self._with_state(report)
        if isinstance(report, CommandTaken):
            return attrs.evolve(
                self,
                generation=report.generation,
                state=report.state,
                epoch=report.epoch,
                ended=report.is_ended,
                settled=report.is_settled,
            )
        heard = self
        if isinstance(report, FailureReport):
            heard = attrs.evolve(self, failed_change=None)
        elif isinstance(report, AttemptEnded):
            heard = attrs.evolve(self, ended=True, stuck=False)
        elif isinstance(report, AttemptStuck):
            # What was to follow its end is forgotten.
            heard = attrs.evolve(self, stuck=True, settled=True)
        else:
            # Progress and probes may be left out, so nothing may depend on them.
            return self
        return attrs.evolve(heard, generation=report.generation)

    def _with_state(self, change: StateChange) -> Self:
        since = self.online_since
        if change.new is ResourceState.ONLINE_PENDING:
            since = None
        elif change.new is ResourceState.ONLINE:
            since = change.time
        ended = change.new is ResourceState.OFFLINE
        return attrs.evolve(
            self,
            state=change.new,
            epoch=change.epoch,
            generation=change.generation,
            ended=ended,
            settled=not change.new.is_pending,
            stuck=self.stuck and not ended,
            failed_change=change if change.new is ResourceState.FAILED else None,
            online_since=since,
        )


@attrs.frozen
class MemberModel:
    """What is known of one resource."""

    hosted: ResourceModel
    """What the monitor has of it. The engine knows of that what it has heard, and no more."""
    instance: int = 0
    providers: tuple[str, ...] = ()
    needs_all: bool = True
    """Whether it needs all of them, and not any of them."""
    restart: RestartPolicy = RestartPolicy()
    desired: DesiredState = DesiredState.OFFLINE
    removed: bool = False
    """Whether it is being removed."""
    state: ResourceState = ResourceState.OFFLINE
    """As the cluster told it."""
    heard: Heard = Heard()
    # What was commanded.
    generation: int = 0
    """The number of the latest command."""
    going_down: int = 0
    """The number of the latest command to go down."""
    terminating: bool = False
    """Whether that was to terminate."""
    epoch: int = 0
    """The latest attempt that was begun."""
    seen_to_begin: int = 0
    """The latest attempt whose command to begin was seen; later ones with its number confirm it."""
    told_to_fail: int = 0
    """The latest attempt that was told to fail."""
    given: tuple[tuple[str, int], ...] = ()
    """Which attempts of its providers that attempt was given."""
    # What was decided.
    starting: bool = False
    """Whether it has to wait for others, or for its own end, before it comes online."""
    leaving: bool = False
    """Whether it has to wait for others before it goes offline."""
    standing: tuple[bool, ...] = ()
    """What mattered to its neighbours when it was last looked at."""
    gave_up: bool = False
    """Whether it has failed, or got stuck, since it was last asked for anything."""
    failures: tuple[float, ...] = ()
    """When its failures were, as far as they count."""
    holds: int = 0
    """How many holds there have been that end by themselves."""
    held_until: float | None = None
    """Before that it is not restarted; ``None`` if nothing holds it."""
    lifted_at: float = 0.0
    """When a hold was last lifted before its end."""
    for_good: bool = False
    """Whether a new series of restarts begins then."""

    @property
    def name(self) -> str:
        """The name of the resource."""
        return self.hosted.name

    @property
    def is_at_work(self) -> bool:
        """Whether any code of its handler runs, or anything is held; heard of or not."""
        return self.hosted.conduct.is_at_work

    # --- what the engine knows -----------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """Whether its latest command has been answered."""
        return self.heard.generation == self.generation

    @property
    def is_told_down(self) -> bool:
        """Whether a command to go down has not been answered."""
        return self.heard.generation < self.going_down

    @property
    def is_new(self) -> bool:
        """Whether nothing was heard yet of the latest attempt."""
        return self.heard.epoch < self.epoch

    @property
    def is_told_to_fail(self) -> bool:
        """Whether the latest attempt was told to fail, and that has not been answered."""
        told = self.told_to_fail == self.epoch > 0
        return told and (self.is_new or self.heard.state not in _DOWN)

    @property
    def is_up(self) -> bool:
        """Whether it is online or coming online, as far as is known."""
        return not self.is_told_down and (self.is_new or self.heard.state in _UP)

    @property
    def is_online(self) -> bool:
        """Whether it is online, and nothing has been commanded that ends that."""
        ends = self.is_new or self.is_told_down or self.is_told_to_fail
        return self.heard.state is ResourceState.ONLINE and not ends

    @property
    def is_available(self) -> bool:
        """Whether others may depend on it (G5)."""
        return self.is_online and not self.leaving

    @property
    def is_active(self) -> bool:
        """Whether an attempt may be left."""
        return self.is_new or not self.heard.ended

    @property
    def is_in_the_way(self) -> bool:
        """Whether its providers have to wait for its end; for a stuck one in vain."""
        return self.is_active and not self.heard.stuck

    @property
    def is_coming(self) -> bool:
        """Whether it may become available without another command of a user."""
        if self.starting or (self.is_up and not self.leaving):
            return True
        if self.desired is DesiredState.OFFLINE or self.heard.stuck:
            return False
        if self.held_until is not None:
            return not self.for_good
        going = self.heard.state is ResourceState.OFFLINE_PENDING
        missing = self.heard.failed_change is not None
        return going or missing or not self.is_current

    @property
    def to_tell(self) -> tuple[ResourceState, str]:
        """What is to be published, and why (G5)."""
        state = self.heard.state
        if state in _DOWN:
            coming = self.starting or self.is_new
            return (ResourceState.ONLINE_PENDING if coming else state), ""
        if self.is_told_down and self.terminating:
            return ResourceState.OFFLINE_PENDING, TERMINATED
        if state is ResourceState.ONLINE and (self.leaving or self.is_told_down):
            return ResourceState.OFFLINE_PENDING, ""
        return state, ""

    # --- what happens to it --------------------------------------------------------------

    def with_(self, **changes: Any) -> Self:
        """It, with changes."""
        return attrs.evolve(self, **changes)

    def asked(self, desired: DesiredState, now: float) -> Self:
        """It is asked for by a user, which renews a budget if it was down or given up."""
        renewed = self.held_until is not None or self.desired is DesiredState.OFFLINE
        forget = desired is DesiredState.ONLINE and renewed
        return self.with_(
            desired=desired,
            failures=() if forget else self.failures,
            held_until=None,
            lifted_at=self.lifted_at if self.held_until is None else now,
            gave_up=False,
        )

    def recovered(self, failed_at: float, now: float) -> tuple[RecoveryDecision, Self]:
        """What has to be decided about a failure, and what comes of that.

        Args:
            failed_at: when it failed.
            now: when the cluster hears of it: from then on it is held.
        """
        policy, earlier, since = self.restart, self.failures, self.heard.online_since
        if policy.stable_after is not None and since is not None:
            earlier = () if failed_at - since >= policy.stable_after else earlier
        counting = (*(at for at in earlier if at > failed_at - policy.period), failed_at)
        decision: Restart | StayFailed
        if policy.action is RestartAction.NONE:
            decision, delay = StayFailed(None, len(counting)), inf
        elif len(counting) <= policy.threshold:
            decision, delay = Restart(policy.delay, len(counting)), policy.delay
        else:
            decision = StayFailed(policy.retry, len(counting))
            delay = inf if policy.retry is None else policy.retry
        return decision, self.with_(
            failures=counting,
            holds=self.holds + (0 < delay < inf),
            held_until=now + delay if delay else None,
            for_good=isinstance(decision, StayFailed),
        )

    def released(self) -> Self:
        """It is held no longer; when it had been given up, with a new budget."""
        return self.with_(held_until=None, failures=() if self.for_good else self.failures)
