"""What a cluster tells its subscribers, beside the reports of its monitors."""

from __future__ import annotations

import attrs

from .policy import RecoveryDecision
from .reports import AttemptStuck, FailureReport, ProbeInconclusive, Progress, StateChange
from .states import GroupState


@attrs.frozen
class GroupStateChange:
    """The computed state of a group changed."""

    group: str
    old: GroupState
    new: GroupState
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class RecoveryPlanned:
    """What the cluster will do about a failure."""

    resource: str
    epoch: int
    """The attempt that failed."""
    decision: RecoveryDecision
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class Missed:
    """The subscriber was too slow: so many events are missing here."""

    count: int


ClusterEvent = (
    StateChange
    | GroupStateChange
    | FailureReport
    | RecoveryPlanned
    | Progress
    | ProbeInconclusive
    | AttemptStuck
)
"""Everything that a cluster may tell."""
