"""Looking at resources that are online, at their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from .._handler import ResourceHandler
from .probe import Probe

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

    def __init__(self, clock: Timers, intervals: PollIntervals) -> None:
        assert intervals.looks_alive is not None
        assert intervals.is_alive is not None
        self._intervals = intervals
        self._looks_alive: TimerQueue[Attempt] = clock.queue(
            ("looks_alive", intervals),
            intervals.looks_alive,
            self._look,
            grain=intervals.looks_alive / _GRAINS,
        )
        self._is_alive: TimerQueue[Attempt] = clock.queue(
            ("is_alive", intervals), intervals.is_alive, self._ask
        )

    def watch(self, attempt: Attempt) -> None:
        """Begin to poll; the attempt has come online.

        A resource with a failure source of its own is not polled by ``looks_alive``,
        and neither is one whose handler has nothing to say there.
        """
        handler_type = type(attempt.hosted.handler)
        cursory = handler_type.looks_alive is not ResourceHandler.looks_alive
        thorough = handler_type.is_alive is not ResourceHandler.is_alive
        if cursory and not attempt.detects_failures:
            self._looks_alive.arm(attempt)
        if cursory or thorough:
            self._is_alive.arm(attempt)

    def forget(self, attempt: Attempt) -> None:
        """Stop polling; the attempt is no longer online."""
        self._looks_alive.disarm(attempt)
        self._is_alive.disarm(attempt)

    def rely_on_source(self, attempt: Attempt) -> None:
        """Stop polling ``looks_alive``: the resource has a failure source of its own."""
        self._looks_alive.disarm(attempt)

    def verify(self, attempt: Attempt, signal: str) -> None:
        """Ask ``is_alive`` now, because the resource reported a failure."""
        self._probe(attempt).request(signal)

    def check(self, attempt: Attempt) -> None:
        """Ask ``is_alive`` now."""
        self._probe(attempt).request()

    def _look(self, attempt: Attempt, due: float) -> None:
        hosted = attempt.hosted
        if hosted.gate.running is not None:
            # One entry point at a time. What runs is a check, or soon at its end.
            self._looks_alive.arm_after(attempt, due)
            return
        hosted.counts.looks_alive += 1
        try:
            fine = hosted.handler.looks_alive()
        except Exception as error:
            hosted.handler.log.debug("looks_alive raised %r", error)
            fine = False
        if attempt.is_finished or attempt.stop_asked:
            # looks_alive itself has reported a failure, or taken the resource down.
            return
        if not attempt.detects_failures:
            self._looks_alive.arm_after(attempt, due)
        if not fine:
            hosted.counts.suspicions += 1
            self._probe(attempt).request()

    def _ask(self, attempt: Attempt, due: float) -> None:
        self._is_alive.arm_after(attempt, due)
        self._probe(attempt).request()

    def _probe(self, attempt: Attempt) -> Probe:
        if attempt.probe is None:
            attempt.probe = Probe(attempt, self._intervals)
        return attempt.probe
