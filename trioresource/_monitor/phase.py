"""How far an attempt is."""

from __future__ import annotations

import enum
from typing import Final

from .._model.reports import FailureReason


class Phase(enum.Enum):
    """How far an attempt is."""

    QUEUED = "queued"
    STARTING = "online"
    UP = "up"
    STOPPING = "offline"
    LEAVING = "leaving its contexts"
    TERMINATING = "terminate"
    ENDED = "ended"


BROKEN_IN: Final = {
    Phase.STARTING: FailureReason.ONLINE_RAISED,
    Phase.UP: FailureReason.TASK_CRASHED,
    Phase.STOPPING: FailureReason.OFFLINE_RAISED,
}
"""The reason of a failure that came out of the attempt's own code in a phase."""
