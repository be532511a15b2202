"""The cluster: resources that are kept as they were asked to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import trio

from .._errors import InvalidStateError, TrioResourceError
from .._model.dependencies import MAX_DEPTH, parse_dependencies, validate_dependencies
from .._model.policy import FailoverPolicy, RestartPolicy
from .._model.states import NodeState, ResourceState
from .group import Group
from .group_record import GroupRecord
from .records import ResourceRecord
from .resource import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from .._handler import HandlerFactory
    from .._model.dependencies import Dependencies
    from .._model.events import ClusterEvent
    from .._model.policy import Deadlines, PollIntervals
    from .._monitor import ResourceMonitor
    from .commands import Commands
    from .engine import Engine
    from .event_log import EventLog, Subscription

_DEFAULT_GROUP = "default"


@final
class Cluster:
    """Resources, brought online in the order of their dependencies and kept there.

    Made by ``open_cluster``.
    """

    def __init__(
        self,
        monitor: ResourceMonitor,
        engine: Engine,
        commands: Commands,
        log: EventLog,
    ) -> None:
        self._monitor = monitor
        self._engine = engine
        self._commands = commands
        self._log = log

    # --- what there is -----------------------------------------------------------------

    @property
    def node_state(self) -> NodeState:
        """Whether this node takes anything new."""
        return NodeState.PAUSED if self._engine.paused else NodeState.UP

    @property
    def resources(self) -> Mapping[str, Resource]:
        """All resources by name, in the order in which they were added."""
        members = self._engine.members
        return {name: Resource(member, self._commands) for name, member in members.items()}

    @property
    def groups(self) -> Mapping[str, Group]:
        """All groups by name, in the order in which they came to be."""
        return {name: Group(one, self._commands) for name, one in self._engine.groups.items()}

    def resource(self, name: str) -> Resource:
        """A resource by its name.

        Raises:
            KeyError: there is none of that name.
        """
        return Resource(self._engine.members[name], self._commands)

    def group(self, name: str) -> Group:
        """A group by its name.

        Raises:
            KeyError: there is none of that name.
        """
        return Group(self._engine.groups[name], self._commands)

    async def add(
        self,
        name: str,
        handler: HandlerFactory,
        *,
        properties: Mapping[str, Any] | None = None,
        group: str = _DEFAULT_GROUP,
        depends_on: str | Iterable[str] | Dependencies | None = None,
        restart: RestartPolicy | None = None,
        deadlines: Deadlines | None = None,
        poll: PollIntervals | None = None,
        drain_deadline: float = 10.0,
    ) -> Resource:
        """Add a resource, offline.

        Args:
            name: its name; unique in the cluster.
            handler: a handler class, ``service(...)``, or anything that makes a handler.
            properties: what is set for it; the type's defaults stand below.
            group: the group it belongs to; made when it is new.
            depends_on: a name, names that are all needed, or an expression such as
                ``"([a] or [b]) and [c]"``; of resources of the same group.
            restart: what to do when it fails.
            deadlines: its deadlines; by default the type's.
            poll: its poll intervals; what is not set is the type's.
            drain_deadline: how long those who use what it provides have, in seconds, to
                end by themselves before it goes offline. They are cancelled then, and
                have the same time again for their clean-up.

        Returns:
            The resource.

        Raises:
            InvalidStateError: the name is taken, or the cluster is closing.
            DependencyError: the dependencies can not be; nothing was added.
            PropertyError: the properties are not what the type accepts.
            ValueError: the drain deadline is not a number of at least 0.
            Exception: what the handler's ``open`` raised; nothing was added.
        """
        if not drain_deadline >= 0:
            raise ValueError(f"drain_deadline must be at least 0, not {drain_deadline!r}")
        dependencies = parse_dependencies(depends_on, owner=name)
        self._check_addition(name, group, dependencies)
        hosted = await self._monitor.host(
            name, handler, properties=properties, deadlines=deadlines, poll=poll
        )
        try:
            # Once more, for what has happened while the handler was opened.
            self._check_addition(name, group, dependencies)
        except TrioResourceError:
            with trio.CancelScope(shield=True):  # bounded by the deadlock deadline
                await self._monitor.unhost(name)
            raise
        record = self._engine.groups.get(group)
        if record is None:
            record = self._engine.groups[group] = GroupRecord(group, FailoverPolicy())
        member = ResourceRecord(
            hosted,
            record,
            dependencies=dependencies,
            providers=tuple(self._engine.members[one] for one in dependencies.names),
            restart=restart or RestartPolicy(),
            drain_deadline=drain_deadline,
            stored=dict(properties or {}),
        )
        self._engine.add(member)
        return Resource(member, self._commands)

    def _check_addition(self, name: str, group: str, dependencies: Dependencies) -> None:
        if self._engine.closing:
            raise InvalidStateError("the cluster is closing")
        members = self._engine.members
        providers = [members.get(one) for one in dependencies.names]
        if all(
            one and not one.removed and one.group.name == group and one.depth < MAX_DEPTH
            for one in providers
        ):
            return
        # Only for a mistake, to tell all about it: this looks at every resource.
        present = [one for one in members.values() if not one.removed]
        known = {one.name: one.dependencies for one in present}
        groups = {one.name: one.group.name for one in present}
        validate_dependencies({**known, name: dependencies}, {**groups, name: group})

    async def remove(self, name: str) -> None:
        """Close a resource and forget it.

        Args:
            name: its name.

        Raises:
            KeyError: there is none of that name.
            InvalidStateError: it is neither offline nor failed, others depend on it, or
                it is being removed already.
            ResourceLocked: it is locked.
            ResourceStuck: its last attempt does not end; it stays.
            Exception: what the handler's ``close`` raised; it is forgotten all the same.
        """
        member = self._engine.members[name]
        self._commands.check([member])
        if member.hosted.state.is_active or member.state.is_active:
            raise InvalidStateError(f"{name} is {member.state.value}; take it offline first")
        if member.dependents:
            names = ", ".join(one.name for one in member.dependents)
            raise InvalidStateError(f"{name} can not be removed: {names} depends on it")
        self._commands.take_down([member])
        member.removed = True
        try:
            await self._monitor.unhost(name)
        finally:
            if member.hosted.closed:
                self._engine.remove(member)
            else:
                # Cancelled before anything was done.
                member.removed = False
                self._commands.reconsider(member)

    # --- commands ----------------------------------------------------------------------

    async def online(self, *names: str) -> Mapping[str, ResourceState]:
        """Bring resources, or groups, online; all of them by default.

        Args:
            names: names of resources and groups.

        Returns:
            The state of each of these resources, after they have settled or after the
            soft deadline. Failures do not raise here: look at the states.

        Raises:
            KeyError: there is no resource and no group of that name.
            NodePaused: the node takes nothing new.
            InvalidStateError: the cluster is closing.
            ResourceLocked: one of them, or one they depend on, is locked.
        """
        members = self._named(names)
        self._commands.online(members)
        return await self._settle(members)

    async def offline(self, *names: str) -> Mapping[str, ResourceState]:
        """Take resources, or groups, offline, dependents first; all of them by default.

        Args:
            names: names of resources and groups.

        Returns:
            The state of each of these resources, after they have settled or after the
            soft deadline.

        Raises:
            KeyError: there is no resource and no group of that name.
            ResourceLocked: one of them is locked.
        """
        members = self._named(names)
        self._commands.offline(members)
        return await self._settle(members)

    async def pause(self, *, drain: bool = False) -> None:
        """Take nothing new on this node until ``resume``.

        What is online stays so and is still restarted when it fails.

        Args:
            drain: also take everything offline; what is desired stays as it is.
        """
        self._engine.paused = True
        if drain:
            for record in self._engine.groups.values():
                self._commands.drain(record, True)
        await trio.lowlevel.checkpoint()

    async def resume(self) -> None:
        """End a pause; what was drained comes back."""
        self._engine.paused = False
        for record in self._engine.groups.values():
            self._commands.drain(record, False)
        await trio.lowlevel.checkpoint()

    def _named(self, names: tuple[str, ...]) -> list[ResourceRecord]:
        members = self._engine.members
        if not names:
            return list(members.values())
        found: dict[ResourceRecord, None] = {}
        for name in names:
            if name in members:
                found[members[name]] = None
            else:
                found.update(dict.fromkeys(self._engine.groups[name].members.values()))
        return list(found)

    async def _settle(self, members: list[ResourceRecord]) -> Mapping[str, ResourceState]:
        """Wait for all of them under one soft deadline, the shortest of theirs."""
        soft = min((one.hosted.deadlines.soft for one in members), default=0.0)
        # Without a checkpoint only where there is nothing to wait for.
        with trio.move_on_after(soft):  # noqa: ASYNC912
            for member in members:
                await member.wait_settled()
        for _ in range(3):
            # The tie rule: what completes in the same instant counts as complete.
            await trio.lowlevel.checkpoint()
        return {one.name: one.state for one in members}

    # --- what happened -----------------------------------------------------------------

    def subscribe(self, *, buffer: int = 1000) -> AbstractContextManager[Subscription]:
        """Be told what happens from now on, in order.

        Args:
            buffer: how many events may wait for the subscriber. It never holds up the
                cluster: beyond that, events are counted and left out.

        Returns:
            A context manager that gives something to iterate over with ``async for``.
        """
        return self._log.subscribe(buffer)

    def history(self, resource: str | None = None) -> tuple[ClusterEvent, ...]:
        """The latest events, oldest first.

        Args:
            resource: only those of this resource.
        """
        events = self._log.history()
        if resource is None:
            return events
        return tuple(one for one in events if getattr(one, "resource", None) == resource)

    # --- the end -----------------------------------------------------------------------

    async def shut_down(self, deadline: float) -> None:
        """Take everything offline in order, and terminate what has not gone in time.

        Args:
            deadline: how many seconds the orderly part may take.
        """
        self._engine.closing = True
        self._engine.touch_all()
        self._engine.work()
        with trio.CancelScope(deadline=trio.current_time() + deadline, shield=True):
            await self._engine.wait_at_rest()
        self._engine.terminate_all()

    def terminate_all(self) -> None:
        """Cancel every attempt at once, in no good order; nothing is restarted."""
        self._engine.closing = True
        self._engine.terminate_all()
