"""What commands make of one resource in a monitor; ``ResourceModel`` adds all the rest."""

from __future__ import annotations

from typing import Any, Final, Self

import attrs

from tests.lifecycle_model.attempts import AttemptModel, Change, Expected, Failure, Other
from tests.lifecycle_model.conduct import Conduct
from tests.lifecycle_model.observations import Ask, Entry
from tests.lifecycle_model.requests import DONE, INERT, SAID, Request
from trioresource._model.policy import Deadlines
from trioresource._model.reports import FailureReason, Progress
from trioresource._model.states import ResourceState

__all__ = ["EPSILON", "CommandedResource"]

_RS = ResourceState
_FR = FailureReason
EPSILON: Final = 1e-9
"""Seconds that sums of deadlines may differ by."""


@attrs.frozen
class CommandedResource:
    """A hosted resource, and what commands make of it. A value: each makes another one."""

    name: str
    deadlines: Deadlines
    punctual: bool = True
    """Whether nothing can be later than its deadline: so if timers expire only when
    nothing else can go."""
    trusting: bool = False
    """Whether a reported failure counts without being verified."""
    detecting: bool = False
    """Whether its handler has a failure source of its own."""
    state: ResourceState = _RS.OFFLINE
    epoch: int = 0
    attempt: AttemptModel | None = None
    following: ResourceState | None = None
    """What was asked for, and has to wait until the attempt has ended."""
    stuck: bool = False
    conduct: Conduct = attrs.field(
        default=attrs.Factory(lambda self: Conduct(self.name), takes_self=True)
    )
    stored: int = 0
    requests: tuple[Request, ...] = ()
    expected: tuple[Expected, ...] = ()
    """What has to be told next, before anything else happens."""
    now: float = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way."""
        return self.following is None and not self.state.is_pending

    @property
    def progress_gap(self) -> float:
        """The pending deadline, which the deadlock deadline caps."""
        return min(self.deadlines.pending, self.deadlines.deadlock)

    @property
    def state_now(self) -> ResourceState:
        """Its state at this moment, also if the report of that is only to come."""
        changes = [one.new for one in self.expected if isinstance(one, Change)]
        return changes[-1] if changes else self.state

    # --- commands ------------------------------------------------------------------------

    def _begun(self, what: Ask) -> Self:
        """What a command makes of it, whoever waits for that."""
        if what is Ask.ONLINE:
            return self._online()[0]
        return self._offline() if what is Ask.OFFLINE else self._terminate()

    def _online(self) -> tuple[Self, str | None]:
        if self.stuck:
            return self, "ResourceStuck"
        if self.attempt is None:
            return self._launched(), None
        if self.attempt.over or self.attempt.stopping:
            return attrs.evolve(self, following=_RS.ONLINE), None
        return self, None

    def _launched(self) -> Self:
        epoch = self.epoch + 1
        attempt = AttemptModel(epoch, began=self.now, progress=self.now)
        model = attrs.evolve(self, epoch=epoch, attempt=attempt, following=None)
        return model._expect(Change(_RS.ONLINE_PENDING))

    def _offline(self) -> Self:
        attempt = self.attempt
        if attempt is None or attempt.over or not attempt.up:
            return self._terminate()
        model = attrs.evolve(self, following=None)
        if attempt.stopping:
            return model
        model = model._become(stopping=True, progress=self.now, signalled=False)
        return model._expect(Change(_RS.OFFLINE_PENDING))

    def _terminate(self) -> Self:
        attempt, model = self.attempt, attrs.evolve(self, following=None)
        if attempt is None:
            return model._expect(Change(_RS.OFFLINE)) if self.state is _RS.FAILED else model
        if attempt.over:
            failed = self.state is _RS.FAILED
            return attrs.evolve(model, following=_RS.OFFLINE) if failed else model
        model = model._become(over=True, bounded_since=self.now)
        if self.state is _RS.OFFLINE_PENDING:
            return model
        return model._expect(Change(_RS.OFFLINE_PENDING))

    def _fail(self) -> tuple[Self, str]:
        if self.attempt is None or self.attempt.over:
            return self, "InvalidStateError"
        return self._failed(_FR.REQUESTED), DONE

    def _report(self, epoch: int) -> tuple[Self, str]:
        attempt = self.attempt
        if attempt is None or attempt.epoch != epoch or attempt.over or attempt.stopping:
            return self, INERT
        if self.trusting:
            return self._failed(_FR.SIGNAL), DONE
        return self._become(signalled=True), DONE

    def _report_progress(self, epoch: int) -> tuple[Self, str]:
        attempt = self.attempt
        if attempt is None or attempt.epoch != epoch or attempt.over:
            return self, INERT
        busy = self.conduct.running in (Entry.ONLINE, Entry.OFFLINE)
        if not (busy and attempt.is_pending):
            return self, DONE
        return self._become(progress=self.now)._expect(Other(Progress, SAID)), DONE

    # --- steps ---------------------------------------------------------------------------

    def _become(self, **changes: Any) -> Self:
        assert self.attempt is not None
        return attrs.evolve(self, attempt=attrs.evolve(self.attempt, **changes))

    def _failed(self, reason: FailureReason) -> Self:
        """It fails, unless it has failed before: a failure is reported once."""
        attempt = self.attempt
        assert attempt is not None
        if attempt.failed:
            return self
        model = self._become(over=True, failed=True, bounded_since=self._bound_from_now())
        return model._expect(Change(_RS.FAILED), Failure((reason,)))

    def _expect(self, *what: Expected) -> Self:
        return attrs.evolve(self, expected=(*self.expected, *what))

    def _bound_from_now(self) -> float:
        attempt = self.attempt
        assert attempt is not None
        return attempt.bounded_since if attempt.over else self.now

    def _has_passed(self, time: float) -> bool:
        return self.now >= time - EPSILON
