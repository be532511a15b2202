"""What the engine knows of one resource: wishes, relations, failures."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, final

import attrs
import trio

from .._model.states import DesiredState, ResourceState
from .._util.waiting import SoftWait, Watched, wait_soft

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._model.dependencies import Dependencies
    from .._model.policy import RestartPolicy
    from .._model.reports import FailureReport
    from .._monitor import HostedResource
    from .group_record import GroupRecord

_RS = ResourceState


class Drain(enum.Enum):
    """How far the users of a resource that goes offline are."""

    NONE = "none"
    """It does not wait for them."""
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
    """The budget is spent: whoever waits for the resource need not wait any longer."""
    timer: trio.CancelScope | None
    """What to cancel when the hold is lifted early; None if it lasts for good."""


@final
class ResourceRecord:
    """One resource of a cluster, as its engine sees it. Only the engine writes to it."""

    __slots__ = (
        "_changes",
        "_waiters",
        "_watched",
        "dependencies",
        "dependents",
        "depth",
        "desired",
        "drain_deadline",
        "drain_stage",
        "failures",
        "group",
        "hold",
        "hosted",
        "last_failure",
        "launched",
        "leaving",
        "locked",
        "maintenance",
        "name",
        "online_since",
        "pardoned",
        "providers",
        "removed",
        "restart",
        "satisfied",
        "seen",
        "standing",
        "starting",
        "state",
        "stopped",
        "stored",
        "stuck_tree",
        "users",
    )

    def __init__(
        self,
        hosted: HostedResource,
        group: GroupRecord,
        *,
        dependencies: Dependencies,
        providers: tuple[ResourceRecord, ...],
        restart: RestartPolicy,
        drain_deadline: float,
        stored: Mapping[str, Any],
    ) -> None:
        self.name: str = hosted.name
        self.hosted: HostedResource = hosted
        self.group: GroupRecord = group
        self.dependencies: Dependencies = dependencies
        self.providers: tuple[ResourceRecord, ...] = providers
        self.dependents: tuple[ResourceRecord, ...] = ()
        self.depth: int = 1 + max((one.depth for one in providers), default=0)
        """How many resources the longest chain of dependencies down from here holds."""
        self.removed: bool = False
        """It is being removed, or has been: it is beyond all commands."""
        self.restart: RestartPolicy = restart
        self.drain_deadline: float = drain_deadline
        self.stored: Mapping[str, Any] = stored
        self.desired: DesiredState = DesiredState.OFFLINE
        self.locked: bool = False
        self.maintenance: bool = False
        self.state: ResourceState = _RS.OFFLINE
        """What is published: the monitor's state, and pending while the engine waits for
        other resources before it acts."""
        self.seen: ResourceState = _RS.OFFLINE
        """The monitor's state, as of the last report that was dealt with."""
        self.starting: bool = False
        """It should come up and has to wait for others."""
        self.launched: bool = False
        """It was told to come up, and the report of that has not come yet."""
        self.leaving: bool = False
        """It should go down and has to wait for others."""
        self.stopped: bool = False
        """It was told to go down, and the report of that has not come yet."""
        self.satisfied: bool = True
        self.online_since: float | None = None
        """Since when the latest attempt has been online, if it came so far."""
        self.stuck_tree: str = ""
        """The tasks of the latest attempt that would not end."""
        self.last_failure: FailureReport | None = None
        self.pardoned: FailureReport | None = None
        """A failure of which nothing comes: ``online()`` came after it, and before the engine."""
        self.failures: tuple[float, ...] = ()
        self.hold: Hold | None = None
        self.users: dict[trio.CancelScope, int] = {}
        """Who uses what it provides, and what which attempt provided."""
        self.drain_stage: Drain = Drain.NONE
        self.standing: tuple[object, ...] = ()
        """What its neighbours' decisions depended on when it was last reconsidered."""
        self._changes: trio.lowlevel.ParkingLot | None = None
        self._waiters: list[SoftWait] = []
        self._watched: Watched[ResourceState] | None = None

    @property
    def is_up(self) -> bool:
        """Whether it is online or coming online, as the monitor sees it now."""
        state = self.hosted.state
        return state is _RS.ONLINE or state is _RS.ONLINE_PENDING

    @property
    def is_active(self) -> bool:
        """Whether anything of it may still be at work."""
        return not self.hosted.is_ended

    @property
    def is_in_the_way(self) -> bool:
        """Whether those it depends on have to wait for its end; for a stuck one in vain."""
        return self.is_active and not self.hosted.stuck

    @property
    def is_used(self) -> bool:
        """Whether anybody still uses what its latest attempt provides."""
        return any(epoch == self.hosted.epoch for epoch in self.users.values())

    @property
    def is_available(self) -> bool:
        """Whether others may depend on it now."""
        return self.hosted.state is _RS.ONLINE and not self.leaving

    @property
    def is_coming(self) -> bool:
        """Whether it may become available without anybody doing anything."""
        if self.starting or (self.is_up and not self.leaving):
            return True
        waiting = self.desired is DesiredState.ONLINE and not self.hosted.stuck
        if self.hold is not None:
            return waiting and not self.hold.gave_up
        # Once a failure has been dealt with, "starting" tells whether it comes back.
        return waiting and (self.hosted.state is _RS.OFFLINE_PENDING or not self.is_failure_handled)

    @property
    def is_failure_handled(self) -> bool:
        """Whether the engine knows of the last failure already."""
        return self.hosted.last_failure is self.last_failure

    @property
    def last_error(self) -> BaseException | None:
        """The handler's own exception behind the last failure, where there is one."""
        return None if self.last_failure is None else self.last_failure.error

    @property
    def is_told(self) -> bool:
        """Whether the engine knows of everything that the monitor has reported."""
        return self.seen is self.hosted.state and self.is_failure_handled

    @property
    def is_stuck(self) -> bool:
        """Whether its latest attempt does not end, and everybody has been told."""
        return self.hosted.stuck and self.is_told

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way, and everything has been reported."""
        return not self.state.is_pending and self.hosted.is_settled and self.is_told

    def derive_state(self) -> ResourceState:
        """What to publish."""
        if self.seen is _RS.OFFLINE or self.seen is _RS.FAILED:
            if self.starting or self.launched:
                return _RS.ONLINE_PENDING
        elif self.seen is _RS.ONLINE and (self.leaving or self.stopped):
            return _RS.OFFLINE_PENDING
        return self.seen

    def lift_hold(self) -> None:
        """Let it be started again, and forget the timer."""
        if self.hold is not None and self.hold.timer is not None:
            self.hold.timer.cancel()
        self.hold = None

    def cancel_users(self, epoch: int) -> None:
        """What an attempt provided is gone: cancel the blocks that use it."""
        for scope, used in self.users.items():
            if used <= epoch:
                scope.cancel()

    def state_changed(self) -> None:
        """Wake who waits for the published state."""
        if self._watched is not None:
            self._watched.set(self.state)

    def wake(self) -> None:
        """Wake who waits for an outcome; they look for themselves."""
        if self._changes is not None:
            self._changes.unpark_all()
        if self._waiters and self.is_settled:
            for waiter in self._waiters:
                waiter.wake()

    async def wait_state(self, *states: ResourceState, held_for: float) -> ResourceState:
        """Wait until one of the states is published."""
        if self._watched is None:
            self._watched = Watched(self.state)
        return await self._watched.wait(*states, held_for=held_for)

    async def next_change(self) -> None:
        """Wait until the engine has reconsidered it again."""
        if self._changes is None:
            self._changes = trio.lowlevel.ParkingLot()
        await self._changes.park()

    async def wait_settled(self) -> None:
        """Wait until settled, however long that takes."""
        while not self.is_settled:
            await self.next_change()

    async def settle(self) -> None:
        """Wait until settled, for the soft deadline; always a checkpoint."""
        if self.is_settled:
            await trio.lowlevel.checkpoint()
            return
        await wait_soft(self._waiters, self.hosted.lanes.soft)
        if not self.is_settled:
            # The report of what the monitor has just completed has still to be received.
            await trio.lowlevel.cancel_shielded_checkpoint()
