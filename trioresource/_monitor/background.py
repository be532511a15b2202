"""What an attempt holds: contexts and background tasks, left in reverse order."""

from __future__ import annotations

import functools
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol, final

import trio

from .._model.reports import FailureReason, describe_error
from .._util.running import RUNNING_RESOURCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from .._util.running import RunningResource


class TaskOwner(Protocol):
    """The attempt that a background task belongs to, as the task knows it."""

    stop_asked: bool
    """Whether the attempt was asked to go offline."""

    @property
    def running(self) -> RunningResource:
        """The resource of the attempt."""
        ...

    @property
    def terminate_deadline(self) -> float:
        """Seconds that a clean-up may take."""
        ...

    async def task_ended(self, reason: FailureReason, detail: str, error: Exception | None) -> None:
        """Judge the end of a background task that was not asked to end."""


@final
class Contexts:
    """The exit stack of an attempt, made when there is something to put on it."""

    __slots__ = ("_stack", "nurseries")

    def __init__(self) -> None:
        self._stack: AsyncExitStack | None = None
        self.nurseries: tuple[trio.Nursery, ...] = ()
        """The nurseries in the contexts, whose tasks outlive the entry point."""

    @property
    def stack(self) -> AsyncExitStack:
        """The stack itself, to put something on."""
        if self._stack is None:
            self._stack = AsyncExitStack()
        return self._stack

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if self._stack is None:
            return False
        # Bounded by the terminate deadline, and shielded where the contexts shield.
        return bool(await self._stack.__aexit__(kind, error, traceback))  # noqa: ASYNC102


@final
class BackgroundTask:
    """A task of an attempt, whose end is a failure until it is asked for."""

    __slots__ = ("_args", "_ended", "_fn", "_is_started", "_owner", "_scope")

    def __init__(
        self, owner: TaskOwner, fn: Callable[..., Awaitable[object]], args: tuple[Any, ...]
    ) -> None:
        self._owner = owner
        self._fn = fn
        self._args = args
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._is_started = True

    async def run(self) -> None:
        """Run the function of ``start_soon``."""
        await self._watch(functools.partial(self._fn, *self._args))

    async def run_until_started(  # noqa: ASYNC128 - the handler's function calls started()
        self, *, task_status: trio.TaskStatus[Any]
    ) -> None:
        """Run the function of ``start``; the caller waits until it calls ``started``."""
        self._is_started = False
        status = _StartedStatus(self, task_status)
        await self._watch(functools.partial(self._fn, *self._args, task_status=status))

    async def _watch(self, fn: Callable[[], Awaitable[object]]) -> None:
        RUNNING_RESOURCE.set(self._owner.running)
        try:
            with self._scope:
                # Call it even if it was cancelled before its first step, as a nursery does:
                # it may already own something (a listener, say) that only it closes.
                await fn()
        except Exception as error:
            if not self._is_started:
                # The caller of start() gets it.
                raise
            detail = f"{self._name}: {describe_error(error)}"
            await self._owner.task_ended(FailureReason.TASK_CRASHED, detail, error)
        else:
            asked = self._owner.stop_asked or self._scope.cancel_called
            if self._is_started and not asked:
                await self._owner.task_ended(FailureReason.TASK_RETURNED, self._name, None)
        finally:
            self._ended.set()

    def mark_started(self) -> None:
        """Note that its end is a failure from now on, and no answer to the caller of start()."""
        self._is_started = True

    async def stop(self) -> None:
        """Cancel the task and wait for its end, as its place in the order demands.

        Shielded, so that what was entered before the task started outlives it also when
        the attempt is cancelled. Bounded by the terminate deadline, after which the attempt
        is stuck in any case and the rest is left.
        """
        self._scope.cancel()
        deadline = trio.current_time() + self._owner.terminate_deadline
        with trio.CancelScope(deadline=deadline, shield=True):
            await self._ended.wait()

    @property
    def _name(self) -> str:
        return str(getattr(self._fn, "__qualname__", self._fn))


@final
class _StartedStatus:
    """Passes ``started`` on and remembers that it was called."""

    __slots__ = ("_status", "_task")

    def __init__(self, task: BackgroundTask, status: trio.TaskStatus[Any]) -> None:
        self._task = task
        self._status = status

    def started(self, value: Any = None) -> None:
        self._status.started(value)
        self._task.mark_started()
