"""One try at being online: a task, a cancel scope, an epoch.

The task does everything in order, and runs the handler's ``terminate`` if the end was not
orderly. So whatever is left, is left in the task that entered it, and whoever terminates
an attempt has only to cancel its scope and to wait for its end.
"""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeVar, final

import trio

from .._errors import PropertyError
from .._handler import FailureSignal, OnlineScope, ResourceHandler
from .._model.reports import FailureReason, describe_error
from .._util.task_tree import is_within
from .background import Background, Contexts
from .phase import BROKEN_IN, Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from .instance import Instance
    from .probe import Probe

T = TypeVar("T")


@final
class Attempt(OnlineScope):
    """One online..offline span of a resource; made by ``Instance``."""

    __slots__ = (
        "_cancel_scope",
        "_contexts",
        "_ended",
        "_epoch",
        "_grace_given",
        "_parked",
        "_signal",
        "detects_failures",
        "failed",
        "hosted",
        "is_finished",
        "nursery",
        "orderly",
        "phase",
        "probe",
        "stop_asked",
        "task",
    )

    def __init__(self, hosted: Instance, epoch: int) -> None:
        self.hosted: Instance = hosted
        self._epoch = epoch
        self.phase: Phase = Phase.QUEUED
        self.is_finished: bool = False
        """It has failed or was terminated: all that it still reports is inert."""
        self.failed: bool = False
        self.orderly: bool = False
        self.detects_failures: bool = False
        self.task: trio.lowlevel.Task | None = None
        self.nursery: trio.Nursery | None = None
        self.probe: Probe | None = None
        # Made when the task starts: an attempt that is over before needs neither.
        self._cancel_scope: trio.CancelScope | None = None
        self._contexts: Contexts | None = None
        self._signal: str | None = None
        self.stop_asked: bool = False
        self._parked = False
        self._grace_given = False
        self._ended: trio.Event | None = None

    # --- what the author sees: OnlineScope ---------------------------------------------

    @property
    def name(self) -> str:
        return self.hosted.name

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def terminated(self) -> bool:
        return self.is_finished

    async def enter(self, manager: AbstractAsyncContextManager[T] | AbstractContextManager[T]) -> T:
        if trio.lowlevel.current_task() is not self.task:
            raise RuntimeError(
                f"{self.name}: scope.enter() was called from a task of its own; a context "
                "must be left in the task that entered it, so call it from online() itself"
            )
        stack = self._open_contexts().stack
        if isinstance(manager, AbstractAsyncContextManager):
            return await stack.enter_async_context(manager)
        await trio.lowlevel.checkpoint()
        return stack.enter_context(manager)

    def start_soon(
        self, fn: Callable[..., Awaitable[object]], *args: Any, name: str | None = None
    ) -> None:
        background = Background(self, fn, args)
        self.hosted.launcher.start_soon(
            self._open_nursery(), background.run, name=self._task_name(fn, name)
        )
        self._open_contexts().stack.push_async_callback(background.stop)

    async def start(
        self, fn: Callable[..., Awaitable[object]], *args: Any, name: str | None = None
    ) -> Any:
        background = Background(self, fn, args)
        value = await self._open_nursery().start(
            background.run_started, name=self._task_name(fn, name)
        )
        self._open_contexts().stack.push_async_callback(background.stop)
        return value

    def report_progress(self, message: str = "", *, fraction: float | None = None) -> bool:
        if self.is_finished or self.phase is Phase.ENDED:
            return False
        if self.phase is Phase.STARTING or self.phase is Phase.STOPPING:
            self.hosted.lanes.pending.arm(self)
            self.hosted.report_progress(self._epoch, message, fraction)
        return True

    def report_failure(self, detail: str) -> bool:
        if not trio.lowlevel.in_trio_run():
            return self.hosted.launcher.run_sync_soon(self.report_failure, detail)
        if self.is_finished or self.stop_asked:
            # What goes away while going offline was asked to.
            return False
        if self.hosted.maintenance and self.phase is Phase.UP:
            self._signal = self._signal or detail
            return True
        if self.phase is Phase.STARTING:
            # Nothing to verify yet, and one entry point at a time: looked at when online.
            self._signal = self._signal or detail
        elif self.phase is not Phase.UP:
            return False
        if self.hosted.type_info.trust_signals:
            self.fail(FailureReason.SIGNAL, detail)
        elif self.phase is Phase.UP:
            self.hosted.polling.verify(self, detail)
        return True

    report = report_failure

    def failure_signal(self) -> FailureSignal:
        self.detects_failures = True
        self.hosted.polling.rely_on_source(self)
        return self

    # --- what the monitor does with it -------------------------------------------------

    def stop(self) -> None:
        """Ask for an orderly end; the attempt is online."""
        self.stop_asked = True
        if self.probe is not None:
            self.probe.cancel()
        if self._parked:
            self._parked = False
            assert self.task is not None
            trio.lowlevel.reschedule(self.task)

    def terminate(self) -> None:
        """Cancel the attempt, whatever it is at; ``wait_ended`` joins it."""
        if self.is_finished or self.phase is Phase.ENDED:
            return
        self.is_finished = True
        self.hosted.attempt_over(self)
        self._cancel()

    def fail(self, reason: FailureReason, detail: str, error: BaseException | None = None) -> bool:
        """Let the attempt fail, and terminate it.

        Returns:
            False if it was over already: then nothing was reported.
        """
        if self.is_finished or self.phase is Phase.ENDED:
            return False
        self.is_finished = self.failed = True
        self.hosted.attempt_failed(self, reason, detail, error)
        self._cancel()
        return True

    def leave_maintenance(self) -> None:
        """Look into what was ignored, and check the resource in any case."""
        signal, self._signal = self._signal, None
        if signal is None:
            self.hosted.polling.check(self)
        else:
            self.report_failure(signal)

    def overdue(self) -> None:
        """The terminate deadline has passed and the attempt has not ended."""
        if not self.is_finished:
            asked = self.stop_asked
            reason = FailureReason.OFFLINE_TIMEOUT if asked else FailureReason.TASK_CRASHED
            self.fail(reason, "clean-up did not end in time")
        elif self.phase is Phase.TERMINATING and not self._grace_given:
            # The handler's terminate has just been cancelled by its own bound.
            self._grace_given = True
            self.hosted.lanes.terminate.arm(self)
        else:
            self.hosted.attempt_stuck(self)

    async def wait_ended(self) -> None:
        """Wait until no task and no context of the attempt is left."""
        if self.phase is Phase.ENDED:
            return
        if self._ended is None:
            self._ended = trio.Event()
        await self._ended.wait()

    def wake_joiners(self) -> None:
        """Wake who waits for the end though it has not come."""
        waited_for, self._ended = self._ended, None
        if waited_for is not None:
            waited_for.set()

    def is_current_task_within(self) -> bool:
        """Whether the caller is a task of this attempt, so that it can not join it."""
        return is_within(trio.lowlevel.current_task(), self.task)

    # --- the task ----------------------------------------------------------------------

    async def run(self) -> None:
        """The attempt, from its first step to its last."""
        self.hosted.launcher.stepped()
        try:
            if not self.is_finished:
                self.task = trio.lowlevel.current_task()
                try:
                    await self._live()
                finally:
                    # What were entered from now on would never be left.
                    self.nursery = self._contexts = None
                    # Also when the monitor's nursery was cancelled by a crash.
                    await self._clean_up()  # noqa: ASYNC102 - shielded and bounded in itself
        finally:
            self.phase = Phase.ENDED
            self.is_finished = True
            self.nursery = self.task = self._cancel_scope = self._contexts = None
            self.hosted.attempt_ended(self)
            if self._ended is not None:
                self._ended.set()

    async def _live(self) -> None:
        self._cancel_scope = trio.CancelScope()
        self._contexts = Contexts()
        try:
            with self._cancel_scope:
                await trio.lowlevel.checkpoint_if_cancelled()
                async with trio.open_nursery() as nursery:
                    self.nursery = nursery
                    async with self._contexts:
                        await self._serve()
                        self.phase = Phase.LEAVING
                        self.hosted.leaving(self)
                    if self.phase is not Phase.LEAVING:
                        # What came out of the body was swallowed by a context.
                        detail = "a cancel scope that the handler entered ended the attempt"
                        self.fail(FailureReason.TASK_RETURNED, detail)
                    nursery.cancel_scope.cancel()
                self.orderly = not self.is_finished
        # Outside of the scope, which has split off its own Cancelled.
        except Exception as error:
            self._broke(self._reason_now, error)
        except BaseExceptionGroup as group:
            # Somebody else's Cancelled, or an interrupt, goes on without the handler's errors.
            errors, rest = group.split(Exception)
            if errors is not None:
                self._broke(self._reason_now, errors)
            raise (rest or group) from None

    @property
    def _reason_now(self) -> FailureReason:
        # Before the end it is an entered context that has broken, and not its clean-up.
        reason = None if self.is_finished else BROKEN_IN.get(self.phase)
        return reason or FailureReason.CLEANUP_RAISED

    async def _serve(self) -> None:
        """Come online, stay, go offline; raises nothing but cancellation."""
        handler = self.hosted.handler
        gate = self.hosted.gate
        await gate.enter("online")
        try:
            # The gate may have been handed over in the moment of a terminate.
            await trio.lowlevel.checkpoint_if_cancelled()
            self.phase = Phase.STARTING
            if self._read_properties():
                value = await handler.online(self)
                if not self.is_finished:
                    self._came_online(value)
        except Exception as error:
            self._broke(FailureReason.ONLINE_RAISED, error)
        finally:
            gate.leave()
        try:
            await self._until_stopped()
        except trio.Cancelled:
            if not self.is_finished:
                # By a nursery in a context that it entered, whose error comes out later.
                self.hosted.unexpected_exit(self)
            raise
        await gate.enter("offline")
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            self.phase = Phase.STOPPING
            await handler.offline(self)
        except Exception as error:
            self._broke(FailureReason.OFFLINE_RAISED, error)
        finally:
            gate.leave()
        await trio.lowlevel.checkpoint_if_cancelled()

    def _read_properties(self) -> bool:
        try:
            self.hosted.read_properties()
        except PropertyError as error:
            self._broke(FailureReason.PROPERTIES, error)
        return not self.is_finished

    def _came_online(self, value: object) -> None:
        self.phase = Phase.UP
        self.hosted.attempt_online(self, value)
        signal, self._signal = self._signal, None
        if signal is not None:
            self.report_failure(signal)

    async def _until_stopped(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self.stop_asked:
            self._parked = True
            await trio.lowlevel.wait_task_rescheduled(self._unpark)

    def _unpark(self, _: object) -> trio.lowlevel.Abort:
        self._parked = False
        return trio.lowlevel.Abort.SUCCEEDED

    async def _clean_up(self) -> None:
        """Let the handler undo what cancellation could not, if the end was not orderly."""
        hosted = self.hosted
        if self.orderly:
            return
        if not self.is_finished:
            # Ended by somebody else's scope: the monitor's own, or one the handler entered.
            self.terminate()
        never_began = self.phase is Phase.QUEUED
        if never_began or type(hosted.handler).terminate is ResourceHandler.terminate:
            return
        self.phase = Phase.TERMINATING
        hosted.lanes.terminate.arm(self)
        deadline = trio.current_time() + hosted.deadlines.terminate
        try:
            with trio.CancelScope(deadline=deadline, shield=True) as bound:
                await hosted.handler.terminate()
        except Exception as error:
            hosted.cleanup_failed(self, FailureReason.TERMINATE_RAISED, error)
        else:
            if bound.cancelled_caught:
                hosted.cleanup_failed(self, FailureReason.TERMINATE_TIMEOUT, None)

    def _broke(self, reason: FailureReason, error: Exception) -> None:
        if not self.fail(reason, describe_error(error), error):
            self.hosted.cleanup_failed(self, reason, error)

    def crashed(self, reason: FailureReason, detail: str, error: Exception | None) -> None:
        """A background task ended that should not have."""
        if not self.fail(reason, detail, error) and error is not None:
            self.hosted.cleanup_failed(self, reason, error)

    def _cancel(self) -> None:
        if self._cancel_scope is not None:
            self._cancel_scope.cancel()

    def _open_contexts(self) -> Contexts:
        if self._contexts is None:
            raise RuntimeError(f"{self.name}: the attempt is over; nothing can be entered in it")
        return self._contexts

    def _open_nursery(self) -> trio.Nursery:
        if self.nursery is None:
            raise RuntimeError(f"{self.name}: the attempt is over; nothing can be started in it")
        return self.nursery

    def _task_name(self, fn: Callable[..., object], name: str | None) -> str:
        if name is None:
            while isinstance(fn, functools.partial):
                fn = fn.func
            name = str(getattr(fn, "__qualname__", fn))
        return f"{self.name}#{self._epoch} {name}"
