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
    from .escalation import Escalation
    from .event_log import EventLog
    from .records import ResourceRecord


@final
class Recovery:
    """Decides about failures, and keeps the time until the next try."""

    def __init__(
        self, nursery: trio.Nursery, log: EventLog, escalation: Escalation, random: Random
    ) -> None:
        self._nursery = nursery
        self._log = log
        self._escalation = escalation
        self._random = random

    def failed(
        self,
        record: ResourceRecord,
        report: FailureReport,
        release: Callable[[ResourceRecord], None],
    ) -> None:
        """Decide about a failure of a resource that should be online.

        Args:
            record: the resource.
            report: the failure.
            release: called when the time has come to try again.
        """
        if record.maintenance:
            # It is being worked on. Leaving maintenance lifts the hold.
            record.lift_hold()
            record.hold = Hold(gave_up=True, timer=None)
            return
        self._count(record, report.time)
        decision = decide_recovery(
            record.restart,
            record.failures,
            now=report.time,
            random=self._random,
        )
        # Those that no longer count are the oldest.
        record.failures = record.failures[-decision.failures :]
        event = RecoveryPlanned(record.name, report.epoch, decision, report.time)
        self._log.publish(event, record)
        if isinstance(decision, Restart):
            self._hold(record, decision.delay, release, gave_up=False)
        elif isinstance(decision, StayFailed):
            self._hold(record, decision.retry, release, gave_up=True)
            self._escalation.gave_up(record.name, report, decision, record.on_give_up)

    def _count(self, record: ResourceRecord, now: float) -> None:
        """Rerecord the failure; after it was stable, a new series begins."""
        stable, since = record.restart.stable_after, record.reported.online_since
        if stable is not None and since is not None and now - since >= stable:
            record.failures = ()
        record.failures = (*record.failures, now)

    def _hold(
        self,
        record: ResourceRecord,
        seconds: float | None,
        release: Callable[[ResourceRecord], None],
        *,
        gave_up: bool,
    ) -> None:
        record.lift_hold()
        if seconds == 0:
            return
        timer = None if seconds is None else trio.CancelScope()
        hold = record.hold = Hold(gave_up=gave_up, timer=timer)
        if seconds is not None:
            self._nursery.start_soon(
                self._wait, record, hold, seconds, release, name=f"restart of {record.name}"
            )

    async def _wait(
        self,
        record: ResourceRecord,
        hold: Hold,
        seconds: float,
        release: Callable[[ResourceRecord], None],
    ) -> None:
        assert hold.timer is not None
        with hold.timer:
            await trio.sleep(seconds)
            if record.hold is not hold:
                # Lifted in the very instant in which it ended.
                return
            if hold.gave_up:
                # A new series of restarts.
                record.failures = ()
            record.hold = None
            release(record)
