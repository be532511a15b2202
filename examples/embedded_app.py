"""A Trio application with a cluster in it: a guest book, kept in an SQLite database.

The server depends on the database. Each request uses the database through ``available()``: if
the database goes away meanwhile, the request is cancelled. SIGINT (Ctrl-C) and SIGTERM take
everything down in order: first the server, then the database.

``python examples/embedded_app.py`` writes three entries and ends by itself.
``python examples/embedded_app.py guests.db 8000`` serves until Ctrl-C; talk to it with
``nc 127.0.0.1 8000``.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import trio

from trioresource import (
    OnlineScope,
    Properties,
    Resource,
    ResourceHandler,
    ResourceNotAvailable,
    open_cluster,
    service,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Connection:
    """An SQLite connection that one task at a time uses, in a thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = trio.Lock()

    async def execute(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        async with self._lock:
            # Do not abandon the thread: the lock must be held until the statement has ended.
            return await trio.to_thread.run_sync(self._execute, statement, values)

    def _execute(self, statement: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        with self._connection:
            return self._connection.execute(statement, values).fetchall()


class DatabaseProperties(Properties):
    file: str
    """The path of the database; ``:memory:`` for a database that is never written to disk."""


class Database(ResourceHandler[DatabaseProperties]):
    """A database; the resource provides the connection."""

    async def online(self, scope: OnlineScope) -> Connection:
        connect: Callable[[], sqlite3.Connection] = partial(
            sqlite3.connect, self.properties.file, timeout=1, check_same_thread=False
        )
        raw = await scope.enter(closing(await trio.to_thread.run_sync(connect)))
        self.connection = Connection(raw)
        await self.connection.execute("CREATE TABLE IF NOT EXISTS guests (name TEXT)")
        return self.connection

    async def is_alive(self) -> bool:
        return await self.connection.execute("SELECT 1") == [(1,)]

    async def offline(self, scope: OnlineScope) -> None:
        await self.connection.execute("PRAGMA optimize")
        print("database: closing")


async def serve(database: Resource, port: int, *, task_status: trio.TaskStatus[int]) -> None:
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    task_status.started(listeners[0].socket.getsockname()[1])
    try:
        await trio.serve_listeners(partial(answer, database), listeners)
    finally:
        print("server: closing")


async def answer(database: Resource, stream: trio.SocketStream) -> None:
    # A client may break the connection; that is no failure of the server.
    with suppress(trio.BrokenResourceError):
        async for line in stream:
            name = line.decode(errors="replace").strip()
            try:
                async with database.available() as connection:
                    await connection.execute("INSERT INTO guests VALUES (?)", name)
                    [[count]] = await connection.execute("SELECT count(*) FROM guests")
                reply = f"welcome {name}, you are guest number {count}"
            except ResourceNotAvailable:
                reply = "the guest book is closed, please come again"
            await stream.send_all(f"{reply}\n".encode())


async def visit(port: int, name: str) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(f"{name}\n".encode())
        print((await stream.receive_some()).decode().rstrip())


async def main(file: str, port: int, visitors: tuple[str, ...]) -> None:
    async with open_cluster(stop_on_signals=True) as cluster:
        database = await cluster.add("database", Database, properties={"file": file})
        server = await cluster.add("server", service(serve, database, port), depends_on="database")
        await server.online()  # the database first
        port = await server.wait_online()
        print(f"server: listening on port {port}" if not visitors else "server: listening")
        for name in visitors:
            await visit(port, name)
        if visitors:
            signal.raise_signal(signal.SIGINT)
        await trio.Event().wait()  # for ever: a signal ends the block
    print("everything is", {resource.state.value for resource in cluster.resources.values()})


if __name__ == "__main__":
    if len(sys.argv) == 3:
        trio.run(main, sys.argv[1], int(sys.argv[2]), ())
    else:
        trio.run(main, ":memory:", 0, ("Ada", "Grace", "Edsger"))
