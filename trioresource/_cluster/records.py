"""What the engine knows of each resource and of each group. Only the engine writes to them."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final, final

import attrs
import trio

from .._model.properties import Properties, read_properties
from .._model.states import DesiredState, GroupState, ResourceState, compute_group_state
from .._util.waiting import Waiters, Watched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._model.dependencies import Dependencies
    from .._model.policy import RestartPolicy
    from .._model.reports import (
        AttemptEnded,
        AttemptStuck,
        CommandTaken,
        FailureReport,
        StateChange,
    )
    from .escalation import OnGiveUp
    from .hosting import Hosted

_STATES: Final = tuple(ResourceState)
_UP: Final = (ResourceState.ONLINE, ResourceState.ONLINE_PENDING)
_DOWN: Final = (ResourceState.OFFLINE, ResourceState.FAILED)

TERMINATED = "terminated"
"""Why a resource goes offline that was told to terminate."""


class Drain(enum.Enum):
    """How far the users of a resource that goes offline are."""

    NONE = "none"
    """The resource does not wait for them."""
    WAITING = "waiting"
    """They may end by themselves."""
    ASKED = "asked"
    """They were cancelled, and have a little time to go."""
    OVER = "over"
    """They had their time."""


@attrs.frozen(eq=False)
class Hold:
    """A failed resource is not restarted for a while, or for good."""

    gave_up: bool
    """The budget is spent: it makes no sense to wait for the resource any longer."""
    timer: trio.CancelScope | None
    """What to cancel when the hold is lifted early; None if it lasts for good."""


@final
class Reported:
    """What a monitor has reported of a resource, and which command it had taken by then.

    The cluster knows a resource from here only. Commands carry numbers that rise by one;
    ``observed`` is the latest one that the monitor had taken when it made its latest report.
    """

    __slots__ = (
        "epoch",
        "failed_change",
        "failure",
        "is_ended",
        "is_settled",
        "observed",
        "online_since",
        "state",
        "stuck_tree",
        "value",
    )

    def __init__(self) -> None:
        self.state: ResourceState = ResourceState.OFFLINE
        self.epoch: int = 0
        """The latest attempt that was reported."""
        self.observed: int = 0
        self.is_ended: bool = True
        """Whether nothing of that attempt is left."""
        self.is_settled: bool = True
        """Whether nothing is under way that will change the state by itself."""
        self.value: Any = None
        """What the resource provides while it is online."""
        self.online_since: float | None = None
        """Since when the latest attempt has been online, if it came so far."""
        self.failure: FailureReport | None = None
        """The latest failure."""
        self.failed_change: StateChange | None = None
        """It has failed, and the report that says why is still on its way."""
        self.stuck_tree: str | None = None
        """The tasks of the attempt that was terminated and does not end; None if it is not so."""

    def take_state(self, report: StateChange) -> None:
        """Note a change of the state."""
        self.observed = report.generation
        self.state = report.new
        self.epoch = report.epoch
        self.value = report.value
        self.is_ended = report.new is ResourceState.OFFLINE
        self.is_settled = not report.new.is_pending
        self.failed_change = report if report.new is ResourceState.FAILED else None
        if report.new is ResourceState.ONLINE_PENDING:
            self.online_since = None
        elif report.new is ResourceState.ONLINE:
            self.online_since = report.time
        if self.is_ended:
            self.stuck_tree = None

    def take_failure(self, report: FailureReport) -> None:
        """Note why an attempt has failed."""
        self.observed = report.generation
        self.failure = report
        self.failed_change = None

    def take_end(self, report: AttemptEnded) -> None:
        """Note that nothing is left of an attempt that had failed."""
        self.observed = report.generation
        self.is_ended = True
        self.stuck_tree = None

    def take_stuck(self, report: AttemptStuck) -> None:
        """Note that the attempt does not end; what was to follow its end does not."""
        self.observed = report.generation
        self.is_settled = True
        self.stuck_tree = report.task_tree

    def take_status(self, report: CommandTaken) -> None:
        """Note the answer to a command that changed nothing."""
        self.observed = report.generation
        self.state = report.state
        self.epoch = report.epoch
        self.is_ended = report.is_ended
        self.is_settled = report.is_settled


@final
class ResourceRecord:
    """One resource of a cluster: wishes, relations, what was reported and what was commanded."""

    __slots__ = (
        "_changes",
        "_stored_in_use",
        "_watched",
        "dependencies",
        "dependents",
        "depth",
        "desired",
        "down_generation",
        "drain_deadline",
        "drain_stage",
        "epoch",
        "failed_epoch",
        "failures",
        "generation",
        "given",
        "group",
        "hold",
        "hosted",
        "is_leaving",
        "is_locked",
        "is_removed",
        "is_satisfied",
        "is_starting",
        "is_terminating",
        "maintenance",
        "name",
        "on_give_up",
        "providers",
        "reported",
        "restart",
        "standing",
        "state",
        "stored",
        "users",
    )

    def __init__(
        self,
        hosted: Hosted,
        group: GroupRecord,
        *,
        dependencies: Dependencies,
        providers: tuple[ResourceRecord, ...],
        restart: RestartPolicy,
        on_give_up: OnGiveUp | None,
        drain_deadline: float,
        stored: Mapping[str, Any],
    ) -> None:
        self.name: str = hosted.name
        self.hosted: Hosted = hosted
        self.group: GroupRecord = group
        self.dependencies: Dependencies = dependencies
        self.providers: tuple[ResourceRecord, ...] = providers
        self.dependents: tuple[ResourceRecord, ...] = ()
        self.depth: int = 1 + max((provider.depth for provider in providers), default=0)
        """How many resources the longest chain of dependencies down from here holds."""
        self.is_removed: bool = False
        """It is being removed, or has been: it takes no commands any more."""
        self.restart: RestartPolicy = restart
        self.on_give_up: OnGiveUp | None = on_give_up
        """What to do when its budget of restarts is spent; None: as the cluster says."""
        self.drain_deadline: float = drain_deadline
        self.stored: Mapping[str, Any] = stored
        self._stored_in_use = stored
        self.desired: DesiredState = DesiredState.OFFLINE
        self.is_locked: bool = False
        self.maintenance: bool = False
        self.reported: Reported = Reported()
        # Commands.
        self.generation: int = 0
        """The number of the latest command."""
        self.down_generation: int = 0
        """The number of the latest command to go down."""
        self.is_terminating: bool = False
        """Whether that was a command to terminate."""
        self.epoch: int = 0
        """The latest attempt that was begun by command."""
        self.failed_epoch: int = 0
        """The latest attempt that was told to fail."""
        self.given: dict[ResourceRecord, int] = {}
        """Which attempt of each provider that attempt was given."""
        # Decisions.
        self.state: ResourceState = ResourceState.OFFLINE
        """What is published; see ``derive_state``."""
        self.is_starting: bool = False
        """It should come up and has to wait for others."""
        self.is_leaving: bool = False
        """It should go down and has to wait for others."""
        self.is_satisfied: bool = True
        """Whether what it depends on is available."""
        self.failures: tuple[float, ...] = ()
        """When it has failed, as far as the restart policy counts that."""
        self.hold: Hold | None = None
        self.users: dict[trio.CancelScope, int] = {}
        """The blocks that use what it provides, and which attempt provided it."""
        self.drain_stage: Drain = Drain.NONE
        self.standing: tuple[object, ...] = ()
        """What its neighbours' decisions depended on when it was last reconsidered."""
        self._changes: Waiters | None = None
        self._watched: Watched[ResourceState | None] | None = None

    # --- commands ----------------------------------------------------------------------

    def begin_online(self) -> None:
        """Command the next attempt to begin, with what the providers provide now."""
        self.generation += 1
        self.epoch += 1
        self.given = {
            provider: provider.epoch for provider in self.providers if provider.is_available
        }
        self._stored_in_use = self.stored
        self.hosted.begin_online(self.generation, self.epoch)

    def confirm_online(self) -> None:
        """Ask whether the attempt still runs: the answer has observed this command.

        Never begins anything. A failure that comes before the answer is older than this.
        """
        self.generation += 1
        self.hosted.begin_online(self.generation, self.epoch)

    def begin_offline(self) -> None:
        """Command to go offline."""
        self._command_down(is_terminating=False)
        self.hosted.begin_offline(self.generation)

    def begin_terminate(self) -> None:
        """Command to terminate."""
        self._command_down(is_terminating=True)
        self.hosted.begin_terminate(self.generation)

    def fail(self, detail: str) -> None:
        """Tell the latest attempt to fail."""
        self.failed_epoch = self.epoch
        self.hosted.fail(detail, epoch=self.epoch)

    def _command_down(self, *, is_terminating: bool) -> None:
        self.generation += 1
        self.down_generation = self.generation
        self.is_terminating = is_terminating

    # --- what is known -----------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """Whether the latest report has observed the latest command."""
        return self.reported.observed >= self.generation

    @property
    def is_told_to_go_down(self) -> bool:
        """Whether a command to go down has not been answered yet."""
        return self.reported.observed < self.down_generation

    @property
    def is_begun_unheard(self) -> bool:
        """Whether the latest attempt was begun by command and nothing was heard of it yet."""
        return self.reported.epoch < self.epoch

    @property
    def is_told_to_fail(self) -> bool:
        """Whether the latest attempt was told to fail, and nothing was heard of that yet."""
        is_over = self.reported.state in _DOWN
        return self.failed_epoch == self.epoch > 0 and (self.is_begun_unheard or not is_over)

    @property
    def is_up(self) -> bool:
        """Whether it is online or coming online, and was not told to go down."""
        if self.is_told_to_go_down:
            return False
        return self.is_begun_unheard or self.reported.state in _UP

    @property
    def is_online(self) -> bool:
        """Whether it is online, and was not told to go down or to fail."""
        return (
            self.reported.state is ResourceState.ONLINE
            and not self.is_begun_unheard
            and not self.is_told_to_go_down
            and not self.is_told_to_fail
        )

    @property
    def is_published_online(self) -> bool:
        """Whether it is online, and its users have been told so."""
        return self.state is ResourceState.ONLINE and self.is_online

    @property
    def is_available(self) -> bool:
        """Whether others may depend on it now."""
        return self.is_online and not self.is_leaving

    @property
    def is_active(self) -> bool:
        """Whether anything of it may still be at work."""
        return self.is_begun_unheard or not self.reported.is_ended

    @property
    def is_stuck(self) -> bool:
        """Whether its latest attempt was terminated and does not end."""
        return self.reported.stuck_tree is not None

    @property
    def is_in_the_way(self) -> bool:
        """Whether those it depends on have to wait for its end; for a stuck one in vain."""
        return self.is_active and not self.is_stuck

    def has_ended(self, generation: int, epoch: int) -> bool:
        """Whether a command to go down was answered, and its attempt has ended or is stuck.

        Args:
            generation: the number of the command.
            epoch: the latest attempt when it was given. One with a later number begins only
                when nothing is left of that.
        """
        is_answered = self.reported.observed >= generation
        return is_answered and (self.epoch > epoch or not self.is_in_the_way)

    @property
    def is_coming(self) -> bool:
        """Whether it may become available with no further command of a user."""
        if self.is_starting or (self.is_up and not self.is_leaving):
            return True
        is_waited_for = self.desired is DesiredState.ONLINE and not self.is_stuck
        if self.hold is not None:
            return is_waited_for and not self.hold.gave_up
        # Once a failure has been decided about, "is_starting" tells whether it comes back.
        is_undecided = (
            self.reported.state is ResourceState.OFFLINE_PENDING
            or self.reported.failed_change is not None
            or not self.is_current
        )
        return is_waited_for and is_undecided

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way, and every command has been answered."""
        return (
            not self.state.is_pending
            and self.is_current
            and not self.is_begun_unheard
            and not self.is_told_to_fail
            and self.reported.is_settled
            and self.reported.failed_change is None
        )

    @property
    def is_used(self) -> bool:
        """Whether any block still uses what its latest attempt provides."""
        return any(epoch == self.epoch for epoch in self.users.values())

    @property
    def last_failure(self) -> FailureReport | None:
        """The latest failure, if there was any."""
        return self.reported.failure

    @property
    def last_error(self) -> BaseException | None:
        """The handler's own exception behind the last failure, where there is one."""
        return None if self.last_failure is None else self.last_failure.error

    def gives(self, provider: ResourceRecord) -> bool:
        """Whether a provider is available to it: to a running attempt, the one it was given."""
        if not provider.is_available:
            return False
        return not self.is_active or self.given.get(provider) == provider.epoch

    def derive_state(self) -> tuple[ResourceState, str]:
        """Derive what to publish, and why, from reports, commands and decisions alone."""
        reported = self.reported.state
        if reported in _DOWN:
            if self.is_starting or self.is_begun_unheard:
                return ResourceState.ONLINE_PENDING, ""
        elif self.is_told_to_go_down and self.is_terminating:
            return ResourceState.OFFLINE_PENDING, TERMINATED
        elif reported is ResourceState.ONLINE and (self.is_leaving or self.is_told_to_go_down):
            return ResourceState.OFFLINE_PENDING, ""
        return reported, ""

    # --- properties --------------------------------------------------------------------

    def read_properties(self, stored: Mapping[str, Any] | None = None) -> Properties:
        """Read a parameter block: the one in use, or what it would be.

        Args:
            stored: what is set; by default what the latest attempt has in use.
        """
        return read_properties(
            self.hosted.properties_type,
            self.hosted.type_info.property_defaults,
            self._stored_in_use if stored is None else stored,
            owner=self.name,
        )

    def note_applied(self) -> None:
        """Note that what is stored was put into use while online."""
        self._stored_in_use = self.stored

    # --- users and waiters -------------------------------------------------------------

    def lift_hold(self) -> None:
        """Let it be started again, and forget the timer."""
        if self.hold is not None and self.hold.timer is not None:
            self.hold.timer.cancel()
        self.hold = None

    def cancel_users(self, epoch: int) -> None:
        """Cancel the blocks that use what an attempt provided: it is gone."""
        for scope, used in self.users.items():
            if used <= epoch:
                scope.cancel()

    def publish(self, state: ResourceState) -> None:
        """Set the published state, and wake the tasks that wait for it."""
        self.state = state
        if self._watched is not None:
            self._watched.set(state)

    def wake(self) -> None:
        """Wake the tasks that wait for an outcome, if there may be one; they look for themselves.

        While an attempt is on its way up or down there is none, and to wake a task in vain costs
        as much as a step of the attempt.
        """
        if self._changes and not (self.is_in_the_way and not self.is_settled):
            self._changes.wake()

    async def wait_state(self, *states: ResourceState, held_for: float) -> ResourceState | None:
        """Wait until one of the states is published; None if there will be no more states."""
        if self._watched is None:
            self._watched = Watched(self.state)
        return await self._watched.wait(*states, None, held_for=held_for)

    def wake_all(self) -> None:
        """Wake the tasks that wait for an outcome, whatever the record says."""
        if self._changes is not None:
            self._changes.wake()

    def end_waits(self) -> None:
        """Wake the tasks that wait for an outcome or a state: there will be none."""
        self.wake_all()
        if self._watched is not None:
            self._watched.set(None)

    async def next_change(self) -> None:
        """Wait until the engine has reconsidered it again, and it may have settled or ended."""
        if self._changes is None:
            self._changes = Waiters()
        await self._changes.wait()

    async def next_change_uncancelled(self) -> None:
        """Wait as ``next_change``, also if the caller is cancelled meanwhile."""
        if self._changes is None:
            self._changes = Waiters()
        await self._changes.wait_uncancelled()


@final
class GroupRecord:
    """One group: the unit of ownership, whose state is computed from its members."""

    __slots__ = ("_all", "_top", "is_drained", "members", "name", "state")

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.members: dict[str, ResourceRecord] = {}
        self.is_drained: bool = False
        """Everything in it is to be offline, whatever is desired."""
        self.state: GroupState = GroupState.OFFLINE
        # Counted as they change: a group may have thousands of members.
        self._all = [0] * len(_STATES)
        self._top = [0] * len(_STATES)

    def add(self, record: ResourceRecord) -> None:
        """Take a new resource into the group."""
        for provider in record.providers:
            if not provider.dependents:
                self._top[provider.state.index] -= 1
        self.members[record.name] = record
        self._all[record.state.index] += 1
        self._top[record.state.index] += 1

    def remove(self, record: ResourceRecord) -> None:
        """Let a resource without dependents leave the group."""
        del self.members[record.name]
        self._all[record.state.index] -= 1
        self._top[record.state.index] -= 1
        for provider in record.providers:
            if provider.dependents == (record,):
                self._top[provider.state.index] += 1

    def count(self, record: ResourceRecord, old: ResourceState, new: ResourceState) -> bool:
        """Count that a member went from one state to another.

        Returns:
            Whether the state of the group may have changed: another set of states occurs now.
        """
        changed = _move(self._all, old.index, new.index)
        if not record.dependents:
            changed = _move(self._top, old.index, new.index) or changed
        return changed

    def compute_state(self) -> GroupState:
        """Compute the state that follows from the members' states."""
        return compute_group_state(
            [state for state, count in zip(_STATES, self._all, strict=True) if count],
            [state for state, count in zip(_STATES, self._top, strict=True) if count],
        )


def _move(counts: list[int], old: int, new: int) -> bool:
    """Count one less of the old and one more of the new; whether another set of them occurs."""
    counts[old] -= 1
    counts[new] += 1
    return counts[old] == 0 or counts[new] == 1
