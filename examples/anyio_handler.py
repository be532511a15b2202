"""A handler written with anyio alone.

Handlers run on Trio, and so does anyio: nothing else is needed.
Run it with ``python examples/anyio_handler.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from trioresource import OnlineScope, Properties, ResourceHandler, open_cluster

if TYPE_CHECKING:
    from anyio.abc import SocketStream


class CounterProperties(Properties):
    start: int = 1
    """The first number."""


class CounterServer(ResourceHandler[CounterProperties]):
    """A server that gives each client the next number; the resource provides its port."""

    async def online(self, scope: OnlineScope) -> int:
        self.next = self.properties.start
        listener = await scope.enter(await anyio.create_tcp_listener(local_host="127.0.0.1"))
        scope.start_soon(listener.serve, self.answer)
        port: int = listener.extra(anyio.abc.SocketAttribute.local_port)
        return port

    async def answer(self, stream: SocketStream) -> None:
        async with stream:
            number, self.next = self.next, self.next + 1
            await stream.send(str(number).encode())


async def main() -> None:
    async with open_cluster() as cluster:
        counter = await cluster.add("counter", CounterServer, properties={"start": 7})
        await counter.online()
        for _ in range(3):
            async with await anyio.connect_tcp("127.0.0.1", counter.value) as stream:
                print("my number is", (await stream.receive()).decode())
    print(f"{counter.name} is {counter.state.value}")


if __name__ == "__main__":
    anyio.run(main, backend="trio")
