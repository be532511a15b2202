"""Waiting for a resource: under the soft deadline, and for a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, final

import trio
import trio_util

if TYPE_CHECKING:
    from .timers import TimerQueue

T = TypeVar("T")


@final
class SoftWait:
    """One task that waits for something to settle, but only for the soft deadline.

    A timeout on Trio's own cancel scopes costs about as much as starting the attempt
    that is waited for; ten thousand of them at once would make each other late.
    """

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    async def wait(self, lane: TimerQueue[SoftWait]) -> None:
        """Wait until ``wake``, but no longer than the lane's delay; once for each object.

        Cancellation ends the wait and nothing else.
        """
        self._task = trio.lowlevel.current_task()
        lane.arm(self)
        try:
            await trio.lowlevel.wait_task_rescheduled(self._give_up)
        finally:
            lane.disarm(self)

    def wake(self) -> None:
        """Let the task go on; the second time does nothing."""
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)

    def _give_up(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


async def wait_soft(waiters: list[SoftWait], lane: TimerQueue[SoftWait]) -> None:
    """Stand in the list of those who wait to be woken, for no longer than the lane's delay."""
    waiter = SoftWait()
    waiters.append(waiter)
    try:
        await waiter.wait(lane)
    finally:
        waiters.remove(waiter)


@final
class Watched(Generic[T]):
    """A value that tasks can wait for; all use of trio-util's AsyncValue is here."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = trio_util.AsyncValue(value)

    def set(self, value: T) -> None:
        """Assign the value and wake who waited for it."""
        self._value.value = value

    async def wait(self, *values: T, held_for: float = 0.0) -> T:
        """Wait until the value is one of ``values`` and has been for ``held_for`` seconds."""
        found: T = await self._value.wait_value(lambda now: now in values, held_for=held_for)
        return found
