"""After a failure: restart, stay failed, retry later."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from .._model.events import RecoveryPlanned
from .._model.policy import Restart, StayFailed, decide_recovery
from .records import Hold

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .._model.reports import FailureReport
    from .event_log import EventLog
    from .records import ResourceRecord


@final
class Recovery:
    """Decides about failures, and keeps the time until the next try."""

    def __init__(
        self,
        nursery: trio.Nursery,
        log: EventLog,
        random: Random,
        released: Callable[[ResourceRecord], None],
    ) -> None:
        self._nursery = nursery
        self._log = log
        self._random = random
        self._released = released

    def failed(self, member: ResourceRecord, report: FailureReport) -> None:
        """A resource failed that should be online."""
        if member.maintenance:
            # Somebody works on it. Leaving maintenance lifts the hold.
            member.lift_hold()
            member.hold = Hold(gave_up=True, timer=None)
            return
        self._count(member, report.time)
        decision = decide_recovery(
            member.restart,
            member.failures,
            now=report.time,
            random=self._random,
            can_fail_over=False,
        )
        # Those that no longer count are the oldest.
        member.failures = member.failures[-decision.failures :]
        event = RecoveryPlanned(member.name, report.epoch, decision, report.time)
        self._log.publish(event)
        if isinstance(decision, Restart):
            self._hold(member, decision.delay, gave_up=False)
        elif isinstance(decision, StayFailed):
            self._hold(member, decision.retry, gave_up=True)

    def _count(self, member: ResourceRecord, now: float) -> None:
        """Remember the failure; after it was stable, a new series begins."""
        stable, since = member.restart.stable_after, member.online_since
        if stable is not None and since is not None and now - since >= stable:
            member.failures = ()
        member.failures = (*member.failures, now)

    def _hold(self, member: ResourceRecord, seconds: float | None, *, gave_up: bool) -> None:
        member.lift_hold()
        if seconds == 0:
            return
        timer = None if seconds is None else trio.CancelScope()
        hold = member.hold = Hold(gave_up=gave_up, timer=timer)
        if seconds is not None:
            self._nursery.start_soon(
                self._wait, member, hold, seconds, name=f"restart of {member.name}"
            )

    async def _wait(self, member: ResourceRecord, hold: Hold, seconds: float) -> None:
        assert hold.timer is not None
        with hold.timer:
            await trio.sleep(seconds)
            if member.hold is not hold:
                # Lifted in the very instant in which it ended.
                return
            if hold.gave_up:
                # A new series of restarts.
                member.failures = ()
            member.hold = None
            self._released(member)
