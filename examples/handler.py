"""A handler: a server that the cluster keeps up and checks.

Run it with ``python examples/handler.py``.
"""

from __future__ import annotations

import trio

from trioresource import NoProperties, OnlineScope, ResourceHandler, ResourceState, open_cluster


class EchoServer(ResourceHandler[NoProperties]):
    """A server that sends back what it receives; the resource provides its port."""

    async def online(self, scope: OnlineScope) -> int:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        scope.start_soon(trio.serve_listeners, echo, listeners)
        self.port = int(listeners[0].socket.getsockname()[1])
        return self.port

    async def is_alive(self) -> bool:
        return await talk(self.port, b"are you there?") == b"are you there?"


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def talk(port: int, message: bytes) -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(message)
        await stream.send_eof()
        return b"".join([bytes(part) async for part in stream])


async def main() -> None:
    async with open_cluster() as cluster:
        server = await cluster.add("echo", EchoServer)

        state = await server.online()
        print(f"{server.name} is {state.value}, attempt {server.epoch}")
        print("it answers", await talk(server.value, b"hello"))

        server.fail("the plug was pulled")
        await server.wait_state(ResourceState.FAILED)
        print(f"{server.name} is {server.state.value}: {server.last_failure}")

        port = await server.wait_online()
        print(f"{server.name} is {server.state.value}, attempt {server.epoch}")
        print("it answers", await talk(port, b"hello again"))
    print(f"{server.name} is {server.state.value}")


if __name__ == "__main__":
    trio.run(main)
