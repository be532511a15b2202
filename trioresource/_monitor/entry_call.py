"""One call of an entry point that is not part of an attempt: open, close, control."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Protocol, final

import trio

from .._errors import ResourceNotAvailable
from .._util.running import RUNNING_RESOURCE, RunningResource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._model.policy import Deadlines
    from .entry_lock import EntryPointLock
    from .launcher import TaskLauncher


class CalledInstance(RunningResource, Protocol):
    """What a call asks of the instance whose handler is called."""

    @property
    def deadlines(self) -> Deadlines: ...
    @property
    def launcher(self) -> TaskLauncher: ...
    @property
    def entry_lock(self) -> EntryPointLock: ...
    def monitor_crashes(self) -> None:
        """Report that the monitor goes down."""

    @property
    def attempt_nursery(self) -> trio.Nursery | None:
        """The nursery of the attempt that is online, for what is to end with it."""


@final
class EntryCall:
    """Runs in a task of the monitor's, so that the handler never sees the caller's context.

    Waits for its turn among the entry points and is bounded by the deadlock deadline.
    """

    __slots__ = ("_answer", "_args", "_done", "_error", "_fn", "_instance", "_name", "_scope")

    def __init__(
        self,
        instance: CalledInstance,
        name: str,
        fn: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
    ) -> None:
        self._instance = instance
        self._name = name
        self._fn = fn
        self._args = args
        self._scope = trio.CancelScope()
        self._done = trio.Event()
        self._answer: Any = None
        self._error: Exception | None = None

    async def run(self, nursery: trio.Nursery | None = None, *, turn: float = inf) -> Any:
        """Make the call and give back its answer, or raise what it raised.

        Cancelling the caller gives up its turn, or cancels the call. In that case the
        caller still waits for the end of the call: no longer than the terminate
        deadline.

        Args:
            nursery: where to run it; by default in the attempt that is online then, so
                that it ends with that, or else in the monitor's own nursery.
            turn: how many seconds it waits for its turn.

        Raises:
            TimeoutError: it had no turn, or did not end in time: cancelled at the
                deadlock deadline, given up a terminate deadline after that.
            ResourceNotAvailable: the resource was terminated meanwhile.
            Exception: what the entry point raised.
        """
        instance = self._instance
        lock = instance.entry_lock
        with trio.move_on_after(turn) as waiting:
            await lock.acquire(self._name)
        if waiting.cancelled_caught:
            raise TimeoutError(f"{instance.name}: {self._name}: {lock.running} does not end")
        try:
            where = nursery or instance.attempt_nursery or instance.launcher.nursery
            name = f"{instance.name} {self._name}"
            instance.launcher.start_soon(where, self._work, name=name)
        except BaseException:
            lock.release()
            raise
        limit = instance.deadlines.deadlock + instance.deadlines.terminate
        try:
            with trio.move_on_after(limit):
                await self._done.wait()
        except trio.Cancelled:
            self._scope.cancel()
            bound = trio.current_time() + instance.deadlines.terminate
            with trio.CancelScope(deadline=bound, shield=True):
                await self._done.wait()
            raise
        if not self._done.is_set():
            raise TimeoutError(f"{instance.name}: {self._name} does not end")
        if self._error is not None:
            raise self._error
        return self._answer

    async def _work(self) -> None:
        instance = self._instance
        RUNNING_RESOURCE.set(instance)
        # From here on, it is this task that keeps the others waiting, and not the caller.
        instance.entry_lock.task = trio.lowlevel.current_task()
        # Stands if the task is cancelled, by the end of the attempt, before it has an answer.
        self._error = ResourceNotAvailable(f"{instance.name} was terminated during {self._name}")
        try:
            with self._scope:
                await trio.lowlevel.checkpoint_if_cancelled()
                await self._call_bounded()
        except Exception as error:
            self._error = error
        except trio.Cancelled:  # noqa: ASYNC103 - only what is not ours
            if trio.current_effective_deadline() == -inf:
                raise
            # Nothing is cancelled here: the handler has raised what it kept of another scope.
            self._error = ResourceNotAvailable(
                f"{instance.name}: {self._name} raised a Cancelled of another scope"
            )
        except BaseException:
            instance.monitor_crashes()
            raise
        finally:
            instance.entry_lock.release()
            self._done.set()

    async def _call_bounded(self) -> None:
        limit = self._instance.deadlines.deadlock
        with trio.move_on_after(limit) as bound:
            self._answer = await self._fn(*self._args)
        if bound.cancelled_caught:
            raise TimeoutError(
                f"{self._instance.name}: {self._name} did not return within {limit:g} s"
            )
        self._error = None
