"""The controller: decide one schedule, and record it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, final

import outcome
import trio

from .external_waits import ExternalWaits
from .findings import Abandoned, Deadlock, Livelock, Uncontrolled
from .options import CLOCK, Cancellable, Deadline, Option
from .stacks import describe_wait, waits_for_idle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .gated_task import GatedTask
    from .strategy import Strategy
    from .tracing import Tracer

_GO: Final = outcome.Value(None)
"""What a task that has its turn is resumed with; it keeps what it was really sent."""
_UNWINDING_STEPS: Final = 10_000
"""Steps that a failed schedule gets to unwind; then the coroutines of its tasks are closed."""


@final
class Controller:
    """Decide what goes next in one schedule, and record it.

    Args:
        strategy: makes the decisions.
        timers: whether the next deadline may expire while tasks could run.
        cancel: whether the scopes that the scenario marked by ``cancellable()`` may be
            cancelled.
        max_steps: the schedule fails when it has not ended after so many steps.
        follow: whether the strategy follows a schedule that was recorded.
        tracer: notes the lines that each step runs, if given.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        timers: bool = False,
        cancel: bool = False,
        max_steps: int = 10_000,
        follow: bool = False,
        tracer: Tracer | None = None,
    ) -> None:
        self.strategy: Final = strategy
        self.cancel: Final = cancel
        self.max_steps: Final = max_steps
        self.follow: Final = follow
        self.tracer: Tracer | None = tracer
        self._timers = timers
        # The tasks of the schedule, and those that wait for their turn.
        self.live: dict[trio.lowlevel.Task, GatedTask] = {}
        self.main: GatedTask | None = None
        self.scope: trio.CancelScope | None = None
        self.spawned: int = 0
        self.system_children: Final[dict[str, int]] = {}
        self.system_tasks: bool = False
        self.arrived: list[GatedTask] = []
        self._queue: list[GatedTask] = []
        self._settled = False
        self._deadline = inf
        self._held: Option | None = None
        self._clock: Final = Deadline(self._expire)
        self.cancellables: Final[list[Cancellable]] = []
        self.external_waits: Final = ExternalWaits(self)
        # What is called after each step.
        self._invariants: Final[list[Callable[[], object]]] = []
        self.interrupt: Callable[[GatedTask], None] | None = None
        """Called after each step with the task that has run; it may cancel something."""
        self.watched: bool = False
        """Whether anything is called after each step."""
        # The record.
        self.now: float = 0.0
        self.last: str | None = None
        self.steps: Final[list[str]] = []
        self.picks: Final[list[tuple[int, int]]] = []
        self.picked_keys: Final[list[str]] = []
        self.choices: Final[list[int]] = []
        self.departures: Final[list[int]] = []
        """The indices of the steps that left a task that could have gone on: the preemptions."""
        # How it ended.
        self.failure: BaseException | None = None
        self.crashed: BaseException | None = None
        self.released: bool = False
        self.given_up: bool = False
        self._unwinding = 0

    def key_of(self, task: trio.lowlevel.Task) -> str | None:
        """Return a task's name, or ``None`` if this schedule does not control it."""
        gated = self.live.get(task)
        return None if gated is None else gated.key

    # -- turns

    def turn(self, deadline: float) -> float:
        """Choose what goes next, now that no task runs.

        Args:
            deadline: when the next deadline of the run expires, in virtual seconds.

        Returns:
            For how many real seconds Trio may wait for the outside.
        """
        self._deadline = deadline
        if deadline <= self.now:
            # Trio is about to let it expire, which may resume a task.
            return 0
        arrived, queue = self.arrived, self._queue
        if arrived:
            # Trio resumes several tasks at once in an order that may be that of a set.
            if len(arrived) > 1:
                arrived.sort(key=_number)
            queue += arrived
            arrived.clear()
        if queue:
            self._settled = False
            return self._go_on(queue, self._options())
        if not self._settled:
            # What run_sync_soon() was given comes by way of a socket: let Trio look there once.
            self._settled = True
            return 0
        self._settled = False
        return self._idle()

    def _options(self) -> Sequence[Option]:
        """Return what could happen next besides the step of a task."""
        if self.released or not (self.external_waits.awaited or self._timers or self.cancel):
            return ()
        options: list[Option] = [*self.external_waits.awaited]
        if self._timers and self.now < self._deadline < inf:
            self._clock.ready = True
            options.append(self._clock)
        if self.cancel:
            options += self.cancellables
        return options

    def _go_on(self, queue: list[GatedTask], options: Sequence[Option]) -> float:
        """Let a task or an option go."""
        option = self._held
        if option is None:
            count = len(queue) + len(options)
            index = 0 if count == 1 and queue else self._pick(queue, options)
            if index < len(queue):
                gated = queue.pop(index)
                self._record(gated.key)
                trio.lowlevel.reschedule(gated.task, _GO)
                return 0
            option = options[index - len(queue)]
        # In a replay: the recording saw it here, so nothing else may go before it.
        self._held = None if option.ready else option
        if not option.ready:
            return self.external_waits.time_left_for(option.key)
        self._record(option.key)
        option.go()
        return 0

    def _pick(self, queue: Sequence[GatedTask], options: Sequence[Option]) -> int:
        count = len(queue) + len(options)
        if self.released and not queue:
            return next(index for index, option in enumerate(options) if option.ready)
        if count == 1 or self.released:
            return 0
        keys = [gated.key for gated in queue]
        if options:
            keys += [option.key for option in options]
        # Only what is ready can be chosen. But what is not ready yet counts, so that an index
        # means the same in a replay, in which something else may be late.
        if self.follow or not options:
            index = self._ask(keys)
        else:
            index = self._ask_ready(keys, len(queue), options)
        self.picks.append((index, count))
        key, last = keys[index], self.last
        self.picked_keys.append(key)
        if key != last and last in keys:
            self.departures.append(len(self.steps))
        return index

    def _ask(self, keys: Sequence[str]) -> int:
        # A strategy may starve a task that others wait for in a loop. So in the second half
        # of the steps, what has waited longest goes.
        if self.follow or 2 * len(self.steps) <= self.max_steps:
            return self.strategy.pick(keys, self.last)
        return 0

    def _ask_ready(self, keys: Sequence[str], tasks: int, options: Sequence[Option]) -> int:
        late = [tasks + index for index, option in enumerate(options) if not option.ready]
        if not late:
            return self._ask(keys)
        ready = [index for index in range(len(keys)) if index not in late]
        if len(ready) == 1:
            return ready[0]
        return ready[self._ask([keys[index] for index in ready])]

    def _record(self, key: str) -> None:
        """Record a step."""
        self.last = key
        self.external_waits.stop_waiting()
        if self.released:
            self._unwind()
            return
        self.steps.append(key)
        if len(self.steps) > self.max_steps:
            text = f"no end after {self.max_steps} steps, though every task had its turns"
            self.abort(Livelock(text))

    def _expire(self) -> None:
        """Let the next deadline expire."""
        self.now = max(self.now, self._deadline)

    def choose(self, count: int) -> int:
        """Decide for the scenario among ``count`` options."""
        if count == 1 or self.released:
            return 0
        index = self.strategy.choose(count)
        self.picks.append((index, count))
        self.choices.append(index)
        return index

    # -- nothing can run

    def _idle(self) -> float:
        if not self.live:
            return self._rest()
        if any(waits_for_idle(gated.task) for gated in self.live.values()):
            # Trio resumes that task as soon as it is about to sleep for longer than the task
            # wants all others to be blocked.
            return inf
        if self.external_waits.awaited:
            return self._await_outside()
        if (left := self.external_waits.time_left_for_given_up()) > 0:
            return left
        if self._deadline < inf:
            self._record(CLOCK)
            self._expire()
            return 0
        if any(gated.outside for gated in self.live.values()):
            # A thread cannot be cancelled; the schedule has failed, and waits for it.
            return inf
        self._stuck()
        return 0

    def _rest(self) -> float:
        """Let real time pass: only tasks of the kit are left, which end what was given up."""
        left = self._deadline - self.now - self.external_waits.real_time_waited()
        if left <= 0:
            self._expire()
        return max(left, 0)

    def _await_outside(self) -> float:
        """Wait in real time for something from outside or the deadline, what comes first."""
        options: list[Option] = [*self.external_waits.awaited]
        some = any(option.ready for option in options)
        left = self._deadline - self.now - self.external_waits.real_time_waited()
        if self._deadline < inf:
            # A replay knows what came first, and need not wait for the time to pass.
            self._clock.ready = self.follow or left <= 0 or (some and self._timers)
            options.append(self._clock)
            some = some or self._clock.ready
        if some or (self.follow and not self.released):
            return self._go_on([], options)
        return max(left, 0)

    def refuse_wait(self, gated: GatedTask, what: str) -> None:
        """Fail: a task waits for something that no schedule controls."""
        gated.outside = True
        if not self.released:
            text = (
                f"{gated.key} {what}, outside of Trio, where no schedule decides what comes first"
            )
            self.abort(Uncontrolled(f"{text}. Wrap that wait in external(), or use a fake"))

    def _stuck(self) -> None:
        """Fail, or end a task by force: every task waits, and nothing will happen."""
        if not self.released:
            text = "every task waits, no deadline is left, and nothing outside is awaited"
            self.abort(Deadlock(text))
            return
        # Cancellation did not help, so the tasks that wait are made to end, the last first.
        for gated in reversed(self.live.values()):
            if not any(nursery.child_tasks for nursery in gated.task.child_nurseries):
                self._unwind()
                trio.lowlevel.reschedule(gated.task, outcome.Error(Abandoned()))
                return

    # -- the end

    def _unwind(self) -> None:
        """Count a step after the end of the schedule."""
        self._unwinding += 1
        if self._unwinding > _UNWINDING_STEPS:
            self.given_up = True

    def abort(self, error: BaseException) -> None:
        """Let the schedule fail: note where each task waits, and cancel all of them."""
        if self.failure is None:
            self.failure = error
            for gated in self.live.values():
                error.add_note(describe_wait(gated.key, gated.task, runnable=gated.parked))
        self.release()
        if self.scope is not None:
            self.scope.cancel()

    def crash(self, error: BaseException) -> None:
        """End the schedule because the strategy, or the kit itself, failed: that is no finding."""
        if self.crashed is None:
            self.crashed = error
        self.release()
        if self.scope is not None:
            self.scope.cancel()

    def release(self) -> None:
        """Decide and record nothing from now on: what has waited longest goes."""
        self.released = True
        self._held = None

    def watch(self, check: Callable[[], object]) -> None:
        """Call ``check`` after each step from now on; the schedule fails by what it raises."""
        self._invariants.append(check)
        self.watched = True

    def stepped(self, gated: GatedTask) -> None:
        """Call what is to be called after each step."""
        if self.released:
            return
        try:
            for check in self._invariants:
                check()
            if self.interrupt is not None:
                self.interrupt(gated)
        except BaseException as error:  # noqa: ASYNC103 - nothing here is awaited
            self.abort(error)


def _number(gated: GatedTask) -> int:
    return gated.number
