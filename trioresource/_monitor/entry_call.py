"""One call of an entry point that is not part of an attempt: open, close, control."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, final

import trio

from .._errors import ResourceNotAvailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .hosted import HostedResource


@final
class Call:
    """Runs in a task of the monitor's, so that the handler never sees the caller's context.

    Waits for its turn among the entry points and is bounded by the deadlock deadline.
    """

    __slots__ = ("_answer", "_args", "_done", "_error", "_fn", "_name", "_scope", "hosted")

    def __init__(
        self,
        hosted: HostedResource,
        name: str,
        fn: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
    ) -> None:
        self.hosted: HostedResource = hosted
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
        """
        hosted = self.hosted
        with trio.move_on_after(turn) as waiting:
            await hosted.gate.enter(self._name)
        if waiting.cancelled_caught:
            raise TimeoutError(f"{hosted.name}: {self._name}: {hosted.gate.running} does not end")
        try:
            where = nursery or hosted.attempt_nursery or hosted.launcher.nursery
            hosted.launcher.start_soon(where, self._work, name=f"{hosted.name} {self._name}")
        except BaseException:
            hosted.gate.leave()
            raise
        limit = hosted.deadlines.deadlock + hosted.deadlines.terminate
        try:
            with trio.move_on_after(limit):
                await self._done.wait()
        except trio.Cancelled:
            self._scope.cancel()
            bound = trio.current_time() + hosted.deadlines.terminate
            with trio.CancelScope(deadline=bound, shield=True):
                await self._done.wait()
            raise
        if not self._done.is_set():
            raise TimeoutError(f"{hosted.name}: {self._name} does not end")
        if self._error is not None:
            raise self._error
        return self._answer

    async def _work(self) -> None:
        hosted = self.hosted
        self._error = ResourceNotAvailable(f"{hosted.name} was terminated during {self._name}")
        try:
            with self._scope:
                await trio.lowlevel.checkpoint_if_cancelled()
                await self._bounded()
        except Exception as error:
            self._error = error
        finally:
            hosted.gate.leave()
            self._done.set()

    async def _bounded(self) -> None:
        limit = self.hosted.deadlines.deadlock
        with trio.move_on_after(limit) as bound:
            self._answer = await self._fn(*self._args)
        if bound.cancelled_caught:
            raise TimeoutError(
                f"{self.hosted.name}: {self._name} did not return within {limit:g} s"
            )
        self._error = None
