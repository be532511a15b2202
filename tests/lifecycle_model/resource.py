"""The reference model of one resource in a monitor: rules 1 to 5, and 8 to 11.

It says what has to come of each thing that is observed, at once: which reports, which
answer. What is in nobody's hands (who goes first, when a timer wakes) it takes as it
comes, and says whether it may come now.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from tests.lifecycle_model.attempts import AttemptModel, Change, Failure, Other
from tests.lifecycle_model.commanded import EPSILON, CommandedResource
from tests.lifecycle_model.observations import (
    Answered,
    Ask,
    Asked,
    Deviation,
    Ended,
    Entered,
    Entry,
    Held,
    How,
    Left,
    Observation,
    Released,
    Told,
)
from tests.lifecycle_model.requests import Request, Standing, check_answer
from trioresource._model.reports import (
    AttemptEnded,
    AttemptStuck,
    FailureReason,
    FailureReport,
    ProbeInconclusive,
    StateChange,
)
from trioresource._model.states import ResourceState, is_legal

__all__ = ["ResourceModel"]

_RS = ResourceState
_FR = FailureReason

_RAISED: Final = {
    Entry.ONLINE: _FR.ONLINE_RAISED,
    Entry.OFFLINE: _FR.OFFLINE_RAISED,
    Entry.TERMINATE: _FR.TERMINATE_RAISED,
}


@attrs.frozen
class ResourceModel(CommandedResource):
    """What a hosted resource has to be like. A value: what happens makes another one."""

    # --- what is seen --------------------------------------------------------------------

    def see(self, seen: Observation) -> ResourceModel:
        """Take note of what has happened.

        Args:
            seen: what has happened.

        Returns:
            What is the case after it.

        Raises:
            Deviation: it must not happen now, or something else had to come first.
        """
        if isinstance(seen, Told):
            report: Any = seen.report
            if report.time > seen.time:
                raise Deviation(10, f"{self.name}: at {seen.time:g} came {report}")
            if self.expected and self.punctual and report.time != self.now:
                raise Deviation(10, f"{self.name}: at {self.now:g} was to come {report}")
            return self._at(report.time)._told(report)._noted()
        model = self._at(seen.time)
        model._check_told()
        if isinstance(seen, Asked):
            return model._asked(seen)._noted()
        if isinstance(seen, Answered):
            return model._answered(seen)
        if isinstance(seen, Entered):
            return model._entered(seen)
        if isinstance(seen, Left):
            return model._left(seen)._noted()
        return model._handled(seen)

    def begin(self, what: Ask, time: float) -> tuple[ResourceModel, ResourceState | None]:
        """Take a command of somebody who does not wait for its outcome.

        Args:
            what: ``ONLINE``, ``OFFLINE`` or ``TERMINATE``.
            time: when.

        Returns:
            What is the case after it, and the state that has to be reported at once, if any.
        """
        model = self._at(time)._begun(what)
        return model, model.state_now if len(model.expected) > len(self.expected) else None

    def at_rest(self, time: float) -> None:
        """See whether nothing is left, when nothing more will happen.

        Args:
            time: when that is.

        Raises:
            Deviation: something is missing.
        """
        model = self._at(time)
        model._check_told()
        if model.attempt is not None or not model.conduct.is_clear:
            raise Deviation(3, f"{self.name}: attempt {self.epoch} has not ended")
        if model.requests:
            raise Deviation(1, f"{self.name}: {self.requests[0].what.value} was never answered")
        if model.state not in (_RS.OFFLINE, _RS.FAILED):
            raise Deviation(2, f"{self.name} is {self.state.value}, and nothing of it is left")

    def _at(self, time: float) -> ResourceModel:
        if time < self.now:
            raise Deviation(10, f"{self.name}: time goes back, from {self.now:g} to {time:g}")
        if self.punctual and time > self.now:
            self._check_deadlines(time)
        return attrs.evolve(self, now=time)

    def _check_told(self) -> None:
        if self.expected:
            rule = 5 if isinstance(self.expected[0], Failure) else 2
            raise Deviation(rule, f"{self.name}: had to be told at once: {self.expected[0]}")

    def _check_deadlines(self, time: float) -> None:
        """Whether what had to happen before a time has happened."""
        for request in self.requests:
            if request.what in (Ask.ONLINE, Ask.OFFLINE) and time > request.due + EPSILON:
                raise Deviation(1, f"{self.name}: no answer to {request} at the soft deadline")
        attempt, deadlines = self.attempt, self.deadlines
        if attempt is None:
            return
        if attempt.is_pending and time > attempt.progress + self.progress_gap + EPSILON:
            raise Deviation(1, f"{self.name}: nothing came of the pending deadline")
        if time > attempt.asking_since + deadlines.deadlock + EPSILON and attempt.is_wanted:
            raise Deviation(1, f"{self.name}: nothing came of the deadlock deadline")
        if attempt.signalled and attempt.is_wanted and self.conduct.running is None:
            raise Deviation(5, f"{self.name}: a reported failure was not looked into")
        ending, idle = attempt.over or attempt.leaving, self.conduct.running is None
        if ending and idle and self.conduct.is_clear:
            raise Deviation(3, f"{self.name}: nothing is left to wait for, but it did not end")
        # The handler's terminate is cancelled at its deadline, and has as long to obey.
        bound = deadlines.terminate * (2 if attempt.cleaned else 1)
        if time > attempt.bounded_since + bound + EPSILON and not self.stuck:
            raise Deviation(1, f"{self.name}: nothing came of the terminate deadline")

    def _noted(self) -> ResourceModel:
        """The requests know whether there was an outcome that they may answer with."""
        if self.expected or not self.is_settled:
            return self
        kept = tuple(attrs.evolve(one, settled=True) for one in self.requests)
        return attrs.evolve(self, requests=kept)

    @property
    def _standing(self) -> Standing:
        ended = self.epoch if self.attempt is None else self.epoch - 1
        return Standing(self.state, self.is_settled, self.stuck, ended, self.now)

    # --- requests ------------------------------------------------------------------------

    def _asked(self, asked: Asked) -> ResourceModel:
        request = Request(
            asked.number,
            asked.what,
            self.now,
            self.now + self.deadlines.soft,
            epoch=self.epoch if self.attempt is not None else 0,
        )
        model, answer = self, None
        if asked.what is Ask.ONLINE:
            model, answer = self._online()
        elif asked.what is Ask.OFFLINE:
            model = self._offline()
        elif asked.what in (Ask.TERMINATE, Ask.QUIT, Ask.CLOSE):
            model = self._terminate()
        elif asked.what is Ask.FAIL:
            model, answer = self._fail()
        elif asked.what is Ask.REPORT:
            model, answer = self._report(asked.epoch)
        elif asked.what is Ask.PROGRESS:
            model, answer = self._report_progress(asked.epoch)
        elif asked.what is Ask.CHANGE:
            model = attrs.evolve(self, stored=asked.value)
        request = attrs.evolve(request, must=answer)
        return attrs.evolve(model, requests=(*model.requests, request))

    def _answered(self, seen: Answered) -> ResourceModel:
        request = next(one for one in self.requests if one.number == seen.number)
        check_answer(self.name, request, seen.answer, self._standing)
        kept = tuple(one for one in self.requests if one is not request)
        return attrs.evolve(self, requests=kept)

    # --- the handler ---------------------------------------------------------------------

    def _entered(self, seen: Entered) -> ResourceModel:
        attempt = self.attempt
        model = attrs.evolve(self, conduct=self.conduct.entered(seen))
        if seen.entry is Entry.CONTROL:
            return model
        if attempt is None:
            raise Deviation(3, f"{self.name}: {seen.entry.value} was called without an attempt")
        if seen.entry is Entry.TERMINATE:
            if not attempt.over:
                raise Deviation(3, f"{self.name}: terminate was called, but nothing is over")
            return model._become(cleaned=True, bounded_since=self.now, overdue=False)
        if attempt.over:
            text = f"{seen.entry.value} was called in an attempt that is over"
            raise Deviation(3, f"{self.name}: {text}")
        if seen.entry is Entry.ONLINE:
            return model._come_online(attempt, seen)
        if seen.entry is Entry.OFFLINE:
            if not attempt.stopping:
                raise Deviation(3, f"{self.name}: offline was called, but nobody asked for it")
            return model
        if not attempt.is_wanted:
            text = f"{seen.entry.value} was asked, but it is {self.state.value}"
            raise Deviation(5, f"{self.name}: {text}")
        if seen.entry is Entry.LOOKS_ALIVE:
            if self.detecting:
                raise Deviation(5, f"{self.name}: looks_alive was asked beside its own source")
            return model
        return model._become(asking_since=self.now, verifying=attempt.signalled, signalled=False)

    def _come_online(self, attempt: AttemptModel, seen: Entered) -> ResourceModel:
        if seen.epoch != attempt.epoch or attempt.called:
            text = f"online of attempt {seen.epoch} was called in attempt {attempt.epoch}"
            raise Deviation(2, f"{self.name}: {text}")
        if seen.value != self.stored:
            text = f"attempt {seen.epoch} uses property {seen.value}, {self.stored} was set"
            raise Deviation(9, f"{self.name}: {text}")
        return self._become(called=True)

    def _left(self, seen: Left) -> ResourceModel:
        attempt = self.attempt
        model = attrs.evolve(self, conduct=self.conduct.left(seen))
        if seen.entry is Entry.CONTROL:
            return model
        if attempt is None:
            raise Deviation(3, f"{self.name}: {seen.entry.value} went on after its attempt")
        if seen.entry is Entry.IS_ALIVE:
            return model._asked_alive(seen, attempt)
        if seen.how is How.CANCELLED:
            model._check_cancelled(seen, attempt)
            if seen.entry is Entry.TERMINATE:
                return model._failed(_FR.TERMINATE_TIMEOUT)
            return model
        if seen.how is How.RAISED:
            return model._failed(_RAISED[seen.entry])
        if attempt.over:
            return model
        if seen.entry is Entry.OFFLINE:
            return model._become(leaving=True, bounded_since=self.now)
        return model._become(up=True)._expect(Change(_RS.ONLINE))

    def _check_cancelled(self, seen: Left, attempt: AttemptModel) -> None:
        if seen.entry is not Entry.TERMINATE:
            if not attempt.over:
                raise Deviation(1, f"{self.name}: {seen.entry.value} was cancelled by nobody")
        elif self.now < attempt.bounded_since + self.deadlines.terminate - EPSILON:
            raise Deviation(3, f"{self.name}: terminate was cancelled before its deadline")

    def _asked_alive(self, seen: Left, attempt: AttemptModel) -> ResourceModel:
        verifying, asking_since = attempt.verifying, attempt.asking_since
        model = self._become(verifying=False, asking_since=float("inf"))
        if not attempt.is_wanted:
            return model
        if seen.how is How.RAISED and not verifying:
            return model._expect(Other(ProbeInconclusive))
        if seen.how is How.CANCELLED:
            if self.now < asking_since + self.deadlines.deadlock - EPSILON:
                raise Deviation(1, f"{self.name}: is_alive was cancelled by nobody")
            return model._failed(_FR.PROBE_HUNG)
        if seen.how is How.RAISED or not seen.alive:
            return model._failed(_FR.SIGNAL if verifying else _FR.NOT_ALIVE)
        return model

    def _handled(self, seen: Held | Released | Ended) -> ResourceModel:
        if isinstance(seen, Held):
            return attrs.evolve(self, conduct=self.conduct.held(seen))
        attempt = self.attempt
        if attempt is None:
            raise Deviation(3, f"{self.name}: {seen.what} outlived its attempt")
        late = not self.punctual or self._has_passed(
            attempt.bounded_since + self.deadlines.terminate
        )
        model = attrs.evolve(self, conduct=self.conduct.let_go(seen, late=late))
        if isinstance(seen, Released):
            if not (attempt.over or attempt.leaving):
                raise Deviation(2, f"{self.name}: {seen.what} was left while it is in use")
            return model._become(broken=attempt.broken or seen.raised)
        if seen.how is How.RAISED:
            return model._failed(_FR.TASK_CRASHED)
        if seen.how is How.RETURNED and not (attempt.over or attempt.stopping):
            return model._failed(_FR.TASK_RETURNED)
        return model

    # --- reports -------------------------------------------------------------------------

    def _told(self, report: Any) -> ResourceModel:
        if report.resource != self.name:
            raise Deviation(11, f"{self.name}: {report} is of another resource")
        if report.epoch != self.epoch and not isinstance(report, StateChange):
            raise Deviation(4, f"{self.name}: a late report: {report}, in attempt {self.epoch}")
        if isinstance(report, StateChange):
            return self._changed(report)
        if self.expected:
            return self._as_expected(report)
        if isinstance(report, AttemptEnded):
            return self._gone(report.epoch)
        if isinstance(report, AttemptStuck):
            self._check_overdue()
            return attrs.evolve(self._become(overdue=True), stuck=True, following=None)
        raise Deviation(5, f"{self.name}: nothing has led to {report}")

    def _as_expected(self, report: Any) -> ResourceModel:
        first, *others = self.expected
        if isinstance(first, Failure) and isinstance(report, FailureReport):
            if report.reason not in first.reasons:
                raise Deviation(5, f"{self.name}: {report}, where one of {first} was to come")
        elif not (isinstance(first, Other) and first.matches(report)):
            raise Deviation(5, f"{self.name}: {report}, where {first} was to come")
        return attrs.evolve(self, expected=tuple(others))

    def _changed(self, change: StateChange) -> ResourceModel:
        if change.old is not self.state or not is_legal(change.old, change.new):
            raise Deviation(2, f"{self.name}: {change}, in state {self.state.value}")
        if change.epoch != self.epoch:
            raise Deviation(4, f"{self.name}: {change}, in attempt {self.epoch}")
        model = attrs.evolve(self, state=change.new)
        if self.expected:
            if self.expected[0] != Change(change.new):
                raise Deviation(2, f"{self.name}: {change}, where {self.expected[0]} was to come")
            return attrs.evolve(model, expected=self.expected[1:])
        if change.new is _RS.OFFLINE:
            return model._gone(change.epoch)
        if change.new is _RS.FAILED:
            reasons = self._possible_failures()
            if reasons:
                model = model._become(over=True, failed=True, bounded_since=model._bound_from_now())
                return model._expect(Failure(reasons))
        raise Deviation(2, f"{self.name}: nothing has led to {change}")

    def _possible_failures(self) -> tuple[FailureReason, ...]:
        """What may come now though nothing was seen that leads to it: deadlines."""
        attempt, deadlines, found = self.attempt, self.deadlines, []
        if attempt is None or attempt.failed:
            return ()
        if attempt.is_pending and self._has_passed(attempt.progress + self.progress_gap):
            found.append(_FR.OFFLINE_TIMEOUT if attempt.stopping else _FR.ONLINE_TIMEOUT)
        if attempt.is_wanted and self._has_passed(attempt.asking_since + deadlines.deadlock):
            found.append(_FR.PROBE_HUNG)
        if attempt.broken:
            found.append(_FR.CLEANUP_RAISED)
        if self._has_passed(attempt.bounded_since + deadlines.terminate):
            found.append(_FR.STUCK if attempt.over else _FR.OFFLINE_TIMEOUT)
        return tuple(found)

    def _check_overdue(self) -> None:
        attempt = self.attempt
        if attempt is None or attempt.overdue or not (attempt.over and attempt.failed):
            raise Deviation(3, f"{self.name}: is said to be stuck, but nothing is")
        if not self._has_passed(attempt.bounded_since + self.deadlines.terminate):
            raise Deviation(1, f"{self.name}: is said to be stuck before its deadline")

    def _gone(self, epoch: int) -> ResourceModel:
        """Nothing of the attempt is said to be left."""
        attempt = self.attempt
        if attempt is None or attempt.epoch != epoch or not (attempt.over or attempt.leaving):
            raise Deviation(3, f"{self.name}: attempt {epoch} ended unasked")
        if not self.conduct.is_clear:
            held = ", ".join(self.conduct.holds) or self.conduct.stage.value
            raise Deviation(3, f"{self.name}: attempt {epoch} has ended, and left {held}")
        if attempt.failed is (self.state is _RS.OFFLINE) or (attempt.broken > attempt.failed):
            raise Deviation(5, f"{self.name}: {self.state.value} after attempt {attempt}")
        if attempt.over and attempt.called and not attempt.cleaned:
            raise Deviation(3, f"{self.name}: the handler's terminate was left out")
        model = attrs.evolve(self, attempt=None, stuck=False, following=None)
        if self.following is _RS.ONLINE:
            return model._launched()
        if self.following is _RS.OFFLINE and self.state is _RS.FAILED:
            return model._expect(Change(_RS.OFFLINE))
        return model
