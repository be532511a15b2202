"""Running schedules: each in a run of Trio of its own, or many in one.

A run of Trio takes longer to set up than most schedules take. So the search shares one,
while whatever is reported was confirmed, shrunk and replayed in runs of its own, where
nothing that a run keeps can pass from one schedule to the next.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import attrs
import trio

from ..._util import external as _external
from .clock import VirtualClock
from .controller import Controller
from .external_waits import Inbox
from .findings import is_finding
from .stacks import is_kit
from .task_gate import Gate

if TYPE_CHECKING:
    from types import TracebackType

    from .._search.strategies import Strategy
    from .tracing import Tracer

__all__ = ["Run", "Scenario", "Settings", "current", "run", "search"]

T = TypeVar("T")

Scenario = Callable[[], Awaitable[Any]]
"""An async function without arguments, called anew for each schedule."""

_COLLECT: Final = 50
"""Schedules between two collections of garbage."""


@attrs.frozen(kw_only=True)
class Settings:
    """What a schedule may consist of."""

    timers: bool = False
    cancel: bool = False
    max_steps: int = 10_000


@attrs.frozen(eq=False)
class Run:
    """One schedule that has run."""

    controller: Controller
    error: BaseException | None
    value: object

    @property
    def failed(self) -> bool:
        """Whether it found something."""
        return self.error is not None


@final
class _Schedule:
    """The first task of one schedule."""

    def __init__(self, scenario: Scenario, controller: Controller) -> None:
        self._scenario = scenario
        self._controller = controller
        self.error: BaseException | None = None
        self.value: object = None

    async def main(self) -> None:
        controller = self._controller
        try:
            self.value = await self._scenario()
        except BaseException as error:  # noqa: ASYNC103 - reported; Cancelled is raised
            # Once the controller has found something, what follows is its doing.
            if controller.failure or controller.crashed or not is_finding(error):
                raise
            self.error = error
        finally:
            controller.release()

    def outcome(self, raised: BaseException | None) -> Run:
        """How it ended.

        Args:
            raised: what came out of the run itself.

        Raises:
            BaseException: what came out, if it is no finding: an interruption.
        """
        controller = self._controller
        if controller.crashed is not None:
            raise controller.crashed
        error = self.error or controller.failure or raised
        if self.error is not None and controller.failure is not None:
            # Found at the end of the schedule, which had failed already.
            self.error.add_note(str(controller.failure))
        if raised is not None and not is_finding(raised) and controller.failure is None:
            raise raised
        if error is not None and not is_finding(error):
            raise error
        return Run(controller, None if error is None else _bare(error), self.value)


@final
class _Bench:
    """A clock and a gate, as they are needed for a run of Trio."""

    def __init__(self) -> None:
        self.gate: Final = Gate(_Schedule.main.__code__)
        self.clock: Final = VirtualClock(self.gate)

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run Trio."""

        async def prepared() -> T:
            _BENCH.set(self)
            _external.set_gate(self._carry)
            return await main()

        return trio.run(prepared, clock=self.clock, instruments=[self.gate])

    async def _carry(
        self, what: str, wait: Callable[[], Awaitable[Any]], *, cancellable: bool
    ) -> Any:
        controller = self.gate.controller
        assert controller is not None
        return await controller.inbox.carry(what, wait, cancellable=cancellable)

    async def sit(self, schedule: _Schedule, controller: Controller) -> Run:
        """Run one schedule, within a run of Trio."""
        controller.inbox = Inbox(controller, self.gate)
        self.gate.controller = controller
        raised: BaseException | None = None
        try:
            # A task of its own: this one is under nobody's control.
            async with trio.open_nursery() as nursery:  # noqa: ASYNC112
                controller.scope = nursery.cancel_scope
                nursery.start_soon(schedule.main)
        except BaseException as error:  # noqa: ASYNC103 - judged, and raised, in outcome()
            raised = _single(error)
        await controller.inbox.close()
        return schedule.outcome(raised)


_BENCH: Final[trio.lowlevel.RunVar[_Bench | None]] = trio.lowlevel.RunVar("trioresource", None)


def current() -> Controller | None:
    """The controller of the schedule that runs, if one does."""
    try:
        bench = _BENCH.get()
    except RuntimeError:
        return None
    return None if bench is None else bench.gate.controller


def run(
    scenario: Scenario,
    strategy: Strategy,
    settings: Settings,
    *,
    follow: bool = False,
    tracer: Tracer | None = None,
) -> Run:
    """Run one schedule, in a run of Trio of its own.

    Args:
        scenario: what runs.
        strategy: makes the decisions; it has begun already.
        settings: what there is to decide.
        follow: whether the strategy follows a schedule that was recorded.
        tracer: notes the lines that run.

    Returns:
        What happened.

    Raises:
        BaseException: what is no finding, such as ``KeyboardInterrupt``.
    """
    bench = _Bench()

    async def main() -> Run:
        controller = _controller(strategy, settings, follow, tracer)
        return await bench.sit(_Schedule(scenario, controller), controller)

    with _calm():
        return bench.run(main)


def search(
    scenario: Scenario,
    strategy: Strategy,
    settings: Settings,
    report: Callable[[Run], bool],
) -> bool:
    """Run many schedules in one run of Trio.

    Args:
        scenario: what runs, again and again.
        strategy: makes the decisions.
        settings: what there is to decide.
        report: is given each run; whether to go on.

    Returns:
        Whether all went well. ``False`` if the scenario spawned system tasks, which belong
        to a run: it needs a run of its own for each schedule.

    Raises:
        BaseException: what is no finding, such as ``KeyboardInterrupt``.
    """
    bench = _Bench()
    shared = True

    async def main() -> None:
        nonlocal shared
        count = 0
        while strategy.begin():
            controller = _controller(strategy, settings, False, None)
            result = await bench.sit(_Schedule(scenario, controller), controller)
            strategy.end(controller.picks, result.failed)
            shared = not controller.system_tasks
            count += 1
            if not report(result) or not shared:
                return
            if count % _COLLECT == 0:
                # What was made since the last time is the youngest generation, and all of
                # the garbage. To look through the rest of the program would take longer
                # than the schedules do.
                del controller, result
                gc.collect(0)

    with _calm():
        bench.run(main)
    return shared


def _controller(
    strategy: Strategy, settings: Settings, follow: bool, tracer: Tracer | None
) -> Controller:
    return Controller(
        strategy,
        timers=settings.timers,
        cancel=settings.cancel,
        max_steps=settings.max_steps,
        follow=follow,
        tracer=tracer,
    )


@contextlib.contextmanager
def _calm() -> Iterator[None]:
    """Collect no garbage while a schedule runs: finalisers would run at any moment."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _single(error: BaseException) -> BaseException:
    """What the nursery around a schedule has wrapped."""
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return error.exceptions[0]
    return error


def _bare(error: BaseException) -> BaseException:
    """The error with a traceback that begins in the code under test."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _bare(inner)
    first = error.__traceback__
    while first is not None and is_kit(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    error.__traceback__ = _without_kit(first)
    return error


def _without_kit(first: TracebackType | None) -> TracebackType | None:
    link = first
    while link is not None:
        following = link.tb_next
        while following is not None and is_kit(following.tb_frame.f_code.co_filename):
            following = following.tb_next
        link.tb_next = following
        link = following
    return first
