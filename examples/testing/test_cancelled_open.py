"""A leak: ``open`` is cancelled after it took something, and before it noted that.

A client takes a connection from a pool, logs in, and then notes the connection, so that
``close`` can give it back. Cancelled during the login, it has noted nothing, and the
connection is lost. With ``cancel=True``, ``explore`` cancels the body of ``cancellable()`` at
every possible moment.
"""

from __future__ import annotations

import pytest
import trio

from trioresource.testing import cancellable, explore, explored


class Pool:
    def __init__(self) -> None:
        self.free = ["one", "two"]


class BuggyClient:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.connection: str | None = None

    async def log_in(self) -> None:
        await trio.lowlevel.checkpoint()  # stands for I/O

    async def open(self) -> None:
        connection = self.pool.free.pop()
        await self.log_in()  # <- cancelled here, the connection is lost
        self.connection = connection

    def close(self) -> None:
        if self.connection is not None:
            self.pool.free.append(self.connection)


class FixedClient(BuggyClient):
    async def open(self) -> None:
        self.connection = self.pool.free.pop()  # first write it down
        await self.log_in()


async def two_clients(client_type: type[BuggyClient]) -> None:
    pool = Pool()

    async def visit() -> None:
        client = client_type(pool)
        with cancellable():
            await client.open()
        client.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(visit)
        nursery.start_soon(visit)
    assert len(pool.free) == 2, f"left in the pool: {pool.free}"


def test_buggy_client_is_found_out() -> None:
    with pytest.raises(AssertionError, match="left in the pool"):
        explore(lambda: two_clients(BuggyClient), cancel=True)


@explored(strategy="exhaustive", cancel=True)
async def test_fixed_client() -> None:
    await two_clients(FixedClient)
