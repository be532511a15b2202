"""Look at resources that are online, at their intervals and when there is a suspicion."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, final

import trio

from .._handler import ResourceHandler
from .._model.reports import FailureReason
from .._util.running import RUNNING_RESOURCE
from .attempt import ProbeAnswer

if TYPE_CHECKING:
    from .._model.policy import PollIntervals
    from .._util.timers import TimerQueue, Timers
    from .attempt import Attempt

# A turn of looks_alive may be late by this part of its interval, so that resources which
# came online one after the other are looked at together.
_GRAINS: Final = 64


@final
class Polling:
    """The polls of all resources with the same intervals."""

    __slots__ = ("_intervals", "_is_alive", "_looks_alive")

    def __init__(self, timers: Timers, intervals: PollIntervals) -> None:
        assert intervals.looks_alive is not None
        assert intervals.is_alive is not None
        self._intervals = intervals
        self._looks_alive: TimerQueue[Attempt] = timers.queue(
            ("looks_alive", intervals),
            intervals.looks_alive,
            self._look,
            grain=intervals.looks_alive / _GRAINS,
        )
        self._is_alive: TimerQueue[Attempt] = timers.queue(
            ("is_alive", intervals), intervals.is_alive, self._ask
        )

    def watch(self, attempt: Attempt) -> None:
        """Begin to poll an attempt that has come online.

        A resource with a failure source of its own is not polled by ``looks_alive``,
        and neither is one whose handler has nothing to say there.
        """
        handler_type = type(attempt.owner.handler)
        cursory = handler_type.looks_alive is not ResourceHandler.looks_alive
        thorough = handler_type.is_alive is not ResourceHandler.is_alive
        if cursory and not attempt.detects_failures:
            self._looks_alive.arm(attempt)
        if cursory or thorough:
            self._is_alive.arm(attempt)

    def forget(self, attempt: Attempt) -> None:
        """Stop polling an attempt that is no longer online."""
        self._looks_alive.disarm(attempt)
        self._is_alive.disarm(attempt)

    def rely_on_source(self, attempt: Attempt) -> None:
        """Stop polling ``looks_alive``: the attempt has a failure source of its own."""
        self._looks_alive.disarm(attempt)

    def make_probe(self, attempt: Attempt) -> Probe:
        """Make the probe of an attempt, which counts answers as the intervals say."""
        return Probe(attempt, self._intervals)

    def _look(self, attempt: Attempt, due: float) -> None:
        if attempt.is_finished:
            # It has failed, and the consumer of the failure channel has not reported it yet.
            # No handler code runs in an attempt that is over.
            return
        owner = attempt.owner
        if owner.entry_lock.running is not None:
            # One entry point at a time. What runs is a check, or soon at its end.
            self._looks_alive.arm_after(attempt, due)
            return
        owner.counts.looks_alive += 1
        owner.launcher.running_hook = owner
        try:
            # The truth of the answer is the handler's code as well.
            is_fine = bool(owner.handler.looks_alive())
        except (Exception, trio.Cancelled) as error:  # noqa: ASYNC103 - sync: it is not ours
            owner.handler.log.debug("looks_alive raised %s", type(error).__name__, exc_info=error)
            is_fine = False
        except BaseException as error:  # noqa: ASYNC103 - raised in a task of its own
            # An interrupt ends the monitor, and not the timers, which bound its clean-up.
            owner.monitor_crashes()
            owner.launcher.start_soon(
                owner.launcher.nursery, _raise, error, name=f"{attempt.name} looks_alive"
            )
            return  # noqa: ASYNC104 - raised there
        finally:
            owner.launcher.running_hook = None
        if not attempt.is_watched:
            return
        if not attempt.detects_failures:
            self._looks_alive.arm_after(attempt, due)
        if not is_fine:
            owner.counts.suspicions += 1
            owner.probe(attempt).request()

    def _ask(self, attempt: Attempt, due: float) -> None:
        if attempt.is_finished:
            # As above; its nursery may be closed by now, and then takes no probe.
            return
        self._is_alive.arm_after(attempt, due)
        attempt.owner.probe(attempt).request()


async def _raise(error: BaseException) -> None:
    await trio.lowlevel.checkpoint()
    raise error


@final
class Probe:
    """The ``is_alive`` calls of one attempt, one at a time.

    A call is bounded by the deadlock deadline, runs in the attempt's nursery, and ends
    with it. Going offline does not wait for it. The answer is judged by the consumer of the
    failure channel.
    """

    __slots__ = ("_again", "_attempt", "_is_running", "_noes", "_scope", "_signal", "_threshold")

    def __init__(self, attempt: Attempt, intervals: PollIntervals) -> None:
        self._attempt = attempt
        self._is_running = False
        self._again = False
        self._signal: str | None = None
        self._scope: trio.CancelScope | None = None
        self._threshold = intervals.failures or 1
        self._noes: deque[bool] = deque(maxlen=intervals.window or self._threshold)

    def request(self, signal: str | None = None) -> None:
        """Ask soon; if a call is under way, ask once more after it.

        Args:
            signal: the reported failure to verify, if that is why.
        """
        if self._signal is None:
            self._signal = signal
        self._again = True
        if self._is_running:
            return
        attempt = self._attempt
        assert attempt.nursery is not None
        attempt.owner.launcher.start_soon(
            attempt.nursery, self._run, name=f"{attempt.name}#{attempt.epoch} is_alive"
        )
        self._is_running = True

    def cancel(self) -> None:
        """Give up the call that is under way; its answer is no longer wanted."""
        self._again = False
        if self._scope is not None:
            self._scope.cancel()

    def overdue(self) -> None:
        """Let the attempt fail at the deadlock deadline, also if the call cannot be cancelled."""
        attempt, owner = self._attempt, self._attempt.owner
        if not attempt.is_watched:
            return
        if not owner.maintenance:
            detail = f"is_alive did not answer within {owner.deadlines.deadlock:g} s"
            attempt.fail(FailureReason.PROBE_HUNG, detail)
            return
        # A reported failure that was in check is not lost: verified when the maintenance ends.
        if attempt.signal is None:
            attempt.signal = attempt.signal_in_check
        attempt.signal_in_check = None

    def count(self, is_alive: bool) -> str | None:
        """Count one more answer.

        Returns:
            None, or why the attempt has failed: this many of the last answers were no.
        """
        self._noes.append(not is_alive)
        noes = sum(self._noes)
        if noes < self._threshold:
            return None
        return "" if self._threshold == 1 else f"{noes} of the last {len(self._noes)} times"

    async def _run(self) -> None:
        RUNNING_RESOURCE.set(self._attempt.owner)
        lock = self._attempt.owner.entry_lock
        try:
            while self._again and self._attempt.is_watched:
                await lock.acquire("is_alive")
                try:
                    if self._attempt.is_watched:
                        await self._ask()
                finally:
                    lock.release()
        finally:
            self._is_running = False

    async def _ask(self) -> None:
        attempt, owner = self._attempt, self._attempt.owner
        self._again = False
        signal, self._signal = self._signal, None
        owner.counts.is_alive += 1
        is_alive = False
        error: Exception | None = None
        begun = trio.current_time()
        self._scope = trio.CancelScope(deadline=begun + owner.deadlines.deadlock)
        owner.timers.deadlock.arm(attempt)
        try:
            with self._scope:
                is_alive = bool(await owner.handler.is_alive())
        except Exception as raised:
            error = raised
        finally:
            owner.timers.deadlock.disarm(attempt)
        owner.counts.probe_seconds = trio.current_time() - begun
        if self._scope.cancelled_caught:
            self.overdue()
            return
        if attempt.answers is None:
            attempt.answers = []
        attempt.answers.append(ProbeAnswer(is_alive, signal, error))
        owner.notice(attempt)
