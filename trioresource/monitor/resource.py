"""One hosted instance: its state, its attempts, and its entry points one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import attrs
import trio

from ..errors import (
    InvalidStateError,
    OfflineFailed,
    OnlineFailed,
    ResourceNotAvailable,
    ResourceStuck,
)
from ..model.properties import Properties, read_properties
from ..model.reports import (
    AttemptEnded,
    AttemptStuck,
    FailureReason,
    FailureReport,
    ProbeInconclusive,
    Progress,
    StateChange,
)
from ..model.states import ResourceState
from .attempt import Attempt, Phase, describe_error
from .call import Call
from .gate import EntryGate
from .tasktree import format_task_tree
from .waiting import SoftWait, Watched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..handler import ResourceHandler, ResourceType
    from ..model.policy import Deadlines
    from .clock import Lane
    from .home import Home
    from .polling import Polling
_RS = ResourceState


@attrs.frozen
class Lanes:
    """The timers of all resources with the same deadlines."""

    soft: Lane[SoftWait]
    pending: Lane[Attempt]
    terminate: Lane[Attempt]


@attrs.define
class Counts:
    """What has been counted for one resource since it was hosted."""

    looks_alive: int = 0
    is_alive: int = 0
    suspicions: int = 0
    inconclusive: int = 0
    failures: int = 0
    probe_seconds: float = 0.0


@attrs.frozen(kw_only=True)
class ResourceStatistics:
    """Figures about one hosted resource, as they were when asked for."""

    state: ResourceState
    epoch: int
    """How many attempts were begun."""
    failures: int
    """How many of them failed."""
    stuck: bool
    """Whether an attempt was terminated in vain and still runs."""
    looks_alive_polls: int
    is_alive_calls: int
    suspicions: int
    """How often ``looks_alive`` answered no."""
    inconclusive_calls: int
    """How often ``is_alive`` could not be carried out."""
    last_probe_seconds: float
    """How long the last ``is_alive`` took."""
    running: str | None
    """The entry point that runs."""


@final
class HostedResource:
    """A handler in a monitor: its lifecycle as mechanism, without any policy.

    Made by ``ResourceMonitor.host``. The methods that begin with ``begin_`` never
    block; their outcome is reported. ``online`` and ``offline`` also wait, for no
    longer than the soft deadline.
    """

    __slots__ = (
        "_attempt",
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
        "home",
        "lanes",
        "last_failure",
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
        home: Home,
        deadlines: Deadlines,
        lanes: Lanes,
        polling: Polling,
    ) -> None:
        self.name = name
        self.handler = handler
        self.home = home
        self.deadlines = deadlines
        self.lanes = lanes
        self.polling = polling
        self.gate = EntryGate()
        self.counts = Counts()
        self.state = _RS.INITIALIZING
        self.epoch = 0
        self.last_failure: FailureReport | None = None
        self.stuck = False
        self.closed = False
        self.maintenance = False
        self._stored = stored
        self._value: object = None
        self._attempt: Attempt | None = None
        # The command that waits for the end of the attempt: ONLINE or OFFLINE.
        self._next: ResourceState | None = None
        self._waiters: list[SoftWait] = []
        self._watched: Watched[ResourceState] | None = None

    def __repr__(self) -> str:
        return f"<HostedResource {self.name!r} {self.state.value} epoch={self.epoch}>"

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
    def value(self) -> Any:
        """What the resource provides.

        Raises:
            ResourceNotAvailable: it is not online.
        """
        if self.state is not _RS.ONLINE:
            raise ResourceNotAvailable(f"{self.name} is {self.state.value}, not online")
        return self._value

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way that will change the state by itself."""
        return self._next is None and not self.state.is_pending

    @property
    def is_ended(self) -> bool:
        """Whether no attempt is left, not even one that is being cleaned up."""
        return self._attempt is None

    def statistics(self) -> ResourceStatistics:
        """Figures about this resource; never blocks."""
        counts = self.counts
        return ResourceStatistics(
            state=self.state,
            epoch=self.epoch,
            failures=counts.failures,
            stuck=self.stuck,
            looks_alive_polls=counts.looks_alive,
            is_alive_calls=counts.is_alive,
            suspicions=counts.suspicions,
            inconclusive_calls=counts.inconclusive,
            last_probe_seconds=counts.probe_seconds,
            running=self.gate.running,
        )

    # --- commands that do not wait -----------------------------------------------------

    def begin_online(self) -> None:
        """Begin an attempt, or join the one that runs; one that is ending is followed.

        Raises:
            InvalidStateError: the resource is closed or has not been opened.
            ResourceStuck: the last attempt was terminated and has still not ended.
        """
        if self.closed or self.state is _RS.INITIALIZING:
            raise InvalidStateError(f"{self.name} is not open")
        if self.stuck:
            raise ResourceStuck(
                f"{self.name}: attempt {self.epoch} was terminated and has not ended",
                self._task_tree(),
            )
        attempt = self._attempt
        if attempt is None:
            self._launch()
        elif attempt.over or attempt.stop_asked:
            self._next = _RS.ONLINE

    def begin_offline(self) -> None:
        """Begin to go offline; an attempt that is still coming online is terminated."""
        attempt = self._attempt
        self._next = None
        if attempt is None or attempt.over:
            self._rest_offline(attempt)
        elif attempt.phase is Phase.UP:
            if not attempt.stop_asked:
                self.polling.forget(attempt)
                self._set_state(_RS.OFFLINE_PENDING)
                self.lanes.pending.arm(attempt)
                attempt.stop()
        elif not attempt.stop_asked:
            attempt.terminate()

    def begin_terminate(self) -> None:
        """Cancel the attempt, if there is one; ``terminate`` joins it as well."""
        self._next = None
        attempt = self._attempt
        if attempt is None or attempt.over:
            self._rest_offline(attempt)
        else:
            attempt.terminate()

    def fail(self, detail: str = "") -> None:
        """Let the resource fail, as if it had failed by itself.

        Args:
            detail: why, in words for people.

        Raises:
            InvalidStateError: it is neither online nor pending.
        """
        attempt = self._attempt
        if attempt is None or not attempt.fail(FailureReason.REQUESTED, detail):
            raise InvalidStateError(f"{self.name} is {self.state.value}; it can not fail now")

    def set_maintenance(self, maintenance: bool) -> None:
        """Ignore reported failures and bad answers of checks, or no longer.

        At the end, what was reported meanwhile is looked into, and the resource is
        checked.

        Args:
            maintenance: whether to ignore them.
        """
        self.maintenance = maintenance
        attempt = self._attempt
        if not maintenance and attempt is not None and attempt.phase is Phase.UP:
            attempt.leave_maintenance()

    # --- commands that wait ------------------------------------------------------------

    async def online(self) -> ResourceState:
        """Bring the resource online, and wait for that no longer than the soft deadline.

        The attempt belongs to the monitor: cancelling the caller ends its waiting and
        nothing else.

        Returns:
            ``ONLINE``, or ``ONLINE_PENDING`` if it is still at it.

        Raises:
            OnlineFailed: it failed, or was taken offline meanwhile.
            InvalidStateError: the resource is closed.
            ResourceStuck: the last attempt has still not ended.
        """
        self.begin_online()
        await self._settle()
        if self.state is _RS.ONLINE:
            return self.state
        if not self.is_settled:
            return _RS.ONLINE_PENDING
        if self.state is _RS.FAILED and self.last_failure is not None:
            raise OnlineFailed(f"{self.name}: {self.last_failure}") from self.last_failure.error
        raise OnlineFailed(f"{self.name} was taken offline while it was coming online")

    async def offline(self) -> ResourceState:
        """Take the resource offline, and wait for that no longer than the soft deadline.

        Cancelling the caller ends its waiting and nothing else.

        Returns:
            ``OFFLINE``, or ``OFFLINE_PENDING`` if it is still at it.

        Raises:
            OfflineFailed: it failed on the way.
            ResourceStuck: an earlier attempt has still not ended.
        """
        self.begin_offline()
        await self._settle()
        if self.stuck:
            raise ResourceStuck(f"{self.name} does not end", self._task_tree())
        if not self.is_settled:
            return _RS.OFFLINE_PENDING
        if self.state is _RS.FAILED and self.last_failure is not None:
            raise OfflineFailed(f"{self.name}: {self.last_failure}") from self.last_failure.error
        return self.state

    async def terminate(self) -> None:
        """Cancel whatever the attempt is at, and wait until nothing of it is left.

        Shielded, and bounded by the terminate deadline: also a cancelled caller
        returns only when the attempt has ended or is stuck. Called from a task of the
        attempt itself it does not wait.

        Raises:
            ResourceStuck: the attempt did not end within the terminate deadline.
        """
        attempt = self._attempt
        self.begin_terminate()
        if attempt is None:
            await trio.lowlevel.checkpoint()
            return
        if attempt.is_current_task_within():
            return
        # The bound is the terminate lane's: it wakes the waiters of a stuck attempt.
        with trio.CancelScope(shield=True):  # noqa: ASYNC912
            while not (attempt.phase is Phase.ENDED or self.stuck):
                await attempt.wait_ended()
        await trio.lowlevel.checkpoint_if_cancelled()
        if attempt.phase is not Phase.ENDED:
            raise ResourceStuck(f"{self.name} does not end", self._task_tree())

    async def wait_state(self, *states: ResourceState, held_for: float = 0.0) -> ResourceState:
        """Wait until the resource is in one of the states.

        Args:
            states: the states to wait for.
            held_for: for how many seconds it must have been so without a change.
        """
        if self._watched is None:
            self._watched = Watched(self.state)
        return await self._watched.wait(*states, held_for=held_for)

    async def control(self, code: str, argument: Any = None) -> Any:
        """Send a control code to the handler; it waits for its turn.

        Cancelling the caller cancels the call, and waits for its end.

        Args:
            code: the code, as the type defines it.
            argument: whatever goes with it.

        Returns:
            The handler's answer.

        Raises:
            InvalidStateError: the resource is closed.
            ResourceNotAvailable: the resource was terminated meanwhile.
            TimeoutError: it took longer than the deadlock deadline.
            Exception: what the handler raised.
        """
        if self.closed:
            raise InvalidStateError(f"{self.name} is closed")
        attempt = self._attempt
        nursery = None
        if attempt is not None and attempt.phase is Phase.UP and not attempt.over:
            nursery = attempt.nursery
        call = Call(self, "control", self.handler.control, (code, argument))
        return await call.run(nursery)

    async def open(self) -> None:
        """Open the handler; once, before anything else."""
        await Call(self, "open", self.handler.open, ()).run(None)
        self._set_state(_RS.OFFLINE)

    async def close(self, nursery: trio.Nursery | None = None) -> None:
        """Terminate what runs, and close the handler; once, last.

        Args:
            nursery: where to run the handler's ``close``; by default in the monitor's.
        """
        if self.closed:
            return
        await self.terminate()
        self.closed = True
        await Call(self, "close", self.handler.close, ()).run(nursery)

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
        self.handler.properties_changed(previous)

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
            self._set_state(_RS.OFFLINE_PENDING)

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
        self.home.send(AttemptStuck(self.name, attempt.epoch, tree, trio.current_time()))
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
            self.home.send(AttemptEnded(self.name, attempt.epoch, trio.current_time()))
        else:
            self._value = None
            self._set_state(_RS.OFFLINE)
        command, self._next = self._next, None
        if command is _RS.ONLINE:
            self._launch()
        elif command is _RS.OFFLINE:
            self._rest_offline(None)

    def leaving(self, attempt: Attempt) -> None:
        """``offline`` is done; what was entered is being left, in bounded time."""
        self.lanes.pending.disarm(attempt)
        self.lanes.terminate.arm(attempt)

    def report_progress(self, epoch: int, message: str, fraction: float | None) -> None:
        """A pending attempt is getting on."""
        self.home.send_if_room(Progress(self.name, epoch, message, fraction, trio.current_time()))

    def probe_inconclusive(self, attempt: Attempt, error: Exception) -> None:
        """``is_alive`` raised."""
        self.counts.inconclusive += 1
        self.home.send_if_room(
            ProbeInconclusive(self.name, attempt.epoch, error, trio.current_time())
        )

    def pending_overrun(self, attempt: Attempt) -> None:
        """No progress within the pending deadline."""
        going_off = attempt.phase is Phase.STOPPING
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
        self.home.launch(attempt.run, name=f"{self.name}#{self.epoch}")

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
        self.home.send(failure)

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
        self.home.send(StateChange(self.name, self.epoch, old, new, trio.current_time(), detail))
        if self._watched is not None:
            self._watched.set(new)
        self._wake()

    def _wake(self) -> None:
        if self._waiters and self.is_settled:
            for waiter in self._waiters:
                waiter.wake()

    async def _settle(self) -> None:
        """Wait until settled, for the soft deadline; always a checkpoint."""
        if self.is_settled:
            await trio.lowlevel.checkpoint()
            return
        waiter = SoftWait()
        self._waiters.append(waiter)
        try:
            await waiter.wait(self.lanes.soft)
        finally:
            self._waiters.remove(waiter)
        if not self.is_settled:
            # What completes in the very instant of the deadline counts as complete: its
            # task may be behind this one in the same pass of the scheduler.
            await trio.lowlevel.cancel_shielded_checkpoint()

    def _task_tree(self) -> str:
        attempt = self._attempt
        if attempt is None or attempt.task is None:
            return ""
        return format_task_tree(attempt.task)
