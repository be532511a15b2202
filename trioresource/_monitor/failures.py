"""The failure channel of a monitor, and the task that consumes it.

Detectors write what they notice into a slot of the attempt and ring. The channel holds an
attempt at most once, so a flood of messages makes one entry, and no sender ever waits or runs
the monitor's code. The consumer lives in the nursery of the timers and so outlives every
attempt. It never awaits a handler's code: to verify a message it asks the attempt's own probe,
whose answer comes back by the same channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from .._model.reports import FailureReason, describe_error

if TYPE_CHECKING:
    from .attempt import Attempt, ProbeAnswer


@final
class FailureChannel:
    """The failure channel of one monitor."""

    __slots__ = ("_receive", "_send")

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel["Attempt"](float("inf"))

    def ring(self, attempt: Attempt) -> None:
        """Have the consumer look at an attempt; never blocks, and calls no other code."""
        if not attempt.is_noticed:
            attempt.is_noticed = True
            self._send.send_nowait(attempt)

    async def consume(self) -> None:
        """Decide about what is noticed, until cancelled."""
        with self._send, self._receive:
            async for attempt in self._receive:
                attempt.is_noticed = False
                look_into(attempt)


def look_into(attempt: Attempt) -> None:
    """Decide whether an attempt has failed by what was noticed, and report it.

    Also called before a command is carried out and when the attempt ends, so that no
    consequence is reported before its cause.
    """
    answers, attempt.answers = attempt.answers, None
    for answer in answers or ():
        if answer.signal is not None:
            attempt.signal_in_check = None
        if not attempt.is_watched:
            break
        if not attempt.owner.maintenance:
            _judge(attempt, answer)
        elif attempt.signal is None:
            # Verified again when the maintenance ends.
            attempt.signal = answer.signal
    failure, attempt.failure = attempt.failure, None
    if failure is not None:
        attempt.owner.attempt_failed(attempt, failure)
    elif attempt.signal is not None and attempt.is_watched and not attempt.owner.maintenance:
        attempt.signal_in_check, attempt.signal = attempt.signal, None
        attempt.owner.probe(attempt).request(attempt.signal_in_check)


def _judge(attempt: Attempt, answer: ProbeAnswer) -> None:
    if answer.error is not None:
        if answer.signal is None:
            attempt.owner.probe_inconclusive(attempt, answer.error)
        else:
            # The check could not be made; together with a message that is enough to fail.
            detail = f"{answer.signal}; it could not be checked: {describe_error(answer.error)}"
            attempt.fail(FailureReason.SIGNAL, detail, answer.error)
    elif answer.signal is not None and not answer.is_alive:
        attempt.fail(FailureReason.SIGNAL, answer.signal)
    else:
        reason = attempt.owner.probe(attempt).count(answer.is_alive)
        if reason is not None:
            attempt.fail(FailureReason.NOT_ALIVE, reason)
