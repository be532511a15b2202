"""The one seam through which this package awaits real processes, threads and descriptors.

When such a thing is done, the kernel decides when the waiting task hears of it. A test
that explores schedules needs to decide that itself, and installs a gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, TypeVarTuple

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Gate(Protocol):
    """Stands between a task and what it awaits."""

    async def __call__(
        self, what: str, wait: Callable[[], Awaitable[Any]], *, cancellable: bool
    ) -> Any:
        """Await something, and return its result.

        Args:
            what: what is awaited, in words.
            wait: the wait.
            cancellable: whether cancellation ends the wait at once.
        """
        ...


_GATE: Final[trio.lowlevel.RunVar[Gate | None]] = trio.lowlevel.RunVar("external_gate", None)
_THREADS: Final[trio.lowlevel.RunVar[trio.CapacityLimiter]] = trio.lowlevel.RunVar(
    "resources_threads"
)
_MAX_THREADS: Final = 40
"""As many as Trio's own limiter has; apart from it, so that neither can starve the other."""


def set_gate(gate: Gate | None) -> None:
    """Let every wait of this run pass through ``gate``; ``None`` takes the gate away."""
    _GATE.set(gate)


async def external(what: str, wait: Callable[[], Awaitable[T]], *, cancellable: bool = True) -> T:
    """Await something outside of Trio.

    Args:
        what: what is awaited, in words for traces.
        wait: the wait.
        cancellable: whether cancellation ends the wait at once.

    Returns:
        What the wait returns. Cancellation is the wait's own affair.
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
        abandon: on cancellation, leave the thread behind. Otherwise cancellation waits
            for the function, and a result that is there is returned. What can be left
            behind may last for ever, so it does not count among the threads there may be.

    Returns:
        What the function returns.
    """
    limiter = trio.CapacityLimiter(1) if abandon else _threads()

    async def wait() -> T:
        return await trio.to_thread.run_sync(fn, *args, abandon_on_cancel=abandon, limiter=limiter)

    return await external(what, wait, cancellable=abandon)


def _threads() -> trio.CapacityLimiter:
    try:
        return _THREADS.get()
    except LookupError:
        limiter = trio.CapacityLimiter(_MAX_THREADS)
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
