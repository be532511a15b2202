"""Programs that wait for real processes and real threads."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Final

import trio

from trioresource.testing import external, no_leaks

from .scenarios import Program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def _ended(process: trio.Process) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        await process.wait()

    return wait


async def processes() -> object:
    """Four processes; each has 30 ms to end, and takes about as long."""
    seen: list[object] = []

    async def one(milliseconds: int) -> None:
        start = functools.partial(trio.lowlevel.open_process, ["sleep", f"{milliseconds / 1000}"])
        process = await external(start, what="start", cancellable=False)
        with trio.move_on_after(0.03) as scope:
            await external(process.wait, what="end")
        if scope.cancelled_caught:
            process.kill()
            # Not its status: it may just have ended by itself.
            await external(_ended(process), what="end after kill", cancellable=False)
        seen.append((milliseconds, scope.cancelled_caught))

    async with no_leaks(), trio.open_nursery() as nursery:
        for milliseconds in (24, 27, 30, 33):
            nursery.start_soon(one, milliseconds)
    assert len(seen) == 4
    return seen


async def threads() -> object:
    """Nine jobs in threads, of which groups of three take equally long."""
    seen: list[int] = []

    async def one(number: int) -> None:
        async def wait() -> bool:
            return await trio.to_thread.run_sync(threading.Event().wait, 0.001 * (number % 3))

        await external(wait, what="thread", cancellable=False)
        seen.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(9):
            nursery.start_soon(one, number)
    assert sorted(seen) == list(range(9))
    return seen


OUTSIDE: Final[dict[str, Program]] = {"processes": Program(processes), "threads": Program(threads)}
