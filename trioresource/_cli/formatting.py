"""Texts that several commands share: one-line texts, durations, decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.policy import Restart

if TYPE_CHECKING:
    from .._model.events import RecoveryPlanned
    from .._model.policy import RestartPolicy


def one_line(text: str) -> str:
    """Join the lines of a text by ``|``, without control characters."""
    return printable(" | ".join(line for line in text.splitlines() if line.strip()))


def printable(line: str) -> str:
    """Escape the characters of a line that a terminal would obey."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


def duration(seconds: float) -> str:
    """Show a measured duration with two or more digits."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:.0f} s"


def age(seconds: float) -> str:
    """Show how long ago something happened, in whole units."""
    whole = int(max(seconds, 0))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 48 * 3600 else f"{whole // 86400} d"


def recovery(event: RecoveryPlanned, policy: RestartPolicy) -> str:
    """Show what the cluster will do about a failure."""
    decision = event.decision
    if isinstance(decision, Restart):
        return f"restart in {decision.delay:g} s ({decision.failures} of {policy.threshold})"
    if decision.retry is None:
        return "stays failed"
    return f"stays failed, next try in {decision.retry:g} s"
