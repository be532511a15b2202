"""Wait for a value, and for no longer than a soft deadline."""

from __future__ import annotations

from math import inf, nextafter
from typing import Generic, TypeVar, final

import trio
import trio_util

T = TypeVar("T")


def soft_deadline(seconds: float) -> float:
    """Compute when a wait of ``seconds`` from now gives up, on Trio's clock.

    That is the first moment *after* the deadline: what completes in the very instant of the
    deadline counts as complete, however many scheduler passes it still needs.

    Args:
        seconds: the soft deadline, in seconds from now.
    """
    return nextafter(trio.current_time() + seconds, inf)


@final
class Watched(Generic[T]):
    """A value that tasks can wait for; all use of trio-util's AsyncValue is here."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = trio_util.AsyncValue(value)

    def set(self, value: T) -> None:
        """Assign the value and wake the tasks that waited for it."""
        self._value.value = value

    async def wait(self, *values: T, held_for: float = 0.0) -> T:
        """Wait until the value is one of ``values`` and has been for ``held_for`` seconds.

        Cancellation ends the wait and nothing else.
        """
        found: T = await self._value.wait_value(
            lambda value: value in values,
            held_for=held_for,
        )
        return found
