"""A clock that stands still while other programs have the processor."""

from __future__ import annotations

import time
from typing import final

import trio


@final
class OwnClock(trio.abc.Clock, trio.abc.Instrument):
    """The processor time of this thread, and the time for which the event loop waits.

    On a machine with nothing else to do, that is the time on the wall. Pass it to
    ``trio.run`` both as the clock and as an instrument.
    """

    def __init__(self) -> None:
        self._waited = 0.0
        self._began_to_wait = 0.0

    def start_clock(self) -> None:
        """It runs already."""

    def current_time(self) -> float:
        """Seconds."""
        return time.thread_time() + self._waited

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How many seconds to wait for a deadline."""
        return deadline - self.current_time()

    def before_io_wait(self, timeout: float) -> None:
        """The event loop waits for at most so many seconds."""
        self._began_to_wait = time.perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        """It goes on; what it waited beyond the timeout, others had the processor."""
        self._waited += min(time.perf_counter() - self._began_to_wait, timeout)
