"""Watch one run of a program: its exit, its notifications, its watchdog."""

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
"""Seconds between progress reports while the process may take more time."""


@final
class Run:
    """A program that has been started, until no process of its session is left.

    Args:
        scope: the attempt that the run belongs to.
        launch: how the program was started.
        child: the process.
        output: what the process writes.
        ready: the event that says that the process is ready. ``READY=1`` sets it, or the
            output does.
        watchdog: the longest time in seconds from one ``WATCHDOG=1`` to the next; ``None``
            for no bound, until the process sets one by ``WATCHDOG_USEC``.
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
        """The scope of the wait for readiness; cancelled when the process ends before it."""
        self.grace: Final = trio.CancelScope()
        """The scope of the wait for the end that ``offline`` has asked for."""
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
        """Treat the end of the process, and a missing ping, as a failure from now on."""
        self._up = True
        self._until = -math.inf
        self._ping()

    def begin_stop(self, grace: float) -> None:
        """Expect the end of the process from now on.

        Args:
            grace: seconds until the caller kills what is left. It may be longer than the
                pending deadline, so progress is reported for as long.
        """
        self._stopping = True
        self._patience.deadline = math.inf
        self._until = trio.current_time() + grace
        self.grace.deadline = self._until
        self._more_time.set()
        self.keep_pending()

    def keep_pending(self) -> None:
        """Report progress while the process may take more time, for the pending clock."""
        if not self._keeps_pending:
            self._keeps_pending = True
            self.scope.start_soon(self._report_on, name="given time")

    # --- what is watched -----------------------------------------------------------------

    async def watch_exit(self) -> None:
        """Report the end of the process as soon as it has ended."""
        exit_ = await self.child.wait()
        if not self._up:
            self.starting.cancel()
        elif not self._stopping:
            self._failure.send_nowait(self.describe_exit(str(exit_)))
        # Do not return: the monitor would report that a background task has returned.
        await trio.sleep_forever()

    def describe_exit(self, how: str) -> str:
        """Add to ``how`` what the process said by ``sd_notify``, and its last lines of output."""
        self.output.take()
        how = ", ".join((how, *self._last_words))
        lines = self.output.lines()[-_LAST_LINES:]
        return "\n".join((f"{how}; its last lines:", *lines)) if lines else how

    def listen(self, said: Notification) -> None:
        """Act on what the process says by ``sd_notify``."""
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
        """Report a failure when ``WATCHDOG=1`` does not come in time."""
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
