"""The cluster: resources that are kept as they were asked to be."""

from __future__ import annotations

import random as random_module
import signal
from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, final

import trio

from .._errors import InvalidStateError, TrioResourceError
from .._model.dependencies import MAX_DEPTH, parse_dependencies, validate_dependencies
from .._model.policy import RestartPolicy
from .._model.states import DesiredState, NodeState, ResourceState
from .._monitor.monitor import open_monitor_below
from .._util.arguments import check_count, check_instance, check_name, check_seconds
from .._util.construction import NoPublicConstructor, construct
from .._util.nurseries import open_shielded_nursery, ungrouped
from .._util.timers import Timers
from .answers import raise_if_cannot_come_online
from .engine import Engine
from .escalation import Escalation, check_on_give_up
from .event_log import EventLog
from .group import Group
from .health import Health, compute_health
from .records import GroupRecord, ResourceRecord
from .recovery import Recovery
from .resource import Resource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from .._handler import HandlerFactory
    from .._model.dependencies import Dependencies
    from .._model.events import ClusterEvent
    from .._model.policy import Deadlines, PollIntervals
    from .._model.reports import Report
    from .escalation import OnGiveUp
    from .event_log import Subscription
    from .hosting import Monitor, OpenMonitor

# Seconds for the engine to deal with the last reports; it never blocks.
_LAST_REPORTS: Final = 60.0

_DEFAULT_GROUP: Final = "default"


@final
class Cluster(metaclass=NoPublicConstructor):
    """Resources, brought online in the order of their dependencies and kept there.

    Made by ``open_cluster``.
    """

    def __init__(
        self,
        monitor: Monitor,
        engine: Engine,
        log: EventLog,
    ) -> None:
        self._monitor = monitor
        self._engine = engine
        self._log = log

    # --- what there is -----------------------------------------------------------------

    @property
    def node_state(self) -> NodeState:
        """Whether this node takes anything new."""
        return NodeState.PAUSED if self._engine.is_paused else NodeState.UP

    @property
    def resources(self) -> Mapping[str, Resource]:
        """All resources by name, in the order in which they were added."""
        records = self._engine.records
        return {name: construct(Resource, record, self._engine) for name, record in records.items()}

    @property
    def groups(self) -> Mapping[str, Group]:
        """All groups by name, in the order in which they came to be."""
        return {
            name: construct(Group, group, self._engine)
            for name, group in self._engine.groups.items()
        }

    def resource(self, name: str) -> Resource:
        """Get a resource by its name.

        Raises:
            KeyError: there is none of that name.
        """
        return construct(Resource, self._engine.records[name], self._engine)

    def group(self, name: str) -> Group:
        """Get a group by its name.

        Raises:
            KeyError: there is none of that name.
        """
        return construct(Group, self._engine.groups[name], self._engine)

    async def add(
        self,
        name: str,
        handler: HandlerFactory,
        *,
        properties: Mapping[str, Any] | None = None,
        group: str = _DEFAULT_GROUP,
        depends_on: str | Iterable[str] | Dependencies | None = None,
        restart: RestartPolicy | None = None,
        on_give_up: Literal["stay-failed", "raise"] | None = None,
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
            on_give_up: what to do when its budget of restarts is spent: ``"stay-failed"``, or
                ``"raise"``, which ends the cluster with ``ResourceGaveUp``; by default what
                ``open_cluster`` was told.
            deadlines: its deadlines; by default the type's.
            poll: its poll intervals; what is not set is the type's.
            drain_deadline: how long those who use what it provides have, in seconds, to
                end by themselves before it goes offline. They are cancelled then, and
                have the same time again for their clean-up.

        Returns:
            The resource.

        Raises:
            InvalidStateError: the name is taken, also by a group, or the name of a new group is
                that of a resource; the handler is that of another resource already; or the
                cluster is closing.
            TypeError: the handler cannot work (it defines no ``online``, or an entry point
                that is not async and must be, or the reverse), or an argument is of another type.
            DependencyError: the dependencies are invalid; nothing was added.
            PropertyError: the properties are not what the type accepts.
            ValueError: the drain deadline is not a number of at least 0, or a name cannot be
                written in an expression of dependencies, or ``on_give_up`` is neither of
                the two.
            Exception: what the handler's ``open`` raised; nothing was added.
        """
        check_name("resource", name)
        check_name("group", group)
        check_instance("restart", restart, RestartPolicy)
        drain_deadline = check_seconds("drain_deadline", drain_deadline)
        if on_give_up is not None:
            check_on_give_up(on_give_up)
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
                await hosted.close()
            raise
        owner = self._engine.groups.get(group)
        if owner is None:
            owner = self._engine.groups[group] = GroupRecord(group)
        record = ResourceRecord(
            hosted,
            owner,
            dependencies=dependencies,
            providers=tuple(self._engine.records[name] for name in dependencies.names),
            restart=restart or RestartPolicy(),
            on_give_up=on_give_up,
            drain_deadline=drain_deadline,
            stored=dict(properties or {}),
        )
        self._engine.add(record)
        return construct(Resource, record, self._engine)

    def _check_addition(self, name: str, group: str, dependencies: Dependencies) -> None:
        if self._engine.is_closing:
            raise InvalidStateError("the cluster is closing")
        records = self._engine.records
        # Commands take names of both: online("shop") must have one meaning.
        if name == group:
            raise InvalidStateError(
                f"a resource and its group cannot both be named {name!r}; rename either"
            )
        if name in self._engine.groups:
            raise InvalidStateError(f"there is a group named {name!r} already; rename the resource")
        if group in records:
            raise InvalidStateError(
                f"there is a resource named {group!r} already; rename the group"
            )
        providers = [records.get(provider) for provider in dependencies.names]
        if all(
            provider
            and not provider.is_removed
            and provider.group.name == group
            and provider.depth < MAX_DEPTH
            for provider in providers
        ):
            return
        # Only for a mistake, to tell all about it: this looks at every resource.
        present = [record for record in records.values() if not record.is_removed]
        known = {record.name: record.dependencies for record in present}
        groups = {record.name: record.group.name for record in present}
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
        record = self._engine.records[name]
        self._engine.check([record])
        if record.is_up or record.state.is_active:
            raise InvalidStateError(f"{name} is {record.state.value}; take it offline first")
        if record.dependents:
            names = ", ".join(dependent.name for dependent in record.dependents)
            raise InvalidStateError(f"{name} cannot be removed: {names} depends on it")
        self._engine.take_down([record])
        record.is_removed = True
        try:
            await record.hosted.close()
        finally:
            if record.hosted.is_closed:
                self._engine.remove(record)
            else:
                # Cancelled before anything was done, or its attempt does not end.
                record.is_removed = False
                self._engine.reconsider(record)

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
        records = self._named(names)
        self._engine.online(records)
        return await self._settle(records)

    async def wait_online(self, *names: str) -> None:
        """Wait until resources, or groups, are all online at once, however long that takes.

        It does not request anything; call ``online()`` for that.

        Args:
            names: names of resources and groups; by default all resources that are desired to
                be online at the moment of the call.

        Raises:
            KeyError: there is no resource and no group of that name.
            OnlineFailed: one of them has failed and is not being restarted.
            ProviderFailed: a resource that one of them depends on has.
            ResourceStuck: the last attempt of one of them has still not ended.
            InvalidStateError: one of them was removed, or the cluster is closing.
        """
        if names:
            records = self._named(names)
        else:
            everything = self._engine.records.values()
            records = [record for record in everything if record.desired is DesiredState.ONLINE]
        await trio.lowlevel.checkpoint()
        failures: list[TrioResourceError] = []

        async def wait(record: ResourceRecord, nursery: trio.Nursery) -> None:
            try:
                await construct(Resource, record, self._engine).wait_online()
            except TrioResourceError as error:
                failures.append(error)
                nursery.cancel_scope.cancel()

        while missing := [record for record in records if not record.is_published_online]:
            # In the order of the names: several may have failed in the same step.
            for record in missing:
                raise_if_cannot_come_online(record, closing=self._engine.is_closing)
            if failures:
                raise failures[0]
            async with trio.open_nursery() as nursery:
                for record in missing:
                    nursery.start_soon(wait, record, nursery, name=f"wait for {record.name}")

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
        records = self._named(names)
        self._engine.offline(records)
        return await self._settle(records)

    async def pause(self, *, drain: bool = False) -> None:
        """Take nothing new on this node until ``resume``.

        What is online stays so and is still restarted when it fails.

        Args:
            drain: also take everything offline; what is desired stays as it is.
        """
        self._engine.is_paused = True
        if drain:
            for group in self._engine.groups.values():
                self._engine.drain(group, is_drained=True)
        await trio.lowlevel.checkpoint()

    async def resume(self) -> None:
        """End a pause; what was drained comes back."""
        self._engine.is_paused = False
        for group in self._engine.groups.values():
            self._engine.drain(group, is_drained=False)
        await trio.lowlevel.checkpoint()

    def _named(self, names: tuple[str, ...]) -> list[ResourceRecord]:
        records = self._engine.records
        if not names:
            return list(records.values())
        found: dict[ResourceRecord, None] = {}
        for name in names:
            if name in records:
                found[records[name]] = None
            else:
                found.update(dict.fromkeys(self._engine.groups[name].members.values()))
        return list(found)

    async def _settle(self, records: list[ResourceRecord]) -> Mapping[str, ResourceState]:
        """Wait until all of them have settled, under the shortest of their soft deadlines."""
        soft = min((record.hosted.deadlines.soft for record in records), default=0.0)
        await self._engine.settle(records, soft)
        return {record.name: record.state for record in records}

    def health(self) -> Health:
        """Find out whether all that should be online is, and what is wrong otherwise.

        Never blocks, so a health endpoint may call it for each request.
        """
        return compute_health(self._engine.records.values(), closing=self._engine.is_closing)

    # --- what happened -----------------------------------------------------------------

    def subscribe(self, *, buffer: int = 1000) -> AbstractContextManager[Subscription]:
        """Subscribe to what happens from now on, in order.

        Args:
            buffer: how many events may wait for the subscriber. It never holds up the
                cluster: beyond that, events are counted and left out.

        Returns:
            A context manager that gives something to iterate over with ``async for``.

        Raises:
            ValueError: the buffer is neither a whole number of at least 1 nor infinite.
        """
        check_count("buffer", buffer, least=1, is_inf_allowed=True)
        return self._log.subscribe(buffer)

    def history(self, resource: str | None = None) -> tuple[ClusterEvent, ...]:
        """Get the latest events, oldest first.

        Args:
            resource: only those of this resource.
        """
        events = self._log.history()
        if resource is None:
            return events
        return tuple(event for event in events if getattr(event, "resource", None) == resource)

    # --- the end -----------------------------------------------------------------------

    async def shut_down(self, deadline: float) -> None:
        """Take everything offline in order, and terminate what has not gone in time.

        Args:
            deadline: how many seconds the orderly part may take.
        """
        deadline = check_seconds("deadline", deadline)
        self._engine.is_closing = True
        self._engine.touch_all()
        self._engine.work()
        with trio.CancelScope(deadline=trio.current_time() + deadline, shield=True):
            await self._engine.wait_at_rest()
        self._engine.terminate_all()

    def terminate_all(self) -> None:
        """Cancel every attempt at once, in no good order; nothing is restarted."""
        self._engine.is_closing = True
        self._engine.terminate_all()


def open_cluster(
    *,
    shutdown_deadline: float = 1200.0,
    history: int = 1000,
    stop_on_signals: bool = False,
    on_give_up: Literal["stay-failed", "raise"] = "stay-failed",
    random: random_module.Random | None = None,
) -> AbstractAsyncContextManager[Cluster]:
    """Open a cluster of one node, whose state is kept in memory.

    Leaving the block, also by an error or by cancellation, takes everything offline,
    dependents first; what has not gone within the shutdown deadline is terminated. An
    error of the block comes out as it is. ``KeyboardInterrupt`` and ``SystemExit`` of a
    handler cancel the block, and come out in an exception group.

    Args:
        shutdown_deadline: how many seconds the orderly part may take.
        history: how many events to remember.
        stop_on_signals: whether the first SIGINT or SIGTERM cancels the block, so that
            everything goes offline in order, and the second one terminates everything.
        on_give_up: what to do when the budget of restarts of a resource is spent, whether it
            would be retried later or not. ``"stay-failed"`` leaves it failed; ``"raise"``
            cancels the block, takes everything offline in order, and raises
            ``ResourceGaveUp``. A resource can be told otherwise when it is added.
        random: where jitter comes from.

    Raises:
        ValueError: ``on_give_up`` is neither of the two.
        ResourceGaveUp: when the block is left, a resource has given up; see ``on_give_up``.

    Returns:
        An asynchronous context manager that gives the cluster.

    Raises:
        ValueError: ``shutdown_deadline`` is not a number of at least 0, or ``history`` is not a
            whole number of at least 0.

    Example:
        ```python
        async with open_cluster() as cluster:
            database = await cluster.add("db", Database, properties={...})
            await database.online()
        ```
    """
    shutdown_deadline = check_seconds("shutdown_deadline", shutdown_deadline)
    check_count("history", history, least=0)
    check_on_give_up(on_give_up)
    generator = random or random_module.Random()
    log = EventLog(history)
    return ungrouped(
        open_cluster_over(
            _open_local_monitor,
            log=log,
            random=generator,
            shutdown_deadline=shutdown_deadline,
            stop_on_signals=stop_on_signals,
            on_give_up=on_give_up,
        )
    )


@asynccontextmanager
async def open_cluster_over(
    open_monitor: OpenMonitor,
    *,
    log: EventLog,
    random: random_module.Random,
    shutdown_deadline: float,
    stop_on_signals: bool = False,
    on_give_up: OnGiveUp = "stay-failed",
    open_channel: Callable[[], tuple[Any, Any]] | None = None,
) -> AsyncGenerator[Cluster, None]:
    """Open a cluster over a monitor of any kind, in nurseries that put every error into groups.

    Args:
        open_monitor: opens the monitor; its reports go into the channel that it is given.
        log: where events go.
        random: where jitter comes from.
        shutdown_deadline: how many seconds the orderly part of the end may take.
        stop_on_signals: see ``open_cluster``.
        on_give_up: see ``open_cluster``.
        open_channel: opens the report channel; by default a memory channel without bound.
    """
    engine_done: trio.Event | None = None
    body = trio.CancelScope()
    escalation = Escalation(body, on_give_up)
    # The nursery is inside, so what gave up is raised when all is offline, and bare.
    with escalation.raised_at_the_end():
        async with open_shielded_nursery("trioresource cluster") as nursery:
            marks, reports = _open_report_channel() if open_channel is None else open_channel()
            try:
                async with open_monitor(marks.clone()) as monitor:
                    timers = Timers()
                    recovery = Recovery(nursery, log, escalation, random)
                    engine = Engine(log, timers, recovery, reports, marks)
                    cluster = construct(Cluster, monitor, engine, log)
                    engine_done = trio.Event()
                    nursery.start_soon(timers.run, name="trioresource cluster clock")
                    nursery.start_soon(_run_engine, engine, engine_done, name="trioresource engine")
                    try:
                        with body:
                            if stop_on_signals:
                                await nursery.start(_obey_signals, cluster, body)
                            yield cluster
                    finally:
                        # Shielded and bounded in there.
                        await cluster.shut_down(shutdown_deadline)  # noqa: ASYNC102
            finally:
                # The monitor has sent its last report: let the engine deal with all of them.
                marks.close()
                if engine_done is None:
                    reports.close()
                else:
                    with trio.move_on_after(_LAST_REPORTS, shield=True):
                        await engine_done.wait()
                log.close()


def _open_report_channel() -> tuple[
    trio.MemorySendChannel[Report | trio.Event], trio.MemoryReceiveChannel[Report | trio.Event]
]:
    return trio.open_memory_channel["Report | trio.Event"](inf)


def _open_local_monitor(
    reports: trio.MemorySendChannel[Report],
) -> AbstractAsyncContextManager[Monitor]:
    """Open a monitor in this program."""
    return open_monitor_below(reports)


async def _run_engine(engine: Engine, done: trio.Event) -> None:
    try:
        await engine.run()
    finally:
        done.set()


async def _obey_signals(
    cluster: Cluster, body: trio.CancelScope, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if body.cancel_called:
                cluster.terminate_all()
            body.cancel()
