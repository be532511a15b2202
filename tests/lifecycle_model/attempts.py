"""One attempt at being online, as the model follows it."""

from __future__ import annotations

from math import inf
from typing import Final

import attrs

from trioresource._model.reports import FailureReason, ProbeInconclusive, Progress
from trioresource._model.states import ResourceState

__all__ = ["AttemptModel", "Change", "Expected", "Failure", "Other"]


@attrs.frozen
class Change:
    """The state has to change now; the words for people that go with it are free."""

    new: ResourceState


@attrs.frozen
class Failure:
    """A failure has to be reported now, for one of these reasons.

    More than one where several things were due in the same instant: whichever was first is
    fine. The words for people are free.
    """

    reasons: tuple[FailureReason, ...]


@attrs.frozen
class Other:
    """A report of this kind has to come now."""

    kind: type[Progress | ProbeInconclusive]
    message: str = ""
    """What progress has to say."""

    def matches(self, report: object) -> bool:
        """Whether it is this one."""
        says = report.message if isinstance(report, Progress) else ""
        return isinstance(report, self.kind) and says == self.message


Expected = Change | Failure | Other

NEVER: Final = inf


@attrs.frozen
class AttemptModel:
    """What is known of one attempt that has not ended."""

    epoch: int
    began: float
    """When it was launched."""
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
    """Whether a failure of it was reported; that happens once."""
    broken: bool = False
    """Whether a context raised when it was left."""
    signalled: bool = False
    """Whether the handler reported a failure that is not looked into yet."""
    verifying: bool = False
    """Whether ``is_alive`` is asked because of that."""
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
        """Whether it is online, and nobody wants it to end."""
        return self.up and not self.over and not self.stopping
