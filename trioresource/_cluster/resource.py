"""A resource of a cluster, as its users hold it."""

from __future__ import annotations

import enum
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, final

import trio

from .._errors import InvalidStateError, OfflineFailed, ResourceNotAvailable
from .._model.properties import changed_names, check_changes, is_dynamic
from .._model.states import ResourceState
from .._util.arguments import check_members, check_seconds, check_text
from .._util.construction import NoPublicConstructor
from .._util.running import is_entry_point_of, is_task_of
from .answers import answer_online, describe_stuck, raise_if_cannot_come_online

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .._model.properties import Properties
    from .._model.reports import FailureReport
    from .._model.states import DesiredState
    from .._monitor import ResourceStatistics
    from .engine import Engine
    from .records import ResourceRecord


class Applied(enum.Enum):
    """When properties that were set take effect."""

    NOW = "now"
    AT_NEXT_ONLINE = "at the next online"


@final
class Resource(metaclass=NoPublicConstructor):
    """A resource of a cluster; made by ``Cluster.add``.

    The latest command is the desired state: the cluster keeps to it through failures.
    Commands answer within the soft deadline (300 ms), and cancelling the caller ends
    only the waiting.
    """

    __slots__ = ("_engine", "_record")

    def __init__(self, record: ResourceRecord, engine: Engine) -> None:
        self._record = record
        self._engine = engine

    def __repr__(self) -> str:
        return f"<Resource {self.name!r} {self.state.value} epoch={self.epoch}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resource) and other._record is self._record

    def __hash__(self) -> int:
        return hash(self._record)

    @property
    def name(self) -> str:
        """Its name, unique in the cluster."""
        return self._record.name

    @property
    def group(self) -> str:
        """The name of the group it belongs to."""
        return self._record.group.name

    @property
    def state(self) -> ResourceState:
        """Its state; pending also while it waits for other resources."""
        return self._record.state

    @property
    def desired(self) -> DesiredState:
        """What the latest command asked for."""
        return self._record.desired

    @property
    def epoch(self) -> int:
        """The number of the latest attempt; 0 before the first."""
        return self._record.epoch

    @property
    def value(self) -> Any:
        """What it provides.

        Raises:
            ResourceNotAvailable: it is not online.
        """
        if self.state is not ResourceState.ONLINE:
            raise ResourceNotAvailable(f"{self.name} is {self.state.value}, not online")
        return self._record.reported.value

    @property
    def properties(self) -> Properties:
        """The properties in use since the last online."""
        return self._record.read_properties()

    @property
    def last_failure(self) -> FailureReport | None:
        """The latest failure, if there was any."""
        return self._record.last_failure

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the resources it depends on."""
        return self._record.dependencies.names

    @property
    def dependents(self) -> tuple[str, ...]:
        """The names of the resources that depend on it."""
        return tuple(dependent.name for dependent in self._record.dependents)

    @property
    def is_locked(self) -> bool:
        """Whether commands are refused."""
        return self._record.is_locked

    @property
    def is_in_maintenance(self) -> bool:
        """Whether failures are ignored and not recovered."""
        return self._record.maintenance

    def statistics(self) -> ResourceStatistics:
        """Get figures about its attempts and checks; never blocks."""
        return self._record.hosted.statistics()

    async def online(self) -> ResourceState:
        """Bring it online, its providers first.

        It becomes the desired state, of its providers too, and the cluster keeps trying
        whatever this attempt does. A budget of restarts that was spent is renewed.

        Returns:
            ``ONLINE``, or after the soft deadline ``ONLINE_PENDING``.

        Raises:
            OnlineFailed: the attempt failed, or was taken back meanwhile.
            ProviderFailed: a resource it depends on cannot come online.
            ResourceLocked: it, or one it depends on, is locked.
            NodePaused: the node takes nothing new.
            InvalidStateError: it was removed, or the cluster is closing.
            ResourceStuck: its last attempt has still not ended.
        """
        record = self._record
        self._engine.online([record])
        await self._engine.settle([record], record.hosted.deadlines.soft)
        return answer_online(record, closing=self._engine.is_closing)

    async def offline(self) -> ResourceState:
        """Take it offline: first its dependents and the blocks that use it.

        It becomes the desired state, which ends all recovery. Dependents keep theirs
        and come back when this resource does.

        Returns:
            ``OFFLINE``, or after the soft deadline ``OFFLINE_PENDING``. Where a later
            command asked for the opposite, the state that this came to.

        Raises:
            OfflineFailed: it failed on the way.
            InvalidStateError: it was removed.
            ResourceLocked: it is locked.
            ResourceStuck: its attempt was terminated and does not end.
        """
        record = self._record
        self._engine.offline([record])
        await self._engine.settle([record], record.hosted.deadlines.soft)
        if record.is_stuck:
            raise describe_stuck(record)
        if not record.is_settled:
            return ResourceState.OFFLINE_PENDING
        if record.state is ResourceState.FAILED:
            raise OfflineFailed(f"{self.name}: {record.last_failure}") from record.last_error
        return record.state

    async def terminate(self) -> None:
        """Take it offline at once, in no good order; offline becomes the desired state.

        Waits, shielded and within the terminate deadline, until nothing is left of it.

        Raises:
            InvalidStateError: it was removed.
            ResourceLocked: it is locked.
            ResourceStuck: it does not end.
        """
        record, engine = self._record, self._engine
        engine.terminate(record)
        # A later command may begin another attempt, which this call does not wait for.
        generation, epoch = record.generation, record.epoch
        if is_task_of(record.hosted.instance):
            # It cannot be joined with itself.
            return
        # The bound is that of the terminate timers: a stuck attempt is reported.
        while engine.knows(record) and not record.has_ended(generation, epoch):
            await record.next_change_uncancelled()
        await trio.lowlevel.checkpoint_if_cancelled()
        if record.is_stuck:
            raise describe_stuck(record)

    def fail(self, detail: str = "") -> None:
        """Treat it as failed, recovery included.

        Args:
            detail: why, in words for people.

        Raises:
            InvalidStateError: no attempt of it is at work, or it was removed.
            ResourceLocked: it is locked.
            TypeError: the detail is not a ``str``.
        """
        detail = check_text("detail", detail)
        record = self._record
        self._engine.check([record])
        if not record.is_up and record.reported.state is not ResourceState.OFFLINE_PENDING:
            raise InvalidStateError(f"{self.name} is {self.state.value}; it cannot fail now")
        record.fail(detail)

    async def wait_state(self, *states: ResourceState, held_for: float = 0.0) -> ResourceState:
        """Wait until it is in one of the states.

        Args:
            states: the states to wait for.
            held_for: for how many seconds it must have been in that one without a change.

        Returns:
            The state; it may have changed again since.

        Raises:
            InvalidStateError: it is removed, or the cluster closes, before it is in that state;
                or called by an entry point of the resource itself, which has to end before the
                resource can get there.
            TypeError: what is given is not a ``ResourceState``.
            ValueError: no state is given, or ``held_for`` is not a number of at least 0.
        """
        check_members("wait_state()", states, ResourceState)
        held_for = check_seconds("held_for", held_for, is_finite=True)
        if self.state not in states:
            self._refuse_own_entry_point("wait_state")
        record, engine = self._record, self._engine
        found: ResourceState | None
        if engine.knows(record):
            found = await record.wait_state(*states, held_for=held_for)
        else:
            await trio.lowlevel.checkpoint()
            found = record.state if record.state in states else None
        if found is None:
            what = "has been removed" if engine.is_running else "is gone: the cluster has closed"
            raise InvalidStateError(f"{self.name} {what}")
        return found

    async def wait_online(self) -> Any:
        """Wait until it is online, however long that takes.

        Waits whatever the desired state is. It does not request anything; call ``online()``
        for that.

        Returns:
            What it provides.

        Raises:
            OnlineFailed: it has failed and is not being restarted.
            ProviderFailed: one that it depends on has.
            ResourceStuck: its last attempt has still not ended.
            InvalidStateError: it was removed, or the cluster is closing; or called by an entry
                point of the resource itself, which has to end first.
        """
        await trio.lowlevel.checkpoint()
        record = self._record
        if not record.is_online:
            self._refuse_own_entry_point("wait_online")
        while not (record.state is ResourceState.ONLINE and record.is_online):
            raise_if_cannot_come_online(record, closing=self._engine.is_closing)
            if not self._engine.knows(record):
                raise InvalidStateError(f"{self.name} is gone: the cluster has closed")
            await record.next_change()
        return record.reported.value

    def _refuse_own_entry_point(self, call: str) -> None:
        if is_entry_point_of(self._record.hosted.instance):
            raise InvalidStateError(
                f"{self.name}: {call}() was called by an entry point of the resource itself, and"
                " would wait for its own end; call it from a task of scope.start_soon()"
            )

    @asynccontextmanager
    async def available(self) -> AsyncGenerator[Any, None]:
        """Use what it provides, for as long as it is there.

        If the resource fails meanwhile, the body is cancelled; if it is taken offline,
        the body has the drain deadline to end by itself before it is cancelled.

        Raises:
            ResourceNotAvailable: it is not online, or went away during the body.
        """
        record = self._record
        if not record.is_available:
            raise ResourceNotAvailable(f"{self.name} is {self.state.value}, not online")
        # What there is to cancel in it, is the caller's block.
        with trio.CancelScope() as scope:  # noqa: ASYNC100
            record.users[scope] = record.epoch
            try:
                yield record.reported.value
            finally:
                del record.users[scope]
                if not record.is_used:
                    self._engine.reconsider(record)
        if scope.cancelled_caught:
            raise ResourceNotAvailable(f"{self.name} went away while it was being used")

    async def set_properties(self, **changes: Any) -> Applied:
        """Change its properties.

        What is in use stays as it is until the next online, unless everything that
        changes is dynamic: then it is applied at once.

        Args:
            changes: new values by name; ``DEFAULT`` goes back to the default.

        Returns:
            Whether they are in use now, or will be at the next online. That is also so
            where the handler raised when it was told of them: it has failed then.

        Raises:
            PropertyError: a name or a value is not accepted; nothing is changed.
            InvalidStateError: it was removed.
            ResourceLocked: it is locked.
        """
        await trio.lowlevel.checkpoint()
        self._engine.check([self._record])
        record, hosted = self._record, self._record.hosted
        kind = hosted.properties_type
        defaults = hosted.type_info.property_defaults
        stored = check_changes(kind, record.stored, changes, defaults=defaults, owner=self.name)
        new = record.read_properties(stored)
        record.stored = stored
        hosted.store_properties(stored)
        changed = changed_names(record.read_properties(), new)
        if not changed:
            return Applied.NOW
        is_up = record.is_active and record.is_online
        if is_up and is_dynamic(kind, changed) and await hosted.apply_properties():
            record.note_applied()
            return Applied.NOW
        return Applied.AT_NEXT_ONLINE

    async def control(self, code: str, argument: Any = None) -> Any:
        """Send a control code of the type's own to its handler.

        Args:
            code: the code.
            argument: whatever goes with it.

        Returns:
            The handler's answer.

        Raises:
            UnknownControlCode: the type does not know it.
            InvalidStateError: the resource is closed; or called by an entry point of the
                resource itself: only one runs at a time.
            TypeError: the code is not a ``str``.
            ResourceNotAvailable: the resource was terminated meanwhile.
            TimeoutError: it took longer than the deadlock deadline.
            Exception: what the handler raised.
        """
        code = check_text("code", code)
        return await self._record.hosted.control(code, argument)

    def set_locked(self, locked: bool) -> None:
        """Refuse commands, or accept them again. Recovery goes on.

        Args:
            locked: whether to refuse.
        """
        self._record.is_locked = locked

    def set_maintenance(self, maintenance: bool) -> None:
        """Begin or end maintenance: while it is being worked on, failures mean nothing.

        Bad answers of checks and reported failures are ignored; what fails all the same
        is not restarted. At the end it is checked at once.

        Args:
            maintenance: whether it begins.

        Raises:
            InvalidStateError: to begin it, the resource is not online.
        """
        if maintenance and self.state is not ResourceState.ONLINE:
            raise InvalidStateError(f"{self.name} is {self.state.value}, not online")
        self._engine.set_maintenance(self._record, maintenance)
