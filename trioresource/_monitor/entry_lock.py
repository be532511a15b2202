"""One entry point at a time."""

from __future__ import annotations

from collections import deque
from typing import final

import trio


@final
class EntryPointLock:
    """Lets one entry point of an instance run at a time, in the order of asking.

    Much smaller than ``trio.Lock`` while nobody waits, for there is one in every
    resource. It belongs to the instance and not to a task: who runs an entry point may
    hand the gate on.
    """

    __slots__ = ("_waiting", "running")

    def __init__(self) -> None:
        self.running: str | None = None
        """The entry point that runs."""
        self._waiting: deque[tuple[str, trio.lowlevel.Task]] | None = None

    async def enter(self, entry_point: str) -> None:
        """Wait until no entry point runs, and then be the one.

        A checkpoint only if it has to wait. Cancellation gives up the place.
        """
        if self.running is None:
            self.running = entry_point
            return
        if self._waiting is None:
            self._waiting = deque()
        place = (entry_point, trio.lowlevel.current_task())
        self._waiting.append(place)

        def abort(_: object) -> trio.lowlevel.Abort:
            assert self._waiting is not None
            self._waiting.remove(place)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def leave(self) -> None:
        """Let the next one in."""
        if self._waiting:
            self.running, task = self._waiting.popleft()
            trio.lowlevel.reschedule(task)
        else:
            self.running = None
