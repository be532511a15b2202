"""The cluster: resources that are kept as they were asked to be."""

from __future__ import annotations

import random as random_module
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, final

import trio

from ..errors import DependencyError, InvalidStateError
from ..model.dependencies import parse_dependencies, validate_dependencies
from ..model.policy import FailoverPolicy, RestartPolicy
from ..model.states import NodeState, ResourceState
from ..monitor.home import open_shielded_nursery
from ..monitor.monitor import ResourceMonitor, open_monitor
from .commands import Commands
from .engine import Engine
from .events import EventLog, Subscription
from .group import GroupRecord
from .groups import Group
from .member import Member
from .recovery import Recovery
from .resource import Resource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping
    from contextlib import AbstractContextManager

    from ..handler import HandlerFactory
    from ..model.dependencies import Dependencies
    from ..model.events import ClusterEvent
    from ..model.policy import Deadlines, PollIntervals

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
                end by themselves before it goes offline.

        Returns:
            The resource.

        Raises:
            InvalidStateError: the name is taken, or the cluster is closing.
            DependencyError: the dependencies can not be; nothing was added.
            PropertyError: the properties are not what the type accepts.
            Exception: what the handler's ``open`` raised; nothing was added.
        """
        if self._engine.closing:
            raise InvalidStateError("the cluster is closing")
        dependencies = self._check_dependencies(name, group, depends_on)
        hosted = await self._monitor.host(
            name, handler, properties=properties, deadlines=deadlines, poll=poll
        )
        record = self._engine.groups.get(group)
        if record is None:
            record = self._engine.groups[group] = GroupRecord(group, FailoverPolicy())
        member = Member(
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

    def _check_dependencies(
        self, name: str, group: str, depends_on: str | Iterable[str] | Dependencies | None
    ) -> Dependencies:
        dependencies = parse_dependencies(depends_on, owner=name)
        members = self._engine.members
        for provider in dependencies.names:
            if provider in members and members[provider].group.name != group:
                break
            if provider not in members:
                break
        else:
            return dependencies
        known = {one.name: one.dependencies for one in members.values()}
        groups = {one.name: one.group.name for one in members.values()}
        validate_dependencies({**known, name: dependencies}, {**groups, name: group})
        raise DependencyError(f"{name}: {dependencies} can not be")

    async def remove(self, name: str) -> None:
        """Close a resource and forget it.

        Args:
            name: its name.

        Raises:
            KeyError: there is none of that name.
            InvalidStateError: it is neither offline nor failed, or others depend on it.
            ResourceLocked: it is locked.
            Exception: what the handler's ``close`` raised; it is forgotten all the same.
        """
        member = self._engine.members[name]
        self._commands.check_locks([member])
        if member.is_active or member.state.is_active:
            raise InvalidStateError(f"{name} is {member.state.value}; take it offline first")
        if member.dependents:
            names = ", ".join(one.name for one in member.dependents)
            raise InvalidStateError(f"{name} can not be removed: {names} depends on it")
        self._engine.remove(member)
        await self._monitor.unhost(name)

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

    async def move(self, group: str, node: str | None = None) -> None:
        """Move a group to another node.

        Args:
            group: its name.
            node: where to; by default the best one.

        Raises:
            KeyError: there is no such group.
            InvalidStateError: there is no other node.
        """
        await trio.lowlevel.checkpoint()
        target = "" if node is None else f" to {node}"
        raise InvalidStateError(
            f"{self.group(group).name} can not be moved{target}: this node is the only one"
        )

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

    def _named(self, names: tuple[str, ...]) -> list[Member]:
        members = self._engine.members
        if not names:
            return list(members.values())
        found: dict[Member, None] = {}
        for name in names:
            if name in members:
                found[members[name]] = None
            else:
                found.update(dict.fromkeys(self._engine.groups[name].members.values()))
        return list(found)

    async def _settle(self, members: list[Member]) -> Mapping[str, ResourceState]:
        """Wait for all of them under one soft deadline, the shortest of theirs."""
        soft = min((one.hosted.deadlines.soft for one in members), default=0.0)
        with trio.move_on_after(soft):
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


@asynccontextmanager
async def open_cluster(
    *,
    shutdown_deadline: float = 1200.0,
    history: int = 1000,
    stop_on_signals: bool = False,
    random: random_module.Random | None = None,
) -> AsyncGenerator[Cluster, None]:
    """Open a cluster of one node, whose state is kept in memory.

    Leaving the block, also by an error or by cancellation, takes everything offline,
    dependents first; what has not gone within the shutdown deadline is terminated.

    Args:
        shutdown_deadline: how many seconds the orderly part may take.
        history: how many events to remember.
        stop_on_signals: whether the first SIGINT or SIGTERM cancels the block, so that
            everything goes offline in order, and the second one terminates everything.
        random: where jitter comes from.

    Example::

        async with open_cluster() as cluster:
            database = await cluster.add("db", Database, properties={...})
            await database.online()
    """
    async with (
        open_shielded_nursery("trioresource cluster") as nursery,
        open_monitor() as monitor,
    ):
        log = EventLog(history)
        engine = Engine(monitor, log)
        engine.recovery = Recovery(nursery, log, random or random_module.Random(), engine.release)
        cluster = Cluster(monitor, engine, Commands(engine), log)
        nursery.start_soon(engine.run, name="trioresource engine")
        try:
            with trio.CancelScope() as body:
                if stop_on_signals:
                    await nursery.start(_obey_signals, cluster, body)
                yield cluster
        finally:
            await cluster.shut_down(shutdown_deadline)
            log.close()


async def _obey_signals(
    cluster: Cluster, body: trio.CancelScope, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if body.cancel_called:
                cluster.terminate_all()
            body.cancel()
