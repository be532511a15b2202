"""A handler's entry points, looked at from outside: how often they wait, and what they are told.

The handler itself is not changed: what the monitor calls is the entry point's coroutine
behind a stand-in that passes everything on, and counts.
"""

from __future__ import annotations

import functools
from math import inf
from typing import TYPE_CHECKING, Any, Final, cast, final

import trio
from outcome import Error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator

    from ..._handler import HandlerFactory, ResourceHandler

__all__ = ["Injected", "Ledger"]

_ENTRY_POINTS: Final[tuple[str, ...]] = (
    "open",
    "online",
    "is_alive",
    "offline",
    "terminate",
    "close",
)


class Injected(Exception):
    """The error that a check lets ``online`` end with."""


@final
class Ledger:
    """What the monitor asked of one handler, and how the handler behaved.

    Something can be cut in: called when an entry point waits for the n-th time, in the
    same step, so that a cancellation reaches it at that wait.
    """

    def __init__(self) -> None:
        self.calls: Final[dict[str, int]] = dict.fromkeys(_ENTRY_POINTS, 0)
        self.swallowed: Final[list[str]] = []
        """Entry points that were told of their cancellation and returned all the same."""
        self.fails_online = False
        """Whether ``online`` is to raise when it has done its work."""
        self.reached: bool = False
        """Whether the wait was reached at which something was to be cut in."""
        self._cut: tuple[str, int, Callable[[], object]] | None = None
        self._cancels = True

    def cut_in(
        self,
        entry_point: str,
        wait: int,
        action: Callable[[], object],
        *,
        cancels: bool = True,
    ) -> None:
        """Call something once, when an entry point waits.

        Args:
            entry_point: its name.
            wait: its how many-th wait from now on, beginning with 0.
            action: what to call; it must not block.
            cancels: whether it cancels the entry point.
        """
        self._cut = (entry_point, wait, action)
        self._cancels = cancels
        self.reached = False

    def factory(self, make: HandlerFactory) -> HandlerFactory:
        """A factory of the same handlers, looked at by this ledger."""

        def watched() -> ResourceHandler[Any]:
            handler = make()
            for name in _ENTRY_POINTS:
                setattr(handler, name, functools.partial(self._call, name, getattr(handler, name)))
            return handler

        return watched

    async def _call(self, name: str, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        self.calls[name] += 1
        stepped = Stepped(_awaited(function, args), functools.partial(self._waits, name))
        value = await stepped
        if stepped.told:
            self.swallowed.append(name)
        if name == "online" and self.fails_online:
            raise Injected("online raised, at the request of the check")
        return value

    def _waits(self, name: str, wait: int) -> bool:
        """An entry point is about to wait; whether it was cancelled now."""
        if self._cut is None or self._cut[:2] != (name, wait):
            return False
        _, _, action = self._cut
        self._cut = None
        self.reached = True
        action()
        return self._cancels


async def _awaited(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
    return await function(*args)


@final
class Stepped:
    """Stands in for a coroutine, and counts its waits.

    Args:
        coroutine: what runs.
        waits: is called with the number of the wait, before each; returns whether the
            coroutine has been cancelled by that.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits: Callable[[int], bool]) -> None:
        self._coroutine = coroutine
        self._waits = waits
        self._number = 0
        self._cut = False
        self._unshielded = False
        self.told: bool = False
        """Whether ``Cancelled`` was raised in it where no shield stood."""

    def __await__(self) -> Generator[Any, Any, Any]:
        # What await asks of it, it can do.
        return cast("Generator[Any, Any, Any]", self)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Resume it, until its next wait."""
        if self._unshielded and isinstance(value, Error):
            self.told = self.told or isinstance(value.error, trio.Cancelled)
        trap = self._coroutine.send(value)
        self._cut = self._waits(self._number) or self._cut
        # Behind a shield it may well finish what it is at, and have deadlines of its own.
        self._unshielded = self._cut and trio.current_effective_deadline() == -inf
        self._number += 1
        return trap

    def throw(self, *error: Any) -> Any:
        """As the coroutine itself."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """As the coroutine itself."""
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        # cr_frame, cr_await and the like, for those who look at stacks.
        return getattr(self._coroutine, name)
