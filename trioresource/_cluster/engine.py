"""The engine: brings what is to what should be, one resource and its neighbours at a time.

Commands set wishes, reports tell what happened, and each resource that either of them touches
is reconsidered: should it come up, may it, must it go down, can it yet. What that changes
touches its neighbours. Nothing here waits for a monitor, and nothing of a monitor is read: the
engine knows a resource by its reports and by the commands that they have not answered yet.

* Facts about an attempt (it failed, it ended, it is stuck) count however old the report is:
  what depends on the resource goes down.
* What spends something (a restart, a budget, giving up) is decided only from a report that has
  observed the latest command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import trio

from .._errors import InvalidStateError, NodePaused, ResourceLocked
from .._model.events import GroupStateChange
from .._model.reports import (
    AttemptEnded,
    AttemptStuck,
    CommandTaken,
    FailureReport,
    MonitorClosing,
    StateChange,
)
from .._model.states import DesiredState, ResourceState, is_legal
from .._util.running import is_token_of_this_run
from .._util.waiting import Waiters, soft_deadline
from .records import Drain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._model.reports import Report, ResourceReport
    from .._util.timers import TimerQueue, Timers
    from .event_log import EventLog
    from .records import GroupRecord, ResourceRecord
    from .recovery import Recovery

# Resources that are reconsidered before other tasks get a turn.
_BATCH: Final = 256


@final
class Engine:
    """Policy in action, for all groups of a cluster.

    Args:
        log: where events are published.
        timers: for the drain deadlines.
        recovery: decides about failures.
        reports: where the monitors send their reports.
        marks: the cluster's own end of that channel.
    """

    def __init__(
        self,
        log: EventLog,
        timers: Timers,
        recovery: Recovery,
        reports: trio.MemoryReceiveChannel[Report | trio.Event],
        marks: trio.MemorySendChannel[Report | trio.Event],
    ) -> None:
        self.records: dict[str, ResourceRecord] = {}
        self.groups: dict[str, GroupRecord] = {}
        self.is_paused = False
        self.is_closing: bool = False
        self.is_running: bool = True
        """Whether reports are still dealt with. Each wait for the engine asks this too."""
        self.log = log
        self._timers = timers
        self._recovery = recovery
        self._token = trio.lowlevel.current_trio_token()
        self._reports = reports
        self._marks = marks
        self._sent_marks: dict[trio.Event, None] = {}
        self._pending_marks: dict[trio.Event, None] = {}
        # A report belongs to an instance: a name may have been given to another one since.
        self._instances: dict[int, ResourceRecord] = {}
        self._touched: dict[ResourceRecord, None] = {}
        self._at_work: dict[ResourceRecord, None] = {}
        self._at_rest = Waiters()

    def add(self, record: ResourceRecord) -> None:
        """Register a resource and link it to its providers."""
        self.records[record.name] = record
        self._instances[record.hosted.instance] = record
        record.group.add(record)
        for provider in record.providers:
            provider.dependents += (record,)
        self._publish_group(record.group, trio.current_time())

    def remove(self, record: ResourceRecord) -> None:
        """Forget a resource that is offline and without dependents."""
        del self.records[record.name]
        # Reports that are still on their way are for no record any more.
        del self._instances[record.hosted.instance]
        self._touched.pop(record, None)
        self._no_longer_at_work(record)
        record.group.remove(record)
        for provider in record.providers:
            provider.dependents = tuple(
                dependent for dependent in provider.dependents if dependent is not record
            )
        self._publish_group(record.group, trio.current_time())
        if not record.group.members:
            del self.groups[record.group.name]
        record.end_waits()

    def knows(self, record: ResourceRecord) -> bool:
        """Whether reports of a resource are dealt with; else it makes no sense to wait for one."""
        return self.is_running and record.hosted.instance in self._instances

    # --- reports -----------------------------------------------------------------------

    async def run(self) -> None:
        """Deal with reports until there will be no more."""
        try:
            # Closed at the end, or ``no_leaks()`` would find the channel open.
            with self._reports:
                async for report in self._reports:
                    self._handle(report)
                    while len(self._touched) < _BATCH:
                        try:
                            self._handle(self._reports.receive_nowait())
                        except (trio.WouldBlock, trio.EndOfChannel):
                            break
                    await self._work_with_pauses()
                    self._set_marks()
        finally:
            # Whatever ended it: no task may wait for it any more.
            self.is_running = False
            # Also the marks that were still in the channel.
            self._pending_marks.update(self._sent_marks)
            self._set_marks()
            self._at_rest.wake()
            for record in self.records.values():
                record.end_waits()

    def _handle(self, report: Report | trio.Event) -> None:
        if isinstance(report, trio.Event):
            self._pending_marks[report] = None
        elif isinstance(report, MonitorClosing):
            # An attempt would be cancelled at once, and begun again, and so on.
            self.is_closing = True
            self.touch_all()
        else:
            record = self._instances.get(report.instance)
            if record is not None:
                self._hear(record, report)
                self.touch(record)

    def _hear(self, record: ResourceRecord, report: ResourceReport) -> None:
        reported = record.reported
        if isinstance(report, StateChange):
            if report.old is not ResourceState.INITIALIZING:
                self._hear_state(record, report)
            return
        if isinstance(report, CommandTaken):
            reported.take_status(report)
            if record.is_current and record.is_begun_unheard:
                # The attempt was refused, so its number is free again.
                record.epoch = report.epoch
        elif isinstance(report, AttemptEnded):
            reported.take_end(report)
        else:
            if isinstance(report, FailureReport):
                change = reported.failed_change
                reported.take_failure(report)
                self._publish(record, change)
            elif isinstance(report, AttemptStuck):
                reported.take_stuck(report)
            self.log.publish(report, record)
        if isinstance(report, FailureReport) and record.is_current and self.wants_up(record):
            # Recover if and only if it should be online. A report that has not observed the
            # latest command spends nothing: that command came after the failure.
            self._recovery.failed(record, report, self.release)
        self._note_end(record)

    def _hear_state(self, record: ResourceRecord, report: StateChange) -> None:
        record.reported.take_state(report)
        if report.new not in (ResourceState.ONLINE, ResourceState.ONLINE_PENDING):
            # Also when it was terminated by command.
            record.cancel_users(report.epoch)
        self._note_end(record)
        self._publish(record, report)

    def _note_end(self, record: ResourceRecord) -> None:
        if not record.is_in_the_way:
            self._no_longer_at_work(record)
            # Before the next attempt begins, or terminate() would not hear of this end.
            record.wake_all()

    async def catch_up(self) -> None:
        """Wait until every report that was sent before this call has been dealt with.

        A mark goes through the report channel, behind those reports. Cancellation ends the
        wait and nothing else.
        """
        mark = trio.Event()
        try:
            self._marks.send_nowait(mark)
            self._sent_marks[mark] = None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The engine has ended: there are no reports any more.
            await trio.lowlevel.checkpoint()
            return
        await mark.wait()

    async def settle(self, records: Sequence[ResourceRecord], soft: float) -> None:
        """Wait until all of these have settled, but only for a soft deadline.

        Always a checkpoint. Cancellation ends the wait and nothing else.

        Args:
            records: the resources.
            soft: the soft deadline, in seconds.
        """
        if all(record.is_settled for record in records):
            await trio.lowlevel.checkpoint()
            return
        # The one that is waited for below is a checkpoint.
        with trio.CancelScope(deadline=soft_deadline(soft)):  # noqa: ASYNC912
            for record in records:
                while not record.is_settled and self.is_running:
                    await record.next_change()
            return
        # A report of what the monitor has completed by then may still be on its way.
        await self.catch_up()

    def _set_marks(self) -> None:
        for mark in self._pending_marks:
            mark.set()
            self._sent_marks.pop(mark, None)
        self._pending_marks.clear()

    # --- commands ----------------------------------------------------------------------

    def online(self, records: Sequence[ResourceRecord]) -> None:
        """Wish for these, and for all that they depend on, to be online.

        Raises:
            NodePaused: nothing new may come online.
            InvalidStateError: the cluster is closing, or one of them was removed.
            ResourceLocked: one of them is locked; nothing was changed.
        """
        if self.is_closing:
            raise InvalidStateError("the cluster is closing")
        if self.is_paused:
            raise NodePaused("the node is paused; resume it first")
        wanted = with_providers(records)
        self.check(wanted)
        for record in wanted:
            if record.hold is not None or record.desired is DesiredState.OFFLINE:
                # A command is never refused because a budget is spent.
                record.lift_hold()
                record.failures = ()
            record.desired = DesiredState.ONLINE
            if record.is_active and record.reported.state is not ResourceState.FAILED:
                # It may have failed, and the report be on its way. The answer tells; and the
                # failure is older than this command then, so nothing is spent on it.
                record.confirm_online()
            self.touch(record)
        self.work()

    def offline(self, records: Sequence[ResourceRecord]) -> None:
        """Wish for these to be offline.

        Raises:
            InvalidStateError: one of them was removed.
            ResourceLocked: one of them is locked; nothing was changed.
        """
        self.take_down(records)
        for record in records:
            if record.reported.state is ResourceState.FAILED:
                record.begin_offline()
        self.work()

    def terminate(self, record: ResourceRecord) -> None:
        """Cancel what it is at, and wish for it to be offline.

        Raises:
            InvalidStateError: it was removed.
            ResourceLocked: it is locked; nothing was changed.
        """
        self.take_down([record])
        record.begin_terminate()
        self.work()

    def take_down(self, records: Sequence[ResourceRecord]) -> None:
        """Note that these should be offline, without doing anything about it yet.

        Raises:
            InvalidStateError: one of them was removed.
            ResourceLocked: one of them is locked; nothing was changed.
        """
        self.check(records)
        for record in records:
            record.desired = DesiredState.OFFLINE
            record.lift_hold()
            self.touch(record)

    def check(self, records: Iterable[ResourceRecord]) -> None:
        """Refuse a command, before it changes anything.

        Raises:
            RuntimeError: it comes from another thread, or from another Trio run.
            InvalidStateError: the first resource that was removed.
            ResourceLocked: the first resource that is locked.
        """
        self.require_own_run()
        for record in records:
            if record.is_removed:
                raise InvalidStateError(f"{record.name} has been removed")
            if record.is_locked:
                raise ResourceLocked(f"{record.name} is locked; unlock it first")

    def require_own_run(self) -> None:
        """Refuse what comes from another thread, or from another Trio run.

        Raises:
            RuntimeError: it does.
        """
        if not is_token_of_this_run(self._token):
            raise RuntimeError(
                "a cluster takes commands in its own Trio run only; from a thread, use "
                "trio.from_thread.run() or trio.from_thread.run_sync()"
            )

    def set_maintenance(self, record: ResourceRecord, maintenance: bool) -> None:
        """Suppress failures, or look at the resource again."""
        self.require_own_run()
        if record.maintenance is maintenance:
            return
        record.maintenance = maintenance
        record.hosted.set_maintenance(maintenance)
        if not maintenance:
            record.lift_hold()
        self.reconsider(record)

    def drain(self, group: GroupRecord, *, is_drained: bool) -> None:
        """Keep everything in a group offline, whatever is desired, or no longer."""
        group.is_drained = is_drained
        for record in group.members.values():
            self.touch(record)
        self.work()

    def release(self, record: ResourceRecord) -> None:
        """Try again to bring up a resource whose hold has ended."""
        self.reconsider(record)

    def reconsider(self, record: ResourceRecord) -> None:
        """Reconsider a resource about which something changed."""
        self.touch(record)
        self.work()

    # --- decisions ---------------------------------------------------------------------

    def touch(self, record: ResourceRecord) -> None:
        """Have a resource reconsidered, at the next ``work``."""
        if not record.is_removed:
            self._touched[record] = None

    def touch_all(self) -> None:
        """Have every resource reconsidered."""
        for record in self.records.values():
            self._touched[record] = None

    def work(self) -> None:
        """Reconsider what was touched, and whatever that touches; never blocks."""
        while self._touched:
            self._reconsider_first()

    async def _work_with_pauses(self) -> None:
        done = 0
        while self._touched:
            self._reconsider_first()
            done += 1
            if done % _BATCH == 0:
                await trio.lowlevel.checkpoint()

    def _reconsider_first(self) -> None:
        record = next(iter(self._touched))
        del self._touched[record]
        self._reconsider(record)
        if record.dependents or record.providers:
            # All that its neighbours' decisions depend on.
            standing = (record.is_available, record.is_coming, record.is_in_the_way)
            if standing != record.standing:
                record.standing = standing
                for neighbour in (*record.dependents, *record.providers):
                    self.touch(neighbour)
        self._publish(record)
        record.wake()

    def wants_up(self, record: ResourceRecord) -> bool:
        """Whether it should be online, all wishes together."""
        return (
            record.desired is DesiredState.ONLINE
            and not self.is_closing
            and not record.group.is_drained
        )

    def _reconsider(self, record: ResourceRecord) -> None:
        wanted = self.wants_up(record)
        record.is_satisfied = self._is_satisfied(record)
        # Once it is published to go offline it goes, and what is wanted meanwhile comes after.
        goes = record.is_leaving and record.state is ResourceState.OFFLINE_PENDING
        is_up = record.is_up
        record.is_leaving = is_up and (goes or not (wanted and record.is_satisfied))
        record.is_starting = False
        if record.is_leaving:
            # Nothing relies yet on what is only coming up.
            is_unused = record.reported.state is not ResourceState.ONLINE or (
                record.is_begun_unheard
            )
            if is_unused or (self._is_drained(record) and not self._is_blocked(record)):
                self._stop_draining(record)
                record.is_leaving = False
                record.begin_offline()
            return
        self._stop_draining(record)
        if wanted and not is_up:
            self._start(record)

    def _start(self, record: ResourceRecord) -> None:
        """Bring it up, or find out what it waits for."""
        reported = record.reported
        if record.hold is not None or record.is_stuck or not record.is_current:
            return
        if reported.state.is_pending or reported.failed_change is not None:
            return
        if not record.is_satisfied:
            record.is_starting = record.dependencies.is_satisfied(self._is_coming)
        elif record.is_active or self._is_blocked(record):
            record.is_starting = True
        else:
            self._at_work[record] = None
            record.begin_online()

    def _is_satisfied(self, record: ResourceRecord) -> bool:
        """Whether what it depends on is available: to a running attempt, what it was given."""
        return not record.providers or record.dependencies.is_satisfied(
            lambda name: record.gives(self.records[name])
        )

    def _is_blocked(self, record: ResourceRecord) -> bool:
        """Whether a dependent that cannot be without this resource is still running."""
        return any(
            dependent.is_in_the_way and not self._is_satisfied(dependent)
            for dependent in record.dependents
        )

    def _is_coming(self, name: str) -> bool:
        record = self.records[name]
        return record.is_available or (record.is_coming and self.wants_up(record))

    # --- users of what a resource provides ---------------------------------------------

    def _is_drained(self, record: ResourceRecord) -> bool:
        """Whether no block uses it any more, or they had their time."""
        if not record.is_used or record.drain_stage is Drain.OVER:
            return True
        if record.drain_stage is Drain.NONE:
            record.drain_stage = Drain.WAITING
            self._drain_timers(record).arm(record)
        is_lost = not record.dependencies.is_satisfied(lambda name: self.records[name].is_online)
        if is_lost and record.drain_stage is Drain.WAITING:
            # Its providers have failed, so it is of no use to wait for its users.
            record.drain_stage = Drain.ASKED
            record.cancel_users(record.epoch)
        return False

    def _stop_draining(self, record: ResourceRecord) -> None:
        if record.drain_stage is not Drain.NONE:
            record.drain_stage = Drain.NONE
            self._drain_timers(record).disarm(record)

    def _drain_timers(self, record: ResourceRecord) -> TimerQueue[ResourceRecord]:
        return self._timers.queue("drain", record.drain_deadline, self._drain_overrun)

    def _drain_overrun(self, record: ResourceRecord, _: float) -> None:
        """Cancel the users, who had their time; after the same time again, go on."""
        if record.drain_stage is Drain.WAITING:
            record.drain_stage = Drain.ASKED
            record.cancel_users(record.epoch)
            self._drain_timers(record).arm(record)
        else:
            record.drain_stage = Drain.OVER
            self.reconsider(record)

    # --- events ------------------------------------------------------------------------

    def _publish(self, record: ResourceRecord, report: StateChange | None = None) -> None:
        """Publish the state of a resource, if it has changed.

        Args:
            record: the resource.
            report: the report that has just been heard, if that is why.
        """
        if record.reported.failed_change is not None:
            # That it has failed is published together with the reason.
            return
        new, detail = record.derive_state()
        if new is record.state:
            return
        reported = record.reported.state
        if new is not reported and not is_legal(record.state, new):
            # It is to come up again, but that it went down is published first.
            self._publish_state(record, reported, report)
        if new is reported:
            self._publish_state(record, new, report)
        else:
            # No report says it but the engine, now: a report that is dealt with late may be
            # older than the attempt.
            self._publish_state(record, new, None, detail)

    def _publish_state(
        self,
        record: ResourceRecord,
        new: ResourceState,
        report: StateChange | None,
        detail: str = "",
    ) -> None:
        old = record.state
        if report is None:
            epoch, time = record.epoch, trio.current_time()
        else:
            epoch, time, detail = report.epoch, report.time, report.detail
        is_group_affected = record.group.count(record, old, new)
        record.publish(new)
        # Last: a logging handler of the user's that reads the state finds the new one.
        self.log.publish(StateChange(record.name, epoch, old, new, time, detail), record)
        if is_group_affected:
            self._publish_group(record.group, time)

    def _publish_group(self, group: GroupRecord, time: float) -> None:
        state = group.compute_state()
        if state is not group.state:
            old, group.state = group.state, state
            self.log.publish(GroupStateChange(group.name, old, state, time))

    # --- the end -----------------------------------------------------------------------

    def _no_longer_at_work(self, record: ResourceRecord) -> None:
        self._at_work.pop(record, None)
        if not self._at_work:
            self._at_rest.wake()

    async def wait_at_rest(self) -> None:
        """Wait until no attempt of any resource is left, or until the engine has ended."""
        while self._at_work and self.is_running:
            await self._at_rest.wait()

    def terminate_all(self) -> None:
        """Cancel every attempt at once, in no good order."""
        for record in self.records.values():
            if record.is_active or record.reported.state is ResourceState.FAILED:
                record.begin_terminate()


def with_providers(records: Iterable[ResourceRecord]) -> list[ResourceRecord]:
    """Add everything that these depend on, at any remove."""
    found: dict[ResourceRecord, None] = {}
    # Taken from the end, so that those who were named first come first.
    pending = list(records)[::-1]
    while pending:
        record = pending.pop()
        if record not in found:
            found[record] = None
            pending += record.providers[::-1]
    return list(found)
