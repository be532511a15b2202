"""A group of a cluster, as its users hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from .resource import Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._model.states import GroupState, ResourceState
    from .commands import Commands
    from .group_record import GroupRecord


@final
class Group:
    """A group of a cluster: the resources that are taken over together."""

    __slots__ = ("_commands", "_record")

    def __init__(self, record: GroupRecord, commands: Commands) -> None:
        self._record = record
        self._commands = commands

    def __repr__(self) -> str:
        return f"<Group {self.name!r} {self.state.value}>"

    @property
    def name(self) -> str:
        """Its name, unique in the cluster."""
        return self._record.name

    @property
    def state(self) -> GroupState:
        """Its state, computed from its members'."""
        return self._record.state

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Its members by name, in the order in which they were added."""
        members = self._record.members
        return {name: Resource(member, self._commands) for name, member in members.items()}

    @property
    def is_locked(self) -> bool:
        """Whether any of its members is locked."""
        return any(member.locked for member in self._record.members.values())

    @property
    def states(self) -> Mapping[str, ResourceState]:
        """The states of its members by name."""
        return {name: member.state for name, member in self._record.members.items()}
