"""The engine: brings what is to what should be, one resource and its neighbours at a time.

Nothing here waits. Commands set wishes, reports tell what happened, and whichever
resource either of them touches is reconsidered: should it come up, may it, must it go
down, can it yet. What that changes touches its neighbours.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, final

import trio

from .._model.events import GroupStateChange
from .._model.reports import AttemptEnded, AttemptStuck, FailureReport, StateChange
from .._model.states import DesiredState, ResourceState, is_legal
from .records import Drain

if TYPE_CHECKING:
    from .._model.reports import Report
    from .._monitor import ResourceMonitor
    from .event_log import EventLog
    from .group_record import GroupRecord
    from .records import ResourceRecord
    from .recovery import Recovery

_RS = ResourceState

# So many resources are reconsidered before other tasks get a turn.
_BATCH: Final = 256


@final
class Engine:
    """Policy in action, for all groups of a cluster."""

    def __init__(self, monitor: ResourceMonitor, log: EventLog) -> None:
        self.members: dict[str, ResourceRecord] = {}
        self.groups: dict[str, GroupRecord] = {}
        self.paused = False
        self.closing: bool = False
        self.log = log
        self.recovery: Recovery
        """Set by the one who makes both: each needs the other."""
        self._monitor = monitor
        self._at_work: dict[ResourceRecord, None] = {}
        self._touched: dict[ResourceRecord, None] = {}
        self._at_rest = trio.Event()
        self._drain_lanes = monitor.timers("drain", self._drain_overrun)

    def add(self, member: ResourceRecord) -> None:
        """A resource is new."""
        self.members[member.name] = member
        member.group.add(member)
        for provider in member.providers:
            provider.dependents += (member,)
        self._publish_group(member.group, trio.current_time())

    def remove(self, member: ResourceRecord) -> None:
        """A resource that is offline, and that nobody depends on, goes."""
        del self.members[member.name]
        self._touched.pop(member, None)
        # The report of its end may still be on its way, and will find nobody.
        self._at_work.pop(member, None)
        self._look_for_rest()
        member.group.remove(member)
        for provider in member.providers:
            provider.dependents = tuple(one for one in provider.dependents if one is not member)
        self._publish_group(member.group, trio.current_time())
        if not member.group.members:
            del self.groups[member.group.name]
        member.wake()

    def release(self, member: ResourceRecord) -> None:
        """The time has come to try again."""
        self.touch(member)
        self.work()

    # --- news --------------------------------------------------------------------------

    async def run(self) -> None:
        """Deal with reports until there will be no more."""
        # Closed at the end: who looks for what is left behind must not find the channel.
        with self._monitor.reports as reports:
            async for report in reports:
                batch = deque([report])
                while batch:
                    self._handle(batch.popleft())
                    if len(self._touched) < _BATCH:
                        try:
                            batch.append(reports.receive_nowait())
                        except (trio.WouldBlock, trio.EndOfChannel):
                            break
                await self._work_with_pauses()

    def _handle(self, report: Report) -> None:
        member = self.members.get(report.resource)
        if member is None:
            return
        if isinstance(report, StateChange):
            self._state_seen(member, report)
        elif isinstance(report, AttemptEnded):
            self._ended(member)
        else:
            self.log.publish(report)
            if isinstance(report, FailureReport):
                member.last_failure = report
                # Recover if, and only if, it should be online; unless a command came after
                # the failure, and is what brings it up.
                if self.wants_up(member) and report is not member.pardoned:
                    self.recovery.failed(member, report)
            elif isinstance(report, AttemptStuck):
                member.stuck_tree = report.task_tree
                self._ended(member)
        self.touch(member)

    def _state_seen(self, member: ResourceRecord, report: StateChange) -> None:
        if report.old is _RS.INITIALIZING:
            # Of this, whoever added the resource has been told.
            return
        member.seen = report.new
        member.stopped = False
        if report.epoch == member.hosted.epoch:
            # Not a late report of an attempt before the one that was launched.
            member.launched = False
        if report.new is _RS.ONLINE_PENDING:
            member.online_since = None
        elif report.new is _RS.ONLINE:
            member.online_since = report.time
        else:
            # Also when it was terminated by command.
            member.cancel_users(report.epoch)
        if report.new is _RS.OFFLINE:
            self._ended(member)
        self._publish(member, report.epoch, report.time, report.detail)

    def _ended(self, member: ResourceRecord) -> None:
        if not member.is_in_the_way:
            self._at_work.pop(member, None)
            self._look_for_rest()

    def _look_for_rest(self) -> None:
        if not self._at_work:
            self._at_rest.set()

    # --- decisions ---------------------------------------------------------------------

    def touch(self, member: ResourceRecord) -> None:
        """Have a resource reconsidered, at the next ``work``."""
        if not member.removed:
            self._touched[member] = None

    def touch_all(self) -> None:
        """Have every resource reconsidered."""
        for member in self.members.values():
            self._touched[member] = None

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
        member = next(iter(self._touched))
        del self._touched[member]
        self._reconsider(member)
        standing = self._standing(member)
        if standing != member.standing:
            member.standing = standing
            for neighbour in (*member.dependents, *member.providers):
                self.touch(neighbour)
        self._publish(member, member.hosted.epoch, trio.current_time(), "")
        member.wake()

    @staticmethod
    def _standing(member: ResourceRecord) -> tuple[object, ...]:
        """All that its neighbours' decisions depend on."""
        return (
            member.is_available,
            member.is_coming,
            member.is_in_the_way,
        )

    def wants_up(self, member: ResourceRecord) -> bool:
        """Whether it should be online, all wishes together."""
        return (
            member.desired is DesiredState.ONLINE and not self.closing and not member.group.drained
        )

    def _reconsider(self, member: ResourceRecord) -> None:
        wanted = self.wants_up(member)
        member.satisfied = member.dependencies.is_satisfied(self._is_available)
        # Once told to be going offline it goes, and what is wanted meanwhile comes after.
        gone = member.leaving and member.state is _RS.OFFLINE_PENDING
        # Terminated, or failed, on the way; the report of that has not come yet.
        member.stopped = member.stopped or (gone and not member.is_up)
        member.leaving = member.is_up and (gone or not (wanted and member.satisfied))
        member.starting = False
        if member.leaving:
            # On what is only coming up nobody relies yet.
            unused = member.hosted.state is _RS.ONLINE_PENDING
            if unused or (self._is_drained(member) and not self._is_blocked(member)):
                self._take_off(member)
            return
        self._stop_draining(member)
        if wanted and not member.is_up and not member.hosted.state.is_pending:
            self._start(member)

    def _take_off(self, member: ResourceRecord) -> None:
        self._stop_draining(member)
        member.stopped = member.seen is _RS.ONLINE
        member.leaving = False
        member.hosted.begin_offline()

    def _start(self, member: ResourceRecord) -> None:
        """Bring it up, or find out what it waits for."""
        if member.hold is not None or not member.is_failure_handled or member.hosted.stuck:
            return
        if member.hosted.launcher.nursery.cancel_scope.cancel_called:
            # A handler ended the program (KeyboardInterrupt, SystemExit): an attempt
            # would be cancelled at once, and begun again, and so on.
            self.closing = True
            return
        if not member.satisfied:
            member.starting = member.dependencies.is_satisfied(self._is_coming)
        elif member.is_active or self._is_blocked(member):
            member.starting = True
        else:
            self._at_work[member] = None
            self._at_rest = trio.Event() if self._at_rest.is_set() else self._at_rest
            member.launched = True
            member.hosted.begin_online()

    def _is_blocked(self, member: ResourceRecord) -> bool:
        """Whether a dependent that can not be without it has still to go down."""
        return any(
            one.is_in_the_way and not one.dependencies.is_satisfied(self._is_available)
            for one in member.dependents
        )

    def _is_online(self, name: str) -> bool:
        return self.members[name].hosted.state is _RS.ONLINE

    def _is_available(self, name: str) -> bool:
        return self.members[name].is_available

    def _is_coming(self, name: str) -> bool:
        member = self.members[name]
        return member.is_available or (member.is_coming and self.wants_up(member))

    # --- users of what a resource provides ---------------------------------------------

    def _is_drained(self, member: ResourceRecord) -> bool:
        """Whether nobody uses it any more, or they had their time."""
        if not member.is_used or member.drain_stage is Drain.OVER:
            return True
        if member.drain_stage is Drain.NONE:
            member.drain_stage = Drain.WAITING
            self._drain_lanes(member.drain_deadline).arm(member)
        lost = not member.dependencies.is_satisfied(self._is_online)
        if lost and member.drain_stage is Drain.WAITING:
            # Its providers have failed, so it is of no use to wait for its users.
            member.drain_stage = Drain.ASKED
            member.cancel_users(member.hosted.epoch)
        return False

    def _stop_draining(self, member: ResourceRecord) -> None:
        if member.drain_stage is not Drain.NONE:
            member.drain_stage = Drain.NONE
            self._drain_lanes(member.drain_deadline).disarm(member)

    def _drain_overrun(self, member: ResourceRecord, _: float) -> None:
        """The users had their time: cancel them; and after the same time again, go on."""
        if member.drain_stage is Drain.WAITING:
            member.drain_stage = Drain.ASKED
            member.cancel_users(member.hosted.epoch)
            self._drain_lanes(member.drain_deadline).arm(member)
        else:
            member.drain_stage = Drain.OVER
            self.touch(member)
            self.work()

    # --- telling -----------------------------------------------------------------------

    def _publish(self, member: ResourceRecord, epoch: int, time: float, detail: str) -> None:
        new = member.derive_state()
        if new is member.state:
            return
        if new is not member.seen and not is_legal(member.state, new):
            # It is to come up again, but that it went down is told first.
            self._publish_state(member, member.seen, epoch, time, detail)
        if new is not member.seen:
            # No report says it but the engine, now: one that is dealt with late may be older
            # than the attempt.
            epoch, time, detail = member.hosted.epoch, trio.current_time(), ""
        self._publish_state(member, new, epoch, time, detail)

    def _publish_state(
        self, member: ResourceRecord, new: ResourceState, epoch: int, time: float, detail: str
    ) -> None:
        old, member.state = member.state, new
        self.log.publish(StateChange(member.name, epoch, old, new, time, detail))
        member.group.count(member, old, new)
        self._publish_group(member.group, time)
        member.state_changed()

    def _publish_group(self, group: GroupRecord, time: float) -> None:
        state = group.compute_state()
        if state is not group.state:
            self.log.publish(GroupStateChange(group.name, group.state, state, time))
            group.state = state

    # --- the end -----------------------------------------------------------------------

    async def wait_at_rest(self) -> None:
        """Wait until no attempt of any resource is left."""
        while self._at_work:
            await self._at_rest.wait()

    def terminate_all(self) -> None:
        """Cancel every attempt at once, in no good order."""
        for member in self.members.values():
            member.hosted.begin_terminate()
