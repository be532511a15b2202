"""What comes from outside of Trio, and is delivered by a decision.

When a process ends or a thread is done is the kernel's affair, and no schedule can say
it. But when the waiting task hears of it can be decided: the wait itself runs in a task
that nobody controls, and its completion lies here until its turn comes. A replay waits
for a completion that is late, and holds one that is early.
"""

from __future__ import annotations

import contextvars
import time
from typing import TYPE_CHECKING, Any, Final, final

import outcome
import trio
import trio.testing

from .controller import Abandoned
from .findings import Diverged, Leaked
from .options import Option

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .controller import Controller
    from .task_gate import Gate

__all__ = ["Inbox", "Letter"]

_LATEST: Final = 30.0
"""Real seconds: so long a replay waits for a completion that its recording saw, and the end
of a schedule for a wait that was given up."""
_ATTEMPTS: Final = 1000
"""What goes on is ended by force so often, in case that it waits again."""


@final
class Letter(Option):
    """One wait for the outside, and what came of it."""

    def __init__(self, inbox: Inbox, key: str, task: trio.lowlevel.Task) -> None:
        super().__init__(key)
        self.ready: bool = False
        self.inbox: Final = inbox
        self.result: outcome.Outcome[Any] | None = None
        self._task = task
        self._scope = trio.CancelScope()
        self._fetcher: trio.lowlevel.Task | None = None

    async def fetch(self, wait: Callable[[], Awaitable[Any]]) -> None:
        """Await the outside, in a task that no schedule controls."""
        self._fetcher = trio.lowlevel.current_task()
        try:
            with self._scope:
                try:
                    self.result = outcome.Value(await wait())
                except trio.Cancelled:
                    raise
                except BaseException as error:  # noqa: ASYNC103 - delivered to the waiting task
                    self.result = outcome.Error(error)
        finally:
            self.ready = self.result is not None
            self.inbox.fetched(self)

    def go(self) -> None:
        """Deliver it."""
        assert self.result is not None
        self.inbox.awaited.remove(self)
        self.inbox.delivered.append(_describe(self.key, self.result))
        trio.lowlevel.reschedule(self._task, self.result)

    def give_up(self) -> None:
        """Nobody waits for it any more."""
        self.inbox.awaited.remove(self)
        self._scope.cancel()
        if isinstance(self.result, outcome.Value):
            self.inbox.dispose(self.result.value)

    def end_by_force(self) -> None:
        """Let the wait raise. Everybody must be blocked, or a task would be resumed twice."""
        task = self._fetcher
        if task is None:
            return
        while children := [child for n in task.child_nurseries for child in n.child_tasks]:
            task = min(children, key=lambda child: child.name)
        trio.lowlevel.reschedule(task, outcome.Error(Abandoned()))


def _describe(key: str, result: outcome.Outcome[Any]) -> str:
    """What can be compared between a recording and its replay."""
    if isinstance(result, outcome.Error):
        return f"{key}: raised {type(result.error).__name__}"
    assert isinstance(result, outcome.Value)
    plain = result.value is None or type(result.value) in (bool, int, str, bytes)
    return f"{key}: {result.value!r}" if plain else f"{key}: {type(result.value).__name__}"


def _overdue(keys: list[str]) -> str:
    verb = "goes" if len(keys) == 1 else "go"
    return (
        f"{', '.join(keys)} {verb} on, {_LATEST:g} s after cancellation, which must end what"
        " external() awaits: run a thread with abandon_on_cancel=True, give what is shielded"
        " a deadline, or say external(..., cancellable=False) and let the task wait for it"
    )


@final
class Inbox:
    """The waits of one schedule for the outside.

    Args:
        controller: decides when what has come is delivered.
        gate: does not control the tasks that wait.
    """

    def __init__(self, controller: Controller, gate: Gate) -> None:
        self._controller = controller
        self._gate = gate
        self._names: dict[str, int] = {}
        self._fetching: list[Letter] = []
        self._idle: trio.Event | None = None
        self._since: float | None = None
        self._virtual = 0.0
        self._ending_since: float | None = None
        self.awaited: Final[list[Letter]] = []
        """Not delivered yet, in the order in which the waits began."""
        self.delivered: Final[list[str]] = []
        """What was delivered, in words, to tell whether a replay saw the same."""

    async def carry(
        self, what: str, wait: Callable[[], Awaitable[Any]], *, cancellable: bool = True
    ) -> Any:
        """Await the outside.

        Args:
            what: what is awaited, in words.
            wait: the wait.
            cancellable: whether cancellation ends it at once, whatever has come meanwhile.

        Returns:
            What the wait returns.
        """
        task = trio.lowlevel.current_task()
        gated = self._controller.live.get(task)
        if gated is None or self._controller.released:
            return await wait()
        stem = f"<external {gated.key}: {what}"
        count = self._names[stem] = self._names.get(stem, 0) + 1
        letter = Letter(self, f"{stem}>" if count == 1 else f"{stem} #{count}>", task)
        self.awaited.append(letter)
        self._fetching.append(letter)
        self._spawn(letter.fetch, wait)

        def abort(_: Callable[[], Any]) -> trio.lowlevel.Abort:
            if not cancellable:
                return trio.lowlevel.Abort.FAILED
            letter.give_up()
            return trio.lowlevel.Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(abort)

    def fetched(self, letter: Letter) -> None:
        """A wait has ended."""
        self._fetching.remove(letter)
        self._ending_since = None
        if self._idle is not None:
            self._idle.set()
            self._idle = None

    def dispose(self, value: object) -> None:
        """Close what has come, and nobody will get, such as a connection."""
        if isinstance(value, trio.abc.AsyncResource):
            self._spawn(trio.aclose_forcefully, value)

    def _spawn(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        self._gate.free = True
        try:
            context = contextvars.copy_context()
            trio.lowlevel.spawn_system_task(function, *args, context=context)
        finally:
            self._gate.free = False

    # -- real time: it passes only while everybody waits for the outside

    def waited(self) -> float:
        """For how long everybody has been waiting for the outside, in real seconds.

        Since the clock has moved last: what has passed until then is in its time already.
        """
        now = time.perf_counter()
        if self._since is None or self._virtual != self._controller.now:
            self._since, self._virtual = now, self._controller.now
        return now - self._since

    def moved(self) -> None:
        """Somebody goes; the next wait starts anew."""
        self._since = None

    def patience(self, key: str) -> float:
        """How long a replay may still wait for what its recording saw, in real seconds.

        Args:
            key: the name of what is missing.

        Raises:
            Diverged: no longer.
        """
        left = _LATEST - self.waited()
        if left <= 0:
            raise Diverged(f"{key} came in the recording; not so within {_LATEST:g} s now")
        return left

    async def close(self) -> None:
        """End all waits, at the end of the schedule.

        Returns when no task of them is left, or after 30 real seconds. Then the schedule
        has failed, as ``Leaked``, unless it had failed before; and the tasks that are left
        are ended by force, at the end of the run of Trio, which would wait for them.
        """
        for letter in tuple(self.awaited):
            letter.give_up()
        until = time.perf_counter() + _LATEST
        self.moved()
        while self._fetching and (left := until - time.perf_counter()) > 0:
            # While nobody else is left, the clock moves as real time does.
            with trio.move_on_after(left):
                await self._one_fetched()
        if self._fetching:
            keys = [letter.key for letter in self._fetching]
            # Recorded, so that a replay is compared, and that nobody tries to shrink this.
            self.delivered.extend(f"{key}: goes on" for key in keys)
            if self._controller.failure is None:
                self._controller.abort(Leaked(_overdue(keys)))
            else:
                self._controller.failure.add_note(_overdue(keys))
            self._spawn(self._end_by_force)

    async def _end_by_force(self) -> None:
        """As soon as the run ends, end what would hold it up for ever."""
        try:
            await trio.sleep_forever()
        finally:
            # No longer than those tries: each waits for nothing but that nobody can go.
            with trio.CancelScope(shield=True):  # noqa: ASYNC912 - _ATTEMPTS is not 0
                for _ in range(_ATTEMPTS):
                    await trio.testing.wait_all_tasks_blocked()
                    if not self._fetching:
                        break
                    # One at a time, the last comer first: it may free another.
                    self._fetching[-1].end_by_force()

    async def settle(self) -> None:
        """Wait until the waits that nobody needs any more have ended."""
        while self._given_up:
            await self._one_fetched()

    async def _one_fetched(self) -> None:
        # Several blocks without leaks may end at once.
        if self._idle is None:
            self._idle = trio.Event()
        await self._idle.wait()

    @property
    def _given_up(self) -> int:
        """How many waits go on that nobody needs any more."""
        return len(self._fetching) - sum(not letter.ready for letter in self.awaited)

    def ending(self) -> float:
        """How long to wait for waits that nobody needs any more, in real seconds.

        While they last, no time passes for the scenario, so that it can not depend on how
        long they take; but not for longer than 30 s in which none of them ends.
        """
        if not self._given_up:
            return 0
        now = time.perf_counter()
        if self._ending_since is None:
            self._ending_since = now
        return max(_LATEST - (now - self._ending_since), 0)
