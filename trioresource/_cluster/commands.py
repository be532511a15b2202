"""What people and programs may ask of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from .._errors import InvalidStateError, NodePaused, ResourceLocked
from .._model.states import DesiredState, ResourceState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .engine import Engine
    from .group_record import GroupRecord
    from .records import ResourceRecord


@final
class Commands:
    """Commands set wishes and wake the engine; none of them waits."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def online(self, members: Sequence[ResourceRecord]) -> None:
        """Wish for these, and for all that they depend on, to be online.

        Raises:
            NodePaused: nothing new may come online.
            InvalidStateError: the cluster is closing, or one of them was removed.
            ResourceLocked: one of them is locked; nothing was changed.
        """
        if self._engine.closing:
            raise InvalidStateError("the cluster is closing")
        if self._engine.paused:
            raise NodePaused("the node is paused; resume it first")
        wanted = with_providers(members)
        self.check(wanted)
        for member in wanted:
            unheard = not member.is_failure_handled
            if unheard or member.hold is not None or member.desired is DesiredState.OFFLINE:
                # A command is never refused because a budget is spent.
                member.lift_hold()
                member.failures = ()
                # Nor by a failure before it of which the engine has still to hear.
                member.pardoned = member.hosted.last_failure
            member.desired = DesiredState.ONLINE
            self._engine.touch(member)
        self._engine.work()

    def offline(self, members: Sequence[ResourceRecord]) -> None:
        """Wish for these to be offline.

        Raises:
            InvalidStateError: one of them was removed.
            ResourceLocked: one of them is locked; nothing was changed.
        """
        self.take_down(members)
        for member in members:
            if member.hosted.state is ResourceState.FAILED:
                member.hosted.begin_offline()
        self._engine.work()

    def terminate(self, member: ResourceRecord) -> None:
        """Cancel what it is at, and wish for it to be offline.

        Raises:
            InvalidStateError: it was removed.
            ResourceLocked: it is locked; nothing was changed.
        """
        self.take_down([member])
        member.hosted.begin_terminate()
        self._engine.work()

    def take_down(self, members: Sequence[ResourceRecord]) -> None:
        """Note that these should be offline, without doing anything about it yet.

        Raises:
            InvalidStateError: one of them was removed.
            ResourceLocked: one of them is locked; nothing was changed.
        """
        self.check(members)
        for member in members:
            member.desired = DesiredState.OFFLINE
            member.lift_hold()
            self._engine.touch(member)

    @property
    def is_closing(self) -> bool:
        """Whether nothing will come online any more."""
        return self._engine.closing

    def check(self, members: Iterable[ResourceRecord]) -> None:
        """Refuse if one of them takes no commands.

        Raises:
            InvalidStateError: the first one that was removed.
            ResourceLocked: the first one that is locked.
        """
        for member in members:
            if member.removed:
                raise InvalidStateError(f"{member.name} has been removed")
            if member.locked:
                raise ResourceLocked(f"{member.name} is locked; unlock it first")

    def set_maintenance(self, member: ResourceRecord, maintenance: bool) -> None:
        """Suppress failures, or look at the resource again."""
        if member.maintenance is maintenance:
            return
        member.maintenance = maintenance
        member.hosted.set_maintenance(maintenance)
        if not maintenance:
            member.lift_hold()
        self.reconsider(member)

    def drain(self, group: GroupRecord, drained: bool) -> None:
        """Keep everything in a group offline, whatever is desired, or no longer."""
        group.drained = drained
        for member in group.members.values():
            self._engine.touch(member)
        self._engine.work()

    def reconsider(self, member: ResourceRecord) -> None:
        """Something about a resource changed."""
        self._engine.touch(member)
        self._engine.work()


def with_providers(members: Iterable[ResourceRecord]) -> list[ResourceRecord]:
    """These and everything they depend on, at any remove."""
    found: dict[ResourceRecord, None] = {}
    # Taken from the end, so that those who were named first come first.
    pending = list(members)[::-1]
    while pending:
        member = pending.pop()
        if member not in found:
            found[member] = None
            pending += member.providers[::-1]
    return list(found)
