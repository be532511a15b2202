"""A cluster for tests: it records what happens, and the test decides what goes wrong.

Everything runs as in a program; nothing is replaced by a mock. Time is that of the run's
clock: virtual in ``explore()`` and with pytest-trio's ``autojump_clock``.
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
from .._util.construction import NoPublicConstructor, construct
from ._faults import Faults

if TYPE_CHECKING:
    from .._cluster import Resource, Subscription
    from .._handler import HandlerFactory
    from .._model.states import ResourceState

_BUFFER: Final = 1_000_000
"""Events that wait to be received; a test does not make more, and none may be missed."""


@asynccontextmanager
async def simulated_cluster(
    *, seed: int = 0, shutdown_deadline: float = 1200.0
) -> AsyncGenerator[SimulatedCluster, None]:
    """Open a cluster that records its events, and whose handlers can be made to go wrong.

    Leaving the block takes everything offline, as with ``open_cluster``. The events of that
    can still be read afterwards.

    Args:
        seed: the seed of the jitter of restarts.
        shutdown_deadline: how many seconds the orderly part of leaving may take.

    Returns:
        An asynchronous context manager that gives the cluster.

    Example:
        ```python
        async with simulated_cluster() as simulated:
            database = await simulated.add("db", Database)
            simulated.faults.fail("db", "online", times=1)
            with suppress(OnlineFailed):
                await database.online()
            await simulated.events.until_state("db", ResourceState.ONLINE)
        ```
    """
    opening = open_cluster(random=random.Random(seed), shutdown_deadline=shutdown_deadline)
    # The subscription outlives the cluster's block, so that it sees the end.
    with ExitStack() as stack:
        async with opening as cluster:
            subscription = stack.enter_context(cluster.subscribe(buffer=_BUFFER))
            recording = _Recording(subscription)
            events = construct(EventRecorder, cluster, recording)
            yield construct(SimulatedCluster, cluster, events, construct(Faults))
        recording.read()


@final
@attrs.frozen
class SimulatedCluster(metaclass=NoPublicConstructor):
    """A cluster that records its events, and whose handlers can be made to go wrong."""

    cluster: Cluster
    """The cluster itself."""
    events: EventRecorder
    """What has happened in it."""
    faults: Faults
    """What is to go wrong in it."""

    async def add(self, name: str, handler: HandlerFactory, **options: Any) -> Resource:
        """Add a resource that can be made to go wrong, as ``Cluster.add`` does otherwise.

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
class _Recording:
    """The events that a subscription has received."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._events: Final[list[ClusterEvent]] = []

    def read(self) -> list[ClusterEvent]:
        """Receive what has happened since the last call, and return all events."""
        while True:
            try:
                event = self._subscription.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return self._events
            assert not isinstance(event, Missed)
            self._events.append(event)


@final
class EventRecorder(Sequence[ClusterEvent], metaclass=NoPublicConstructor):
    """All events of a cluster, in order; the ``time`` of each says when it happened."""

    def __init__(self, cluster: Cluster, recording: _Recording) -> None:
        self._cluster = cluster
        self._recording = recording

    @overload
    def __getitem__(self, index: int) -> ClusterEvent: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ClusterEvent]: ...

    def __getitem__(self, index: int | slice) -> ClusterEvent | Sequence[ClusterEvent]:
        return self._recording.read()[index]

    def __len__(self) -> int:
        return len(self._recording.read())

    def __iter__(self) -> Iterator[ClusterEvent]:
        return iter(tuple(self._recording.read()))

    def __repr__(self) -> str:
        return "\n".join(map(str, self))

    def of(self, resource: str) -> list[ClusterEvent]:
        """Return the events of one resource.

        Args:
            resource: its name.
        """
        return [event for event in self if getattr(event, "resource", None) == resource]

    def states(self, resource: str) -> list[ResourceState]:
        """Return the states that a resource has gone to, in order, without its first state.

        Args:
            resource: its name.
        """
        return [event.new for event in self.of(resource) if isinstance(event, StateChange)]

    async def until(
        self, predicate: Callable[[ClusterEvent], object], *, after: int = 0
    ) -> ClusterEvent:
        """Wait for an event; an event that has happened before the call counts as well.

        Cancelling the caller ends the waiting and nothing else.

        Args:
            predicate: returns whether an event is the one to wait for.
            after: ignore so many events at the beginning. Pass ``len(events)`` to wait for an
                event that is still to come.

        Returns:
            The first such event.

        Raises:
            trio.EndOfChannel: the cluster is closed, and no such event has happened.
        """
        with self._cluster.subscribe(buffer=_BUFFER) as subscription:
            await trio.lowlevel.checkpoint()
            while True:
                events = self._recording.read()
                for event in events[after:]:
                    if predicate(event):
                        return event
                after = len(events)
                await subscription.receive()

    async def until_state(
        self, resource: str, *states: ResourceState, after: int = 0
    ) -> ClusterEvent:
        """Wait until a resource goes to one of the states; see ``until``.

        Args:
            resource: its name.
            states: the states.
            after: ignore so many events at the beginning.

        Returns:
            The state change.

        Raises:
            trio.EndOfChannel: the cluster is closed, and the resource went to none of them.
        """

        def is_change(event: ClusterEvent) -> bool:
            return (
                isinstance(event, StateChange)
                and event.resource == resource
                and event.new in states
            )

        return await self.until(is_change, after=after)
