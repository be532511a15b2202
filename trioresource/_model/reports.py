"""What travels up from a monitor: state changes, failures, progress.

Reports are values. They carry the epoch of the attempt they speak of, so that a late
one can be told from a current one.
"""

from __future__ import annotations

import enum

import attrs

from .states import ResourceState


class FailureReason(enum.Enum):
    """Why an attempt failed."""

    ONLINE_RAISED = "online raised"
    ONLINE_TIMEOUT = "no progress while coming online"
    OFFLINE_RAISED = "offline raised"
    OFFLINE_TIMEOUT = "no progress while going offline"
    PROPERTIES = "properties not accepted"
    TASK_CRASHED = "a task crashed"
    TASK_RETURNED = "a task returned without being asked"
    NOT_ALIVE = "is_alive answered no"
    PROBE_HUNG = "a check did not answer"
    SIGNAL = "the resource reported a failure"
    REQUESTED = "failure asked for"
    CLEANUP_RAISED = "clean-up raised"
    TERMINATE_RAISED = "terminate raised"
    TERMINATE_TIMEOUT = "terminate did not end in time"
    STUCK = "the attempt would not end"
    LOOP_BLOCKED = "the event loop was blocked"
    MONITOR_DIED = "the monitor process died"


@attrs.frozen
class StateChange:
    """A resource went from one state to another."""

    resource: str
    """The name of the resource."""
    epoch: int
    """The attempt it belongs to; 0 before the first attempt."""
    old: ResourceState
    new: ResourceState
    time: float
    """Seconds on Trio's clock."""
    detail: str = ""
    """Why, in words for people; empty where the states say it all."""


@attrs.frozen
class FailureReport:
    """An attempt failed; at most one for each attempt."""

    resource: str
    epoch: int
    reason: FailureReason
    detail: str
    """What happened, in words for people."""
    time: float
    """Seconds on Trio's clock."""
    error: BaseException | None = attrs.field(default=None, eq=False)
    """The exception behind the failure, where there is one."""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


@attrs.frozen
class Progress:
    """A pending attempt reported how far it is."""

    resource: str
    epoch: int
    message: str
    fraction: float | None
    """From 0 to 1, or None where the handler can not tell."""
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class AttemptEnded:
    """The attempt has left everything it held, some time after it had failed.

    Until then the resource can not come online again. An attempt that did not fail
    needs no such report: ``OFFLINE`` says the same.
    """

    resource: str
    epoch: int
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class AttemptStuck:
    """The attempt was terminated and has not ended within the terminate deadline."""

    resource: str
    epoch: int
    task_tree: str
    """The tasks that are left, with the line each one stands at."""
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class ProbeInconclusive:
    """``is_alive`` could not be carried out: it raised, so it answered neither yes nor no.

    Not a failure by itself: a check that can not run says nothing of the resource.
    """

    resource: str
    epoch: int
    error: BaseException = attrs.field(eq=False)
    time: float
    """Seconds on Trio's clock."""


Report = StateChange | FailureReport | Progress | ProbeInconclusive | AttemptStuck | AttemptEnded
"""Everything a monitor may send."""


def describe_error(error: BaseException) -> str:
    """An exception in one line, with the leaves of a group."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(describe_error(leaf) for leaf in error.exceptions)
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
