"""Waits for what is outside of Trio, whose completions are delivered by decisions.

The kernel decides when a process ends or a thread is done; no schedule can. A schedule can
decide when the waiting task hears of it. So the wait itself runs in a task of its own that
no schedule controls, and its result is kept until a decision delivers it. A replay waits for
a completion that is late, and keeps back one that is early.
"""

from __future__ import annotations

import contextvars
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import outcome
import trio
import trio.testing

from .findings import Abandoned, Diverged, Leaked
from .options import Option

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GIVE_UP_AFTER: Final = 30.0
"""Real seconds. So long a replay waits for a completion that its recording saw, and the end
of a schedule waits for a wait that was given up."""
_FORCED_ENDS: Final = 1000
"""Times that a wait is ended by force at most; each time it may begin to wait again."""


class ScheduleState(Protocol):
    """What the waits need of the controller of their schedule."""

    @property
    def now(self) -> float:
        """The virtual time."""
        ...

    @property
    def released(self) -> bool:
        """Whether the schedule decides nothing any more."""
        ...

    @property
    def failure(self) -> BaseException | None:
        """What made the schedule fail, if the controller found it."""
        ...

    def key_of(self, task: trio.lowlevel.Task) -> str | None:
        """Return a task's name, or ``None`` if the schedule does not control it."""
        ...

    def abort(self, error: BaseException) -> None:
        """Let the schedule fail."""
        ...


@final
class ExternalWait(Option):
    """One wait for something outside of Trio, and its result.

    Args:
        waits: all waits of the schedule.
        key: its name, in angle brackets.
        task: the task of the scenario that is given the result.
    """

    def __init__(self, waits: ExternalWaits, key: str, task: trio.lowlevel.Task) -> None:
        super().__init__(key)
        self.ready: bool = False
        self._waits: Final = waits
        self._result: outcome.Outcome[Any] | None = None
        self._task = task
        self._scope = trio.CancelScope()
        self._runner: trio.lowlevel.Task | None = None

    async def run(self, wait: Callable[[], Awaitable[Any]]) -> None:
        """Wait, in a task that no schedule controls."""
        self._runner = trio.lowlevel.current_task()
        try:
            with self._scope:
                try:
                    self._result = outcome.Value(await wait())
                except trio.Cancelled:
                    raise
                except BaseException as error:  # noqa: ASYNC103 - delivered to the waiting task
                    self._result = outcome.Error(error)
        finally:
            self.ready = self._result is not None
            self._waits.ended(self)

    def go(self) -> None:
        """Deliver the result."""
        assert self._result is not None
        self._waits.awaited.remove(self)
        self._waits.delivered.append(_describe(self.key, self._result))
        trio.lowlevel.reschedule(self._task, self._result)

    def give_up(self) -> None:
        """Cancel the wait: no task needs its result any more."""
        self._waits.awaited.remove(self)
        self._scope.cancel()
        if isinstance(self._result, outcome.Value):
            self._waits.dispose(self._result.value)

    def end_by_force(self) -> None:
        """Let the wait raise.

        All tasks must be blocked: a task that is runnable would be resumed twice.
        """
        task = self._runner
        if task is None:
            return
        while children := [child for n in task.child_nurseries for child in n.child_tasks]:
            task = min(children, key=lambda child: child.name)
        trio.lowlevel.reschedule(task, outcome.Error(Abandoned()))


def _describe(key: str, result: outcome.Outcome[Any]) -> str:
    """Say what was delivered, as far as a recording and its replay can be compared."""
    if isinstance(result, outcome.Error):
        return f"{key}: raised {type(result.error).__name__}"
    assert isinstance(result, outcome.Value)
    plain = result.value is None or type(result.value) in (bool, int, str, bytes)
    return f"{key}: {result.value!r}" if plain else f"{key}: {type(result.value).__name__}"


def _overdue(keys: list[str]) -> str:
    verb = "goes" if len(keys) == 1 else "go"
    return (
        f"{', '.join(keys)} {verb} on, {GIVE_UP_AFTER:g} s after cancellation, which must end"
        " what external() awaits: run a thread with abandon_on_cancel=True, give what is shielded"
        " a deadline, or say external(..., cancellable=False) and let the task wait for it"
    )


@final
class ExternalWaits:
    """All waits of one schedule for what is outside of Trio.

    Args:
        schedule: the controller, which decides when a result is delivered.
    """

    def __init__(self, schedule: ScheduleState) -> None:
        self._schedule = schedule
        self._counts: dict[str, int] = {}
        self._running: list[ExternalWait] = []
        self._next_end: trio.Event | None = None
        self._waiting_since: float | None = None
        self._waiting_at = 0.0
        self._given_up_since: float | None = None
        self.awaited: Final[list[ExternalWait]] = []
        """Those not delivered yet, in the order in which they began."""
        self.delivered: Final[list[str]] = []
        """What was delivered, in words, to tell whether a replay was given the same."""
        self.spawning: bool = False
        """Whether a task that is spawned at this moment is one that no schedule controls."""

    async def wait_for(
        self, what: str, wait: Callable[[], Awaitable[Any]], *, cancellable: bool = True
    ) -> Any:
        """Wait for something outside of Trio.

        Args:
            what: what is awaited, in words.
            wait: the wait.
            cancellable: whether cancellation ends this call at once, even when the result
                is there and waits for its delivery.

        Returns:
            What the wait returns.
        """
        task = trio.lowlevel.current_task()
        key = self._schedule.key_of(task)
        if key is None or self._schedule.released:
            return await wait()
        stem = f"<external {key}: {what}"
        count = self._counts[stem] = self._counts.get(stem, 0) + 1
        external_wait = ExternalWait(self, f"{stem}>" if count == 1 else f"{stem} #{count}>", task)
        self.awaited.append(external_wait)
        self._running.append(external_wait)
        self._spawn(external_wait.run, wait)

        def abort(_: Callable[[], Any]) -> trio.lowlevel.Abort:
            if not cancellable:
                return trio.lowlevel.Abort.FAILED
            external_wait.give_up()
            return trio.lowlevel.Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(abort)

    def ended(self, external_wait: ExternalWait) -> None:
        """Note that a wait has ended."""
        self._running.remove(external_wait)
        self._given_up_since = None
        if self._next_end is not None:
            self._next_end.set()
            self._next_end = None

    def dispose(self, value: object) -> None:
        """Close a result that no task will be given, such as a connection."""
        if isinstance(value, trio.abc.AsyncResource):
            self._spawn(trio.aclose_forcefully, value)

    def _spawn(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        self.spawning = True
        try:
            context = contextvars.copy_context()
            trio.lowlevel.spawn_system_task(function, *args, context=context)
        finally:
            self.spawning = False

    # -- real time: it passes only while all tasks wait for the outside

    def real_time_waited(self) -> float:
        """Return for how many real seconds all tasks have waited for the outside.

        Counted since the virtual clock has moved last: what has passed until then is part of
        the virtual time already.
        """
        now = time.perf_counter()
        if self._waiting_since is None or self._waiting_at != self._schedule.now:
            self._waiting_since, self._waiting_at = now, self._schedule.now
        return now - self._waiting_since

    def stop_waiting(self) -> None:
        """Note that something goes on: the next wait of all tasks begins anew."""
        self._waiting_since = None

    def time_left_for(self, key: str) -> float:
        """Return how many real seconds a replay may still wait for a completion.

        Args:
            key: the name of the completion, which the recording saw.

        Raises:
            Diverged: the time is over.
        """
        left = GIVE_UP_AFTER - self.real_time_waited()
        if left <= 0:
            raise Diverged(
                f"{key} completed in the recording, and did not within {GIVE_UP_AFTER:g} s now"
            )
        return left

    async def close(self) -> None:
        """End all waits, at the end of the schedule.

        Returns when no task of them is left, or after 30 real seconds. In the second case
        the schedule has failed, as ``Leaked`` unless it had failed before. The tasks that are
        left are ended by force when the run of Trio ends, which would wait for them.
        """
        for external_wait in tuple(self.awaited):
            external_wait.give_up()
        until = time.perf_counter() + GIVE_UP_AFTER
        self.stop_waiting()
        while self._running and (left := until - time.perf_counter()) > 0:
            # No task of the scenario is left, so the virtual clock moves as real time does.
            with trio.move_on_after(left):
                await self._one_ended()
        if self._running:
            keys = [external_wait.key for external_wait in self._running]
            # Recorded, so that a replay is compared, and nothing tries to shrink this.
            self.delivered.extend(f"{key}: goes on" for key in keys)
            if self._schedule.failure is None:
                self._schedule.abort(Leaked(_overdue(keys)))
            else:
                self._schedule.failure.add_note(_overdue(keys))
            self._spawn(self._end_by_force)

    async def _end_by_force(self) -> None:
        """End the waits that are left as soon as the run of Trio ends, which they would hold up."""
        try:
            await trio.sleep_forever()
        finally:
            # Bounded by the number of tries: each waits only until all tasks are blocked.
            with trio.CancelScope(shield=True):  # noqa: ASYNC912 - _FORCED_ENDS is not 0
                for _ in range(_FORCED_ENDS):
                    await trio.testing.wait_all_tasks_blocked()
                    if not self._running:
                        break
                    # One at a time, the last first: its end may let another end by itself.
                    self._running[-1].end_by_force()

    async def settle(self) -> None:
        """Wait until the waits that were given up have ended."""
        while self._given_up:
            await self._one_ended()

    async def _one_ended(self) -> None:
        # Several no_leaks() blocks may settle at once, so they share one event.
        if self._next_end is None:
            self._next_end = trio.Event()
        await self._next_end.wait()

    @property
    def _given_up(self) -> int:
        """How many waits go on although they were given up."""
        return len(self._running) - sum(not wait.ready for wait in self.awaited)

    def time_left_for_given_up(self) -> float:
        """Return how many real seconds to wait for waits that were given up.

        While they go on, no time passes for the scenario, so that it cannot depend on how
        long they take. But the kit waits no longer than 30 s in which none of them ends.
        """
        if not self._given_up:
            return 0
        now = time.perf_counter()
        if self._given_up_since is None:
            self._given_up_since = now
        return max(GIVE_UP_AFTER - (now - self._given_up_since), 0)
