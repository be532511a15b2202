"""What travels up from a monitor: state changes, failures, progress.

Reports are values. Each carries the epoch of the attempt it speaks of and the number of the
latest command that the monitor had taken, so that a late report can be told from a current one.
"""

from __future__ import annotations

import enum
from typing import Any

import attrs

from .._util.arguments import show
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


@attrs.frozen(kw_only=True)
class _FromMonitor:
    """What the report of a monitor says besides its own fields; no part of its equality."""

    generation: int = attrs.field(default=0, eq=False, repr=False)
    """The number of the latest command that the monitor had taken when it made the report
    (Kubernetes: the observed generation); 0 where commands carry no number."""
    instance: int = attrs.field(default=0, eq=False, repr=False)
    """The number of the hosted instance. A name may be used again, this number never is."""


@attrs.frozen
class StateChange(_FromMonitor):
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
    value: Any = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """What the resource provides, in a monitor's report that it is online. The events and the
    history of a cluster never hold it."""


@attrs.frozen
class FailureReport(_FromMonitor):
    """An attempt failed; at most one for each attempt."""

    resource: str
    epoch: int
    reason: FailureReason
    detail: str
    """What happened, in words for people."""
    time: float
    """Seconds on Trio's clock."""
    error: BaseException | None = attrs.field(default=None, eq=False, repr=show)
    """The exception behind the failure, where there is one."""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


@attrs.frozen
class Progress(_FromMonitor):
    """A pending attempt reported how far it is."""

    resource: str
    epoch: int
    message: str
    fraction: float | None
    """From 0 to 1, or None where the handler cannot tell."""
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class AttemptEnded(_FromMonitor):
    """The attempt has left everything it held, some time after it had failed.

    Until then the resource cannot come online again. An attempt that did not fail
    needs no such report: ``OFFLINE`` says the same.
    """

    resource: str
    epoch: int
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class AttemptStuck(_FromMonitor):
    """The attempt was terminated and has not ended within the terminate deadline."""

    resource: str
    epoch: int
    task_tree: str
    """The tasks that are left, with the line each one stands at."""
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class ProbeInconclusive(_FromMonitor):
    """``is_alive`` could not be carried out: it raised, so it answered neither yes nor no.

    Not a failure by itself: a check that cannot run says nothing of the resource.
    """

    resource: str
    epoch: int
    error: BaseException = attrs.field(eq=False, repr=show)
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class CommandTaken(_FromMonitor):
    """The answer to a numbered command that changed nothing, with the full status.

    A command that changed the state is answered by its ``StateChange``. ``generation`` says
    which command is answered.
    """

    resource: str
    epoch: int
    """The latest attempt."""
    state: ResourceState
    is_ended: bool
    """Whether nothing of the latest attempt is left."""
    is_settled: bool
    """Whether nothing is under way that will change the state by itself."""
    is_stuck: bool
    """Whether it was terminated and has not ended within the terminate deadline."""
    time: float
    """Seconds on Trio's clock."""


@attrs.frozen
class MonitorClosing:
    """The monitor goes down because a handler ended the program; it begins nothing more.

    It is sent before the attempts end for that reason, so that none of them is restarted.
    """

    time: float
    """Seconds on Trio's clock."""


ResourceReport = (
    StateChange
    | FailureReport
    | Progress
    | ProbeInconclusive
    | AttemptStuck
    | AttemptEnded
    | CommandTaken
)
"""Everything a monitor may report of a resource."""

Report = ResourceReport | MonitorClosing
"""Everything a monitor may send."""


def describe_error(error: BaseException) -> str:
    """Describe an exception in one line, with the leaves of a group.

    Args:
        error: the exception; its ``__str__`` may be a user's and may itself raise.
    """
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(describe_error(leaf) for leaf in error.exceptions)
    try:
        text = str(error).strip()
    except Exception as second:
        text = f"(its text cannot be shown: __str__ raised {type(second).__name__})"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
