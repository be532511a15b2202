"""The clock of an exploration: virtual, and where the controller gets its turns.

Trio asks its clock how long it may wait exactly when no task is runnable. That is the
moment to let somebody go.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from .task_gate import Gate

__all__ = ["VirtualClock"]


@final
class VirtualClock(trio.abc.Clock):
    """Starts at zero with each schedule, and moves only when a deadline is to expire.

    Args:
        gate: knows who decides.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def start_clock(self) -> None:
        """Nothing to start."""

    def current_time(self) -> float:
        """Virtual seconds."""
        controller = self._gate.controller
        return 0.0 if controller is None else controller.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How long Trio may wait for the outside, in real seconds."""
        gate = self._gate
        if gate.soon is not None:
            # What run_sync_soon() was given goes before anybody's next step.
            task, gate.soon = gate.soon, None
            trio.lowlevel.reschedule(task)
            return 0
        controller = gate.controller
        if controller is None:
            return 0 if deadline <= 0 else inf
        try:
            return controller.turn(deadline)
        except BaseException as error:  # noqa: ASYNC103 - nothing here is awaited
            # Raised from here, it would end the run as an internal error of Trio's.
            controller.crash(error)
            return 0  # noqa: ASYNC104
