"""The reference model of one resource in a monitor: rules 1 to 5, and 8 to 11.

It says what has to come of each thing that is observed: which reports, which answer. What is
left open (which task goes first, when a timer wakes) it takes as it comes, and says whether it
may come now.

What the monitor's own tasks do is not seen at once: a deadline has passed, and the failure is
reported by the consumer of the failure channel a pass later; a message of the handler was
looked into, or not yet. So the model follows each ``Course`` that things may have taken. What
is observed rules courses out, and when none is left, the implementation has deviated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from tests.lifecycle_model.attempts import NEVER, AttemptModel, Change, Failure, Other, Status
from tests.lifecycle_model.commanded import EPSILON, CommandedResource
from tests.lifecycle_model.observations import (
    Answered,
    Ask,
    Asked,
    Command,
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
    CommandTaken,
    FailureReason,
    FailureReport,
    ProbeInconclusive,
    StateChange,
)
from trioresource._model.states import ResourceState, is_legal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.lifecycle_model.conduct import Conduct
    from trioresource._model.policy import Deadlines

__all__ = ["ResourceModel", "resource_model"]

_RAISED: Final = {
    Entry.ONLINE: FailureReason.ONLINE_RAISED,
    Entry.OFFLINE: FailureReason.OFFLINE_RAISED,
    Entry.TERMINATE: FailureReason.TERMINATE_RAISED,
}


@attrs.frozen
class ResourceModel:
    """What a hosted resource has to be like. A value: what happens makes another one."""

    courses: tuple[Course, ...]
    """Each course that things may have taken; the first is the one with nothing unseen."""

    # All courses agree on what is seen and reported.

    @property
    def name(self) -> str:
        """The name of the resource."""
        return self.courses[0].name

    @property
    def state(self) -> ResourceState:
        """The state, as it was reported last."""
        return self.courses[0].state

    @property
    def epoch(self) -> int:
        """The latest attempt."""
        return self.courses[0].epoch

    @property
    def has_attempt(self) -> bool:
        """Whether an attempt is left."""
        return self.courses[0].attempt is not None

    @property
    def is_stuck(self) -> bool:
        """Whether the latest attempt was terminated and does not end."""
        return self.courses[0].stuck

    @property
    def is_reporting(self) -> bool:
        """Whether a report has to come now, before anything else happens."""
        return bool(self.courses[0].expected)

    @property
    def conduct(self) -> Conduct:
        """What the handler has been through."""
        return self.courses[0].conduct

    @property
    def requests(self) -> tuple[Request, ...]:
        """The requests that have not been answered."""
        return self.courses[0].requests

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
            if seen.report.time > seen.time:
                raise Deviation(10, f"{self.name}: at {seen.time:g} came {seen.report}")
            return self._follow(seen.report.time, lambda course: course.told(seen.report))
        return self._follow(seen.time, lambda course: course.see(seen))

    def take(self, command: Command, time: float) -> ResourceModel:
        """Take a numbered command of a cluster.

        Args:
            command: the command.
            time: when the monitor takes it.
        """
        return self._follow(time, lambda course: course.take(command))

    def end(self, time: float) -> ResourceModel:
        """Terminate it, as a monitor does that is closing."""
        return self._follow(time, lambda course: course.end())

    def at_rest(self, time: float) -> None:
        """See whether nothing is left, when nothing more will happen.

        Args:
            time: when that is.

        Raises:
            Deviation: something is missing.
        """
        self._follow(time, lambda course: course.at_rest())

    def _follow(self, time: float, step: Callable[[Course], Course]) -> ResourceModel:
        """Take a step in each course; those in which it cannot be are ruled out."""
        found: dict[Course, None] = {}
        first: Deviation | None = None
        for earlier in self.courses:
            try:
                for course in _with_unseen(earlier.at(time)):
                    try:
                        found[step(course)] = None
                    except Deviation as deviation:
                        first = first or deviation
            except Deviation as deviation:
                first = first or deviation
        if found:
            return ResourceModel(tuple(found))
        assert first is not None
        raise first


def resource_model(name: str, deadlines: Deadlines, **options: Any) -> ResourceModel:
    """Make the model of a resource that was hosted and is offline.

    Args:
        name: its name.
        deadlines: its deadlines.
        options: other fields of the ``Course``, such as ``punctual``.
    """
    return ResourceModel((Course(name, deadlines, **options),))


def _with_unseen(course: Course) -> Iterable[Course]:
    """Give the course, and each that may have come of it unseen by now."""
    found, pending = {course: None}, [course]
    while pending:
        for other in pending.pop().unseen():
            if other not in found:
                found[other] = None
                pending.append(other)
    return found


@attrs.frozen
class Course(CommandedResource):
    """One course that things may have taken. A value: what happens makes another one."""

    # --- what is seen --------------------------------------------------------------------

    def see(self, seen: Asked | Answered | Entered | Left | Held | Released | Ended) -> Course:
        """Take note of what has happened, but for reports."""
        self._check_told()
        if isinstance(seen, Asked):
            return self._asked(seen)._noted()
        if isinstance(seen, Answered):
            return self._answered(seen)
        if isinstance(seen, Entered):
            return self._entered(seen)
        if isinstance(seen, Left):
            return self._left(seen)._noted()
        return self._handled(seen)

    def take(self, command: Command) -> Course:
        """Take a numbered command of a cluster."""
        self._check_told()
        return self._take(command)._noted()

    def end(self) -> Course:
        """Be terminated by a monitor that is closing."""
        self._check_told()
        return self._looked_into()._terminate()._noted()

    def told(self, report: Any) -> Course:
        """Take note of a report."""
        if report.generation != self._generation_of_next:
            text = f"{report} has observed command {report.generation}"
            raise Deviation(4, f"{self.name}: {text}, not {self._generation_of_next}")
        return self._told(report)._noted()

    def at_rest(self) -> Course:
        """See whether nothing is left, when nothing more will happen."""
        self._check_told()
        if self.attempt is not None or not self.conduct.is_clear:
            raise Deviation(3, f"{self.name}: attempt {self.epoch} has not ended")
        if self.requests:
            raise Deviation(1, f"{self.name}: {self.requests[0].what.value} was never answered")
        if self.state not in (ResourceState.OFFLINE, ResourceState.FAILED):
            raise Deviation(2, f"{self.name} is {self.state.value}, and nothing of it is left")
        return self

    def at(self, time: float) -> Course:
        """Let time pass: what was due before has to have happened."""
        if time < self.now:
            raise Deviation(10, f"{self.name}: time goes back, from {self.now:g} to {time:g}")
        if self.punctual and time > self.now:
            if self.expected:
                raise Deviation(10, f"{self.name}: at {self.now:g} was to come {self.expected[0]}")
            self._check_deadlines(time)
        return attrs.evolve(self, now=time)

    @property
    def _generation_of_next(self) -> int:
        return self.expected[0].generation if self.expected else self.generation

    # --- what is not seen ----------------------------------------------------------------

    def unseen(self) -> Iterable[Course]:
        """Give what the monitor's own tasks may have done to it unseen."""
        attempt = self.attempt
        if attempt is None or self.expected:
            return
        for reason in self._overruns(attempt):
            yield self._failed(reason)
        if attempt.broken and not attempt.failed and self.conduct.is_clear:
            # What came out of a context comes out of the attempt when nothing is left in it.
            yield self._failed(FailureReason.CLEANUP_RAISED)
        if attempt.signalled and attempt.is_wanted and not attempt.answers:
            yield self._become(signalled=False, to_verify=True)

    def _overruns(self, attempt: AttemptModel) -> Iterable[FailureReason]:
        """Give the deadlines that have passed, so that their timers may have expired."""
        if attempt.failed:
            return
        deadlines, going_off = self.deadlines, FailureReason.OFFLINE_TIMEOUT
        if attempt.is_pending and self._has_passed(attempt.progress + self.progress_gap):
            yield going_off if attempt.stopping else FailureReason.ONLINE_TIMEOUT
        if attempt.is_wanted and self._has_passed(attempt.asking_since + deadlines.deadlock):
            yield FailureReason.PROBE_HUNG
        is_bounded = attempt.leaving and not attempt.over
        if is_bounded and self._has_passed(attempt.bounded_since + deadlines.terminate):
            yield going_off

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
        if attempt.noticed is not None:
            raise Deviation(5, f"{self.name}: {attempt.noticed.reason} was never reported")
        if attempt.is_wanted and attempt.answers:
            raise Deviation(5, f"{self.name}: an answer of is_alive was never judged")
        if attempt.is_wanted and attempt.signalled:
            raise Deviation(5, f"{self.name}: a reported failure was not looked into")
        if attempt.is_wanted and attempt.to_verify and self.conduct.running is None:
            raise Deviation(5, f"{self.name}: a reported failure was not verified")
        ending, idle = attempt.over or attempt.leaving, self.conduct.running is None
        if ending and idle and self.conduct.is_clear:
            raise Deviation(3, f"{self.name}: nothing is left to wait for, but it did not end")
        # The handler's terminate is cancelled at its deadline, and has as long to obey.
        bound = deadlines.terminate * (2 if attempt.cleaned else 1)
        if time > attempt.bounded_since + bound + EPSILON and not self.stuck:
            raise Deviation(1, f"{self.name}: nothing came of the terminate deadline")

    def _noted(self) -> Course:
        """The requests know whether there was an outcome that they may answer with."""
        if self.expected or not self.is_settled:
            return self
        kept = tuple(attrs.evolve(request, settled=True) for request in self.requests)
        return attrs.evolve(self, requests=kept)

    @property
    def _standing(self) -> Standing:
        ended = self.epoch if self.attempt is None else self.epoch - 1
        return Standing(self.state, self.is_settled, self.stuck, ended, self.now)

    # --- requests ------------------------------------------------------------------------

    def _asked(self, asked: Asked) -> Course:
        request = Request(
            asked.number,
            asked.what,
            self.now,
            self.now + self.deadlines.soft,
            epoch=self.epoch if self.attempt is not None else 0,
        )
        model, answer = self, None
        if asked.what is Ask.ONLINE:
            model, answer = self._looked_into()._online()
        elif asked.what is Ask.OFFLINE:
            model = self._looked_into()._offline()
        elif asked.what in (Ask.TERMINATE, Ask.QUIT, Ask.CLOSE):
            model = self._looked_into()._terminate()
        elif asked.what is Ask.FAIL:
            model, answer = self._looked_into()._fail()
        elif asked.what is Ask.REPORT:
            model, answer = self._report(asked.epoch)
        elif asked.what is Ask.PROGRESS:
            model, answer = self._report_progress(asked.epoch)
        elif asked.what is Ask.CHANGE:
            model = attrs.evolve(self, stored=asked.value)
        request = attrs.evolve(request, must=answer)
        return attrs.evolve(model, requests=(*model.requests, request))

    def _answered(self, seen: Answered) -> Course:
        request = next(asked for asked in self.requests if asked.number == seen.number)
        check_answer(self.name, request, seen.answer, self._standing)
        kept = tuple(other for other in self.requests if other is not request)
        return attrs.evolve(self, requests=kept)

    # --- the handler ---------------------------------------------------------------------

    def _entered(self, seen: Entered) -> Course:
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
                raise Deviation(3, f"{self.name}: offline was called, but that was not asked for")
            return model
        if not attempt.is_wanted:
            text = f"{seen.entry.value} was asked, but it is {self.state.value}"
            raise Deviation(5, f"{self.name}: {text}")
        if seen.entry is Entry.LOOKS_ALIVE:
            if self.detecting:
                raise Deviation(5, f"{self.name}: looks_alive was asked beside its own source")
            return model
        return model._become(asking_since=self.now, verifying=attempt.to_verify, to_verify=False)

    def _come_online(self, attempt: AttemptModel, seen: Entered) -> Course:
        if seen.epoch != attempt.epoch or attempt.called:
            text = f"online of attempt {seen.epoch} was called in attempt {attempt.epoch}"
            raise Deviation(2, f"{self.name}: {text}")
        if seen.value != attempt.in_use:
            text = f"attempt {seen.epoch} uses property {seen.value}, {attempt.in_use} was set"
            raise Deviation(9, f"{self.name}: {text}")
        return self._become(called=True)

    def _left(self, seen: Left) -> Course:
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
                return model._failed(FailureReason.TERMINATE_TIMEOUT)
            return model
        if seen.how is How.RAISED:
            return model._failed(_RAISED[seen.entry])
        if attempt.over:
            return model
        if seen.entry is Entry.OFFLINE:
            return model._become(leaving=True, bounded_since=self.now)
        return model._become(up=True)._expect(Change(ResourceState.ONLINE))

    def _check_cancelled(self, seen: Left, attempt: AttemptModel) -> None:
        if seen.entry is not Entry.TERMINATE:
            if not attempt.over:
                raise Deviation(1, f"{self.name}: {seen.entry.value} was cancelled for no reason")
        elif self.now < attempt.bounded_since + self.deadlines.terminate - EPSILON:
            raise Deviation(3, f"{self.name}: terminate was cancelled before its deadline")

    def _asked_alive(self, seen: Left, attempt: AttemptModel) -> Course:
        verifying, asking_since = attempt.verifying, attempt.asking_since
        model = self._become(verifying=False, asking_since=NEVER)
        if not attempt.is_wanted:
            return model
        if seen.how is How.CANCELLED:
            if self.now < asking_since + self.deadlines.deadlock - EPSILON:
                raise Deviation(1, f"{self.name}: is_alive was cancelled for no reason")
            return model._failed(FailureReason.PROBE_HUNG)
        if seen.how is How.RAISED and not verifying:
            return model._become(answers=(*attempt.answers, Other(ProbeInconclusive)))
        if seen.how is How.RAISED or not seen.alive:
            reason = FailureReason.SIGNAL if verifying else FailureReason.NOT_ALIVE
            return model._become(answers=(*attempt.answers, Failure(reason)))
        return model

    def _handled(self, seen: Held | Released | Ended) -> Course:
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
        # What the handler said before is the cause.
        signal = FailureReason.SIGNAL if attempt.signalled else None
        if seen.how is How.RAISED:
            return model._failed(signal or FailureReason.TASK_CRASHED)
        if seen.how is How.RETURNED and not (attempt.over or attempt.stopping):
            return model._failed(signal or FailureReason.TASK_RETURNED)
        return model

    # --- reports -------------------------------------------------------------------------

    def _told(self, report: Any) -> Course:
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
        if isinstance(report, ProbeInconclusive):
            return self._judged(report)
        raise Deviation(5, f"{self.name}: nothing has led to {report}")

    def _judged(self, report: ProbeInconclusive) -> Course:
        """The first answer of ``is_alive`` that was not judged yet has been."""
        attempt = self.attempt
        if attempt is None or not attempt.is_wanted:
            raise Deviation(5, f"{self.name}: {report}, but it is {self.state.value}")
        if not attempt.answers or not isinstance(attempt.answers[0], Other):
            raise Deviation(5, f"{self.name}: nothing has led to {report}")
        return self._become(answers=attempt.answers[1:])

    def _as_expected(self, report: Any) -> Course:
        first, *others = self.expected
        if isinstance(first, Failure) and isinstance(report, FailureReport):
            if report.reason is not first.reason:
                raise Deviation(5, f"{self.name}: {report}, where {first} was to come")
        elif isinstance(first, Status) and isinstance(report, CommandTaken):
            if not first.matches(report):
                raise Deviation(2, f"{self.name}: {report}, where {first} was to come")
        elif not (isinstance(first, Other) and first.matches(report)):
            raise Deviation(5, f"{self.name}: {report}, where {first} was to come")
        return attrs.evolve(self, expected=tuple(others))

    def _changed(self, change: StateChange) -> Course:
        if change.old is not self.state or not is_legal(change.old, change.new):
            raise Deviation(2, f"{self.name}: {change}, in state {self.state.value}")
        if change.epoch != self.epoch:
            raise Deviation(4, f"{self.name}: {change}, in attempt {self.epoch}")
        self._check_value(change)
        model = attrs.evolve(self, state=change.new)
        if self.expected:
            first = self.expected[0]
            if not isinstance(first, Change) or first.new is not change.new:
                raise Deviation(2, f"{self.name}: {change}, where {first} was to come")
            return attrs.evolve(model, expected=self.expected[1:])
        if change.new is ResourceState.OFFLINE:
            return model._gone(change.epoch)
        if change.new is ResourceState.FAILED:
            noticed = self._why_failed()
            if noticed is not None:
                failed = model._become(over=True, failed=True, noticed=None, answers=())
                bounded = failed._become(bounded_since=model._bound_from_now())
                return bounded._expect(noticed)
        raise Deviation(2, f"{self.name}: nothing has led to {change}")

    def _check_value(self, change: StateChange) -> None:
        """What the resource provides comes with the report that it is online, and only there."""
        value = change.epoch if change.new is ResourceState.ONLINE else None
        if change.value != value:
            raise Deviation(2, f"{self.name}: {change} brings {change.value!r}, not {value!r}")

    def _why_failed(self) -> Failure | None:
        """Why it may be reported now that it has failed."""
        attempt = self.attempt
        if attempt is None:
            return None
        if attempt.noticed is not None:
            return attempt.noticed
        if attempt.failed:
            return None
        answer = attempt.answers[0] if attempt.answers and attempt.is_wanted else None
        if isinstance(answer, Failure):
            return answer
        if attempt.over and self._has_passed(attempt.bounded_since + self.deadlines.terminate):
            return Failure(FailureReason.STUCK)
        return None

    def _check_overdue(self) -> None:
        attempt = self.attempt
        if attempt is None or attempt.overdue or not (attempt.over and attempt.failed):
            raise Deviation(3, f"{self.name}: is said to be stuck, but nothing is")
        if not self._has_passed(attempt.bounded_since + self.deadlines.terminate):
            raise Deviation(1, f"{self.name}: is said to be stuck before its deadline")

    def _gone(self, epoch: int) -> Course:
        """Nothing of the attempt is said to be left."""
        attempt = self.attempt
        if attempt is None or attempt.epoch != epoch or not (attempt.over or attempt.leaving):
            raise Deviation(3, f"{self.name}: attempt {epoch} ended unasked")
        if attempt.noticed is not None:
            raise Deviation(5, f"{self.name}: attempt {epoch} ended before {attempt.noticed}")
        if not self.conduct.is_clear:
            held = ", ".join(self.conduct.holds) or self.conduct.stage.value
            raise Deviation(3, f"{self.name}: attempt {epoch} has ended, and left {held}")
        if attempt.failed is (self.state is ResourceState.OFFLINE) or (
            attempt.broken > attempt.failed
        ):
            raise Deviation(5, f"{self.name}: {self.state.value} after attempt {attempt}")
        if attempt.over and attempt.called and not attempt.cleaned:
            raise Deviation(3, f"{self.name}: the handler's terminate was left out")
        model = attrs.evolve(self, attempt=None, stuck=False, following=None)
        if self.following is ResourceState.ONLINE:
            return model._launched(self.epoch + 1)
        if self.following is ResourceState.OFFLINE and self.state is ResourceState.FAILED:
            return model._expect(Change(ResourceState.OFFLINE))
        return model
