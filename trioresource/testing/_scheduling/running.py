"""Run schedules: each in a run of Trio of its own, or many in one.

A run of Trio takes longer to set up than most schedules take. So all schedules of a search
share one. What is reported was confirmed, shrunk and replayed in runs of its own, in which
nothing that a run keeps can pass from one schedule to the next.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import attrs
import trio

from ..._util.external import set_gate
from .clock import VirtualClock
from .controller import Controller
from .fake_process import forget_fake_processes
from .findings import is_finding
from .stacks import is_kit
from .task_gate import TaskGate

if TYPE_CHECKING:
    from types import TracebackType

    from .strategy import Strategy
    from .tracing import Tracer

T = TypeVar("T")

Scenario = Callable[[], Awaitable[Any]]
"""An async function without arguments, called anew for each schedule."""

_COLLECT_EVERY: Final = 50
"""Schedules between two collections of garbage: a few megabytes at most."""


@attrs.frozen(kw_only=True)
class Settings:
    """What a schedule may consist of; see the arguments of ``explore()``."""

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
        """Whether the schedule failed."""
        return self.error is not None


@final
class _Schedule:
    """Run one schedule, and judge how it ended."""

    def __init__(self, scenario: Scenario, controller: Controller) -> None:
        self._scenario = scenario
        self._controller = controller
        self.error: BaseException | None = None
        self.value: object = None

    async def main(self) -> None:
        """Run the scenario; this is the schedule's first task."""
        controller = self._controller
        try:
            self.value = await self._scenario()
        except BaseException as error:  # noqa: ASYNC103 - reported; Cancelled is raised
            # Once the controller has failed the schedule, its cancellation causes what follows.
            if controller.failure or controller.crashed or not is_finding(error):
                raise
            self.error = error
        finally:
            controller.release()

    def outcome(self, raised: BaseException | None) -> Run:
        """Return how the schedule ended.

        Args:
            raised: what came out of the nursery around it.

        Raises:
            BaseException: what came out, if it is no finding: an interruption.
        """
        controller = self._controller
        if controller.crashed is not None:
            raise controller.crashed
        error = self.error or controller.failure or raised
        if self.error is not None and controller.failure is not None:
            # The controller found this at the end of a schedule that had failed already.
            self.error.add_note(str(controller.failure))
        if raised is not None and not is_finding(raised) and controller.failure is None:
            raise raised
        if error is not None and not is_finding(error):
            raise error
        return Run(controller, None if error is None else _bare(error), self.value)


@final
class _ControlledRun:
    """A run of Trio whose tasks and time the kit controls."""

    def __init__(self) -> None:
        self.gate: Final = TaskGate(_Schedule.main.__code__)
        self.clock: Final = VirtualClock(self.gate)

    def run(self, main: Callable[[], Awaitable[T]]) -> T:
        """Run Trio with an async function."""

        async def prepared() -> T:
            _RUN.set(self)
            set_gate(self._wait_for)
            return await main()

        return trio.run(prepared, clock=self.clock, instruments=[self.gate])

    async def _wait_for(
        self, what: str, wait: Callable[[], Awaitable[Any]], *, cancellable: bool
    ) -> Any:
        controller = self.gate.controller
        assert controller is not None
        return await controller.external_waits.wait_for(what, wait, cancellable=cancellable)

    async def run_schedule(self, scenario: Scenario, controller: Controller) -> Run:
        """Run one schedule, within this run of Trio."""
        schedule = _Schedule(scenario, controller)
        forget_fake_processes()
        self.gate.controller = controller
        raised: BaseException | None = None
        try:
            # In a task of its own: no controller controls this one.
            async with trio.open_nursery() as nursery:  # noqa: ASYNC112
                controller.scope = nursery.cancel_scope
                nursery.start_soon(schedule.main)
        except BaseException as error:  # noqa: ASYNC103 - judged, and raised, in outcome()
            raised = _single(error)
        await controller.external_waits.close()
        return schedule.outcome(raised)


_RUN: Final[trio.lowlevel.RunVar[_ControlledRun | None]] = trio.lowlevel.RunVar(
    "trioresource_controlled_run", None
)


def current_controller() -> Controller | None:
    """Return the controller of the schedule that runs, or ``None`` if none runs."""
    try:
        controlled = _RUN.get()
    except RuntimeError:
        return None
    return None if controlled is None else controlled.gate.controller


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
        strategy: makes the decisions; its ``begin()`` was called already.
        settings: what there is to decide.
        follow: whether the strategy follows a schedule that was recorded.
        tracer: notes the lines that run, if given.

    Returns:
        What happened.

    Raises:
        BaseException: what is no finding, such as ``KeyboardInterrupt``.
    """
    controlled = _ControlledRun()

    async def main() -> Run:
        controller = _controller(strategy, settings, follow, tracer)
        return await controlled.run_schedule(scenario, controller)

    with _without_garbage_collection():
        return controlled.run(main)


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
        report: is called with each finished schedule; returns whether to go on.

    Returns:
        ``False`` if the scenario spawned system tasks. They belong to a run of Trio, so that
        each schedule of this scenario needs a run of its own. ``True`` otherwise.

    Raises:
        BaseException: what is no finding, such as ``KeyboardInterrupt``.
    """
    controlled = _ControlledRun()
    shared = True

    async def main() -> None:
        nonlocal shared
        count = 0
        while strategy.begin():
            controller = _controller(strategy, settings, False, None)
            result = await controlled.run_schedule(scenario, controller)
            strategy.end(controller.picks, result.failed)
            shared = not controller.system_tasks
            count += 1
            if not report(result) or not shared:
                return
            if count % _COLLECT_EVERY == 0:
                # All garbage was made since the last time, so it is in the youngest
                # generation. A full collection would look through the whole program, and
                # would take longer than the schedules do.
                del controller, result
                gc.collect(0)

    with _without_garbage_collection():
        controlled.run(main)
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
def _without_garbage_collection() -> Iterator[None]:
    """Let Python collect no garbage by itself in the body.

    A collection runs finalisers and weak references' callbacks in the middle of some step,
    and when it comes depends on all that the program has allocated before. So two runs of one
    schedule would differ. no_leaks() also relies on it: what a schedule has made stays in the
    youngest generation.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _single(error: BaseException) -> BaseException:
    """Unwrap the error that the nursery around a schedule has wrapped."""
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return error.exceptions[0]
    return error


def _bare(error: BaseException) -> BaseException:
    """Return the error with a traceback without the frames of the kit."""
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
