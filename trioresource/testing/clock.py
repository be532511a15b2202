"""The clock of an exploration: virtual, and where the controller gets its turns.

Trio asks its clock how long it may wait exactly when no task is runnable. That is the
moment to let somebody go.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from trioresource.testing.controller import Controller

__all__ = ["VirtualClock"]


@final
class VirtualClock(trio.abc.Clock):
    """Starts at zero with each schedule, and moves only when a deadline is to expire."""

    def __init__(self) -> None:
        self.controller: Controller | None = None

    def start_clock(self) -> None:
        """Nothing to start."""

    def current_time(self) -> float:
        """Virtual seconds."""
        return 0.0 if self.controller is None else self.controller.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How long Trio may wait for the outside, in real seconds."""
        if self.controller is None:
            return 0 if deadline <= 0 else inf
        try:
            return self.controller.turn(deadline)
        except BaseException as error:  # noqa: ASYNC103 - nothing here is awaited
            # Raised from here, it would end the run as an internal error of Trio's.
            self.controller.crash(error)
            return 0  # noqa: ASYNC104
