"""What an attempt holds: contexts and background tasks, left in reverse order."""

from __future__ import annotations

import functools
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, final

import trio

from .._model.reports import FailureReason, describe_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from .attempt import Attempt
    from .instance import Instance


@final
class Contexts:
    """The exit stack of an attempt, made when there is something to put on it."""

    __slots__ = ("_stack",)

    def __init__(self) -> None:
        self._stack: AsyncExitStack | None = None

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
class Background:
    """A task of an attempt, whose end is a failure until it is asked for."""

    __slots__ = ("_args", "_attempt", "_ended", "_fn", "_scope", "_started")

    def __init__(
        self, attempt: Attempt, fn: Callable[..., Awaitable[object]], args: tuple[Any, ...]
    ) -> None:
        self._attempt = attempt
        self._fn = fn
        self._args = args
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._started = True

    async def run(self) -> None:
        """The task, started with ``start_soon``."""
        await self._watch(functools.partial(self._fn, *self._args))

    async def run_started(  # noqa: ASYNC128 - the handler's function calls started()
        self, *, task_status: trio.TaskStatus[Any]
    ) -> None:
        """The task, started with ``nursery.start``."""
        self._started = False
        status = _StartedStatus(self, task_status)
        await self._watch(functools.partial(self._fn, *self._args, task_status=status))

    async def _watch(self, fn: Callable[[], Awaitable[object]]) -> None:
        try:
            with self._scope:
                # Also when it is cancelled before it begins, as in a nursery: it may own
                # something from now on, and closes it when it learns of that.
                await fn()
        except Exception as error:
            if not self._started:
                # The one who waits in start() gets it.
                raise
            self._attempt.crashed(
                FailureReason.TASK_CRASHED, f"{self._name}: {describe_error(error)}", error
            )
        else:
            asked = self._attempt.stop_asked or self._scope.cancel_called
            if self._started and not asked:
                self._attempt.crashed(FailureReason.TASK_RETURNED, self._name, None)
        finally:
            self._ended.set()

    def mark_started(self) -> None:
        """From now on its end is a failure, and not an answer to who started it."""
        self._started = True

    async def stop(self) -> None:
        """Cancel the task and wait for its end, as its place in the order demands.

        Shielded, so that what was entered before the task started outlives it also when
        the attempt is cancelled. Bounded by the attempt's terminate deadline, after
        which the attempt is stuck in any case and the rest is left.
        """
        self._scope.cancel()
        deadline = trio.current_time() + self._attempt.hosted.deadlines.terminate
        with trio.CancelScope(deadline=deadline, shield=True):
            await self._ended.wait()

    @property
    def hosted(self) -> Instance:
        """The resource that it belongs to."""
        return self._attempt.hosted

    @property
    def _name(self) -> str:
        return str(getattr(self._fn, "__qualname__", self._fn))


@final
class _StartedStatus:
    """Passes ``started`` on and remembers that it was called."""

    __slots__ = ("_background", "_status")

    def __init__(self, background: Background, status: trio.TaskStatus[Any]) -> None:
        self._background = background
        self._status = status

    def started(self, value: Any = None) -> None:
        self._status.started(value)
        self._background.mark_started()
