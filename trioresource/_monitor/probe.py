"""Asking a handler whether its resource is alive."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, final

import trio

from .._model.reports import FailureReason, describe_error
from .phase import Phase

if TYPE_CHECKING:
    from .._model.policy import PollIntervals
    from .attempt import Attempt


@final
class Probe:
    """The ``is_alive`` calls of one attempt, one at a time.

    A call is bounded by the deadlock deadline, runs in the attempt's nursery, and ends
    with it. Going offline does not wait for it.
    """

    __slots__ = ("_again", "_attempt", "_noes", "_scope", "_signal", "_threshold", "running")

    def __init__(self, attempt: Attempt, intervals: PollIntervals) -> None:
        self.running: bool = False
        self._attempt = attempt
        self._again = False
        self._signal: str | None = None
        self._scope: trio.CancelScope | None = None
        self._threshold = intervals.failures or 1
        self._noes: deque[bool] = deque(maxlen=intervals.window or self._threshold)

    def request(self, signal: str | None = None) -> None:
        """Ask soon; if a call is under way, ask once more after it.

        Args:
            signal: the failure report to verify, if that is why.
        """
        self._signal = self._signal or signal
        self._again = True
        if self.running:
            return
        attempt = self._attempt
        assert attempt.nursery is not None
        attempt.hosted.launcher.start_soon(
            attempt.nursery, self._run, name=f"{attempt.name}#{attempt.epoch} is_alive"
        )
        self.running = True

    def cancel(self) -> None:
        """Give up the call that is under way; its answer is no longer wanted."""
        self._again = False
        if self._scope is not None:
            self._scope.cancel()

    def overdue(self) -> None:
        """The deadlock deadline has passed: it counts also if the call can not be cancelled."""
        hosted = self._attempt.hosted
        if self._wanted and not hosted.maintenance:
            detail = f"is_alive did not answer within {hosted.deadlines.deadlock:g} s"
            self._attempt.fail(FailureReason.PROBE_HUNG, detail)

    @property
    def _wanted(self) -> bool:
        attempt = self._attempt
        return attempt.phase is Phase.UP and not attempt.is_finished and not attempt.stop_asked

    async def _run(self) -> None:
        gate = self._attempt.hosted.gate
        try:
            while self._again and self._wanted:
                await gate.enter("is_alive")
                try:
                    if self._wanted:
                        await self._ask()
                finally:
                    gate.leave()
        finally:
            self.running = False

    async def _ask(self) -> None:
        attempt, hosted = self._attempt, self._attempt.hosted
        self._again = False
        signal, self._signal = self._signal, None
        hosted.counts.is_alive += 1
        alive: object = None
        trouble: Exception | None = None
        begun = trio.current_time()
        self._scope = trio.CancelScope(deadline=begun + hosted.deadlines.deadlock)
        hosted.lanes.deadlock.arm(self)
        try:
            with self._scope:
                alive = await hosted.handler.is_alive()
        except Exception as error:
            trouble = error
        finally:
            hosted.lanes.deadlock.disarm(self)
        hosted.counts.probe_seconds = trio.current_time() - begun
        if not self._wanted or hosted.maintenance:
            return
        if trouble is not None:
            self._inconclusive(signal, trouble)
        elif self._scope.cancelled_caught:
            self.overdue()
        elif signal is not None and not alive:
            attempt.fail(FailureReason.SIGNAL, signal)
        else:
            self._count(alive)

    def _inconclusive(self, signal: str | None, error: Exception) -> None:
        """The check could not be made; together with a signal that is enough to fail."""
        attempt = self._attempt
        if signal is None:
            attempt.hosted.probe_inconclusive(attempt, error)
        else:
            detail = f"{signal}; it could not be checked: {describe_error(error)}"
            attempt.fail(FailureReason.SIGNAL, detail, error)

    def _count(self, alive: object) -> None:
        """One more answer: failed when so many of the last ones were no."""
        self._noes.append(not alive)
        noes = sum(self._noes)
        if noes < self._threshold:
            return
        asked = len(self._noes)
        detail = "" if self._threshold == 1 else f"{noes} of the last {asked} times"
        self._attempt.fail(FailureReason.NOT_ALIVE, detail)
