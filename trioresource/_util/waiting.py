"""Wait for a value, and for no longer than a soft deadline."""

from __future__ import annotations

from math import inf, nextafter
from typing import Generic, TypeVar, final

import trio
import trio_util

T = TypeVar("T")


def soft_deadline(seconds: float) -> float:
    """Compute when a wait of ``seconds`` from now gives up, on Trio's clock.

    That is the first moment *after* the deadline: what completes in the very instant of the
    deadline counts as complete, however many scheduler passes it still needs.

    Args:
        seconds: the soft deadline, in seconds from now.
    """
    return nextafter(trio.current_time() + seconds, inf)


@final
class Waiters:
    """Tasks that wait to be woken together, again and again.

    Unlike ``trio.Event`` it is made once, and unlike ``trio.lowlevel.ParkingLot`` it can be
    waited for without a shielded cancel scope. Waking costs nothing if no task waits.
    """

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: dict[trio.lowlevel.Task, None] = {}

    # Without protection, a KeyboardInterrupt before the task sleeps would leave it registered,
    # and to wake a task that does not sleep here brings the whole run down.
    @trio.lowlevel.enable_ki_protection
    async def wait(self) -> None:
        """Wait for the next ``wake``. Cancellation ends the wait and nothing else."""
        task = trio.lowlevel.current_task()
        self._tasks[task] = None

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._tasks[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    @trio.lowlevel.enable_ki_protection
    async def wait_uncancelled(self) -> None:
        """Wait for the next ``wake``, also if the task is cancelled meanwhile."""
        self._tasks[trio.lowlevel.current_task()] = None
        await trio.lowlevel.wait_task_rescheduled(_refuse_to_abort)

    @trio.lowlevel.enable_ki_protection
    def wake(self) -> None:
        """Wake all tasks that wait, in the order in which they came."""
        if self._tasks:
            for task in self._tasks:
                trio.lowlevel.reschedule(task)
            self._tasks.clear()

    def __len__(self) -> int:
        return len(self._tasks)


def _refuse_to_abort(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


@final
class Watched(Generic[T]):
    """A value that tasks can wait for; all use of trio-util's AsyncValue is here."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = trio_util.AsyncValue(value)

    def set(self, value: T) -> None:
        """Assign the value and wake the tasks that waited for it."""
        self._value.value = value

    async def wait(self, *values: T, held_for: float = 0.0) -> T:
        """Wait until the value is one of ``values`` and has been for ``held_for`` seconds.

        Cancellation ends the wait and nothing else.
        """
        found: T = await self._value.wait_value(
            lambda value: value in values,
            held_for=held_for,
        )
        return found
