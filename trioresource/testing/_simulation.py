"""A cluster to test against: what happens is recorded, and what goes wrong is up to the test.

Everything runs as in a program; nothing is replaced by a mock. Time is whatever clock the
run has: virtual in ``explore()`` and with pytest-trio's ``autojump_clock``.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, final, overload

import attrs
import trio

from .._cluster import Cluster
from .._cluster.cluster import open_cluster
from .._model.events import ClusterEvent, Missed
from .._model.reports import StateChange
from ._faults import Faults

if TYPE_CHECKING:
    from .._cluster import Resource, Subscription
    from .._handler import HandlerFactory
    from .._model.states import ResourceState

__all__ = ["EventRecorder", "SimulatedCluster", "simulated_cluster"]

_BUFFER: Final = 1_000_000
"""Events that nobody has looked at yet; a test does not make more."""


@asynccontextmanager
async def simulated_cluster(
    *, seed: int = 0, shutdown_deadline: float = 1200.0
) -> AsyncGenerator[SimulatedCluster, None]:
    """Open a cluster that records its events, and whose handlers can be made to go wrong.

    Leaving the block takes everything offline, as with ``open_cluster``; what happens then
    can still be looked at afterwards.

    Args:
        seed: what the jitter of restarts is drawn from.
        shutdown_deadline: how many seconds the orderly part of leaving may take.

    Returns:
        An asynchronous context manager that gives the cluster.

    Example::

        async with simulated_cluster() as simulated:
            database = await simulated.add("db", Database)
            simulated.faults.fail("db", "online", times=1)
            with suppress(OnlineFailed):
                await database.online()
            await simulated.events.until_state("db", ResourceState.ONLINE)
    """
    opening = open_cluster(random=random.Random(seed), shutdown_deadline=shutdown_deadline)
    # The subscription outlives the cluster's block, so that it sees the end.
    with ExitStack() as stack:
        async with opening as cluster:
            subscription = stack.enter_context(cluster.subscribe(buffer=_BUFFER))
            events = EventRecorder(cluster, subscription)
            yield SimulatedCluster(cluster, events, Faults())
        events._drain()


@final
@attrs.frozen
class SimulatedCluster:
    """What ``simulated_cluster()`` gives."""

    cluster: Cluster
    """The cluster itself."""
    events: EventRecorder
    """What has happened in it."""
    faults: Faults
    """What is to go wrong in it."""

    async def add(self, name: str, handler: HandlerFactory, **options: Any) -> Resource:
        """Add a resource that can be made to go wrong; otherwise ``Cluster.add``.

        Args:
            name: its name.
            handler: a handler class, ``service(...)``, or anything that makes a handler.
            options: the other arguments of ``Cluster.add``.

        Returns:
            The resource, offline.

        Raises:
            Exception: as ``Cluster.add`` does.
        """
        return await self.cluster.add(name, self.faults.wrap(handler), **options)


@final
class EventRecorder(Sequence[ClusterEvent]):
    """All events of a cluster, in order; each says in ``time`` when it was.

    Made by ``simulated_cluster``.
    """

    def __init__(self, cluster: Cluster, subscription: Subscription) -> None:
        self._cluster = cluster
        self._subscription = subscription
        self._events: list[ClusterEvent] = []

    @overload
    def __getitem__(self, index: int) -> ClusterEvent: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ClusterEvent]: ...

    def __getitem__(self, index: int | slice) -> ClusterEvent | Sequence[ClusterEvent]:
        return self._drain()[index]

    def __len__(self) -> int:
        return len(self._drain())

    def __iter__(self) -> Iterator[ClusterEvent]:
        return iter(tuple(self._drain()))

    def __repr__(self) -> str:
        return "\n".join(map(str, self))

    def of(self, resource: str) -> list[ClusterEvent]:
        """The events of one resource.

        Args:
            resource: its name.
        """
        return [one for one in self if getattr(one, "resource", None) == resource]

    def states(self, resource: str) -> list[ResourceState]:
        """The states that a resource has gone through, without the first.

        Args:
            resource: its name.
        """
        return [one.new for one in self.of(resource) if isinstance(one, StateChange)]

    async def until(
        self, predicate: Callable[[ClusterEvent], object], *, after: int = 0
    ) -> ClusterEvent:
        """Wait for an event; one that has happened already counts as well.

        Cancelling the caller ends the waiting and nothing else.

        Args:
            predicate: says whether an event is the one.
            after: so many events at the beginning do not count: ``len(events)`` for those
                that are still to come.

        Returns:
            The first such event.

        Raises:
            trio.EndOfChannel: the cluster is closed, and there was no such event.
        """
        with self._cluster.subscribe(buffer=_BUFFER) as subscription:
            await trio.lowlevel.checkpoint()
            while True:
                for event in self._drain()[after:]:
                    if predicate(event):
                        return event
                after = len(self._events)
                await subscription.receive()

    async def until_state(
        self, resource: str, *states: ResourceState, after: int = 0
    ) -> ClusterEvent:
        """Wait until a resource goes to one of the states; see ``until``.

        Args:
            resource: its name.
            states: the states.
            after: so many events at the beginning do not count.

        Returns:
            The state change.

        Raises:
            trio.EndOfChannel: the cluster is closed, and it was never so.
        """

        def is_it(event: ClusterEvent) -> bool:
            return (
                isinstance(event, StateChange)
                and event.resource == resource
                and event.new in states
            )

        return await self.until(is_it, after=after)

    def _drain(self) -> list[ClusterEvent]:
        while True:
            try:
                event = self._subscription.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return self._events
            assert not isinstance(event, Missed)
            self._events.append(event)
