"""What a workload consists of: values that read like the calls they stand for."""

from __future__ import annotations

import enum

import attrs

from tests.lifecycle_model.observations import Ask, Entry

__all__ = ["Behave", "Do", "Finish", "Late", "Manner", "Operation", "Renew", "Say", "Set", "Wait"]


class Manner(enum.Enum):
    """How an entry point of the handler ends."""

    FINE = "fine"
    RAISE = "raise"
    STUBBORN = "stubborn"
    """It takes its time even if it is cancelled, and then obeys."""
    DENY = "deny"
    """``is_alive`` says no; the others are fine."""
    PROGRESS = "progress"
    """It reports progress half-way, and is fine."""


@attrs.frozen
class Do:
    """Something is asked for, in a task of its own."""

    what: Ask
    """``ONLINE``, ``OFFLINE``, ``TERMINATE`` or ``CONTROL``."""
    resource: str = "r"
    patience: float | None = attrs.field(default=None, kw_only=True)
    """After so many seconds the caller is cancelled."""


@attrs.frozen
class Say:
    """The resource is failed, or the handler reports; no task has to wait for that."""

    what: Ask
    """``FAIL``, ``REPORT`` or ``PROGRESS``."""
    resource: str = "r"


@attrs.frozen
class Late:
    """The handler reports through the scope of an attempt that was before the last."""

    what: Ask
    """``REPORT`` or ``PROGRESS``."""
    resource: str = "r"


@attrs.frozen
class Finish:
    """The background task of the attempt ends by itself, if there is one."""

    manner: Manner = Manner.RAISE
    resource: str = "r"
    terminating: bool = False
    """It terminates its own resource first."""


@attrs.frozen
class Behave:
    """From now on, an entry point of the handler behaves like this.

    ``None`` stands for what its scope holds, when that is left.
    """

    entry: Entry | None
    manner: Manner = Manner.FINE
    takes: float = 0.0
    resource: str = "r"


@attrs.frozen
class Set:
    """The property gets a value."""

    value: int
    resource: str = "r"


@attrs.frozen
class Wait:
    """Time passes."""

    seconds: float


@attrs.frozen
class Renew:
    """The resource is removed from its cluster, and another one is added under its name."""

    resource: str


Operation = Do | Say | Late | Finish | Behave | Set | Renew | Wait
"""Whatever may stand in a workload."""
