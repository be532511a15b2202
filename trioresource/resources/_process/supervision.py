"""One run of a program, as the tasks that watch it see it: exit, notifications, watchdog."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, final

import trio

if TYPE_CHECKING:
    from ..._handler import OnlineScope
    from .child import Child
    from .launch import Launch
    from .notify import Notification
    from .output import Output

_LAST_LINES: Final = 10
"""Lines of output that a failure report shows."""
_TICK: Final = 1.0
"""Seconds between progress reports while a process has been given more time."""


@final
class Run:
    """A program that has been started, until nothing of it is left.

    Args:
        scope: the attempt it belongs to.
        launch: how it was started.
        child: the process.
        output: what it writes.
        ready: an event for what it says itself: set here upon ``READY=1``, or by the
            output.
        watchdog: seconds from one ``WATCHDOG=1`` to the next; ``None`` until the process
            says so itself by ``WATCHDOG_USEC``.
    """

    def __init__(
        self,
        scope: OnlineScope,
        launch: Launch,
        child: Child,
        output: Output,
        ready: trio.Event,
        watchdog: float | None,
    ) -> None:
        self.scope: Final = scope
        self.launch: Final = launch
        self.child: Final = child
        self.output: Final = output
        self.ready: Final = ready
        self.starting: Final = trio.CancelScope()
        """Around the wait for readiness; cancelled if the process ends before."""
        self.grace: Final = trio.CancelScope()
        """Around the wait for the end that was asked for."""
        self._failure: trio.MemorySendChannel[str] = scope.failure_channel()
        self._up = False
        self._stopping = False
        self._status = ""
        self._last_words: list[str] = []
        self._keeps_pending = False
        self._more_time = trio.Event()
        self._until = -math.inf
        self._interval = math.inf if watchdog is None else watchdog
        self._patience = trio.CancelScope()

    # --- phases ------------------------------------------------------------------------

    def came_up(self) -> None:
        """The process is ready: its end is a failure now, and it has to send pings."""
        self._up = True
        self._until = -math.inf
        self._ping()

    def begin_stop(self, grace: float) -> None:
        """From now on the end of the process is wanted.

        Args:
            grace: seconds until what is left will be killed. It may be longer than the
                pending deadline, which is for those who do not know how long it takes.
        """
        self._stopping = True
        self._patience.deadline = math.inf
        self._until = trio.current_time() + grace
        self.grace.deadline = self._until
        self._more_time.set()
        self.keep_pending()

    def keep_pending(self) -> None:
        """Let the pending clock not run out while the process has been given time."""
        if not self._keeps_pending:
            self._keeps_pending = True
            self.scope.start_soon(self._report_on, name="given time")

    # --- what is watched -----------------------------------------------------------------

    async def watch_exit(self) -> None:
        """Report the end of the process as soon as it has come."""
        exit_ = await self.child.wait()
        if not self._up:
            self.starting.cancel()
        elif not self._stopping:
            self._failure.send_nowait(self.describe_exit(str(exit_)))
        # To return would be a failure of another kind.
        await trio.sleep_forever()

    def describe_exit(self, how: str) -> str:
        """How the process ended, with its last words and the last lines of its output."""
        self.output.take()
        how = ", ".join((how, *self._last_words))
        lines = self.output.lines()[-_LAST_LINES:]
        return "\n".join((f"{how}; its last lines:", *lines)) if lines else how

    def listen(self, said: Notification) -> None:
        """Take in what the process says by ``sd_notify``."""
        if said.status is not None:
            self._status = said.status
            self.scope.report_progress(said.status)
        if said.error is not None:
            self._last_words.append(f"it reported: {said.error}")
        if said.stopping and not self._stopping:
            self._last_words.append("it had said STOPPING=1 unasked")
        if said.extension is not None and (self._stopping or not self._up):
            self._extend(said.extension)
        if said.watchdog is not None:
            self._interval = said.watchdog
        if said.alive or said.watchdog is not None:
            self._ping()
        if said.trouble:
            self._failure.send_nowait(
                self.describe_exit("it asked to be taken for dead (WATCHDOG=trigger)")
            )
        if said.ready:
            self.ready.set()

    async def watch_pings(self) -> None:
        """Report that the process no longer sends ``WATCHDOG=1``."""
        with self._patience:
            await trio.sleep_forever()
        self._failure.send_nowait(self.describe_exit(f"no WATCHDOG=1 for {self._interval:g} s"))
        await trio.sleep_forever()

    def _ping(self) -> None:
        if self._up and not self._stopping:
            self._patience.deadline = trio.current_time() + self._interval

    # --- more time ---------------------------------------------------------------------

    def _extend(self, seconds: float) -> None:
        self._until = max(self._until, trio.current_time() + seconds)
        if self._stopping:
            self.grace.deadline = self._until
        self.scope.report_progress(self._status or "it needs more time")
        self._more_time.set()

    async def _report_on(self) -> None:
        while True:
            await self._more_time.wait()
            self._more_time = trio.Event()
            while (left := self._until - trio.current_time()) > 0:
                await trio.sleep(min(_TICK, left))
                if trio.current_time() < self._until:
                    words = "is stopping" if self._stopping else "it needs more time"
                    self.scope.report_progress(self._status or words)
