"""Where a monitor's tasks are started and where its reports go."""

from __future__ import annotations

import contextvars
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import trio

from .._model.reports import MonitorClosing
from .._util.running import is_token_of_this_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._model.reports import Report
    from .._util.running import RunningResource

# Maximum attempts spawned but not yet scheduled; more would make one long scheduler pass.
_LAUNCH_LIMIT: Final = 16

# Progress is for people: reports of it are left out while this many wait for the consumer.
_PROGRESS_LIMIT: Final = 10_000


class Launched(Protocol):
    """An attempt, as the launcher knows it."""

    @property
    def name(self) -> str: ...
    @property
    def epoch(self) -> int: ...

    async def run(self) -> None:
        """Run the attempt, from its first step to its last."""


@final
class TaskLauncher:
    """Starts the tasks of a monitor, in its nursery or below, and under its context.

    An orderly shutdown needs its tasks alive after the block around them was cancelled. So
    the nursery is shielded from its surroundings; the monitor itself ends what is in it.
    """

    __slots__ = ("_backlog", "_context", "_token", "_unstepped", "nursery", "running_hook")

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery: trio.Nursery = nursery
        self.running_hook: RunningResource | None = None
        """The resource whose synchronous hook runs now. The watchdog's thread reads it."""
        self._context = contextvars.copy_context()
        self._token = trio.lowlevel.current_trio_token()
        self._backlog: deque[Launched] = deque()
        self._unstepped = 0

    def start_soon(
        self,
        nursery: trio.Nursery,
        fn: Callable[..., Awaitable[object]],
        *args: Any,
        name: str,
    ) -> None:
        """Start a task under the monitor's context variables, not the caller's."""
        self._context.run(nursery.start_soon, fn, *args, name=name)

    def launch(self, attempt: Launched) -> None:
        """Start the task of an attempt; its first act is to call ``stepped``."""
        if self._unstepped >= _LAUNCH_LIMIT:
            self._backlog.append(attempt)
        else:
            self._unstepped += 1
            name = f"{attempt.name}#{attempt.epoch}"
            self.start_soon(self.nursery, attempt.run, name=name)

    def stepped(self) -> None:
        """Note that a launched task takes its first step, and start the next in line."""
        self._unstepped -= 1
        if self._backlog:
            self.launch(self._backlog.popleft())

    def call_hook(self, owner: RunningResource, fn: Callable[..., object], *args: Any) -> None:
        """Call a synchronous method of a handler under the monitor's context variables.

        Raises:
            Exception: what the method raised.
        """
        self.running_hook = owner
        try:
            # In a copy: the method may start a task, and a context cannot be entered twice.
            self._context.copy().run(fn, *args)
        finally:
            self.running_hook = None

    def is_in_this_run(self) -> bool:
        """Whether the caller runs in this monitor's Trio run, and not in another thread."""
        return is_token_of_this_run(self._token)

    def run_sync_soon(self, fn: Callable[..., object], *args: Any) -> bool:
        """Call ``fn`` in Trio's thread, from any other; False if the run has ended."""
        try:
            self._token.run_sync_soon(fn, *args)
        except trio.RunFinishedError:
            return False
        return True


@final
class ReportSink:
    """Where the reports of a monitor go: its end of the report channel.

    The channel has no bound, since a sender must never wait and nothing may be lost. It
    cannot grow without end: each attempt sends a handful, and a new attempt takes a command.
    """

    __slots__ = ("_closing", "_reports")

    def __init__(self, reports: trio.MemorySendChannel[Report]) -> None:
        self._reports = reports
        self._closing = False

    def send(self, report: Report) -> None:
        """Send a report up. It is lost only if the receiving end is closed."""
        try:
            self._reports.send_nowait(report)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The receiver or the monitor was closed. The state itself can still be read.
            return

    def send_if_room(self, report: Report) -> None:
        """Send a report that may be left out if the consumer is far behind."""
        if self._reports.statistics().current_buffer_used < _PROGRESS_LIMIT:
            self.send(report)

    def send_closing(self) -> None:
        """Say once that the monitor is going down, so that nothing more is begun in it."""
        if not self._closing:
            self._closing = True
            self.send(MonitorClosing(trio.current_time()))
