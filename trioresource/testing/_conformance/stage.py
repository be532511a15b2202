"""Where a check plays: a monitor, the handler hosted in it, and all that is reported."""

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
from .._scheduling.fake_process import living_fakes
from .stepping import Ledger
from .subject import children

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from ..._model.policy import PollIntervals
    from ..._monitor import HostedResource, ResourceMonitor
    from .cases import Case
    from .subject import Subject

__all__ = ["NAME", "PATIENT", "Stage", "open_stage", "processes", "require"]

T = TypeVar("T")

NAME: Final = "handler"
PATIENT: Final = Deadlines(pending=inf, deadlock=inf, terminate=inf)
"""For schedules in which deadlines expire while tasks could run."""

_RS = ResourceState
_SETTLED: Final = (_RS.ONLINE, _RS.OFFLINE, _RS.FAILED)


def require(condition: object, otherwise: str) -> None:
    """Fail the check if a condition does not hold.

    Args:
        condition: what should hold.
        otherwise: what is wrong if it does not.

    Raises:
        AssertionError: it does not hold.
    """
    if not condition:
        raise AssertionError(otherwise)


@final
@attrs.define(eq=False)
class Stage:
    """One schedule of a check."""

    subject: Subject
    case: Case
    monitor: ResourceMonitor
    hosted: HostedResource
    ledger: Ledger
    _reports: list[object] = attrs.field(factory=list)

    # --- what to do --------------------------------------------------------------------

    async def come_online(self) -> Any:
        """Bring it online, and wait for that as long as it takes.

        Returns:
            What it provides.
        """
        try:
            await self.hosted.online()
        except OnlineFailed as error:
            raise AssertionError(f"it does not come online: {error}") from error
        return await self.be_online()

    async def be_online(self) -> Any:
        """Wait until it is online."""
        state = await self.hosted.wait_state(*_SETTLED)
        require(state is _RS.ONLINE, f"it is {state.value}, not online{self.why}")
        return self.hosted.value

    async def go_offline(self) -> None:
        """Take it offline, and wait for that as long as it takes."""
        try:
            await self.hosted.offline()
        except OfflineFailed as error:
            raise AssertionError(f"it does not go offline: {error}") from error
        await self.be_offline()

    async def be_offline(self) -> None:
        """Wait until it is offline."""
        state = await self.hosted.wait_state(*_SETTLED)
        require(state is _RS.OFFLINE, f"it is {state.value}, not offline{self.why}")

    async def be_terminated(self) -> None:
        """Terminate it, unharmed as it is: then it is offline, and has not failed."""
        failures = self.hosted.statistics().failures
        await self.hosted.terminate()
        self.require_offline()
        require(self.hosted.statistics().failures == failures, f"terminate failed{self.why}")

    async def try_online(self) -> None:
        """Ask for it to come online; whether it does is another question."""
        with contextlib.suppress(OnlineFailed):
            await self.hosted.online()

    async def try_offline(self) -> None:
        """Ask for it to go offline; whether it does is another question."""
        with contextlib.suppress(OfflineFailed):
            await self.hosted.offline()

    async def ask_now(self) -> None:
        """Have ``is_alive`` asked, and wait for the answer."""
        asked = self.hosted.statistics().is_alive_calls
        self.hosted.set_maintenance(True)
        # The end of maintenance is a reason to look.
        self.hosted.set_maintenance(False)
        with trio.move_on_after(self.hosted.deadlines.deadlock):  # noqa: ASYNC912
            while self.hosted.state is _RS.ONLINE and not (  # noqa: ASYNC110
                self.hosted.statistics().is_alive_calls > asked
                and self.hosted.statistics().running is None
            ):
                # The end of a call has no event.
                await trio.sleep(_LOOK_AGAIN)

    # --- what to see -------------------------------------------------------------------

    @property
    def why(self) -> str:
        """How it failed last, for messages."""
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
        """How often it came into a state."""
        changes = [report for report in self.reports if isinstance(report, StateChange)]
        return sum(1 for change in changes if change.new is state)

    def require_offline(self) -> None:
        """It must be offline now."""
        state = self.hosted.state
        require(state is _RS.OFFLINE, f"it is {state.value}, not offline{self.why}")

    def require_obedient(self) -> None:
        """It must not have returned from what was cancelled."""
        for name in self.ledger.swallowed:
            raise AssertionError(
                f"{name} was cancelled where it waited, and returned all the same:"
                " Cancelled must be let through"
            )

    def swept(self) -> bool:
        """Whether the wait was reached at which something was to happen; ends the sweep."""
        self.case.sweeps = True
        self.case.reached = self.ledger.reached
        return self.ledger.reached

    @property
    def checks_itself(self) -> bool:
        """Whether its type says how to find out that it is alive."""
        kind = type(self.hosted.handler)
        return (
            kind.is_alive is not ResourceHandler.is_alive
            or kind.looks_alive is not ResourceHandler.looks_alive
        )


_LOOK_AGAIN: Final = 0.01
"""Seconds."""


def processes() -> int:
    """How many processes there are, virtual ones and children."""
    return sum(1 for fake in living_fakes() if fake.returncode is None) + len(children())


@contextlib.asynccontextmanager
async def open_stage(
    subject: Subject,
    case: Case,
    *,
    properties: Mapping[str, Any] | None = None,
    deadlines: Deadlines | None = None,
    poll: PollIntervals | None = None,
    before_open: Callable[[Ledger], object] | None = None,
) -> AsyncGenerator[Stage]:
    """Host the handler; at the end it is closed.

    Args:
        subject: what is checked.
        case: what this schedule is about.
        properties: those of the subject, by default.
        deadlines: those of the type, by default.
        poll: those of the type, by default.
        before_open: is given the ledger before the handler is made.
    """
    ledger = Ledger()
    if before_open is not None:
        before_open(ledger)
    async with subject.surroundings():
        reports: trio.MemoryReceiveChannel[Any] | None = None
        try:
            async with open_monitor() as monitor:
                reports = monitor.reports
                hosted = await monitor.host(
                    NAME,
                    ledger.factory(subject.handler),
                    properties=subject.properties if properties is None else properties,
                    deadlines=deadlines,
                    poll=poll,
                )
                stage = Stage(subject, case, monitor, hosted, ledger)
                yield stage
                stage.require_obedient()
                if not hosted.is_closed:
                    await monitor.unhost(NAME)
        finally:
            if reports is not None:
                reports.close()
