"""The cancellation sweep: cancel an operation once at each of its checkpoints."""

from __future__ import annotations

import contextlib
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import attrs
import trio

from .._scheduling.overrides import replayed_by
from .._scheduling.running import current_controller
from .._scheduling.scenario import choose
from .._scheduling.stacks import is_under_test, place
from .explore import explore
from .portfolio import make_strategy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .._scheduling.gated_task import GatedTask

T = TypeVar("T")

_MAX_CHECKPOINTS: Final = 100_000
"""Checkpoints of one operation; more would hardly end."""


@attrs.frozen
class SweepPoint:
    """One place at which an operation was cancelled."""

    number: int
    """How often the operation's task had waited; 0 if it was cancelled before it began."""
    where: str
    """The line that waited then."""
    cancelled: bool
    """Whether the cancellation ended the operation; otherwise it had its result already."""


@attrs.frozen
class Sweep:
    """What a sweep did."""

    points: tuple[SweepPoint, ...]
    """The places where the operation was cancelled, each as in its first schedule."""
    schedules: int
    """How many schedules ran."""

    @property
    def checkpoints(self) -> int:
        """The number of checkpoints at which the operation was cancelled."""
        return len(self.points)


def sweep(
    operation: Callable[[T], Awaitable[object]],
    *,
    setup: Callable[[], AbstractAsyncContextManager[T]] | None = None,
    check: Callable[[T], Awaitable[object]] | None = None,
    schedules: int = 1,
    strategy: str = "auto",
    seed: int = 0,
    timers: bool = False,
    max_steps: int = 10_000,
    replay: str | None = None,
) -> Sweep:
    """Cancel an operation once at each of its checkpoints, in virtual time.

    Cancellation arrives where the operation's task waits, as from a timeout around the
    operation. An operation in which ``Cancelled`` was raised must end by it. It is a failure if
    it returns as if nothing had happened (it swallowed ``Cancelled``).

    Args:
        operation: called with what ``setup`` provides.
        setup: makes an async context manager, anew for each run. Without it, the operation
            is called with ``None``.
        check: called after the operation, within the setup. It raises if something does not
            hold that must hold however the operation ended. It is not cancelled.
        schedules: how many schedules to run for each checkpoint. The first is the plain
            one.
        strategy: what chooses the other schedules, as for ``explore``.
        seed: the seed of the strategy.
        timers: as for ``explore``.
        max_steps: as for ``explore``.
        replay: the token of a schedule: only that schedule runs. The token also says where
            to cancel. The other arguments must be as they were.

    Returns:
        The places where the operation was cancelled.

    Raises:
        BaseException: as ``explore`` does; a note says where the operation was cancelled.
    """
    trials: list[_Trial] = []

    async def scenario() -> None:
        trial = _Trial(choose(range(_MAX_CHECKPOINTS)))
        trials.append(trial)
        surroundings: Any = contextlib.nullcontext() if setup is None else setup()
        async with surroundings as value:
            await trial.run(operation, value)
            if check is not None:
                await check(value)

    cancellations = _EachCheckpoint(trials, schedules, strategy, seed)
    try:
        with replayed_by(lambda token: f"sweep(..., replay={token!r})"):
            result = explore(
                scenario,
                schedules=_MAX_CHECKPOINTS * schedules,
                strategy=cancellations,
                seed=seed,
                timers=timers,
                max_steps=max_steps,
                replay=replay,
            )
    except BaseException as error:
        if trials and trials[-1].point is not None:
            point = trials[-1].point
            error.add_note(f"cancelled at checkpoint {point.number}: {point.where}")
        raise
    points = {
        trial.point.number: trial.point for trial in reversed(trials) if trial.point is not None
    }
    return Sweep(tuple(points[number] for number in sorted(points)), result.schedules)


@final
class _Trial:
    """One run of the operation, cancelled at one place or (number -1) not at all."""

    def __init__(self, index: int) -> None:
        self._number: Final = index - 1
        self._waits = 0
        self._visible = False
        self._scope = trio.CancelScope()
        self.point: SweepPoint | None = None

    async def run(self, operation: Callable[[T], Awaitable[object]], value: T) -> None:
        controller = current_controller()
        assert controller is not None
        task = controller.live[trio.lowlevel.current_task()]

        def interrupt(gated: GatedTask) -> None:
            if gated is task:
                self._waits += 1
                if self._waits == self._number:
                    self._cancel(_where(gated))
                    # Behind a shield the operation does not see it, and may return.
                    self._visible = trio.current_effective_deadline() == -inf

        if self._number == 0:
            self._cancel("before it began")
        controller.interrupt = interrupt
        controller.watched = True
        try:
            with self._scope:
                await operation(value)
        finally:
            controller.interrupt = None
        caught = self._scope.cancelled_caught
        if self.point is None:
            return
        self.point = attrs.evolve(self.point, cancelled=caught)
        if self._told(task) and not caught:
            raise AssertionError(
                f"cancelled at {self.point.where}, the operation returned all the same"
            )

    def _told(self, task: GatedTask) -> bool:
        """Say whether the step after the cancellation, which was the last, began with it."""
        return self._visible and self._waits == self._number and task.delivered

    def _cancel(self, where: str) -> None:
        self.point = SweepPoint(self._number, where, cancelled=False)
        self._scope.cancel()


def _where(gated: GatedTask) -> str:
    places = [
        place(frame.f_code.co_filename, line)
        for frame, line in gated.task.iter_await_frames()
        if is_under_test(frame.f_code.co_filename)
    ]
    return places[-1] if places else "?"


@final
class _EachCheckpoint:
    """Run schedules for each checkpoint, until the operation has no more checkpoints.

    Args:
        trials: what has run so far.
        schedules: how many for each checkpoint.
        strategy: chooses them, except the first.
        seed: the seed of the strategy.
    """

    name: Final = "sweep"

    def __init__(self, trials: Sequence[_Trial], schedules: int, strategy: str, seed: int) -> None:
        self._trials = trials
        self._schedules: Final = schedules
        self._inner: Final = make_strategy(strategy, seed)
        self._index = 0
        self._of_this = schedules
        self._reached = True
        self._chosen = False

    def begin(self) -> bool:
        """Begin the next schedule for this checkpoint, or the first for the next one."""
        if self._of_this >= self._schedules:
            if not self._reached:
                return False
            self._index += 1
            self._of_this = 0
            self._reached = False
        self._of_this += 1
        self._chosen = False
        return self._of_this == 1 or self._inner.begin()

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose what has waited longest in the first schedule; then ask the strategy."""
        return 0 if self._of_this == 1 else self._inner.pick(keys, last)

    def choose(self, count: int) -> int:
        """Choose where to cancel, in the first decision; then ask the strategy."""
        if not self._chosen:
            self._chosen = True
            return self._index
        return 0 if self._of_this == 1 else self._inner.choose(count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Learn whether there was such a checkpoint."""
        self._reached = self._reached or self._trials[-1].point is not None
        if self._of_this > 1:
            self._inner.end(picks, failed)
