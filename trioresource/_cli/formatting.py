"""Texts that several commands share: durations, one-line texts, failures, decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.policy import Restart

if TYPE_CHECKING:
    from .._model.events import RecoveryPlanned
    from .._model.policy import RestartPolicy


def one_line(text: str) -> str:
    """The text on one line, and nothing in it that a terminal would obey."""
    flat = " | ".join(line for line in text.splitlines() if line.strip())
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in flat)


def took(seconds: float) -> str:
    """A measured duration, as exact as is of use."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def age(seconds: float) -> str:
    """How long something has been so, in whole units."""
    whole = int(max(seconds, 0))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 48 * 3600 else f"{whole // 86400} d"


def recovery(event: RecoveryPlanned, policy: RestartPolicy) -> str:
    """What the cluster will do about a failure."""
    decision = event.decision
    if isinstance(decision, Restart):
        return f"restart in {decision.delay:g} s ({decision.failures} of {policy.threshold})"
    if decision.retry is None:
        return "stays failed"
    return f"stays failed, next try in {decision.retry:g} s"
