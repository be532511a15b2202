"""Telling what happened: subscriptions that never hold up the engine, and the history."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

import trio

from .._model.events import ClusterEvent, Missed
from .._util.construction import NoPublicConstructor, construct
from .event_logging import log_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .records import ResourceRecord


@final
class _Buffer:
    """What one subscriber has not received yet. Only the event log writes to it."""

    __slots__ = ("arrival", "events", "is_ended", "missed", "room")

    def __init__(self, room: int) -> None:
        self.room: int = room
        self.events: deque[ClusterEvent | Missed] = deque()
        self.missed: int = 0
        """How many events were left out after the last one in the buffer."""
        self.is_ended: bool = False
        self.arrival: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()

    def put(self, event: ClusterEvent) -> None:
        """Add one more event, or count it as missed."""
        if len(self.events) >= self.room:
            self.missed += 1
        else:
            if self.missed:
                self.events.append(Missed(self.missed))
                self.missed = 0
            self.events.append(event)
        if self.arrival:
            self.arrival.unpark()

    def end(self) -> None:
        """Let the subscriber come to the end, after what it has not received yet."""
        self.is_ended = True
        self.arrival.unpark_all()


@final
class Subscription(trio.abc.ReceiveChannel[ClusterEvent | Missed], metaclass=NoPublicConstructor):
    """The events of a cluster from the moment of subscribing, in order.

    A channel: iterate over it with ``async for``. Bounded: when its buffer is full, events are
    left out, and a ``Missed`` stands in their place and says how many.
    """

    def __init__(self, buffer: _Buffer) -> None:
        self._buffer = buffer
        self._is_closed = False

    async def receive(self) -> ClusterEvent | Missed:
        """Wait for the next event. Cancellation loses none.

        Raises:
            trio.EndOfChannel: the cluster is closed and everything has been received.
            trio.ClosedResourceError: the subscription itself was closed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        buffer = self._buffer
        if self._has_something:
            await trio.lowlevel.cancel_shielded_checkpoint()
        while not self._has_something:
            await buffer.arrival.park()
        return self.receive_nowait()

    @property
    def _has_something(self) -> bool:
        buffer = self._buffer
        return bool(buffer.events or buffer.missed or buffer.is_ended or self._is_closed)

    def receive_nowait(self) -> ClusterEvent | Missed:
        """Take the next event, if there is one.

        Raises:
            trio.WouldBlock: there is none.
            trio.EndOfChannel: there is none, and the cluster is closed.
            trio.ClosedResourceError: the subscription itself was closed.
        """
        buffer = self._buffer
        if self._is_closed:
            raise trio.ClosedResourceError
        if buffer.events:
            return buffer.events.popleft()
        if buffer.missed:
            count, buffer.missed = buffer.missed, 0
            return Missed(count)
        if buffer.is_ended:
            raise trio.EndOfChannel
        raise trio.WouldBlock

    async def aclose(self) -> None:
        """Receive nothing more. Leaving the block of ``subscribe()`` does the same."""
        self._is_closed = True
        self._buffer.arrival.unpark_all()
        await trio.lowlevel.checkpoint()


@final
class EventLog:
    """Where the engine puts events: the history, every subscription, and the log."""

    def __init__(self, history: int) -> None:
        self._history: deque[ClusterEvent] = deque(maxlen=history)
        self._buffers: dict[_Buffer, None] = {}
        self._is_closed = False

    def publish(self, event: ClusterEvent, record: ResourceRecord | None = None) -> None:
        """Tell every subscriber, and log the event; waits for no subscriber.

        Args:
            event: the event.
            record: the resource that it is about; None for a group.
        """
        self._history.append(event)
        for buffer in self._buffers:
            buffer.put(event)
        log_event(event, record)

    def history(self) -> tuple[ClusterEvent, ...]:
        """Get the latest events, oldest first."""
        return tuple(self._history)

    @contextmanager
    def subscribe(self, room: int) -> Iterator[Subscription]:
        """Subscribe for as long as the block lasts.

        Args:
            room: how many events may wait for the subscriber.
        """
        if room < 1:
            raise ValueError(f"buffer must be at least 1, not {room!r}")
        buffer = _Buffer(room)
        if self._is_closed:
            buffer.end()
        self._buffers[buffer] = None
        try:
            yield construct(Subscription, buffer)
        finally:
            del self._buffers[buffer]

    def close(self) -> None:
        """End every subscription: there will be no more events."""
        self._is_closed = True
        for buffer in self._buffers:
            buffer.end()
