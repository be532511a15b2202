"""One attempt at being online: a task, a cancel scope, an epoch.

The task does everything in order, and runs the handler's ``terminate`` if the end was not
orderly. So a context is always left in the task that entered it, and terminating an attempt
takes no more than to cancel its scope and to wait for its end.

What is noticed about an attempt is written into its slots, and the failure channel is rung;
the consumer in ``failures`` reports it. So no detector ever runs the monitor's code below its
own, and a flood of messages takes no more than one entry in the channel.
"""

from __future__ import annotations

import enum
import functools
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, Never, Protocol, TypeVar, final

import attrs
import trio

from .._errors import PropertyError
from .._handler import OnlineScope, ResourceHandler
from .._model.reports import FailureReason, describe_error
from .._util.arguments import check_fraction, check_text, refuse_keywords
from .._util.running import RUNNING_RESOURCE, RunningResource
from .._util.task_tree import is_within
from .._util.timers import TimerQueue
from .._util.waiting import Waiters
from .background import BackgroundTask, Contexts
from .messages import Messages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractContextManager

    from .._model.policy import Deadlines
    from .entry_lock import EntryPointLock
    from .launcher import TaskLauncher

T = TypeVar("T")


class Phase(enum.Enum):
    """How far an attempt is."""

    QUEUED = "queued"
    STARTING = "online"
    UP = "up"
    STOPPING = "offline"
    LEAVING = "leaving its contexts"
    TERMINATING = "terminate"
    ENDED = "ended"


_BROKEN_IN: Final = {
    Phase.STARTING: FailureReason.ONLINE_RAISED,
    Phase.UP: FailureReason.TASK_CRASHED,
    Phase.STOPPING: FailureReason.OFFLINE_RAISED,
}
"""The reason of a failure that came out of the attempt's own code in a phase."""


@attrs.frozen
class NoticedFailure:
    """Why an attempt has failed, as its detector noticed it."""

    reason: FailureReason
    detail: str
    error: BaseException | None


@attrs.frozen
class AttemptTimers:
    """The timers of all attempts with the same deadlines."""

    pending: TimerQueue[Attempt]
    terminate: TimerQueue[Attempt]
    deadlock: TimerQueue[Attempt]
    """Runs while ``is_alive`` does."""


@attrs.define
class Counts:
    """What has been counted for one resource since it was hosted."""

    looks_alive: int = 0
    is_alive: int = 0
    suspicions: int = 0
    inconclusive: int = 0
    failures: int = 0
    probe_seconds: float = 0.0


@attrs.frozen
class ProbeAnswer:
    """What one call of ``is_alive`` has shown."""

    is_alive: bool
    signal: str | None
    """The reported failure that was to be verified, if that is why it was asked."""
    error: Exception | None
    """What ``is_alive`` raised: then it has answered neither yes nor no."""


class RunningProbe(Protocol):
    """The ``is_alive`` calls of an attempt, as the attempt knows them."""

    def request(self, signal: str | None = None) -> None:
        """Ask soon."""

    def cancel(self) -> None:
        """Give up the call that is under way; its answer is no longer wanted."""

    def overdue(self) -> None:
        """Let the attempt fail: the call was not answered within the deadlock deadline."""

    def count(self, is_alive: bool) -> str | None:
        """Count one more answer; if the attempt has failed by that, say why."""
        ...


class AttemptOwner(RunningResource, Protocol):
    """What an attempt, and what watches it, asks of the instance that it belongs to."""

    @property
    def handler(self) -> ResourceHandler[Any]: ...
    @property
    def deadlines(self) -> Deadlines: ...
    @property
    def timers(self) -> AttemptTimers: ...
    @property
    def launcher(self) -> TaskLauncher: ...
    @property
    def entry_lock(self) -> EntryPointLock: ...
    @property
    def counts(self) -> Counts: ...
    @property
    def maintenance(self) -> bool: ...

    def read_properties(self) -> None:
        """Read what is stored into the parameter block that is in use from now on.

        Raises:
            PropertyError: what is stored is not valid.
        """

    def probe(self, attempt: Attempt) -> RunningProbe:
        """Get the probe of an attempt, made when it is first needed."""
        ...

    def notice(self, attempt: Attempt) -> None:
        """Ring the failure channel: a slot of the attempt was filled."""

    def failure_source_announced(self, attempt: Attempt) -> None:
        """Stop polling ``looks_alive``: the attempt has a failure source of its own."""

    def progress_reported(self, attempt: Attempt, message: str, fraction: float | None) -> None:
        """Report that a pending attempt is getting on."""

    def pending_overrun(self, attempt: Attempt) -> None:
        """Let an attempt fail that has reported no progress within the pending deadline."""

    def attempt_online(self, attempt: Attempt, value: object) -> None:
        """Take note that ``online`` returned."""

    def attempt_cut_short(self, attempt: Attempt) -> None:
        """Take note that the attempt is being terminated, and has not failed."""

    def attempt_leaving(self, attempt: Attempt) -> None:
        """Take note that what was entered is being left, by command or not."""

    def monitor_crashes(self) -> None:
        """Report that the monitor goes down, before its attempts end for that reason."""

    def attempt_failed(self, attempt: Attempt, failure: NoticedFailure) -> None:
        """Report that the attempt has failed."""

    def probe_inconclusive(self, attempt: Attempt, error: Exception) -> None:
        """Report that ``is_alive`` could not answer."""

    def attempt_stuck(self, attempt: Attempt) -> None:
        """Take note that the attempt has not ended within its bound."""

    def attempt_ended(self, attempt: Attempt) -> None:
        """Take note that nothing of the attempt is left."""

    def cleanup_failed(
        self, attempt: Attempt, reason: FailureReason, error: BaseException | None
    ) -> None:
        """Take note of an error that came after the attempt was over."""


@final
class Attempt(OnlineScope):
    """One online..offline span of a resource; made by its ``Instance``."""

    __slots__ = (
        "_contexts",
        "_epoch",
        "_is_parked",
        "_joiners",
        "_messages",
        "_was_given_grace",
        "answers",
        "detects_failures",
        "failed",
        "failure",
        "is_finished",
        "is_left",
        "is_noticed",
        "is_orderly",
        "nursery",
        "owner",
        "phase",
        "probe",
        "signal",
        "signal_in_check",
        "stop_asked",
        "task",
    )

    def __init__(self, owner: AttemptOwner, epoch: int) -> None:
        self.owner: AttemptOwner = owner
        self._epoch = epoch
        self.phase: Phase = Phase.QUEUED
        self.is_finished: bool = False
        """It has failed or was terminated: all that it still reports is inert."""
        self.is_left: bool = False
        """An error has left its body: its nursery closes, and nothing can be started in it."""
        self.is_orderly: bool = False
        """It went offline as asked, and left everything it had entered."""
        self.detects_failures: bool = False
        self.stop_asked: bool = False
        self.task: trio.lowlevel.Task | None = None
        self.nursery: trio.Nursery | None = None
        self.probe: RunningProbe | None = None
        # The slots that detectors write; the consumer of the failure channel empties them.
        self.failed: bool = False
        self.failure: NoticedFailure | None = None
        """Why it has failed, until that has been reported."""
        self.signal: str | None = None
        """The first failure that was reported to it and has not been looked into."""
        self.signal_in_check: str | None = None
        """The reported failure that ``is_alive`` is being asked about."""
        self.answers: list[ProbeAnswer] | None = None
        """What ``is_alive`` has answered and was not judged yet."""
        self.is_noticed: bool = False
        """Whether it stands in the failure channel."""
        # Made when the task starts: an attempt that is over before needs none.
        self._contexts: Contexts | None = None
        self._messages: Messages | None = None
        self._is_parked = False
        self._was_given_grace = False
        self._joiners: Waiters | None = None

    @property
    def running(self) -> RunningResource:
        """The resource that it belongs to."""
        return self.owner

    @property
    def terminate_deadline(self) -> float:
        """Seconds that its clean-up may take."""
        return self.owner.deadlines.terminate

    @property
    def is_watched(self) -> bool:
        """Whether it is online, so that checks and reported failures count."""
        is_over = self.is_finished or self.is_left
        return self.phase is Phase.UP and not is_over and not self.stop_asked

    # --- what the author sees: OnlineScope ---------------------------------------------

    @property
    def name(self) -> str:
        return self.owner.name

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def terminated(self) -> bool:
        return self.is_finished

    async def enter(self, manager: AbstractAsyncContextManager[T] | AbstractContextManager[T]) -> T:
        task = trio.lowlevel.current_task()
        if task is not self.task:
            raise RuntimeError(
                f"{self.name}: scope.enter() was called from a task of its own; a context "
                "must be left in the task that entered it, so call it from online() itself"
            )
        contexts = self._open_contexts()
        before = len(task.child_nurseries)
        if isinstance(manager, AbstractAsyncContextManager):
            entered = await contexts.stack.enter_async_context(manager)
        else:
            await trio.lowlevel.checkpoint()
            entered = contexts.stack.enter_context(manager)
        contexts.nurseries += tuple(task.child_nurseries[before:])
        return entered

    def start_soon(
        self,
        fn: Callable[..., Awaitable[object]],
        *args: Any,
        name: str | None = None,
        **keywords: Never,
    ) -> None:
        refuse_keywords("scope.start_soon()", keywords)
        background = BackgroundTask(self, fn, args)
        self.owner.launcher.start_soon(
            self._open_nursery(), background.run, name=self._task_name(fn, name)
        )
        self._open_contexts().stack.push_async_callback(background.stop)

    async def start(
        self,
        fn: Callable[..., Awaitable[object]],
        *args: Any,
        name: str | None = None,
        **keywords: Never,
    ) -> Any:
        refuse_keywords("scope.start()", keywords)
        background = BackgroundTask(self, fn, args)
        value = await self._open_nursery().start(
            background.run_until_started, name=self._task_name(fn, name)
        )
        self._open_contexts().stack.push_async_callback(background.stop)
        return value

    def report_progress(self, message: str = "", *, fraction: float | None = None) -> bool:
        # Checked also when it changes nothing, and before it is passed on: what it is used for
        # must never fail outside of the handler.
        message = check_text("the message of report_progress()", message)
        fraction = check_fraction("the fraction of report_progress()", fraction)
        if self.is_finished or self.phase is Phase.ENDED:
            return False
        if self.phase is Phase.STARTING or self.phase is Phase.STOPPING:
            self.owner.timers.pending.arm(self)
            self.owner.progress_reported(self, message, fraction)
        return True

    def report_failure(self, detail: str) -> bool:
        detail = check_text("the detail of report_failure()", detail)
        owner = self.owner
        if not owner.launcher.is_in_this_run():
            return owner.launcher.run_sync_soon(self.report_failure, detail)
        if self.is_finished or self.stop_asked:
            # What goes away while the resource goes offline was asked to.
            return False
        if self.phase is not Phase.STARTING and self.phase is not Phase.UP:
            return False
        is_ignored = owner.maintenance and self.phase is Phase.UP
        if self._counts_at_once and not is_ignored:
            self.fail(FailureReason.SIGNAL, detail)
            return True
        if self.signal is None:
            # The first one is the cause. It is kept until there is something to verify and
            # a moment to do so: the resource is online, and not in maintenance.
            self.signal = detail
        if self.phase is Phase.UP:
            owner.notice(self)
        return True

    @property
    def _counts_at_once(self) -> bool:
        """Whether a reported failure counts without asking ``is_alive``.

        A handler that does not define ``is_alive`` cannot deny it: the inherited method knows
        nothing of the resource.
        """
        handler = self.owner.handler
        return handler.type_info.trust_signals or type(handler).is_alive is ResourceHandler.is_alive

    def failure_channel(self) -> trio.MemorySendChannel[str]:
        nursery = self._open_nursery()
        self.detects_failures = True
        self.owner.failure_source_announced(self)
        if self._messages is None:
            self._messages = Messages(self.report_failure)
            name = f"{self.name}#{self._epoch} failure channel"
            self.owner.launcher.start_soon(nursery, self._messages.forward, name=name)
        return self._messages.open_channel()

    # --- what the monitor does with it -------------------------------------------------

    def stop(self) -> None:
        """Ask for an orderly end; the attempt is online."""
        self.stop_asked = True
        if self.probe is not None:
            self.probe.cancel()
        if self._is_parked:
            self._is_parked = False
            assert self.task is not None
            trio.lowlevel.reschedule(self.task)

    def terminate(self) -> None:
        """Cancel the attempt, whatever it is at; ``wait_ended`` joins it."""
        if self.is_finished or self.phase is Phase.ENDED:
            return
        self.is_finished = True
        self.owner.attempt_cut_short(self)
        self._cancel()

    def fail(self, reason: FailureReason, detail: str, error: BaseException | None = None) -> bool:
        """Let the attempt fail and cancel it; the consumer of the failure channel reports it.

        Returns:
            False if it was over already: then there is nothing to report.
        """
        if self.is_finished or self.phase is Phase.ENDED:
            return False
        self.is_finished = True
        self._cancel()
        self.note_failure(reason, detail, error)
        return True

    def note_failure(
        self, reason: FailureReason, detail: str, error: BaseException | None = None
    ) -> None:
        """Write the slot for the failure and ring the channel; the attempt has not failed yet."""
        self.failed = True
        self.failure = NoticedFailure(reason, detail, error)
        self.owner.notice(self)

    def overdue(self) -> None:
        """Judge an attempt that has not ended within the terminate deadline."""
        if not self.is_finished:
            asked = self.stop_asked
            reason = FailureReason.OFFLINE_TIMEOUT if asked else FailureReason.TASK_CRASHED
            self.fail(reason, "clean-up did not end in time")
        elif self.phase is Phase.TERMINATING and not self._was_given_grace:
            # The handler's terminate has just been cancelled by its own bound.
            self._was_given_grace = True
            self.owner.timers.terminate.arm(self)
        else:
            self.owner.attempt_stuck(self)

    async def join(self) -> None:
        """Wait until nothing of the attempt is left, or until it is found to be stuck.

        Cancellation does not end the wait. The terminate timers bound it.
        """
        if self.phase is not Phase.ENDED:
            if self._joiners is None:
                self._joiners = Waiters()
            await self._joiners.wait_uncancelled()

    def wake_joiners(self) -> None:
        """Wake the tasks that wait for the end: it has come, or the attempt is stuck."""
        if self._joiners is not None:
            self._joiners.wake()

    def held_nurseries(self) -> Sequence[trio.Nursery]:
        """The nurseries whose tasks outlive ``online``: its own, and those in its contexts."""
        if self.nursery is None or self._contexts is None:
            return ()
        return (self.nursery, *self._contexts.nurseries)

    def is_current_task_within(self) -> bool:
        """Whether the caller is a task of this attempt, so that it cannot join it."""
        return is_within(trio.lowlevel.current_task(), self.task)

    async def task_ended(self, reason: FailureReason, detail: str, error: Exception | None) -> None:
        """Judge the end of a background task that was not asked to end."""
        if self._messages is not None:
            # What was sent before the end is the cause of the end.
            await self._messages.flush()
        said = self.signal_in_check or self.signal
        if said is not None:
            reason, detail = FailureReason.SIGNAL, said
        if not self.fail(reason, detail, error) and error is not None:
            self.owner.cleanup_failed(self, reason, error)

    # --- the task ----------------------------------------------------------------------

    async def run(self) -> None:
        """Run the attempt, from its first step to its last."""
        owner = self.owner
        owner.launcher.stepped()
        try:
            if not self.is_finished:
                self.task = trio.lowlevel.current_task()
                RUNNING_RESOURCE.set(owner)
                try:
                    await self._live()
                except BaseException:
                    # An interrupt, or the cancellation of the whole monitor: both take it down.
                    # Said before the attempt ends, or its end would be recovered from.
                    owner.monitor_crashes()
                    raise
                finally:
                    # Refuse enter() and start_soon() from here on: nothing would clean up
                    # after them.
                    self.nursery = self._contexts = None
                    # Also when the monitor's nursery was cancelled by a crash.
                    await self._clean_up()  # noqa: ASYNC102 - shielded and bounded in itself
        finally:
            self.phase = Phase.ENDED
            self.is_finished = True
            self.nursery = self.task = self._contexts = None
            if self._messages is not None:
                self._messages.close()
            owner.attempt_ended(self)
            self.wake_joiners()

    async def _live(self) -> None:
        self._contexts = Contexts()
        came_through = False
        try:
            # The attempt's cancel scope is that of its nursery.
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                async with self._contexts:
                    try:
                        await self._serve()
                    except BaseException:
                        self.is_left = True
                        raise
                    self.phase = Phase.LEAVING
                    self.owner.attempt_leaving(self)
                if self.phase is not Phase.LEAVING:
                    # What came out of the body was swallowed by a context.
                    detail = "a cancel scope that the handler entered ended the attempt"
                    self.fail(FailureReason.TASK_RETURNED, detail)
                nursery.cancel_scope.cancel()
                came_through = True
            if not came_through:
                # A nursery swallows every Cancelled, also one that is not its own: a handler has
                # raised again what it had kept of another scope.
                self.fail(FailureReason.TASK_RETURNED, "a Cancelled of another scope was raised")
            self.is_orderly = not self.is_finished
        # Outside of the nursery, whose scope has split off its own Cancelled.
        except Exception as error:
            self._broke(self._reason_now, error)
        except BaseExceptionGroup as group:
            # A foreign Cancelled, or an interrupt, goes on without the handler's errors.
            errors, rest = group.split(Exception)
            if errors is not None:
                self._broke(self._reason_now, errors)
            raise (rest or group) from None

    @property
    def _reason_now(self) -> FailureReason:
        # Before the end, it is an entered context that has broken, and not its clean-up.
        reason = None if self.is_finished else _BROKEN_IN.get(self.phase)
        return reason or FailureReason.CLEANUP_RAISED

    async def _serve(self) -> None:
        """Come online, stay, go offline; raises nothing but cancellation."""
        handler = self.owner.handler
        lock = self.owner.entry_lock
        await lock.acquire("online")
        try:
            # The lock may have been handed over in the moment of a terminate.
            await trio.lowlevel.checkpoint_if_cancelled()
            self.phase = Phase.STARTING
            if self._read_properties():
                value = await handler.online(self)
                if not self.is_finished:
                    self._came_online(value)
        except Exception as error:
            self._broke(FailureReason.ONLINE_RAISED, error)
        finally:
            lock.release()
        try:
            await self._until_stopped()
        except trio.Cancelled:
            if not self.is_finished:
                # By a nursery in a context that it entered, whose error comes out later.
                self.owner.attempt_leaving(self)
            raise
        await lock.acquire("offline")
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            self.phase = Phase.STOPPING
            await handler.offline(self)
        except Exception as error:
            self._broke(FailureReason.OFFLINE_RAISED, error)
        finally:
            lock.release()
        await trio.lowlevel.checkpoint_if_cancelled()

    def _read_properties(self) -> bool:
        try:
            self.owner.read_properties()
        except PropertyError as error:
            self._broke(FailureReason.PROPERTIES, error)
        return not self.is_finished

    def _came_online(self, value: object) -> None:
        self.phase = Phase.UP
        self.owner.attempt_online(self, value)
        if self.signal is not None:
            self.owner.notice(self)

    async def _until_stopped(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self.stop_asked:
            self._is_parked = True
            await trio.lowlevel.wait_task_rescheduled(self._unpark)

    def _unpark(self, _: object) -> trio.lowlevel.Abort:
        self._is_parked = False
        return trio.lowlevel.Abort.SUCCEEDED

    async def _clean_up(self) -> None:
        """Let the handler undo what cancellation could not, if the end was not orderly."""
        owner = self.owner
        if self.is_orderly:
            return
        if not self.is_finished:
            # Ended by a foreign scope: the monitor's own, or one that the handler entered.
            self.terminate()
        never_began = self.phase is Phase.QUEUED
        if never_began or type(owner.handler).terminate is ResourceHandler.terminate:
            return
        self.phase = Phase.TERMINATING
        owner.timers.terminate.arm(self)
        deadline = trio.current_time() + owner.deadlines.terminate
        try:
            with trio.CancelScope(deadline=deadline, shield=True) as bound:
                await owner.handler.terminate()
        except (Exception, trio.Cancelled) as error:  # noqa: ASYNC103 - not ours
            # The shield lets no Cancelled in, so this one is of another scope.
            owner.cleanup_failed(self, FailureReason.TERMINATE_RAISED, error)
        except BaseException:
            owner.monitor_crashes()
            raise
        else:
            if bound.cancelled_caught:
                owner.cleanup_failed(self, FailureReason.TERMINATE_TIMEOUT, None)

    def _broke(self, reason: FailureReason, error: Exception) -> None:
        if not self.fail(reason, describe_error(error), error):
            self.owner.cleanup_failed(self, reason, error)

    def _cancel(self) -> None:
        if self.nursery is not None:
            self.nursery.cancel_scope.cancel()

    def _open_contexts(self) -> Contexts:
        if self._contexts is None:
            raise RuntimeError(f"{self.name}: the attempt is over; nothing can be entered in it")
        return self._contexts

    def _open_nursery(self) -> trio.Nursery:
        if self.nursery is None:
            raise RuntimeError(f"{self.name}: the attempt is over; nothing can be started in it")
        return self.nursery

    def _task_name(self, fn: Callable[..., Awaitable[object]], name: str | None) -> str:
        if name is None:
            while isinstance(fn, functools.partial):
                fn = fn.func
            name = str(getattr(fn, "__qualname__", fn))
        return f"{self.name}#{self._epoch} {name}"
