"""The only place where this package awaits real processes, threads and file descriptors.

The kernel decides when a waiting task hears of them. A test that explores schedules must
decide that itself, so it installs a gate here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, TypeVarTuple

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Gate(Protocol):
    """Decides when a task goes on that waits for something outside of Trio."""

    async def __call__(
        self, what: str, wait: Callable[[], Awaitable[Any]], *, cancellable: bool
    ) -> Any:
        """Await something, and return its result.

        Args:
            what: what is awaited, in words.
            wait: the async function that waits.
            cancellable: whether cancellation ends the wait at once.
        """
        ...


_GATE: Final[trio.lowlevel.RunVar[Gate | None]] = trio.lowlevel.RunVar("external_gate", None)
_THREADS: Final[trio.lowlevel.RunVar[trio.CapacityLimiter]] = trio.lowlevel.RunVar(
    "resources_threads"
)
MAX_THREADS: Final = 40
"""Threads at once, as many as Trio's own limiter allows. This package has a limiter of its own, so
that its threads and those of the program cannot starve each other."""


def set_gate(gate: Gate | None) -> None:
    """Send every wait of this run through ``gate``; ``None`` removes the gate."""
    _GATE.set(gate)


async def external(what: str, wait: Callable[[], Awaitable[T]], *, cancellable: bool = True) -> T:
    """Await something outside of Trio.

    Args:
        what: what is awaited, in words for traces.
        wait: the async function that waits.
        cancellable: whether cancellation ends the wait at once.

    Returns:
        What ``wait`` returns.
    """
    gate = _GATE.get()
    if gate is None:
        return await wait()
    result: T = await gate(what, wait, cancellable=cancellable)
    return result


async def in_thread(what: str, fn: Callable[[*Ts], T], *args: *Ts, abandon: bool = False) -> T:
    """Run a blocking function in a thread.

    Args:
        what: what is awaited, in words for traces.
        fn: the function.
        args: its arguments.
        abandon: upon cancellation, leave the thread behind at once. Otherwise wait for the
            function, and return its result in spite of the cancellation. A thread that may
            be left behind may run for ever, so it does not count towards ``MAX_THREADS``.

    Returns:
        What the function returns.
    """
    limiter = trio.CapacityLimiter(1) if abandon else thread_limiter()

    async def wait() -> T:
        return await trio.to_thread.run_sync(fn, *args, abandon_on_cancel=abandon, limiter=limiter)

    return await external(what, wait, cancellable=abandon)


def thread_limiter() -> trio.CapacityLimiter:
    """Return the limiter of this run for threads that cancellation waits for."""
    try:
        return _THREADS.get()
    except LookupError:
        limiter = trio.CapacityLimiter(MAX_THREADS)
        _THREADS.set(limiter)
        return limiter


async def readable(what: str, descriptor: int) -> None:
    """Wait until a file descriptor can be read; cancellable.

    Args:
        what: what is awaited, in words for traces.
        descriptor: a file descriptor that no other task waits for.
    """

    async def wait() -> None:
        await trio.lowlevel.wait_readable(descriptor)

    await external(what, wait)
