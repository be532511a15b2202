"""One clock for all timers of a monitor.

Nearly all timers of a monitor have one of a few lengths: the soft, the pending and the
terminate deadline, and the two poll intervals. Timers of one length expire in the
order in which they were set, so a lane is a queue and setting, clearing and expiring a
timer cost the same for ten resources and for a hundred thousand. One task sleeps until
the first timer of all lanes.
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

# So many timers expire before other tasks get a turn: a burst of polls that are due
# together must not hold up the event loop.
_BATCH: Final = 256


@final
class TimerQueue(Generic[KeyT]):
    """The timers of one length and one purpose; made by ``Timers.lane``."""

    __slots__ = ("_clock", "_due", "_expired", "_grain", "_number", "delay", "queued")

    def __init__(
        self,
        clock: Timers,
        number: int,
        delay: float,
        expired: Callable[[KeyT, float], None],
        grain: float,
    ) -> None:
        self.delay: Final = delay
        self._grain = grain
        self.queued: bool = False
        self._clock = clock
        self._number = number
        self._expired = expired
        self._due: OrderedDict[KeyT, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due)

    def arm(self, key: KeyT) -> None:
        """Set the timer of ``key`` to expire after the lane's delay, anew if it is set."""
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
        if not self.queued:
            self._clock._enqueue(self, due)

    def _head(self) -> float:
        for due in self._due.values():
            return due
        return inf

    def _expire_one(self, now: float) -> bool:
        """Let the first timer expire, if it is due."""
        for key, due in self._due.items():
            if due > now:
                return False
            del self._due[key]
            self._expired(key, due)
            return True
        return False


@final
class Timers:
    """Runs the timers; one for each monitor."""

    __slots__ = ("_asleep_until", "_doorbell", "_heap", "_lanes")

    def __init__(self) -> None:
        self._lanes: dict[tuple[Hashable, float], TimerQueue[Any]] = {}
        # A lane stands in the heap at most once, under the time at which its first
        # timer was due when it was put there. That can only have moved to later.
        self._heap: list[tuple[float, int, TimerQueue[Any]]] = []
        self._asleep_until = -inf
        self._doorbell = trio.Event()

    def queue(
        self,
        purpose: Hashable,
        delay: float,
        expired: Callable[[KeyT, float], None],
        *,
        grain: float = 0.0,
    ) -> TimerQueue[KeyT]:
        """The lane for a purpose and a delay in seconds; always the same one.

        Args:
            purpose: keeps timers of one length but different meaning apart.
            delay: after how many seconds its timers expire.
            expired: called in the clock's task with the key of each expired timer and
                the time at which it was due; must neither block nor raise.
            grain: its timers are due at multiples of so many seconds, later rather than
                earlier, so that many of them take one wake-up; 0 for no such rounding.
        """
        lane = self._lanes.get((purpose, delay))
        if lane is None:
            lane = TimerQueue(self, len(self._lanes), delay, expired, grain)
            self._lanes[purpose, delay] = lane
        return lane

    async def run(self) -> None:
        """Let timers expire until cancelled."""
        while True:
            if await self._expire_due():
                continue
            self._doorbell = trio.Event()
            self._asleep_until = self._heap[0][0] if self._heap else inf
            with trio.CancelScope(deadline=self._asleep_until):
                await self._doorbell.wait()
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
            lane = self._heap[0][2]
            lane._expire_one(now)
            due = lane._head()
            if due > now:
                heappop(self._heap)
                lane.queued = False
                if due < inf:
                    self._enqueue(lane, due)
        return True

    def _enqueue(self, lane: TimerQueue[Any], due: float) -> None:
        lane.queued = True
        heappush(self._heap, (due, lane._number, lane))
        if due < self._asleep_until:
            self._doorbell.set()
