"""Telling what happened: subscriptions that never hold up the engine, and the history."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

import trio

from .._model.events import ClusterEvent, Missed

if TYPE_CHECKING:
    from collections.abc import Iterator


@final
class Subscription:
    """The events of a cluster from the moment of subscribing, in order.

    Iterate over it with ``async for``. Bounded: when its buffer is full, events are
    left out, and a ``Missed`` stands in their place and says how many.
    """

    def __init__(self, buffer: int) -> None:
        self._room = buffer
        self._events: deque[ClusterEvent | Missed] = deque()
        self._missed = 0
        self._closed = False
        self._arrival = trio.lowlevel.ParkingLot()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> ClusterEvent | Missed:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    async def receive(self) -> ClusterEvent | Missed:
        """The next event, as soon as there is one. Cancellation loses none.

        Raises:
            trio.EndOfChannel: the cluster is closed and everything has been received.
        """
        await trio.lowlevel.checkpoint()
        while not (self._events or self._missed or self._closed):
            await self._arrival.park()
        return self.receive_nowait()

    def receive_nowait(self) -> ClusterEvent | Missed:
        """The next event, if there is one.

        Raises:
            trio.WouldBlock: there is none.
            trio.EndOfChannel: there is none, and the cluster is closed.
        """
        if self._events:
            return self._events.popleft()
        if self._missed:
            count, self._missed = self._missed, 0
            return Missed(count)
        if self._closed:
            raise trio.EndOfChannel
        raise trio.WouldBlock

    def put(self, event: ClusterEvent) -> None:
        """Give the subscriber one more event, or count it as missed."""
        if len(self._events) >= self._room:
            self._missed += 1
        else:
            if self._missed:
                self._events.append(Missed(self._missed))
                self._missed = 0
            self._events.append(event)
        self._arrival.unpark()

    def close(self) -> None:
        """Let the subscriber come to the end, after what it has not received yet."""
        self._closed = True
        self._arrival.unpark_all()


@final
class EventLog:
    """Where the engine puts events: the history, and every subscription."""

    def __init__(self, history: int) -> None:
        self._history: deque[ClusterEvent] = deque(maxlen=history)
        self._subscriptions: dict[Subscription, None] = {}
        self._closed = False

    def publish(self, event: ClusterEvent) -> None:
        """Tell everybody; never blocks."""
        self._history.append(event)
        for subscription in self._subscriptions:
            subscription.put(event)

    def history(self) -> tuple[ClusterEvent, ...]:
        """The latest events, oldest first."""
        return tuple(self._history)

    @contextmanager
    def subscribe(self, buffer: int) -> Iterator[Subscription]:
        """A subscription for as long as the block lasts."""
        if buffer < 1:
            raise ValueError(f"buffer must be at least 1, not {buffer!r}")
        subscription = Subscription(buffer)
        if self._closed:
            subscription.close()
        self._subscriptions[subscription] = None
        try:
            yield subscription
        finally:
            del self._subscriptions[subscription]

    def close(self) -> None:
        """There will be no more events."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
