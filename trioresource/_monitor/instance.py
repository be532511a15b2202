"""One hosted instance as its attempts see it: state, timers, reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from .._model.properties import Properties, read_properties
from .._model.reports import (
    AttemptEnded,
    AttemptStuck,
    FailureReason,
    FailureReport,
    ProbeInconclusive,
    Progress,
    StateChange,
    describe_error,
)
from .._model.states import ResourceState
from .._util.task_tree import format_task_tree
from .._util.timers import TimerQueue
from .._util.waiting import SoftWait
from .attempt import Attempt
from .entry_lock import EntryPointLock
from .phase import Phase
from .probe import Probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._handler import ResourceHandler, ResourceType
    from .._model.policy import Deadlines
    from .._util.waiting import Watched
    from .launcher import TaskLauncher
    from .polling import Polling

_RS = ResourceState

# Why a resource is offline that did not go offline in good order.
_TERMINATED: Final = "terminated"


@attrs.frozen
class DeadlineTimers:
    """The timers of all resources with the same deadlines."""

    soft: TimerQueue[SoftWait]
    pending: TimerQueue[Attempt]
    terminate: TimerQueue[Attempt]
    deadlock: TimerQueue[Probe]


@attrs.define
class Counts:
    """What has been counted for one resource since it was hosted."""

    looks_alive: int = 0
    is_alive: int = 0
    suspicions: int = 0
    inconclusive: int = 0
    failures: int = 0
    probe_seconds: float = 0.0


class Instance:
    """A handler in a monitor, and what becomes of its attempts.

    ``HostedResource`` adds what its users may ask for.
    """

    __slots__ = (
        "_attempt",
        "_close_ended",
        "_next",
        "_stored",
        "_value",
        "_waiters",
        "_watched",
        "closed",
        "counts",
        "deadlines",
        "epoch",
        "gate",
        "handler",
        "lanes",
        "last_failure",
        "launcher",
        "maintenance",
        "name",
        "polling",
        "state",
        "stuck",
    )

    def __init__(
        self,
        name: str,
        handler: ResourceHandler[Any],
        stored: Mapping[str, Any],
        *,
        home: TaskLauncher,
        deadlines: Deadlines,
        lanes: DeadlineTimers,
        polling: Polling,
    ) -> None:
        self.name: str = name
        self.handler: ResourceHandler[Any] = handler
        self.launcher: TaskLauncher = home
        self.deadlines: Deadlines = deadlines
        self.lanes: DeadlineTimers = lanes
        self.polling: Polling = polling
        self.gate: EntryPointLock = EntryPointLock()
        self.counts: Counts = Counts()
        self.state: ResourceState = _RS.INITIALIZING
        self.epoch: int = 0
        self.last_failure: FailureReport | None = None
        self.stuck: bool = False
        self.closed: bool = False
        self.maintenance: bool = False
        self._stored = stored
        self._value: object = None
        self._attempt: Attempt | None = None
        # The command that waits for the end of the attempt: ONLINE or OFFLINE.
        self._next: ResourceState | None = None
        self._waiters: list[SoftWait] = []
        self._watched: Watched[ResourceState] | None = None
        self._close_ended: trio.Event | None = None

    @property
    def type_info(self) -> ResourceType:
        """What holds for all resources of the type."""
        return self.handler.type_info

    @property
    def properties(self) -> Properties:
        """The properties in use, as they were read at the last online."""
        properties: Properties = self.handler.properties
        return properties

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way that will change the state by itself."""
        return self._next is None and not self.state.is_pending

    @property
    def is_ended(self) -> bool:
        """Whether no attempt is left, not even one that is being cleaned up."""
        return self._attempt is None

    @property
    def attempt_nursery(self) -> trio.Nursery | None:
        """The nursery of the attempt that is online, for what is to end with it."""
        attempt = self._attempt
        if attempt is None or attempt.is_finished or attempt.phase is not Phase.UP:
            return None
        return attempt.nursery

    def set_closed(self, closed: bool) -> None:
        """Let no further attempt begin, or take that back."""
        self.closed = closed

    # --- properties --------------------------------------------------------------------

    def store_properties(self, stored: Mapping[str, Any]) -> None:
        """Keep properties for the next online; they have been checked before."""
        self._stored = stored

    def read_properties(self) -> None:
        """Read what is stored into the parameter block that is in use from now on.

        Raises:
            PropertyError: they are not valid.
        """
        self.handler.properties = self._read()

    def apply_properties(self) -> None:
        """Put what is stored into use while online; all that changed is dynamic."""
        previous = self.handler.properties
        self.handler.properties = self._read()
        self.launcher.call(self.handler.properties_changed, previous)

    def _read(self) -> Properties:
        handler = self.handler
        return read_properties(
            handler.properties_type,
            handler.type_info.property_defaults,
            self._stored,
            owner=self.name,
        )

    # --- what attempts tell ------------------------------------------------------------

    def attempt_online(self, attempt: Attempt, value: object) -> None:
        """``online`` returned."""
        self.lanes.pending.disarm(attempt)
        self._value = value
        self._set_state(_RS.ONLINE)
        self.polling.watch(attempt)

    def attempt_over(self, attempt: Attempt) -> None:
        """The attempt is being terminated by command."""
        self._going_down(attempt)
        if self.state is not _RS.OFFLINE_PENDING:
            self._set_state(_RS.OFFLINE_PENDING, _TERMINATED)

    def attempt_failed(
        self, attempt: Attempt, reason: FailureReason, detail: str, error: BaseException | None
    ) -> None:
        """The attempt has failed and is about to be terminated."""
        self._going_down(attempt)
        self._report_failure(attempt, reason, detail, error)

    def attempt_stuck(self, attempt: Attempt) -> None:
        """The attempt has not ended within its bound."""
        self.stuck = True
        self._next = None
        tree = self._task_tree()
        if not attempt.failed:
            attempt.failed = True
            detail = f"attempt {attempt.epoch} did not end within {self.deadlines.terminate:g} s"
            self._report_failure(attempt, FailureReason.STUCK, detail, None)
        self.launcher.send(AttemptStuck(self.name, attempt.epoch, tree, trio.current_time()))
        self.handler.log.error("attempt %d is stuck:\n%s", attempt.epoch, tree)
        attempt.wake_joiners()
        self._wake()

    def cleanup_failed(
        self, attempt: Attempt, reason: FailureReason, error: Exception | None
    ) -> None:
        """Something went wrong after the attempt was over."""
        detail = "" if error is None else describe_error(error)
        if attempt.failed:
            self.handler.log.warning("%s: %s", reason.value, detail, exc_info=error)
            return
        attempt.failed = True
        self._report_failure(attempt, reason, detail, error)

    def attempt_ended(self, attempt: Attempt) -> None:
        """Nothing of the attempt is left."""
        self.lanes.pending.disarm(attempt)
        self.lanes.terminate.disarm(attempt)
        self.polling.forget(attempt)
        self._attempt = None
        self.stuck = False
        if attempt.failed:
            self.launcher.send(AttemptEnded(self.name, attempt.epoch, trio.current_time()))
        else:
            self._value = None
            self._set_state(_RS.OFFLINE, "" if attempt.orderly else _TERMINATED)
        command, self._next = self._next, None
        if command is _RS.ONLINE:
            self._launch()
        elif command is _RS.OFFLINE:
            self._rest_offline(None)

    def leaving(self, attempt: Attempt) -> None:
        """``offline`` is done; what was entered is being left, in bounded time."""
        self.lanes.pending.disarm(attempt)
        self.lanes.terminate.arm(attempt)

    def unexpected_exit(self, attempt: Attempt) -> None:
        """What was entered is being left unasked: no more polls, and in bounded time."""
        self.polling.forget(attempt)
        self.lanes.terminate.arm(attempt)

    def report_progress(self, epoch: int, message: str, fraction: float | None) -> None:
        """A pending attempt is getting on."""
        self.launcher.send_if_room(
            Progress(self.name, epoch, message, fraction, trio.current_time())
        )

    def probe_inconclusive(self, attempt: Attempt, error: Exception) -> None:
        """``is_alive`` raised."""
        self.counts.inconclusive += 1
        self.launcher.send_if_room(
            ProbeInconclusive(self.name, attempt.epoch, error, trio.current_time())
        )

    def pending_overrun(self, attempt: Attempt) -> None:
        """No progress within the pending deadline."""
        going_off = attempt.stop_asked
        reason = FailureReason.OFFLINE_TIMEOUT if going_off else FailureReason.ONLINE_TIMEOUT
        attempt.fail(reason, f"for {self.deadlines.progress_gap:g} s")

    def blocked_the_loop(self, detail: str) -> None:
        """A handler's code kept the event loop from turning."""
        if self._attempt is not None:
            self._attempt.fail(FailureReason.LOOP_BLOCKED, detail)

    # --- inside ------------------------------------------------------------------------

    def _launch(self) -> None:
        self.epoch += 1
        attempt = self._attempt = Attempt(self, self.epoch)
        self._set_state(_RS.ONLINE_PENDING)
        self.lanes.pending.arm(attempt)
        self.launcher.launch(attempt.run, name=f"{self.name}#{self.epoch}")

    def _going_down(self, attempt: Attempt) -> None:
        self.lanes.pending.disarm(attempt)
        self.polling.forget(attempt)
        self.lanes.terminate.arm(attempt)
        self._value = None

    def _report_failure(
        self, attempt: Attempt, reason: FailureReason, detail: str, error: BaseException | None
    ) -> None:
        failure = FailureReport(
            self.name, attempt.epoch, reason, detail, trio.current_time(), error
        )
        self.last_failure = failure
        self.counts.failures += 1
        self._set_state(_RS.FAILED, str(failure))
        self.launcher.send(failure)

    def _rest_offline(self, attempt: Attempt | None) -> None:
        """A failed resource that is told to be offline is so once its attempt has ended."""
        if self.state is not _RS.FAILED:
            return
        if attempt is None:
            self._set_state(_RS.OFFLINE)
        else:
            self._next = _RS.OFFLINE

    def _set_state(self, new: ResourceState, detail: str = "") -> None:
        old, self.state = self.state, new
        self.launcher.send(
            StateChange(self.name, self.epoch, old, new, trio.current_time(), detail)
        )
        if self._watched is not None:
            self._watched.set(new)
        self._wake()

    def _wake(self) -> None:
        if self._waiters and self.is_settled:
            for waiter in self._waiters:
                waiter.wake()

    def _task_tree(self) -> str:
        attempt = self._attempt
        if attempt is None or attempt.task is None:
            return ""
        return format_task_tree(attempt.task)
