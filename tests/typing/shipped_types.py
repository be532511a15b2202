"""What users of the shipped types write. Only mypy and pyright read it: it need not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from trioresource import open_cluster
from trioresource.resources import (
    Endpoint,
    EndpointProperties,
    FunctionService,
    Process,
    ProcessProperties,
    RunningProcess,
    TcpReady,
)

if TYPE_CHECKING:
    from trioresource import OnlineScope


async def run_a_process() -> None:
    async with open_cluster() as cluster:
        redis = await cluster.add(
            "redis",
            Process,
            properties={"command": "redis-server", "ready": {"tcp": "127.0.0.1:6379"}},
        )
        running: RunningProcess = await redis.wait_online()
        assert_type(running.pid, int)
        assert_type(running.output(), tuple[str, ...])
        await cluster.add("mail", Endpoint, properties={"tcp": "mail:25"})
        await cluster.add("web", FunctionService, properties={"function": "shop.web:serve"})


class Redis(Process):
    """A type that extends a shipped type."""

    async def online(self, scope: OnlineScope) -> RunningProcess:
        assert_type(self.properties, ProcessProperties)
        if isinstance(self.properties.ready, TcpReady):
            assert_type(self.properties.ready.tcp, str)
        return await super().online(scope)


def properties() -> None:
    assert_type(ProcessProperties(command=("redis-server",)).stop_grace, float)
    assert_type(EndpointProperties(tcp="mail:25").tcp, str | None)


# --- mistakes that a type checker must find ------------------------------------------------------

RunningProcess()  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]
ProcessProperties(command=("x",), stop_grace="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
