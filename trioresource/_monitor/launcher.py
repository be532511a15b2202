"""Where the tasks of a monitor live: its nursery, its context, its report channel.

An orderly shutdown needs its tasks alive after the block around them was cancelled.
So the nursery is shielded from the cancellation of its surroundings; whoever opened it
ends what is in it.
"""

from __future__ import annotations

import contextvars
import gc
from collections import deque
from typing import TYPE_CHECKING, Any, Final, final

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._model.reports import Report
    from .._util.timers import TimerQueue, Timers

# So many attempts at most wait for their first step. More than that at once would
# hold up everything else for one long pass of the scheduler.
_LAUNCH_LIMIT: Final = 16

# When so many attempts wait to be started, the garbage collector waits until they have
# been, and their callers were answered at the soft deadline. It would look at all that is
# just being made, again and again, and a full collection among tens of thousands of new
# tasks takes longer than an answer may be late.
_BURST: Final = 512
_ANSWERED: Final = 0.5
"""Seconds after the last attempt's first step: the default soft deadline, and the answers."""

# Progress is for people: when so many reports wait for a consumer, it is left out.
_ROOM: Final = 10_000


@final
class TaskLauncher:
    """What a monitor gives its resources."""

    __slots__ = (
        "_backlog",
        "_calm",
        "_context",
        "_gc_postponed",
        "_reports",
        "_token",
        "_unstepped",
        "nursery",
    )

    def __init__(
        self, nursery: trio.Nursery, reports: trio.MemorySendChannel[Report], clock: Timers
    ) -> None:
        self.nursery: trio.Nursery = nursery
        self._reports = reports
        self._context = contextvars.copy_context()
        self._token = trio.lowlevel.current_trio_token()
        self._backlog: deque[tuple[Callable[[], Awaitable[object]], str]] = deque()
        self._unstepped = 0
        self._gc_postponed = False
        self._calm: TimerQueue[None] = clock.queue("calm", _ANSWERED, self._calmed)

    def start_soon(
        self,
        nursery: trio.Nursery,
        fn: Callable[..., Awaitable[object]],
        *args: Any,
        name: str,
    ) -> None:
        """Start a task under the monitor's context variables, not the caller's."""
        self._context.run(nursery.start_soon, fn, *args, name=name)

    def call(self, fn: Callable[..., object], *args: Any) -> None:
        """Call a function of a handler under the monitor's context variables."""
        # In a copy: the function may start a task, and a context is not entered twice.
        self._context.copy().run(fn, *args)

    def launch(self, fn: Callable[[], Awaitable[object]], name: str) -> None:
        """Start an attempt; its first thing is to call ``stepped``."""
        if self._unstepped >= _LAUNCH_LIMIT:
            self._backlog.append((fn, name))
            if len(self._backlog) == _BURST:
                self._calm.disarm(None)
                if gc.isenabled():
                    self._gc_postponed = True
                    gc.disable()
        else:
            self._unstepped += 1
            self.start_soon(self.nursery, fn, name=name)

    def stepped(self) -> None:
        """An attempt takes its first step; the next one may be started."""
        self._unstepped -= 1
        if self._backlog:
            fn, name = self._backlog.popleft()
            self.launch(fn, name)
        elif self._gc_postponed:
            self._calm.arm_if_clear(None)

    def _calmed(self, _: None, due: float) -> None:
        self.resume_gc()

    def resume_gc(self) -> None:
        """Let garbage be collected again, if a burst of starts has postponed that."""
        if self._gc_postponed:
            self._gc_postponed = False
            gc.enable()

    def send(self, report: Report) -> None:
        """Send a report up; it is never lost while somebody may receive it.

        The channel has no bound, for a sender must never wait and nothing may be lost. It
        can not run away: each attempt sends a handful, and a new attempt takes a
        command.
        """
        try:
            self._reports.send_nowait(report)
        except trio.BrokenResourceError:
            # Nobody listens any more; the state itself can still be read.
            return

    def send_if_room(self, report: Report) -> None:
        """Send a report that may be left out if the consumer is far behind."""
        if self._reports.statistics().current_buffer_used < _ROOM:
            self.send(report)

    def run_sync_soon(self, fn: Callable[..., object], *args: Any) -> bool:
        """Call ``fn`` in Trio's thread, from any other; False if the run has ended."""
        try:
            self._token.run_sync_soon(fn, *args)
        except trio.RunFinishedError:
            return False
        return True
