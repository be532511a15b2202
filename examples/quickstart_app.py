"""The application of quickstart.toml: a server on top of two stores, and a saboteur.

They talk through Unix sockets in the abstract namespace. The names contain the process id of the
cluster, so that several clusters can run at once, and no file is left behind.
"""

from __future__ import annotations

import contextlib
import os
import signal

import trio

from trioresource import NoProperties, OnlineScope, ResourceHandler


def address(service: str) -> str:
    return f"\0trioresource-quickstart/{os.getpid()}/{service}"


async def connect(service: str) -> trio.SocketStream:
    socket = trio.socket.socket(trio.socket.AF_UNIX)
    try:
        await socket.connect(address(service))
    except BaseException:
        socket.close()
        raise
    return trio.SocketStream(socket)


# --- the API: any function that nursery.start accepts is a resource -------------------------


async def serve_api(*, task_status: trio.TaskStatus[None]) -> None:
    """Tell each client the process ids of the database and of the cache."""
    with trio.socket.socket(trio.socket.AF_UNIX) as socket:
        await socket.bind(address("api"))
        socket.listen()
        task_status.started()
        await trio.serve_listeners(answer, [trio.SocketListener(socket)])


async def answer(client: trio.SocketStream) -> None:
    # A store or the client may end at any time; that is no failure of the API.
    with contextlib.suppress(OSError, trio.BrokenResourceError):
        found = b""
        for store in ("database", "cache"):
            async with await connect(store) as stream:
                found += b"".join([part async for part in stream])
        await client.send_all(found)
        # Wait until the client closes the connection, or the API goes offline.
        await client.receive_some()


# --- the saboteur: a resource type of its own -----------------------------------------------


class Saboteur(ResourceHandler[NoProperties]):
    """Kill the database, and be online as soon as the API works again."""

    async def online(self, scope: OnlineScope) -> None:
        """Kill the database without warning, and watch the API as one of its clients."""
        client, database = await visit()
        async with client:
            scope.report_progress(f"kills process {database}, the database, with SIGKILL")
            killed = trio.current_time()
            os.kill(database, signal.SIGKILL)
            with contextlib.suppress(trio.BrokenResourceError):
                async for _ in client:
                    pass
        scope.report_progress(f"{since(killed)} after the kill: the API has been taken down")
        client, database = await visit()
        await client.aclose()
        scope.report_progress(
            f"{since(killed)} after the kill: the API answers, with process {database}"
        )


async def visit() -> tuple[trio.SocketStream, int]:
    """Wait until the API answers; return the connection and the process id of the database."""
    while True:
        with contextlib.suppress(OSError, trio.BrokenResourceError):
            client = await connect("api")
            if found := await client.receive_some():
                return client, int(found.split()[0])
            await client.aclose()
        await trio.sleep(0.001)


def since(time: float) -> str:
    return f"{(trio.current_time() - time) * 1000:.1f} ms"
