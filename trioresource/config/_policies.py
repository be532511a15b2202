"""The policies of the cluster file: tables of deadlines, polls, restarts and failovers.

The bounds of the values are those of ``model/policy.py``; here they get their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.policy import (
    Backoff,
    Deadlines,
    FailoverPolicy,
    PollIntervals,
    RestartAction,
    RestartPolicy,
)
from ._table import as_given, as_number, as_seconds, one_of

if TYPE_CHECKING:
    from ._table import Table


def read_failover(table: Table) -> FailoverPolicy:
    """The failover policy of a group, the documented defaults where it sets nothing."""
    inner = table.table("failover")
    if inner is None:
        return FailoverPolicy()
    return inner.policy(FailoverPolicy(), {"threshold": as_given, "period": as_seconds})


def read_deadlines(table: Table, inherited: Deadlines) -> Deadlines | None:
    """The deadlines that a resource sets; None if it sets none.

    Args:
        table: the table of the resource.
        inherited: the deadlines of its type, for those that it leaves out.
    """
    inner = table.table("deadlines")
    if inner is None:
        return None
    return inner.policy(
        inherited,
        {
            "soft": as_seconds,
            "pending": as_seconds,
            "deadlock": as_seconds,
            "terminate": as_seconds,
        },
    )


def read_poll(table: Table) -> PollIntervals | None:
    """The poll intervals that a resource sets; None if it sets none."""
    inner = table.table("poll")
    if inner is None:
        return None
    return inner.policy(
        PollIntervals(),
        {
            "looks_alive": as_seconds,
            "is_alive": as_seconds,
            "failures": as_given,
            "window": as_given,
        },
    )


def read_restart(table: Table) -> RestartPolicy:
    """The restart policy of a resource, the documented defaults where it sets nothing."""
    inner = table.table("restart")
    if inner is None:
        return RestartPolicy()
    backoff: Backoff | None = None
    growth = inner.table("backoff")
    if growth is not None:
        backoff = growth.policy(
            Backoff(), {"factor": as_number, "maximum": as_seconds, "jitter": as_number}
        )
    return inner.policy(
        RestartPolicy(backoff=backoff),
        {
            "action": one_of(RestartAction),
            "threshold": as_given,
            "period": as_seconds,
            "delay": as_seconds,
            "retry": _as_retry,
            "stable_after": as_seconds,
        },
    )


def _as_retry(value: Any) -> float | None:
    if value == "never":
        return None
    try:
        return as_seconds(value)
    except ValueError as error:
        raise ValueError(f'{error}; or "never", to stay failed') from None
