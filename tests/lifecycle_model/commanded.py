"""What commands make of one resource in a monitor; ``Course`` adds all the rest."""

from __future__ import annotations

from typing import Any, Final, Self

import attrs

from tests.lifecycle_model.attempts import (
    AttemptModel,
    Change,
    Expected,
    Failure,
    Other,
    Status,
)
from tests.lifecycle_model.conduct import Conduct
from tests.lifecycle_model.observations import Ask, Command, Entry
from tests.lifecycle_model.requests import DONE, INERT, SAID, Request
from trioresource._model.policy import Deadlines
from trioresource._model.reports import FailureReason, Progress
from trioresource._model.states import ResourceState

__all__ = ["EPSILON", "CommandedResource"]

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
    state: ResourceState = ResourceState.OFFLINE
    """The state, as it was reported last."""
    epoch: int = 0
    generation: int = 0
    """The number of the latest command that was taken."""
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
    """What has to be reported next, before anything else happens."""
    now: float = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way."""
        return self.following is None and not self.state_now.is_pending

    @property
    def progress_gap(self) -> float:
        """The pending deadline, which the deadlock deadline caps."""
        return min(self.deadlines.pending, self.deadlines.deadlock)

    @property
    def state_now(self) -> ResourceState:
        """Its state at this moment, also if the report of that is only to come."""
        changes = [expected.new for expected in self.expected if isinstance(expected, Change)]
        return changes[-1] if changes else self.state

    # --- commands of a cluster -----------------------------------------------------------

    def _take(self, command: Command) -> Self:
        """Take a numbered command: it is answered, whatever comes of it (G1)."""
        model = self._looked_into()
        if command.what is Ask.FAIL:
            attempt = model.attempt
            is_meant = attempt is not None and attempt.epoch == command.epoch
            return model._fail()[0] if is_meant else model
        model = attrs.evolve(model, generation=command.generation)
        before = model.state_now
        if command.what is Ask.ONLINE:
            # It never begins again what it was to confirm (G3).
            if command.epoch > model.epoch and model.attempt is None:
                return model._launched(command.epoch)
        elif command.what is Ask.OFFLINE:
            model = model._offline()
        else:
            model = model._terminate()
        return model._answered_command() if model.state_now is before else model

    def _answered_command(self) -> Self:
        is_ended = self.attempt is None
        return self._expect(
            Status(self.epoch, self.state_now, is_ended, self.is_settled, self.stuck)
        )

    # --- commands ------------------------------------------------------------------------

    def _looked_into(self) -> Self:
        """Report what was noticed before a command, before anything comes of the command."""
        model, attempt = self, self.attempt
        if attempt is None:
            return self
        for answer in attempt.answers if attempt.is_wanted else ():
            if isinstance(answer, Failure):
                model = model._failed(answer.reason)
                break
            model = model._expect(answer)
        model = model._become(answers=())
        assert model.attempt is not None
        if model.attempt.noticed is not None:
            return model._report_failure()
        if model.attempt.signalled and model.attempt.is_wanted:
            return model._become(signalled=False, to_verify=True)
        return model

    def _report_failure(self) -> Self:
        attempt = self.attempt
        assert attempt is not None
        assert attempt.noticed is not None
        model = self._become(noticed=None)
        return model._expect(Change(ResourceState.FAILED))._expect(attempt.noticed)

    def _online(self) -> tuple[Self, str | None]:
        if self.stuck:
            return self, "ResourceStuck"
        if self.attempt is None:
            return self._launched(self.epoch + 1), None
        if self.attempt.over or self.attempt.stopping:
            return attrs.evolve(self, following=ResourceState.ONLINE), None
        return self, None

    def _launched(self, epoch: int) -> Self:
        attempt = AttemptModel(epoch, self.now, self.stored, progress=self.now)
        model = attrs.evolve(self, epoch=epoch, attempt=attempt, following=None)
        return model._expect(Change(ResourceState.ONLINE_PENDING))

    def _offline(self) -> Self:
        attempt = self.attempt
        if attempt is None or attempt.over or not attempt.up:
            return self._terminate()
        model = attrs.evolve(self, following=None)
        if attempt.stopping:
            return model
        model = model._become(stopping=True, progress=self.now, signalled=False, to_verify=False)
        return model._expect(Change(ResourceState.OFFLINE_PENDING))

    def _terminate(self) -> Self:
        attempt, model = self.attempt, attrs.evolve(self, following=None)
        failed = self.state_now is ResourceState.FAILED
        if attempt is None:
            return model._expect(Change(ResourceState.OFFLINE)) if failed else model
        if attempt.over:
            return attrs.evolve(model, following=ResourceState.OFFLINE) if failed else model
        model = model._become(over=True, bounded_since=self.now)
        if self.state_now is ResourceState.OFFLINE_PENDING:
            return model
        return model._expect(Change(ResourceState.OFFLINE_PENDING))

    def _fail(self) -> tuple[Self, str]:
        if self.attempt is None or self.attempt.over:
            return self, "InvalidStateError"
        # Reported at once, and not by the consumer of the failure channel.
        return self._failed(FailureReason.REQUESTED)._report_failure(), DONE

    def _report(self, epoch: int) -> tuple[Self, str]:
        attempt = self.attempt
        if attempt is None or attempt.epoch != epoch or attempt.over or attempt.stopping:
            return self, INERT
        if self.trusting:
            return self._failed(FailureReason.SIGNAL), DONE
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
        """It fails, unless it has failed before; the failure channel is to report it."""
        attempt = self.attempt
        assert attempt is not None
        if attempt.failed:
            return self
        return self._become(
            over=True, failed=True, noticed=Failure(reason), bounded_since=self._bound_from_now()
        )

    def _expect(self, what: Expected) -> Self:
        what = attrs.evolve(what, generation=self.generation)
        return attrs.evolve(self, expected=(*self.expected, what))

    def _bound_from_now(self) -> float:
        attempt = self.attempt
        assert attempt is not None
        return attempt.bounded_since if attempt.over else self.now

    def _has_passed(self, time: float) -> bool:
        return self.now >= time - EPSILON
