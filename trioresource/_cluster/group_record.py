"""A group: the unit of ownership, whose state is computed from its members."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from .._model.states import GroupState, ResourceState, compute_group_state

if TYPE_CHECKING:
    from .._model.policy import FailoverPolicy
    from .records import ResourceRecord


@final
class GroupRecord:
    """What the engine knows of one group."""

    __slots__ = ("_all", "_top", "drained", "failover", "members", "name", "state")

    def __init__(self, name: str, failover: FailoverPolicy) -> None:
        self.name: str = name
        self.failover: FailoverPolicy = failover
        self.members: dict[str, ResourceRecord] = {}
        self.drained: bool = False
        """Everything in it is to be offline, whatever is desired."""
        self.state: GroupState = GroupState.OFFLINE
        # Counted as they change: a group may have thousands of members.
        self._all = dict.fromkeys(ResourceState, 0)
        self._top = dict.fromkeys(ResourceState, 0)

    def add(self, member: ResourceRecord) -> None:
        """A resource is new in the group."""
        for provider in member.providers:
            if not provider.dependents:
                self._top[provider.state] -= 1
        self.members[member.name] = member
        self._all[member.state] += 1
        self._top[member.state] += 1

    def remove(self, member: ResourceRecord) -> None:
        """A resource that nobody depends on leaves the group."""
        del self.members[member.name]
        self._all[member.state] -= 1
        self._top[member.state] -= 1
        for provider in member.providers:
            if provider.dependents == (member,):
                self._top[provider.state] += 1

    def count(self, member: ResourceRecord, old: ResourceState, new: ResourceState) -> None:
        """A member went from one state to another."""
        self._all[old] -= 1
        self._all[new] += 1
        if not member.dependents:
            self._top[old] -= 1
            self._top[new] += 1

    def compute_state(self) -> GroupState:
        """The state that follows from the members' states."""
        return compute_group_state(
            [state for state, count in self._all.items() if count],
            [state for state, count in self._top.items() if count],
        )
