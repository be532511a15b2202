"""One entry point at a time."""

from __future__ import annotations

from collections import deque
from typing import final

import trio


@final
class EntryPointLock:
    """Lets one entry point of an instance run at a time, in the order of asking.

    Much smaller than ``trio.Lock`` while no task waits, for there is one in every resource.
    It belongs to the instance and not to a task: the task that asked for it may hand it to
    the task that runs the entry point.
    """

    __slots__ = ("_waiting", "running", "task")

    def __init__(self) -> None:
        self.running: str | None = None
        """The name of the entry point that runs."""
        self.task: trio.lowlevel.Task | None = None
        """The task that asked for it, or the one it was handed to."""
        self._waiting: deque[tuple[str, trio.lowlevel.Task]] | None = None

    @trio.lowlevel.enable_ki_protection
    async def acquire(self, entry_point: str) -> None:
        """Wait until no entry point runs, then let ``entry_point`` be the one that does.

        A checkpoint only if it has to wait. Cancellation gives up the place in the queue.
        """
        if self.running is None:
            self.running = entry_point
            self.task = trio.lowlevel.current_task()
            return
        if self._waiting is None:
            self._waiting = deque()
        waiting = self._waiting
        place = (entry_point, trio.lowlevel.current_task())
        waiting.append(place)

        def abort(_: object) -> trio.lowlevel.Abort:
            waiting.remove(place)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    @trio.lowlevel.enable_ki_protection
    def release(self) -> None:
        """Let the next entry point run."""
        if self._waiting:
            self.running, self.task = self._waiting.popleft()
            trio.lowlevel.reschedule(self.task)
        else:
            self.running = self.task = None
