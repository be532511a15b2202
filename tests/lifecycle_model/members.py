"""What the model of a cluster knows of one resource: wishes, the monitor's part, rule 7."""

from __future__ import annotations

from math import inf
from typing import Any, Self

import attrs

from tests.lifecycle_model.resource import ResourceModel
from trioresource._model.policy import (
    RecoveryDecision,
    Restart,
    RestartAction,
    RestartPolicy,
    StayFailed,
)
from trioresource._model.states import DesiredState, ResourceState

__all__ = ["MemberModel"]

_RS = ResourceState


@attrs.frozen
class MemberModel:
    """What is known of one resource."""

    hosted: ResourceModel
    """What the monitor has of it: what the cluster sees at once, but hears of only later."""
    providers: tuple[str, ...] = ()
    restart: RestartPolicy = RestartPolicy()
    desired: DesiredState = DesiredState.OFFLINE
    state: ResourceState = _RS.OFFLINE
    """As the cluster told it."""
    heard: ResourceState = _RS.OFFLINE
    """As the cluster has heard it from the monitor."""
    begun: int = 0
    """The latest attempt of whose begin the cluster has heard."""
    failed: int = 0
    """The latest attempt that failed."""
    failure_heard: int = 0
    """The latest attempt of whose failure the cluster has heard."""
    pardoned: int = 0
    """The latest attempt of whose failure nothing comes: a command came after it."""
    starting: bool = False
    """Whether it has to wait for others, or for its own end, before it comes online."""
    leaving: bool = False
    """Whether it has to wait for others before it goes offline."""
    stopped: bool = False
    """Whether it is going down since it was last heard of."""
    standing: tuple[bool, ...] = (False, False, False)
    """What mattered to its neighbours when it was last looked at."""
    online_since: float | None = None
    gave_up: bool = False
    """Whether it has failed, or got stuck, since it was last asked for anything."""
    failures: tuple[float, ...] = ()
    """When its failures were, as far as they count."""
    held_until: float | None = None
    """Before that it is not restarted; ``None`` if nothing holds it."""
    for_good: bool = False
    """Whether a new series of restarts begins then."""

    @property
    def name(self) -> str:
        """The name of the resource."""
        return self.hosted.name

    # --- what the cluster sees -----------------------------------------------------------

    @property
    def now(self) -> ResourceState:
        """The monitor's state at this moment, heard of or not."""
        return self.hosted.state_now

    @property
    def is_up(self) -> bool:
        """Whether it is online or coming online."""
        return self.now in (_RS.ONLINE, _RS.ONLINE_PENDING)

    @property
    def is_active(self) -> bool:
        """Whether an attempt is left."""
        return self.hosted.attempt is not None

    @property
    def is_in_the_way(self) -> bool:
        """Whether its providers have to wait for its end; for a stuck one in vain."""
        return self.is_active and not self.hosted.stuck

    @property
    def is_at_work(self) -> bool:
        """Whether any code of its handler runs, or anything is held."""
        return self.hosted.conduct.is_at_work

    @property
    def is_failure_heard(self) -> bool:
        """Whether the cluster has heard of its latest failure."""
        return self.failure_heard == self.failed

    @property
    def is_available(self) -> bool:
        """Whether others may depend on it."""
        return self.now is _RS.ONLINE and not self.leaving

    @property
    def is_coming(self) -> bool:
        """Whether it may become available without anybody doing anything."""
        if self.starting or (self.is_up and not self.leaving):
            return True
        if self.desired is DesiredState.OFFLINE or self.hosted.stuck:
            return False
        if self.held_until is not None:
            return not self.for_good
        return self.now is _RS.OFFLINE_PENDING or not self.is_failure_heard

    @property
    def to_tell(self) -> ResourceState:
        """What is to be told: what was heard, unless the cluster knows better.

        A late report, of an attempt before the one that was begun, tells nothing of that
        one: it is pending until its own begin is heard of.
        """
        if self.heard in (_RS.OFFLINE, _RS.FAILED):
            coming = self.starting or self.begun < self.hosted.epoch
            return _RS.ONLINE_PENDING if coming else self.heard
        if self.heard is _RS.ONLINE and (self.leaving or self.stopped):
            return _RS.OFFLINE_PENDING
        return self.heard

    # --- what happens to it --------------------------------------------------------------

    def with_(self, **changes: Any) -> Self:
        """It, with changes."""
        return attrs.evolve(self, **changes)

    def commanded(self, desired: DesiredState) -> Self:
        """It is asked for by somebody, which renews a budget that was spent."""
        is_down = self.held_until is not None or self.desired is DesiredState.OFFLINE
        renewed = is_down or not self.is_failure_heard
        forget = desired is DesiredState.ONLINE and renewed
        return self.with_(
            desired=desired,
            failures=() if forget else self.failures,
            pardoned=self.failed if forget else self.pardoned,
            held_until=None,
            gave_up=False,
        )

    def recovered(self, failed_at: float, now: float) -> tuple[RecoveryDecision, Self]:
        """What has to be decided about a failure, and what comes of that.

        Args:
            failed_at: when it failed.
            now: when the cluster hears of it: from then on it is held.
        """
        policy, earlier = self.restart, self.failures
        if policy.stable_after is not None and self.online_since is not None:
            stable = failed_at - self.online_since >= policy.stable_after
            earlier = () if stable else earlier
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
            held_until=now + delay if delay else None,
            for_good=isinstance(decision, StayFailed),
        )

    def released(self) -> Self:
        """It is held no longer; after the last resort with a new budget."""
        return self.with_(held_until=None, failures=() if self.for_good else self.failures)
