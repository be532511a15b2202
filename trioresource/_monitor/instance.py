"""One handler in a monitor, and what becomes of its attempts: state, timers, reports.

Attempts, timers and the consumer of the failure channel call it. What the users of a monitor
may ask for is ``HostedResource``.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final, final

import trio

from .._errors import InvalidStateError, ResourceStuck
from .._model.properties import Properties, read_properties
from .._model.reports import (
    AttemptEnded,
    AttemptStuck,
    CommandTaken,
    FailureReason,
    FailureReport,
    ProbeInconclusive,
    Progress,
    StateChange,
    describe_error,
)
from .._model.states import ResourceState
from .._util.task_tree import format_task_tree, is_within
from .._util.waiting import Waiters
from .attempt import Attempt, AttemptTimers, Counts, NoticedFailure, Phase, RunningProbe
from .entry_lock import EntryPointLock
from .failures import FailureChannel, look_into

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._handler import ResourceHandler
    from .._model.policy import Deadlines
    from .._util.waiting import Watched
    from .launcher import ReportSink, TaskLauncher
    from .polling import Polling

_TERMINATED: Final = "terminated"
"""Why a resource is offline that did not go offline in good order."""

# Numbers all instances of this process, so that a report of one is never taken for another's.
_NUMBERS = count(1)


@final
class Instance:
    """A handler in a monitor, and what becomes of its attempts."""

    __slots__ = (
        "_stored",
        "_stored_in_use",
        "_waiters",
        "attempt",
        "counts",
        "deadlines",
        "entry_lock",
        "epoch",
        "failures",
        "following",
        "generation",
        "handler",
        "instance",
        "is_closed",
        "is_stuck",
        "last_failure",
        "launcher",
        "maintenance",
        "name",
        "polling",
        "sink",
        "state",
        "timers",
        "value",
        "watched",
    )

    def __init__(
        self,
        name: str,
        handler: ResourceHandler[Any],
        stored: Mapping[str, Any],
        *,
        launcher: TaskLauncher,
        sink: ReportSink,
        failures: FailureChannel,
        deadlines: Deadlines,
        timers: AttemptTimers,
        polling: Polling,
    ) -> None:
        self.name: str = name
        self.instance: int = next(_NUMBERS)
        self.handler: ResourceHandler[Any] = handler
        self.launcher: TaskLauncher = launcher
        self.sink: ReportSink = sink
        self.failures: FailureChannel = failures
        self.deadlines: Deadlines = deadlines
        self.timers: AttemptTimers = timers
        self.polling: Polling = polling
        self.entry_lock: EntryPointLock = EntryPointLock()
        self.counts: Counts = Counts()
        self.state: ResourceState = ResourceState.INITIALIZING
        self.epoch: int = 0
        self.generation: int = 0
        """The number of the latest command that was taken; 0 while none had a number."""
        self.value: object = None
        self.last_failure: FailureReport | None = None
        self.is_stuck: bool = False
        self.is_closed: bool = False
        self.maintenance: bool = False
        self.attempt: Attempt | None = None
        self.following: ResourceState | None = None
        """ONLINE or OFFLINE: the command that waits for the end of the attempt."""
        self.watched: Watched[ResourceState] | None = None
        self._stored = stored
        self._stored_in_use = stored
        self._waiters: Waiters | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way that will change the state by itself."""
        return self.following is None and not self.state.is_pending

    @property
    def attempt_nursery(self) -> trio.Nursery | None:
        """The nursery of the attempt that is online, for what is to end with it."""
        attempt = self.attempt
        if attempt is None or attempt.is_finished or attempt.phase is not Phase.UP:
            return None
        return attempt.nursery

    def is_current_task_within(self) -> bool:
        """Whether the current task belongs to the attempt that runs, so it cannot join it."""
        return self.attempt is not None and self.attempt.is_current_task_within()

    def is_current_task_at_entry_point(self) -> bool:
        """Whether the current task runs an entry point, or a task that has to end before it."""
        attempt = self.attempt
        held = () if attempt is None else attempt.held_nurseries()
        return is_within(trio.lowlevel.current_task(), self.entry_lock.task, but_not=held)

    async def wait_settled(self) -> None:
        """Wait until settled, however long that takes."""
        if self._waiters is None:
            self._waiters = Waiters()
        while not self.is_settled:
            await self._waiters.wait()

    def task_tree(self) -> str:
        """Describe the tasks of the attempt, with the line each one stands at."""
        attempt = self.attempt
        if attempt is None or attempt.task is None:
            return ""
        return format_task_tree(attempt.task)

    # --- commands ----------------------------------------------------------------------

    def take_command(self, generation: int | None) -> None:
        """Begin to carry out a command.

        What was noticed before it is reported first, so that the answer knows of it.

        Args:
            generation: its number, if it has one; then it will be answered.

        Raises:
            RuntimeError: it comes from another thread, or from another Trio run.
        """
        if not self.launcher.is_in_this_run():
            raise RuntimeError(
                f"{self.name} takes commands in its monitor's own Trio run only; from a thread, "
                "use trio.from_thread.run() or trio.from_thread.run_sync()"
            )
        if self.attempt is not None and self.attempt.is_noticed:
            look_into(self.attempt)
        if generation is not None:
            self.generation = generation

    def answer_command(self) -> None:
        """Tell the full status: the command that was taken has changed nothing."""
        self.sink.send(
            CommandTaken(
                self.name,
                self.epoch,
                self.state,
                self.attempt is None,
                self.is_settled,
                self.is_stuck,
                trio.current_time(),
                generation=self.generation,
                instance=self.instance,
            )
        )

    def launch(self, epoch: int) -> None:
        """Begin an attempt; there is none."""
        self.epoch = epoch
        self._stored_in_use = self._stored
        attempt = self.attempt = Attempt(self, epoch)
        self._set_state(ResourceState.ONLINE_PENDING)
        self.timers.pending.arm(attempt)
        self.launcher.launch(attempt)

    def raise_if_not_ready(self) -> None:
        """Refuse an attempt where none may begin.

        Raises:
            InvalidStateError: the resource is closed or has not been opened.
            ResourceStuck: the last attempt was terminated and has still not ended.
        """
        if self.is_closed or self.state is ResourceState.INITIALIZING:
            raise InvalidStateError(f"{self.name} is not open")
        if self.is_stuck:
            raise ResourceStuck(
                f"{self.name}: attempt {self.epoch} was terminated and has not ended",
                self.task_tree(),
            )

    def stop(self, attempt: Attempt) -> None:
        """Begin to go offline in good order; the attempt is online."""
        self.polling.forget(attempt)
        self._set_state(ResourceState.OFFLINE_PENDING)
        self.timers.pending.arm(attempt)
        attempt.stop()

    def rest_offline(self) -> None:
        """Let a failed resource be offline, as soon as its attempt has ended."""
        if self.state is not ResourceState.FAILED:
            return
        if self.attempt is None:
            self._set_state(ResourceState.OFFLINE)
        else:
            self.following = ResourceState.OFFLINE

    def opened(self) -> None:
        """Note that the handler's ``open`` has returned."""
        self._set_state(ResourceState.OFFLINE)

    # --- properties --------------------------------------------------------------------

    def store_properties(self, stored: Mapping[str, Any]) -> None:
        """Keep properties for the next online; they have been checked before."""
        self._stored = stored

    def read_properties(self) -> None:
        """Read the parameter block that is in use from now on: what was stored at the launch.

        Raises:
            PropertyError: what is stored is not valid.
        """
        self.handler.properties = self._read()

    def apply_properties(self) -> None:
        """Put what is stored into use while online; all that changed is dynamic.

        Raises:
            Exception: what the handler's ``properties_changed`` raised.
        """
        previous = self.handler.properties
        self._stored_in_use = self._stored
        self.handler.properties = self._read()
        self.launcher.call_hook(self, self.handler.properties_changed, previous)

    def _read(self) -> Properties:
        handler = self.handler
        return read_properties(
            handler.properties_type,
            handler.type_info.property_defaults,
            self._stored_in_use,
            owner=self.name,
        )

    # --- what attempts tell ------------------------------------------------------------

    def probe(self, attempt: Attempt) -> RunningProbe:
        """Get the probe of an attempt, made when it is first needed."""
        if attempt.probe is None:
            attempt.probe = self.polling.make_probe(attempt)
        return attempt.probe

    def notice(self, attempt: Attempt) -> None:
        """Ring the failure channel: a slot of the attempt was filled."""
        self.failures.ring(attempt)

    def failure_source_announced(self, attempt: Attempt) -> None:
        """Stop polling ``looks_alive``: the attempt has a failure source of its own."""
        self.polling.rely_on_source(attempt)

    def progress_reported(self, attempt: Attempt, message: str, fraction: float | None) -> None:
        """Report that a pending attempt is getting on."""
        self.sink.send_if_room(
            Progress(
                self.name,
                attempt.epoch,
                message,
                fraction,
                trio.current_time(),
                generation=self.generation,
                instance=self.instance,
            )
        )

    def attempt_online(self, attempt: Attempt, value: object) -> None:
        """Take note that ``online`` returned."""
        self.timers.pending.disarm(attempt)
        self.value = value
        self._set_state(ResourceState.ONLINE)
        self.polling.watch(attempt)

    def attempt_cut_short(self, attempt: Attempt) -> None:
        """Take note that the attempt is being terminated, and has not failed."""
        self._going_down(attempt)
        if self.state is not ResourceState.OFFLINE_PENDING:
            self._set_state(ResourceState.OFFLINE_PENDING, _TERMINATED)

    def attempt_leaving(self, attempt: Attempt) -> None:
        """Take note that what was entered is being left, by command or not."""
        self.timers.pending.disarm(attempt)
        self.polling.forget(attempt)
        self.timers.terminate.arm(attempt)

    def monitor_crashes(self) -> None:
        """Report that the monitor goes down."""
        self.sink.send_closing()

    def attempt_failed(self, attempt: Attempt, failure: NoticedFailure) -> None:
        """Report that the attempt has failed."""
        if attempt.phase is not Phase.ENDED and not self.is_stuck:
            self._going_down(attempt)
        self.value = None
        self.counts.failures += 1
        report = self.last_failure = FailureReport(
            self.name,
            attempt.epoch,
            failure.reason,
            failure.detail,
            trio.current_time(),
            failure.error,
            generation=self.generation,
            instance=self.instance,
        )
        self._set_state(ResourceState.FAILED, str(report))
        self.sink.send(report)

    def probe_inconclusive(self, attempt: Attempt, error: Exception) -> None:
        """Report that ``is_alive`` could not answer."""
        self.counts.inconclusive += 1
        self.sink.send_if_room(
            ProbeInconclusive(
                self.name,
                attempt.epoch,
                error,
                trio.current_time(),
                generation=self.generation,
                instance=self.instance,
            )
        )

    def attempt_stuck(self, attempt: Attempt) -> None:
        """Report that the attempt has not ended within its bound."""
        self.is_stuck = True
        self.following = None
        tree = self.task_tree()
        if not attempt.failed:
            detail = f"attempt {attempt.epoch} did not end within {self.deadlines.terminate:g} s"
            attempt.note_failure(FailureReason.STUCK, detail)
        look_into(attempt)
        self.sink.send(
            AttemptStuck(
                self.name,
                attempt.epoch,
                tree,
                trio.current_time(),
                generation=self.generation,
                instance=self.instance,
            )
        )
        self.handler.log.error("attempt %d is stuck:\n%s", attempt.epoch, tree)
        attempt.wake_joiners()
        self._wake()

    def cleanup_failed(
        self, attempt: Attempt, reason: FailureReason, error: BaseException | None
    ) -> None:
        """Take note of an error that came after the attempt was over."""
        detail = "" if error is None else describe_error(error)
        if attempt.failed:
            self.handler.log.warning("%s: %s", reason.value, detail, exc_info=error)
        else:
            attempt.note_failure(reason, detail, error)

    def attempt_ended(self, attempt: Attempt) -> None:
        """Report that nothing of the attempt is left."""
        look_into(attempt)
        self.timers.pending.disarm(attempt)
        self.timers.terminate.disarm(attempt)
        self.polling.forget(attempt)
        self.attempt = None
        self.is_stuck = False
        if attempt.failed:
            self.sink.send(
                AttemptEnded(
                    self.name,
                    attempt.epoch,
                    trio.current_time(),
                    generation=self.generation,
                    instance=self.instance,
                )
            )
        else:
            self.value = None
            self._set_state(ResourceState.OFFLINE, "" if attempt.is_orderly else _TERMINATED)
        command, self.following = self.following, None
        if command is ResourceState.ONLINE:
            self.launch(self.epoch + 1)
        elif command is ResourceState.OFFLINE:
            self.rest_offline()

    def pending_overrun(self, attempt: Attempt) -> None:
        """Let an attempt fail that has reported no progress within the pending deadline."""
        going_off = attempt.stop_asked
        reason = FailureReason.OFFLINE_TIMEOUT if going_off else FailureReason.ONLINE_TIMEOUT
        attempt.fail(reason, f"for {self.deadlines.progress_gap:g} s")

    def blocked_the_loop(self, detail: str) -> None:
        """Let the attempt fail: code of the handler kept the event loop from turning."""
        if self.attempt is not None:
            self.attempt.fail(FailureReason.LOOP_BLOCKED, detail)

    # --- inside ------------------------------------------------------------------------

    def _going_down(self, attempt: Attempt) -> None:
        self.timers.pending.disarm(attempt)
        self.polling.forget(attempt)
        self.timers.terminate.arm(attempt)
        self.value = None

    def _set_state(self, new: ResourceState, detail: str = "") -> None:
        old, self.state = self.state, new
        self.sink.send(
            StateChange(
                self.name,
                self.epoch,
                old,
                new,
                trio.current_time(),
                detail,
                value=self.value if new is ResourceState.ONLINE else None,
                generation=self.generation,
                instance=self.instance,
            )
        )
        if self.watched is not None:
            self.watched.set(new)
        self._wake()

    def _wake(self) -> None:
        if self._waiters and self.is_settled:
            self._waiters.wake()
