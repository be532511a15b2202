"""What a check works with: a monitor, the handler hosted in it, and all that is reported."""

from __future__ import annotations

import contextlib
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import attrs
import trio

from ..._errors import OfflineFailed, OnlineFailed
from ..._handler import ResourceHandler
from ..._model.policy import Deadlines
from ..._model.reports import FailureReport, StateChange
from ..._model.states import ResourceState
from ..._monitor import open_monitor
from .._leaks import child_processes
from .._scheduling.fake_process import running_fake_processes
from .call_recorder import CallRecorder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from ..._model.policy import PollIntervals
    from ..._monitor import HostedResource, ResourceMonitor
    from .cases import Case
    from .subject import Subject

T = TypeVar("T")

NAME: Final = "handler"
PATIENT: Final = Deadlines(pending=inf, deadlock=inf, terminate=inf)
"""For schedules in which deadlines expire while tasks could run."""

SETTLED: Final = (ResourceState.ONLINE, ResourceState.OFFLINE, ResourceState.FAILED)


def require(condition: object, otherwise: str) -> None:
    """Fail the check if a condition does not hold.

    Args:
        condition: what should hold.
        otherwise: what is wrong if it does not.

    Raises:
        AssertionError: the condition does not hold.
    """
    if not condition:
        raise AssertionError(otherwise)


@final
@attrs.define(eq=False)
class Harness:
    """What one schedule of a check works with."""

    subject: Subject
    case: Case
    monitor: ResourceMonitor
    hosted: HostedResource
    recorder: CallRecorder
    _reports: list[object] = attrs.field(factory=list)

    # --- what to do --------------------------------------------------------------------

    async def come_online(self) -> Any:
        """Bring the resource online, however long that takes.

        Returns:
            What it provides.
        """
        try:
            await self.hosted.online()
        except OnlineFailed as error:
            raise AssertionError(f"it does not come online: {error}") from error
        return await self.be_online()

    async def be_online(self) -> Any:
        """Wait until it settles, and require that it is online."""
        state = await self.hosted.wait_state(*SETTLED)
        require(state is ResourceState.ONLINE, f"it is {state.value}, not online{self.why}")
        return self.hosted.value

    async def go_offline(self) -> None:
        """Take it offline, however long that takes."""
        try:
            await self.hosted.offline()
        except OfflineFailed as error:
            raise AssertionError(f"it does not go offline: {error}") from error
        await self.be_offline()

    async def be_offline(self) -> None:
        """Wait until it settles, and require that it is offline."""
        state = await self.hosted.wait_state(*SETTLED)
        require(state is ResourceState.OFFLINE, f"it is {state.value}, not offline{self.why}")

    async def be_terminated(self) -> None:
        """Terminate it, and require that it is offline and has not failed by that."""
        failures = self.hosted.statistics().failures
        await self.hosted.terminate()
        self.require_offline()
        require(self.hosted.statistics().failures == failures, f"terminate failed{self.why}")

    async def try_online(self) -> None:
        """Request online; it may fail."""
        with contextlib.suppress(OnlineFailed):
            await self.hosted.online()

    async def try_offline(self) -> None:
        """Request offline; it may fail."""
        with contextlib.suppress(OfflineFailed):
            await self.hosted.offline()

    async def ask_now(self) -> None:
        """Let the monitor call ``is_alive``, and wait for the answer."""
        asked = self.hosted.statistics().is_alive_calls
        self.hosted.set_maintenance(True)
        # At the end of maintenance the monitor calls is_alive.
        self.hosted.set_maintenance(False)
        with trio.move_on_after(self.hosted.deadlines.deadlock):  # noqa: ASYNC912
            while self.hosted.state is ResourceState.ONLINE and not (  # noqa: ASYNC110
                self.hosted.statistics().is_alive_calls > asked
                and self.hosted.statistics().running is None
            ):
                # The end of a call has no event.
                await trio.sleep(_LOOK_AGAIN)

    # --- what to see -------------------------------------------------------------------

    @property
    def why(self) -> str:
        """Its last failure, for messages."""
        failure = self.hosted.last_failure
        return "" if failure is None else f": {failure}"

    @property
    def reports(self) -> list[object]:
        """All that was reported so far."""
        with contextlib.suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                self._reports.append(self.monitor.reports.receive_nowait())
        return self._reports

    @property
    def failures(self) -> list[FailureReport]:
        """All failures that were reported so far."""
        return [report for report in self.reports if isinstance(report, FailureReport)]

    def times(self, state: ResourceState) -> int:
        """Return how often it came into a state."""
        changes = [report for report in self.reports if isinstance(report, StateChange)]
        return sum(1 for change in changes if change.new is state)

    def require_offline(self) -> None:
        """Require that it is offline now."""
        state = self.hosted.state
        require(state is ResourceState.OFFLINE, f"it is {state.value}, not offline{self.why}")

    def require_obedient(self) -> None:
        """Require that no entry point that was cancelled has returned all the same."""
        for name in self.recorder.swallowed:
            raise AssertionError(
                f"{name} was cancelled where it waited, and returned all the same:"
                " Cancelled must be let through"
            )

    def swept(self) -> bool:
        """Say whether the wait was reached that ``call_at_wait`` named; if not, the sweep ends."""
        self.case.sweeps = True
        self.case.reached = self.recorder.reached
        return self.recorder.reached

    @property
    def checks_itself(self) -> bool:
        """Whether its class defines ``is_alive`` or ``looks_alive``."""
        kind = type(self.hosted.handler)
        return (
            kind.is_alive is not ResourceHandler.is_alive
            or kind.looks_alive is not ResourceHandler.looks_alive
        )


_LOOK_AGAIN: Final = 0.01
"""Seconds between two looks at whether a call has ended."""


def processes() -> int:
    """Return the number of processes, fake ones and child processes."""
    return len(running_fake_processes()) + len(child_processes())


@contextlib.asynccontextmanager
async def open_harness(
    subject: Subject,
    case: Case,
    *,
    properties: Mapping[str, Any] | None = None,
    deadlines: Deadlines | None = None,
    poll: PollIntervals | None = None,
    before_open: Callable[[CallRecorder], object] | None = None,
) -> AsyncGenerator[Harness]:
    """Host the handler in the body; close it at the end.

    Args:
        subject: what is checked.
        case: the case of this schedule.
        properties: those of the subject, by default.
        deadlines: those of the type, by default.
        poll: those of the type, by default.
        before_open: called with the recorder before the handler is made.
    """
    recorder = CallRecorder()
    if before_open is not None:
        before_open(recorder)
    async with subject.surroundings():
        reports: trio.MemoryReceiveChannel[Any] | None = None
        try:
            async with open_monitor() as monitor:
                reports = monitor.reports
                hosted = await monitor.host(
                    NAME,
                    recorder.factory(subject.handler),
                    properties=subject.properties if properties is None else properties,
                    deadlines=deadlines,
                    poll=poll,
                )
                harness = Harness(subject, case, monitor, hosted, recorder)
                yield harness
                harness.require_obedient()
                if not hosted.is_closed:
                    await monitor.unhost(NAME)
        finally:
            if reports is not None:
                reports.close()
