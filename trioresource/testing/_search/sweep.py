"""The cancellation sweep: an operation is cancelled at each of its checkpoints, once each."""

from __future__ import annotations

import contextlib
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import attrs
import trio

from .._scheduling.overrides import replayed_by
from .._scheduling.running import current
from .._scheduling.scenario import choose
from .._scheduling.stacks import is_ours, place
from .explore import explore
from .portfolio import make_strategy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .._scheduling.task_gate import GatedTask

__all__ = ["Sweep", "SweepPoint", "sweep"]

T = TypeVar("T")

_MOST: Final = 100_000
"""Checkpoints of one operation."""


@attrs.frozen
class SweepPoint:
    """One place at which an operation was cancelled."""

    number: int
    """How often the operation's task had waited; 0: it was cancelled before it began."""
    where: str
    """The line that waited then."""
    cancelled: bool
    """Whether the operation ended by it; otherwise it had its result already."""


@attrs.frozen
class Sweep:
    """What a sweep did."""

    points: tuple[SweepPoint, ...]
    """Where the operation was cancelled, in the first schedule of each place."""
    schedules: int
    """How many schedules ran."""

    @property
    def checkpoints(self) -> int:
        """At how many checkpoints the operation was cancelled."""
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
    """Cancel an operation at each of its checkpoints, once each, in virtual time.

    Cancellation is delivered where the operation's task waits, as a surrounding timeout
    would. An operation that is told of it must end by it: to return as if nothing had
    happened is a failure (a swallowed ``Cancelled``).

    Args:
        operation: is given what ``setup`` provides.
        setup: makes an async context manager, for each run anew; by default there is
            nothing, and the operation is given ``None``.
        check: is called after the operation, within the setup: what must hold however
            the operation ended. It is not cancelled.
        schedules: how many schedules to run for each checkpoint. The first is the plain
            one.
        strategy: what the others are chosen by, as for ``explore``.
        seed: what the strategy draws from.
        timers: as for ``explore``.
        max_steps: as for ``explore``.
        replay: the token of a schedule, which says where to cancel as well: only that one
            runs. The other arguments must be as they were.

    Returns:
        Where the operation was cancelled.

    Raises:
        BaseException: as ``explore``; a note says where the operation was cancelled.
    """
    trials: list[_Trial] = []

    async def scenario() -> None:
        trial = _Trial(choose(range(_MOST)))
        trials.append(trial)
        surroundings: Any = contextlib.nullcontext() if setup is None else setup()
        async with surroundings as value:
            await trial.run(operation, value)
            if check is not None:
                await check(value)

    each = _Each(trials, schedules, strategy, seed)
    try:
        with replayed_by(lambda token: f"sweep(..., replay={token!r})"):
            result = explore(
                scenario,
                schedules=_MOST * schedules,
                strategy=each,
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
    points = {t.point.number: t.point for t in reversed(trials) if t.point is not None}
    return Sweep(tuple(points[number] for number in sorted(points)), result.schedules)


@final
class _Trial:
    """One run of the operation, cancelled at one place, or (number 0) not at all."""

    def __init__(self, index: int) -> None:
        self._number: Final = index - 1
        self._waits = 0
        self._visible = False
        self._scope = trio.CancelScope()
        self.point: SweepPoint | None = None

    async def run(self, operation: Callable[[T], Awaitable[object]], value: T) -> None:
        controller = current()
        assert controller is not None
        task = controller.live[trio.lowlevel.current_task()]

        def interrupt(gated: GatedTask) -> None:
            if gated is task:
                self._waits += 1
                if self._waits == self._number:
                    self._cancel(_where(gated))
                    # Not so behind a shield, where a Cancelled has another reason.
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
        """Whether the step after the cancellation, which is the last one, began with it."""
        return self._visible and self._waits == self._number and task.delivered

    def _cancel(self, where: str) -> None:
        self.point = SweepPoint(self._number, where, cancelled=False)
        self._scope.cancel()


def _where(gated: GatedTask) -> str:
    ours = [
        place(frame.f_code.co_filename, line)
        for frame, line in gated.task.iter_await_frames()
        if is_ours(frame.f_code.co_filename)
    ]
    return ours[-1] if ours else "?"


@final
class _Each:
    """For each checkpoint so many schedules, until there is no such checkpoint.

    Args:
        trials: what has run so far.
        schedules: how many for each checkpoint.
        strategy: chooses them, but for the first.
        seed: what it draws from.
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
        """The next schedule for this checkpoint, or the first for the next one."""
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
        """First come, first served; then as the strategy says."""
        return 0 if self._of_this == 1 else self._inner.pick(keys, last)

    def choose(self, count: int) -> int:
        """The first decision is where to cancel."""
        if not self._chosen:
            self._chosen = True
            return self._index
        return 0 if self._of_this == 1 else self._inner.choose(count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Learns whether there was such a checkpoint."""
        self._reached = self._reached or self._trials[-1].point is not None
        if self._of_this > 1:
            self._inner.end(picks, failed)
