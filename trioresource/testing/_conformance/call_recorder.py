"""Record the calls of a handler's entry points, and how often each waits.

The handler's own code is not changed. The monitor runs the entry point's coroutine through an
object that passes everything on, and counts.
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

_ENTRY_POINTS: Final[tuple[str, ...]] = (
    "open",
    "online",
    "is_alive",
    "offline",
    "terminate",
    "close",
)


class Injected(Exception):
    """The error by which a check lets ``online`` end."""


@final
class CallRecorder:
    """Record what the monitor calls of one handler, and how the handler behaves.

    It can also call a function when an entry point waits for the n-th time, in the same step,
    so that a cancellation reaches the entry point at that wait.
    """

    def __init__(self) -> None:
        self.calls: Final[dict[str, int]] = dict.fromkeys(_ENTRY_POINTS, 0)
        self.swallowed: Final[list[str]] = []
        """Entry points in which ``Cancelled`` was raised, and which returned all the same."""
        self.fails_online = False
        """Whether ``online`` is to raise after it has done its work."""
        self.reached: bool = False
        """Whether the entry point came to the wait that ``call_at_wait`` named."""
        self._pending: tuple[str, int, Callable[[], object]] | None = None
        self._cancels = True

    def call_at_wait(
        self,
        entry_point: str,
        wait: int,
        action: Callable[[], object],
        *,
        cancels: bool = True,
    ) -> None:
        """Call a function once, when an entry point waits.

        Args:
            entry_point: the name of the entry point.
            wait: the number of the wait within the call, beginning with 0.
            action: the function; it must not block.
            cancels: whether the function cancels the entry point.
        """
        self._pending = (entry_point, wait, action)
        self._cancels = cancels
        self.reached = False

    def factory(self, make: HandlerFactory) -> HandlerFactory:
        """Return a factory of the same handlers, whose calls are recorded."""

        def watched() -> ResourceHandler[Any]:
            handler = make()
            for name in _ENTRY_POINTS:
                setattr(handler, name, functools.partial(self._call, name, getattr(handler, name)))
            return handler

        return watched

    async def _call(self, name: str, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        self.calls[name] += 1
        counted = CountedCoroutine(_awaited(function, args), functools.partial(self._waits, name))
        value = await counted
        if counted.told:
            self.swallowed.append(name)
        if name == "online" and self.fails_online:
            raise Injected("online raised, at the request of the check")
        return value

    def _waits(self, name: str, wait: int) -> bool:
        """Learn that an entry point is about to wait; say whether it was cancelled by that."""
        if self._pending is None or self._pending[:2] != (name, wait):
            return False
        _, _, action = self._pending
        self._pending = None
        self.reached = True
        action()
        return self._cancels


async def _awaited(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
    return await function(*args)


@final
class CountedCoroutine:
    """Run a coroutine, and count its waits.

    Args:
        coroutine: the coroutine.
        waits: called before each wait with the number of the wait; returns whether that has
            cancelled the coroutine.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits: Callable[[int], bool]) -> None:
        self._coroutine = coroutine
        self._waits = waits
        self._number = 0
        self._cancelled = False
        self._unshielded = False
        self.told: bool = False
        """Whether ``Cancelled`` was raised in it outside of a shield."""

    def __await__(self) -> Generator[Any, Any, Any]:
        # It has all methods that await calls.
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
        self._cancelled = self._waits(self._number) or self._cancelled
        # Behind a shield it may finish what it does, and have deadlines of its own.
        self._unshielded = self._cancelled and trio.current_effective_deadline() == -inf
        self._number += 1
        return trap

    def throw(self, *error: Any) -> Any:
        """Do as the coroutine does."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Do as the coroutine does."""
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        # cr_frame, cr_await and the like, which code that walks stacks asks for.
        return getattr(self._coroutine, name)
