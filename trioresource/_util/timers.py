"""Many timers of a few lengths, run by one task.

Nearly all timers of a monitor have one of a few lengths: the pending and the terminate
deadline, and the two poll intervals. Timers of one length expire in the order in which they
were set, so they stand in a queue, and setting, clearing and expiring a timer cost the same
for ten resources and for a hundred thousand. One task sleeps until the first timer of all
queues.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from math import ceil, inf
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, final

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

KeyT = TypeVar("KeyT", bound="Hashable")

# Timers that expire before other tasks get a turn: a burst of polls that are due together
# must not hold up the event loop.
_BATCH: Final = 256


@final
class TimerQueue(Generic[KeyT]):
    """The timers of one length and one purpose; made by ``Timers.queue``."""

    __slots__ = ("_due", "_expired", "_grain", "_timers", "delay", "is_queued", "number")

    def __init__(
        self,
        timers: Timers,
        number: int,
        delay: float,
        expired: Callable[[KeyT, float], None],
        grain: float,
    ) -> None:
        self.delay: Final = delay
        self._grain = grain
        self.is_queued: bool = False
        """Whether it stands in the heap of its ``Timers``."""
        self.number: Final = number
        self._timers = timers
        self._expired = expired
        self._due: OrderedDict[KeyT, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def arm(self, key: KeyT) -> None:
        """Set the timer of ``key`` to expire after the queue's delay, anew if it is set."""
        self._set(key, trio.current_time() + self.delay)

    def arm_if_clear(self, key: KeyT) -> None:
        """Set the timer of ``key``, unless it is set already."""
        if key not in self._due:
            self.arm(key)

    def arm_after(self, key: KeyT, due: float) -> None:
        """Set the timer to the next turn of a schedule that was due at ``due``.

        Turns that have been missed are left out.
        """
        now = trio.current_time()
        following = due + self.delay
        self._set(key, following if following > now else now + self.delay)

    def disarm(self, key: KeyT) -> None:
        """Clear the timer of ``key``, if it is set."""
        self._due.pop(key, None)

    def _set(self, key: KeyT, due: float) -> None:
        if self.delay == inf:
            return
        if self._grain:
            # The millionth keeps what is on the grain already where it is, rounding or not.
            due = ceil(due / self._grain - 1e-6) * self._grain
        self._due[key] = due
        self._due.move_to_end(key)
        if not self.is_queued:
            self._timers.enqueue(self, due)

    def first_due(self) -> float:
        """When the first timer expires; infinite if none is set."""
        for due in self._due.values():
            return due
        return inf

    def expire_one(self, now: float) -> None:
        """Let the first timer expire, if it is due."""
        for key, due in self._due.items():
            if due <= now:
                del self._due[key]
                self._expired(key, due)
            return


@final
class Timers:
    """Runs timers; one object for each monitor and for each cluster."""

    __slots__ = ("_asleep_until", "_heap", "_queues", "_sooner")

    def __init__(self) -> None:
        self._queues: dict[tuple[Hashable, float], TimerQueue[Any]] = {}
        # A queue stands in the heap at most once, under the time at which its first timer
        # was due when it was put there. That can only have moved to later.
        self._heap: list[tuple[float, int, TimerQueue[Any]]] = []
        self._asleep_until = -inf
        self._sooner = trio.Event()

    def queue(
        self,
        purpose: Hashable,
        delay: float,
        expired: Callable[[KeyT, float], None],
        *,
        grain: float = 0.0,
    ) -> TimerQueue[KeyT]:
        """Get the queue for a purpose and a delay; always the same one.

        Args:
            purpose: keeps timers of one length but different meaning apart.
            delay: after how many seconds its timers expire; infinite: never.
            expired: called in the timers' task with the key of each expired timer and
                the time at which it was due; must neither block nor raise.
            grain: its timers are due at multiples of this many seconds, later rather than
                earlier, so that many of them take one wake-up; 0 for no such rounding.
        """
        queue = self._queues.get((purpose, delay))
        if queue is None:
            queue = TimerQueue(self, len(self._queues), delay, expired, grain)
            self._queues[purpose, delay] = queue
        return queue

    async def run(self) -> None:
        """Let timers expire until cancelled."""
        while True:
            if await self._expire_due():
                continue
            self._sooner = trio.Event()
            self._asleep_until = self._heap[0][0] if self._heap else inf
            with trio.CancelScope(deadline=self._asleep_until):
                await self._sooner.wait()
            self._asleep_until = -inf

    async def _expire_due(self) -> bool:
        """Let what is due expire, a batch of it; True if there may be more."""
        now = trio.current_time()
        if not self._heap or self._heap[0][0] > now:
            return False
        # What completes in the very instant of its deadline counts as complete: whatever
        # else is due now gets its turn first. It is also the pause between two batches.
        await trio.lowlevel.checkpoint()
        for _ in range(_BATCH):
            if not self._heap or self._heap[0][0] > now:
                break
            queue = self._heap[0][2]
            queue.expire_one(now)
            due = queue.first_due()
            if due > now:
                heappop(self._heap)
                queue.is_queued = False
                if due < inf:
                    self.enqueue(queue, due)
        return True

    def enqueue(self, queue: TimerQueue[Any], due: float) -> None:
        """Put a queue whose first timer is due at ``due`` into the heap; it is not there."""
        queue.is_queued = True
        heappush(self._heap, (due, queue.number, queue))
        if due < self._asleep_until:
            self._sooner.set()
