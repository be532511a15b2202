"""One attempt at being online, as the model follows it, and what may have to be reported of it."""

from __future__ import annotations

from math import inf
from typing import Final

import attrs

from trioresource._model.reports import CommandTaken, FailureReason, ProbeInconclusive, Progress
from trioresource._model.states import ResourceState

__all__ = ["AttemptModel", "Change", "Expected", "Failure", "Other", "Status"]


@attrs.frozen
class Change:
    """The state has to change now; the words for people that go with it are free."""

    new: ResourceState
    generation: int = 0
    """Which command the report has to have observed."""


@attrs.frozen
class Failure:
    """A failure has to be reported, for this reason. The words for people are free."""

    reason: FailureReason
    generation: int = 0


@attrs.frozen
class Other:
    """A report of this kind has to come now."""

    kind: type[Progress | ProbeInconclusive]
    message: str = ""
    """What progress has to say."""
    generation: int = 0

    def matches(self, report: object) -> bool:
        """Whether it is this one."""
        says = report.message if isinstance(report, Progress) else ""
        return isinstance(report, self.kind) and says == self.message


@attrs.frozen
class Status:
    """A command that changed nothing has to be answered now, by the full status (G1)."""

    epoch: int
    state: ResourceState
    is_ended: bool
    is_settled: bool
    is_stuck: bool
    generation: int = 0

    def matches(self, report: object) -> bool:
        """Whether the answer says all of this."""
        return isinstance(report, CommandTaken) and (
            (report.epoch, report.state) == (self.epoch, self.state)
            and (report.is_ended, report.is_settled) == (self.is_ended, self.is_settled)
            and report.is_stuck is self.is_stuck
        )


Expected = Change | Failure | Other | Status

NEVER: Final = inf


@attrs.frozen
class AttemptModel:
    """What is known of one attempt that has not ended."""

    epoch: int
    began: float
    """When it was launched."""
    in_use: int = 0
    """The property that was stored when it was launched."""
    called: bool = False
    """Whether ``online`` was called."""
    up: bool = False
    """Whether ``online`` returned while the attempt was not over."""
    stopping: bool = False
    """Whether it was asked for an orderly end."""
    leaving: bool = False
    """Whether ``offline`` returned."""
    over: bool = False
    """Whether it was terminated, or has failed."""
    failed: bool = False
    """Whether it has failed; the first cause counts, and is reported once."""
    noticed: Failure | None = None
    """Why it has failed, until that is reported."""
    broken: bool = False
    """Whether a context raised when it was left."""
    signalled: bool = False
    """Whether the handler reported a failure that the monitor has not looked into yet."""
    to_verify: bool = False
    """Whether the next ``is_alive`` is asked because of that."""
    verifying: bool = False
    """Whether the one that is asked now is."""
    answers: tuple[Failure | Other, ...] = ()
    """What answers of ``is_alive`` come to that the monitor has not judged yet."""
    asking_since: float = NEVER
    """Since when ``is_alive`` has been at it."""
    cleaned: bool = False
    """Whether the handler's ``terminate`` was called."""
    overdue: bool = False
    """Whether it was said to be stuck: once while it leaves what it holds, and once more in the
    handler's ``terminate``, which has a deadline of its own."""
    progress: float = 0.0
    """When it last began something, or reported progress."""
    bounded_since: float = NEVER
    """Since when the terminate deadline has been running."""

    @property
    def is_pending(self) -> bool:
        """Whether the pending deadline is running."""
        return not self.over and not self.leaving and (self.stopping or not self.up)

    @property
    def is_wanted(self) -> bool:
        """Whether it is online, and no command and no failure has ended that."""
        return self.up and not self.over and not self.stopping
