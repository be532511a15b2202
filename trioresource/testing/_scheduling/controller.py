"""The controller: one schedule, decision by decision."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, final

import outcome
import trio

from .findings import Deadlock, Livelock, Uncontrolled
from .options import CLOCK, Cancellable, Deadline, Option
from .stacks import stacks, waits_for_idle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._search.strategies import Strategy
    from .external_waits import Inbox
    from .fake_process import FakeProcess
    from .task_gate import GatedTask
    from .tracing import Tracer

__all__ = ["Abandoned", "Controller"]

_GO: Final = outcome.Value(None)
"""What a task at the gate is resumed with: it has been sent something already."""
_UNWINDING_STEPS: Final = 10_000
"""A schedule that has failed gets so many steps to unwind before its tasks are closed."""


class Abandoned(BaseException):
    """Raised into a task that waits for ever, and not even cancellation ends."""


@final
class Controller:
    """Decides, in one schedule, who goes next, and records it.

    Args:
        strategy: makes the decisions.
        timers: whether the next deadline may expire while tasks could run.
        cancel: whether what the scenario marked by ``cancellable()`` may be cancelled.
        max_steps: the schedule fails when it has not ended after so many steps.
        follow: whether the strategy follows a schedule that was recorded.
        tracer: learns of the lines that each step runs, if there is one.
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
        self.tracer: Final = tracer
        self._timers = timers
        # Of the run: who there is, and who waits for a turn.
        self.live: Final[dict[trio.lowlevel.Task, GatedTask]] = {}
        self.main: GatedTask | None = None
        self.scope: trio.CancelScope | None = None
        self.spawned: int = 0
        self.system_children: Final[dict[str, int]] = {}
        self.system_tasks: bool = False
        self.arrived: Final[list[GatedTask]] = []
        self._queue: list[GatedTask] = []
        self._settled = False
        self._deadline = inf
        self._held: Option | None = None
        self._clock: Final = Deadline(self)
        self.cancellables: Final[list[Cancellable]] = []
        self.inbox: Inbox
        self.fakes: Final[list[FakeProcess]] = []
        """The processes in virtual time that were started."""
        # What is called after each step.
        self._invariants: Final[list[Callable[[], object]]] = []
        self.interrupt: Callable[[GatedTask], None] | None = None
        """Is called when a task has gone; may cancel something."""
        self.watched: bool = False
        """Whether anything is called after each step."""
        # The record.
        self.now: float = 0.0
        self.last: str | None = None
        self.steps: Final[list[str]] = []
        self.picks: Final[list[tuple[int, int]]] = []
        self.wishes: Final[list[str]] = []
        self.choices: Final[list[int]] = []
        self.departures: Final[list[int]] = []
        """The steps that left a task that could have gone on: the preemptions."""
        # How it ended.
        self.failure: BaseException | None = None
        self.crashed: BaseException | None = None
        self.released: bool = False
        self.given_up: bool = False
        self._unwinding = 0

    # -- turns

    def turn(self, deadline: float) -> float:
        """Nothing runs: let somebody go.

        Args:
            deadline: when the next deadline of the run expires, in virtual seconds.

        Returns:
            How long Trio may wait for the outside, in seconds.
        """
        self._deadline = deadline
        if deadline <= self.now:
            # Trio is about to let it expire, and may so let somebody go.
            return 0
        arrived, queue = self.arrived, self._queue
        if arrived:
            # Trio resumes several tasks at once in an order that may be a set's.
            if len(arrived) > 1:
                arrived.sort(key=_number)
            queue += arrived
            arrived.clear()
        if queue:
            self._settled = False
            return self._let_go(queue, self._options())
        if not self._settled:
            # What was put in by run_sync_soon() comes by way of a socket.
            self._settled = True
            return 0
        self._settled = False
        return self._idle()

    def _options(self) -> Sequence[Option]:
        """What could go next, besides tasks."""
        if self.released or not (self.inbox.awaited or self._timers or self.cancel):
            return ()
        options: list[Option] = [*self.inbox.awaited]
        if self._timers and self.now < self._deadline < inf:
            self._clock.ready = True
            options.append(self._clock)
        if self.cancel:
            options += self.cancellables
        return options

    def _let_go(self, queue: list[GatedTask], options: Sequence[Option]) -> float:
        option = self._held
        if option is None:
            count = len(queue) + len(options)
            index = 0 if count == 1 and queue else self._pick(queue, options)
            if index < len(queue):
                gated = queue.pop(index)
                self._went(gated.key)
                trio.lowlevel.reschedule(gated.task, _GO)
                return 0
            option = options[index - len(queue)]
        # A replay waits for what its recording saw here.
        self._held = None if option.ready else option
        if not option.ready:
            return self.inbox.patience(option.key)
        self._went(option.key)
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
        # Only what is there can be chosen; but what is not there yet counts, so that an
        # index means the same in a replay, where something else may be late.
        if self.follow or not options:
            index = self._ask(keys)
        else:
            index = self._ask_ready(keys, len(queue), options)
        self.picks.append((index, count))
        key, last = keys[index], self.last
        self.wishes.append(key)
        if key != last and last in keys:
            self.departures.append(len(self.steps))
        return index

    def _ask(self, keys: Sequence[str]) -> int:
        # A strategy may starve a task that others wait for in a loop. So the second half
        # of the steps is shared out fairly.
        if self.follow or 2 * len(self.steps) <= self.max_steps:
            return self.strategy.pick(keys, self.last)
        return 0

    def _ask_ready(self, keys: Sequence[str], tasks: int, options: Sequence[Option]) -> int:
        late = [tasks + index for index, option in enumerate(options) if not option.ready]
        if not late:
            return self._ask(keys)
        there = [index for index in range(len(keys)) if index not in late]
        if len(there) == 1:
            return there[0]
        return there[self._ask([keys[index] for index in there])]

    def _went(self, key: str) -> None:
        self.last = key
        self.inbox.moved()
        if self.released:
            self._unwind()
            return
        self.steps.append(key)
        if len(self.steps) > self.max_steps:
            text = f"no end after {self.max_steps} steps, though every task had its turns"
            self.abort(Livelock(text))

    def fire(self) -> None:
        """The next deadline expires."""
        self.now = max(self.now, self._deadline)

    def choose(self, count: int) -> int:
        """A decision of the scenario, among so many."""
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
            # Trio resumes it as soon as it is about to sleep for longer than that task
            # wants everybody to be blocked.
            return inf
        if self.inbox.awaited:
            return self._await_outside()
        if (ending := self.inbox.ending()) > 0:
            return ending
        if self._deadline < inf:
            self._went(CLOCK)
            self.fire()
            return 0
        if any(gated.outside for gated in self.live.values()):
            # A thread can not be cancelled; the schedule has failed, and waits for it.
            return inf
        self._stuck()
        return 0

    def _rest(self) -> float:
        """Only the kit's own tasks are left, which end what the scenario gave up."""
        left = self._deadline - self.now - self.inbox.waited()
        if left <= 0:
            self.fire()
        return max(left, 0)

    def _await_outside(self) -> float:
        """In real time, whatever comes first: something from outside, or the deadline."""
        options: list[Option] = [*self.inbox.awaited]
        some = any(option.ready for option in options)
        left = self._deadline - self.now - self.inbox.waited()
        if self._deadline < inf:
            # A replay knows who came first, and need not wait for the time to pass.
            self._clock.ready = self.follow or left <= 0 or (some and self._timers)
            options.append(self._clock)
            some = some or self._clock.ready
        if some or (self.follow and not self.released):
            return self._let_go([], options)
        return max(left, 0)

    def fence(self, gated: GatedTask, what: str) -> None:
        """A task waits for something that no schedule controls."""
        gated.outside = True
        if not self.released:
            text = (
                f"{gated.key} {what}, outside of Trio, where no schedule decides what comes first"
            )
            self.abort(Uncontrolled(f"{text}. Wrap that wait in external(), or use a fake"))

    def _stuck(self) -> None:
        if not self.released:
            text = "every task waits, no deadline is left, and nothing outside is awaited"
            self.abort(Deadlock(text))
            return
        # Cancellation did not help, so whoever waits is made to go, last comer first.
        for gated in reversed(self.live.values()):
            if not any(nursery.child_tasks for nursery in gated.task.child_nurseries):
                self._unwind()
                trio.lowlevel.reschedule(gated.task, outcome.Error(Abandoned()))
                return

    # -- the end

    def _unwind(self) -> None:
        self._unwinding += 1
        if self._unwinding > _UNWINDING_STEPS:
            self.given_up = True

    def abort(self, error: BaseException) -> None:
        """The schedule has failed: note where everybody is, and let it unwind."""
        if self.failure is None:
            self.failure = error
            for line in stacks(self.live.values()):
                error.add_note(line)
        self.release()
        if self.scope is not None:
            self.scope.cancel()

    def crash(self, error: BaseException) -> None:
        """The strategy, or the kit itself, has failed: that is no finding."""
        if self.crashed is None:
            self.crashed = error
        self.release()
        if self.scope is not None:
            self.scope.cancel()

    def release(self) -> None:
        """From now on, first come, first served, and nothing is recorded."""
        self.released = True
        self._held = None

    def watch(self, check: Callable[[], object]) -> None:
        """Call something after each step from now on; what it raises fails the schedule."""
        self._invariants.append(check)
        self.watched = True

    def stepped(self, gated: GatedTask) -> None:
        """A task has run until its next wait, or its end."""
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
