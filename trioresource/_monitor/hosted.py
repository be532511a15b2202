"""A hosted resource: what the owner of a monitor may ask of it."""

from __future__ import annotations

from typing import Any, final

import attrs
import trio

from .._errors import (
    InvalidStateError,
    OfflineFailed,
    OnlineFailed,
    ResourceNotAvailable,
    ResourceStuck,
)
from .._model.reports import FailureReason
from .._model.states import ResourceState
from .._util.waiting import Watched, wait_soft
from .entry_call import Call
from .instance import Instance
from .phase import Phase

_RS = ResourceState


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
class HostedResource(Instance):
    """A handler in a monitor: its lifecycle as mechanism, without any policy.

    Made by ``ResourceMonitor.host``. The methods that begin with ``begin_`` never
    block; their outcome is reported. ``online`` and ``offline`` also wait, for no
    longer than the soft deadline.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<HostedResource {self.name!r} {self.state.value} epoch={self.epoch}>"

    @property
    def value(self) -> Any:
        """What the resource provides.

        Raises:
            ResourceNotAvailable: it is not online.
        """
        if self.state is not _RS.ONLINE:
            raise ResourceNotAvailable(f"{self.name} is {self.state.value}, not online")
        return self._value

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
        elif attempt.is_finished or attempt.stop_asked:
            self._next = _RS.ONLINE

    def begin_offline(self) -> None:
        """Begin to go offline; an attempt that is still coming online is terminated."""
        attempt = self._attempt
        self._next = None
        if attempt is None or attempt.is_finished:
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
        if attempt is None or attempt.is_finished:
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

        Shielded and bounded: also a cancelled caller returns only when the attempt has
        ended or is stuck. The bound is one terminate deadline for its tasks and contexts,
        one for the handler's ``terminate``, and one for that to obey its cancellation.
        Called from a task of the attempt itself it does not wait.

        Raises:
            ResourceStuck: the attempt did not end within these bounds.
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
        return await Call(self, "control", self.handler.control, (code, argument)).run()

    async def open(self) -> None:
        """Open the handler; once, before anything else."""
        await Call(self, "open", self.handler.open, ()).run()
        self._set_state(_RS.OFFLINE)

    async def close(self, nursery: trio.Nursery | None = None) -> None:
        """Terminate what runs, and close the handler; once, last.

        Once begun it is shielded, and bounded by the terminate deadline and the deadlock
        deadline: a clean-up is not left half done. No attempt begins from the first moment on. Who
        comes second waits for the one who came first.

        Args:
            nursery: where to run the handler's ``close``; by default in the monitor's.

        Raises:
            InvalidStateError: called from a task of the attempt, which has to end first.
            ResourceStuck: the attempt did not end; the resource is not closed.
            TimeoutError: ``close`` got no turn, or took longer than the deadlock deadline.
            Exception: what the handler raised.
        """
        if self._attempt is not None and self._attempt.is_current_task_within():
            raise InvalidStateError(f"{self.name} can not be closed by a task of its own")
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.CancelScope(shield=True):
            if self._close_ended is not None:
                await self._close_ended.wait()
                return
            ended = self._close_ended = trio.Event()
            self.set_closed(True)
            try:
                await self.terminate()
                await Call(self, "close", self.handler.close, ()).run(
                    nursery, turn=self.deadlines.deadlock
                )
            except ResourceStuck:
                self.set_closed(False)
                self._close_ended = None
                raise
            finally:
                ended.set()

    async def _settle(self) -> None:
        """Wait until settled, for the soft deadline; always a checkpoint."""
        if self.is_settled:
            await trio.lowlevel.checkpoint()
            return
        await wait_soft(self._waiters, self.lanes.soft)
