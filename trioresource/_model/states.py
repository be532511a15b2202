"""The states of resources, groups and nodes, and the transitions between them."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ResourceState(enum.Enum):
    """What a resource is doing.

    The values follow ``CLUSTER_RESOURCE_STATE`` of Windows failover clusters:
    ``INITIALIZING`` until the handler has been opened, the two pending states while
    an entry point works, ``FAILED`` when it ended without a command.
    """

    INITIALIZING = "initializing"
    OFFLINE = "offline"
    ONLINE_PENDING = "online-pending"
    ONLINE = "online"
    OFFLINE_PENDING = "offline-pending"
    FAILED = "failed"

    def __init__(self, _: str) -> None:
        self.index: int = len(type(self).__members__)
        """Its place in the order of the states: for tables, since to hash a state is slow."""

    @property
    def is_pending(self) -> bool:
        """Whether an entry point is at work and the outcome is open."""
        return self in _PENDING

    @property
    def is_active(self) -> bool:
        """Whether the resource holds, or may hold, what it manages."""
        return self in _ACTIVE


_RS = ResourceState
_PENDING: Final = (_RS.ONLINE_PENDING, _RS.OFFLINE_PENDING)
_ACTIVE: Final = (_RS.ONLINE_PENDING, _RS.ONLINE, _RS.OFFLINE_PENDING)

LEGAL_TRANSITIONS: Final[Mapping[ResourceState, tuple[ResourceState, ...]]] = {
    _RS.INITIALIZING: (_RS.OFFLINE, _RS.FAILED),
    _RS.OFFLINE: (_RS.ONLINE_PENDING,),
    _RS.ONLINE_PENDING: (_RS.ONLINE, _RS.FAILED, _RS.OFFLINE_PENDING, _RS.OFFLINE),
    _RS.ONLINE: (_RS.OFFLINE_PENDING, _RS.FAILED),
    _RS.OFFLINE_PENDING: (_RS.OFFLINE, _RS.FAILED),
    _RS.FAILED: (_RS.ONLINE_PENDING, _RS.OFFLINE),
}
"""Which state may follow which.

``ONLINE_PENDING`` to ``OFFLINE`` happens only where an online is taken back before the
handler has run at all.
"""


class DesiredState(enum.Enum):
    """What the last command asked for (Windows: the persistent state)."""

    ONLINE = "online"
    OFFLINE = "offline"


class GroupState(enum.Enum):
    """The state of a group, computed from its members."""

    ONLINE = "online"
    OFFLINE = "offline"
    PARTIAL_ONLINE = "partial-online"
    PENDING = "pending"
    FAILED = "failed"


class NodeState(enum.Enum):
    """The state of a node of the cluster."""

    UP = "up"
    DOWN = "down"
    PAUSED = "paused"
    JOINING = "joining"
    UNKNOWN = "unknown"


def is_legal(old: ResourceState, new: ResourceState) -> bool:
    """Whether a resource may go from ``old`` to ``new`` in one step."""
    return new in LEGAL_TRANSITIONS[old]


def compute_group_state(
    members: Iterable[ResourceState], top_level: Iterable[ResourceState]
) -> GroupState:
    """The state of a group from the states of its members ([MS-CMRP] 3.1.4.2.46).

    Args:
        members: the states of all members.
        top_level: the states of the members that no other member depends on.

    Returns:
        ``FAILED`` if any member failed; else ``PENDING`` if any is pending or still
        initializing; else ``OFFLINE`` if every member is offline or there is none; else
        ``ONLINE`` if every top-level member is online; else ``PARTIAL_ONLINE``.
    """
    states = list(members)
    if _RS.FAILED in states:
        return GroupState.FAILED
    if any(state.is_pending or state is _RS.INITIALIZING for state in states):
        return GroupState.PENDING
    if all(state is _RS.OFFLINE for state in states):
        return GroupState.OFFLINE
    if all(state is _RS.ONLINE for state in top_level):
        return GroupState.ONLINE
    return GroupState.PARTIAL_ONLINE
