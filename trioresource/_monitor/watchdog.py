"""Finds a handler that blocks the event loop.

While the loop is blocked nothing in it can notice, so a thread watches a heartbeat. It
says in the log where the loop stands; once the loop turns again, the resource whose
handler it was has failed.

Whose handler it is, the context of the task that runs tells. That task is found by its
outermost frame, which stands in the stack of the loop's thread. A synchronous hook runs in a
task of the monitor's own: there the launcher tells.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Final, final

import trio

from .._util.running import RUNNING_RESOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from .._util.running import RunningResource
    from .launcher import TaskLauncher

_LOGGER = logging.getLogger("trioresource.watchdog")

# Heartbeats within the limit: a block is noticed a quarter of the limit late at most.
_BEATS: Final = 4


@final
class Watchdog:
    """Watches one event loop, in real time, from a thread of its own.

    Args:
        limit: after how many seconds without a turn the loop counts as blocked.
        launcher: starts the tasks that are watched.
    """

    def __init__(self, limit: float, launcher: TaskLauncher) -> None:
        self._limit = limit
        self._launcher = launcher
        self._root = trio.lowlevel.current_root_task()
        self._loop_thread = threading.get_ident()
        self._stop = threading.Event()
        self._limiter = trio.CapacityLimiter(1)
        # Real time: what is watched here is the loop that keeps Trio's time.
        self._beat = time.monotonic()  # noqa: TID251
        self._culprit: tuple[RunningResource, str] | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_from_thread, name="trioresource watchdog thread")
            try:
                while True:
                    self._beat = time.monotonic()  # noqa: TID251
                    self._accuse()
                    await trio.sleep(self._limit / _BEATS)
            finally:
                self._stop.set()

    async def _watch_from_thread(self) -> None:
        # Not abandoned: it ends as soon as it is told to.
        await trio.to_thread.run_sync(self._watch, limiter=self._limiter)

    def _watch(self) -> None:
        reported = 0.0
        while not self._stop.wait(self._limit / _BEATS):
            beat = self._beat
            blocked = time.monotonic() - beat  # noqa: TID251
            if blocked >= self._limit and beat != reported:
                reported = beat
                self._report(blocked)

    def _report(self, blocked: float) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is None:
            return
        resource = self._launcher.running_hook or self._find_resource(frame)
        where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        stack = "".join(traceback.format_stack(frame, 8))
        whose = "code outside of every handler" if resource is None else resource.name
        _LOGGER.error("the event loop is blocked for %.1f s by %s\n%s", blocked, whose, stack)
        if resource is not None:
            self._culprit = (resource, where)

    def _accuse(self) -> None:
        """Let the resource fail that held the loop up, now that it turns again."""
        culprit, self._culprit = self._culprit, None
        if culprit is not None:
            resource, where = culprit
            resource.blocked_the_loop(f"for more than {self._limit:g} s at {where}")

    def _find_resource(self, frame: FrameType) -> RunningResource | None:
        """Find the resource whose task runs in this frame, or was called by it."""
        frames: list[FrameType] = []
        outer: FrameType | None = frame
        while outer is not None:
            frames.append(outer)
            outer = outer.f_back
        # The loop stands still, so its tasks do not change while this thread looks at them.
        for task in self._tasks():
            if getattr(task.coro, "cr_frame", None) in frames:
                return task.context.get(RUNNING_RESOURCE)
        return None

    def _tasks(self) -> Iterator[trio.lowlevel.Task]:
        pending = [] if self._root is None else [self._root]
        while pending:
            task = pending.pop()
            yield task
            for nursery in task.child_nurseries:
                pending += nursery.child_tasks
