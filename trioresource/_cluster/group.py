"""A group of a cluster, as its users hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from .._util.construction import NoPublicConstructor, construct
from .resource import Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._model.states import GroupState, ResourceState
    from .engine import Engine
    from .records import GroupRecord


@final
class Group(metaclass=NoPublicConstructor):
    """A group of a cluster: the resources that are taken over together."""

    __slots__ = ("_engine", "_record")

    def __init__(self, record: GroupRecord, engine: Engine) -> None:
        self._record = record
        self._engine = engine

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
        return {name: construct(Resource, record, self._engine) for name, record in members.items()}

    @property
    def is_locked(self) -> bool:
        """Whether any of its members is locked."""
        return any(record.is_locked for record in self._record.members.values())

    @property
    def states(self) -> Mapping[str, ResourceState]:
        """The states of its members by name."""
        return {name: record.state for name, record in self._record.members.items()}
