"""A double start: two callers see that nothing runs, and both start the server.

``ensure_running`` looks whether the server runs, and starts it if not. A start takes a while.
A caller that looks during that while sees that nothing runs. Then there are two servers, one
of which is never stopped. The test fails only if the second caller comes at the wrong moment;
``explore`` tries the moments one by one.
"""

from __future__ import annotations

import pytest
import trio

from trioresource.testing import always, explore, explored


class BuggyServer:
    def __init__(self) -> None:
        self.online = False
        self.processes = 0

    async def start(self) -> None:
        await trio.sleep(0.1)  # virtual time: takes no time at all
        self.processes += 1

    async def ensure_running(self) -> None:
        if not self.online:
            await self.start()  # <- here another caller may ask
            self.online = True


class FixedServer(BuggyServer):
    def __init__(self) -> None:
        super().__init__()
        self.lock = trio.Lock()

    async def ensure_running(self) -> None:
        async with self.lock:  # ask and start: one caller at a time
            await super().ensure_running()


async def operator_and_poll(server: BuggyServer) -> None:
    def at_most_one_process() -> bool:
        return server.processes <= 1

    async def poll() -> None:
        await trio.sleep(0.1)
        for _ in range(2):  # asks the network first
            await trio.lowlevel.checkpoint()
        await server.ensure_running()

    always(at_most_one_process)  # checked after every single step
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.ensure_running)
        nursery.start_soon(poll)
    assert server.online


def test_buggy_server_is_found_out() -> None:
    with pytest.raises(AssertionError, match="at_most_one_process"):
        explore(lambda: operator_and_poll(BuggyServer()))


@explored(strategy="exhaustive")
async def test_fixed_server() -> None:
    await operator_and_poll(FixedServer())
