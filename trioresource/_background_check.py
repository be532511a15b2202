"""A check that runs in the background, for handlers whose check takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@final
class BackgroundCheck:
    """Run a slow check in the background, and answer with its last verdict.

    Use it for an ``is_alive`` that would take too long: start ``run`` in the scope, and
    return ``verdict()`` from ``is_alive``.

    Args:
        check: the check. True means well, False means failed, and an exception means that
            the check could not be made.
        every: seconds from the end of one check to the start of the next.
        stale_after: seconds after which a verdict no longer counts; by default three
            times ``every``.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[bool]],
        *,
        every: float,
        stale_after: float | None = None,
    ) -> None:
        self._check = check
        self._every = every
        self._stale_after = 3 * every if stale_after is None else stale_after
        self._answer: bool | Exception | None = None
        self._at = -float("inf")

    async def run(self) -> None:
        """Repeat the check until cancelled."""
        while True:
            answer: bool | Exception
            try:
                answer = await self._check()
            except Exception as error:
                answer = error
            self._answer, self._at = answer, trio.current_time()
            await trio.sleep(self._every)

    def verdict(self) -> bool:
        """Return the last verdict of the check.

        Raises:
            TimeoutError: there is no verdict yet, or it is too old.
            Exception: the exception that the check raised.
        """
        age = trio.current_time() - self._at
        if self._answer is None or age > self._stale_after:
            raise TimeoutError(f"no answer of the background check for {age:.1f} s")
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer
