from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trioresource._util.external import external, in_thread, readable, set_gate, thread_limiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Until = Callable[[Callable[[], object]], Awaitable[None]]


async def test_a_gate_decides_when_completion_is_delivered(until: Until) -> None:
    opened, passed = trio.Event(), list[str]()

    async def gate(what: str, wait: Callable[[], Awaitable[Any]], *, cancellable: bool) -> Any:
        result = await wait()
        passed.append(what)
        await opened.wait()
        return result

    done: list[int] = []

    async def work() -> None:
        done.append(await in_thread("sum", sum, (1, 2)))

    set_gate(gate)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await until(lambda: passed)
        assert done == []
        opened.set()
    assert done == [3]
    set_gate(None)
    assert await in_thread("thread", threading.current_thread) is not threading.current_thread()
    assert passed == ["sum"]


async def test_errors_come_through() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread("division", divmod, 1, 0)

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError

    with pytest.raises(KeyError):
        await external("failure", fail)


async def test_threads_have_a_limiter_of_their_own() -> None:
    await in_thread("nothing", int)
    limiter = thread_limiter()
    assert limiter is not trio.to_thread.current_default_thread_limiter()
    assert limiter.borrowed_tokens == 0


async def test_readable() -> None:
    read, write = os.pipe()
    try:
        with trio.move_on_after(0.01) as scope:
            await readable("pipe", read)
        assert scope.cancelled_caught
        os.write(write, b"x")
        await readable("pipe", read)
    finally:
        os.close(read)
        os.close(write)
