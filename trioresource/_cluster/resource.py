"""A resource of a cluster, as its users hold it."""

from __future__ import annotations

import enum
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, final

import trio

from .._errors import InvalidStateError, OfflineFailed, ResourceNotAvailable
from .._model.properties import changed_names, check_changes, is_dynamic, read_properties
from .._model.states import ResourceState
from .answers import answer_online, describe_stuck, raise_if_cannot_come_online

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .._model.properties import Properties
    from .._model.reports import FailureReport
    from .._model.states import DesiredState
    from .._monitor import ResourceStatistics
    from .commands import Commands
    from .records import ResourceRecord

_RS = ResourceState


class Applied(enum.Enum):
    """When properties that were set take effect."""

    NOW = "now"
    AT_NEXT_ONLINE = "at the next online"


@final
class Resource:
    """A resource of a cluster; made by ``Cluster.add``.

    The latest command is the desired state: the cluster keeps to it through failures.
    Commands answer within the soft deadline (300 ms), and cancelling the caller ends
    only the waiting.
    """

    __slots__ = ("_commands", "_member")

    def __init__(self, member: ResourceRecord, commands: Commands) -> None:
        self._member = member
        self._commands = commands

    def __repr__(self) -> str:
        return f"<Resource {self.name!r} {self.state.value} epoch={self.epoch}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resource) and other._member is self._member

    def __hash__(self) -> int:
        return hash(self._member)

    @property
    def name(self) -> str:
        """Its name, unique in the cluster."""
        return self._member.name

    @property
    def group(self) -> str:
        """The name of the group it belongs to."""
        return self._member.group.name

    @property
    def state(self) -> ResourceState:
        """Its state; pending also while it waits for other resources."""
        return self._member.state

    @property
    def desired(self) -> DesiredState:
        """What the latest command asked for."""
        return self._member.desired

    @property
    def epoch(self) -> int:
        """The number of the latest attempt; 0 before the first."""
        return self._member.hosted.epoch

    @property
    def value(self) -> Any:
        """What it provides.

        Raises:
            ResourceNotAvailable: it is not online.
        """
        if self.state is not _RS.ONLINE:
            raise ResourceNotAvailable(f"{self.name} is {self.state.value}, not online")
        return self._member.hosted.value

    @property
    def properties(self) -> Properties:
        """The properties in use since the last online."""
        return self._member.hosted.properties

    @property
    def last_failure(self) -> FailureReport | None:
        """The latest failure, if there was any."""
        return self._member.last_failure

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the resources it depends on."""
        return self._member.dependencies.names

    @property
    def dependents(self) -> tuple[str, ...]:
        """The names of the resources that depend on it."""
        return tuple(one.name for one in self._member.dependents)

    @property
    def is_locked(self) -> bool:
        """Whether commands are refused."""
        return self._member.locked

    @property
    def is_in_maintenance(self) -> bool:
        """Whether failures are ignored and not recovered."""
        return self._member.maintenance

    def statistics(self) -> ResourceStatistics:
        """Figures about its attempts and checks; never blocks."""
        return self._member.hosted.statistics()

    async def online(self) -> ResourceState:
        """Bring it online, its providers first.

        It becomes the desired state, of its providers too, and the cluster keeps trying
        whatever this attempt does. A budget of restarts that was spent is renewed.

        Returns:
            ``ONLINE``, or after the soft deadline ``ONLINE_PENDING``.

        Raises:
            OnlineFailed: the attempt failed, or was taken back meanwhile.
            ProviderFailed: a resource it depends on can not come online.
            ResourceLocked: it, or one it depends on, is locked.
            NodePaused: the node takes nothing new.
            InvalidStateError: it was removed, or the cluster is closing.
            ResourceStuck: its last attempt has still not ended.
        """
        member = self._member
        self._commands.online([member])
        await member.settle()
        return answer_online(member, closing=self._commands.is_closing)

    async def offline(self) -> ResourceState:
        """Take it offline, its dependents and whoever uses it first.

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
        member = self._member
        self._commands.offline([member])
        await member.settle()
        if member.is_stuck:
            raise describe_stuck(member)
        if not member.is_settled:
            return _RS.OFFLINE_PENDING
        if member.state is _RS.FAILED:
            raise OfflineFailed(f"{self.name}: {member.last_failure}") from member.last_error
        return member.state

    async def terminate(self) -> None:
        """Take it offline at once, in no good order; offline becomes the desired state.

        Waits, shielded and within the terminate deadline, until nothing is left of it.

        Raises:
            InvalidStateError: it was removed.
            ResourceLocked: it is locked.
            ResourceStuck: it does not end.
        """
        member = self._member
        self._commands.terminate(member)
        await member.hosted.terminate()
        while not member.is_told:
            await member.next_change()

    def fail(self, detail: str = "") -> None:
        """Treat it as failed, recovery included.

        Args:
            detail: why, in words for people.

        Raises:
            InvalidStateError: no attempt of it is at work, or it was removed.
            ResourceLocked: it is locked.
        """
        self._commands.check([self._member])
        self._member.hosted.fail(detail)

    async def wait_state(self, *states: ResourceState, held_for: float = 0.0) -> ResourceState:
        """Wait until it is in one of the states.

        Args:
            states: the states to wait for.
            held_for: for how many seconds it must have been in that one without a change.

        Returns:
            The state; it may have changed again since.
        """
        return await self._member.wait_state(*states, held_for=held_for)

    async def wait_online(self) -> Any:
        """Wait until it is online, however long that takes.

        Also while nobody wants it to be online; ``online()`` is the one who asks for that.

        Returns:
            What it provides.

        Raises:
            OnlineFailed: it has failed for good, or until somebody mends it.
            ProviderFailed: one that it depends on has.
            ResourceStuck: its last attempt has still not ended.
            InvalidStateError: it was removed, or the cluster is closing.
        """
        await trio.lowlevel.checkpoint()
        member = self._member
        while not (member.state is _RS.ONLINE and member.hosted.state is _RS.ONLINE):
            raise_if_cannot_come_online(member, closing=self._commands.is_closing)
            await member.next_change()
        return member.hosted.value

    @asynccontextmanager
    async def available(self) -> AsyncGenerator[Any, None]:
        """Use what it provides, for as long as it is there.

        If the resource fails meanwhile, the body is cancelled; if it is taken offline,
        the body has the drain deadline to end by itself before it is cancelled.

        Raises:
            ResourceNotAvailable: it is not online, or went away during the body.
        """
        member = self._member
        if not member.is_available:
            raise ResourceNotAvailable(f"{self.name} is {self.state.value}, not online")
        # What there is to cancel in it, is the caller's block.
        with trio.CancelScope() as scope:  # noqa: ASYNC100
            member.users[scope] = member.hosted.epoch
            try:
                yield member.hosted.value
            finally:
                del member.users[scope]
                if not member.is_used:
                    self._commands.reconsider(member)
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
        self._commands.check([self._member])
        member, hosted = self._member, self._member.hosted
        handler = hosted.handler
        kind = handler.properties_type
        defaults = handler.type_info.property_defaults
        stored = check_changes(kind, member.stored, changes, defaults=defaults, owner=self.name)
        new = read_properties(kind, defaults, stored, owner=self.name)
        member.stored = stored
        hosted.store_properties(stored)
        changed = changed_names(hosted.properties, new)
        if not changed or not member.is_active:
            return Applied.NOW if not changed else Applied.AT_NEXT_ONLINE
        if hosted.state is _RS.ONLINE and is_dynamic(kind, changed):
            try:
                hosted.apply_properties()
            except Exception as error:
                # As for every other entry point: the resource has failed, nothing else.
                with suppress(InvalidStateError):
                    hosted.fail(f"properties_changed raised {error!r}")
                return Applied.AT_NEXT_ONLINE
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
            ResourceNotAvailable: the resource was terminated meanwhile.
            TimeoutError: it took longer than the deadlock deadline.
            Exception: what the handler raised.
        """
        return await self._member.hosted.control(code, argument)

    def set_locked(self, locked: bool) -> None:
        """Refuse commands, or accept them again. Recovery goes on.

        Args:
            locked: whether to refuse.
        """
        self._member.locked = locked

    def set_maintenance(self, maintenance: bool) -> None:
        """Begin or end maintenance: somebody works on it, so failures mean nothing.

        Bad answers of checks and reported failures are ignored; what fails all the same
        is not restarted. At the end it is checked at once.

        Args:
            maintenance: whether it begins.

        Raises:
            InvalidStateError: to begin it, the resource is not online.
        """
        if maintenance and self.state is not _RS.ONLINE:
            raise InvalidStateError(f"{self.name} is {self.state.value}, not online")
        self._commands.set_maintenance(self._member, maintenance)
