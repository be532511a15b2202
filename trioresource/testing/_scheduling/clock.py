"""The clock of an exploration: it is virtual, and it gives the controller its turns.

Trio asks its clock how long it may wait exactly when no task is runnable. That is the moment
at which the controller chooses what goes next.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from .task_gate import TaskGate


@final
class VirtualClock(trio.abc.Clock):
    """Start at zero with each schedule, and move only when a deadline is to expire.

    Args:
        gate: knows the controller.
    """

    def __init__(self, gate: TaskGate) -> None:
        self._gate = gate

    def start_clock(self) -> None:
        """Do nothing: the controller has the time."""

    def current_time(self) -> float:
        """Return the virtual time in seconds."""
        controller = self._gate.controller
        return 0.0 if controller is None else controller.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Return for how many real seconds Trio may wait for the outside."""
        gate = self._gate
        if gate.soon is not None:
            # What run_sync_soon() was given goes before the next step of any task.
            task, gate.soon = gate.soon, None
            trio.lowlevel.reschedule(task)
            return 0
        controller = gate.controller
        if controller is None:
            return 0 if deadline <= 0 else inf
        try:
            return controller.turn(deadline)
        except BaseException as error:  # noqa: ASYNC103 - nothing here is awaited
            # Raised from here, it would end the run as an internal error of Trio.
            controller.crash(error)
            return 0  # noqa: ASYNC104
