from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource._errors import PropertyError
from trioresource._model.policy import PollIntervals
from trioresource._model.reports import FailureReason, Progress
from trioresource._model.states import ResourceState
from trioresource.resources import Endpoint

if TYPE_CHECKING:
    from trioresource._monitor import ResourceMonitor

ONLINE, FAILED = ResourceState.ONLINE, ResourceState.FAILED


async def answer(stream: trio.abc.Stream) -> None:
    # A probe has hung up by now.
    with contextlib.suppress(trio.BrokenResourceError):
        if await stream.receive_some():
            await stream.send_all(b"HTTP/1.0 200 OK\r\n\r\nall is well")
            await trio.aclose_forcefully(stream)


@pytest.mark.parametrize("kind", ["tcp", "http"])
async def test_waited_for_watched_and_lost(
    monitor: ResourceMonitor, nursery: trio.Nursery, free_port: int, kind: str
) -> None:
    address = f"127.0.0.1:{free_port}"
    properties: dict[str, Any] = {"tcp": address}
    if kind == "http":
        properties = {"http": f"http://{address}/", "body": "well", "status": 200}
    resource = await monitor.host(
        "db",
        Endpoint,
        properties={**properties, "every": 0.02},
        poll=PollIntervals(is_alive=0.05),
    )
    resource.begin_online()
    with trio.fail_after(10):
        report = await monitor.reports.receive()
        while not isinstance(report, Progress):
            report = await monitor.reports.receive()
        assert report.message.endswith("Connection refused")
        assert resource.state is ResourceState.ONLINE_PENDING
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as servers:
                await servers.start(partial(trio.serve_tcp, answer, free_port, host="127.0.0.1"))
                await resource.wait_state(ONLINE)
                assert resource.value == properties[kind]
                scope.cancel()
        await resource.wait_state(FAILED)
    assert resource.last_failure is not None
    assert resource.last_failure.reason is FailureReason.NOT_ALIVE


async def test_offline_leaves_it_alone(
    monitor: ResourceMonitor, nursery: trio.Nursery, free_port: int
) -> None:
    await nursery.start(partial(trio.serve_tcp, answer, free_port, host="127.0.0.1"))
    resource = await monitor.host("db", Endpoint, properties={"tcp": f"127.0.0.1:{free_port}"})
    await resource.online()
    assert await resource.wait_state(ONLINE) is ONLINE
    assert await resource.handler.is_alive()
    assert await resource.offline() is ResourceState.OFFLINE


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({}, "exactly one of tcp and http"),
        ({"tcp": "x:1", "http": "http://x"}, "exactly one of tcp and http"),
        ({"tcp": "x:1", "status": 200, "body": "x"}, "status, body: only together with http"),
        ({"http": "x:1"}, "must be http://"),
        ({"http": "http://x", "status": "ok"}, "must be a status like 200"),
    ],
)
async def test_mistakes(monitor: ResourceMonitor, properties: dict[str, Any], message: str) -> None:
    with pytest.raises(PropertyError) as caught:
        await monitor.host("db", Endpoint, properties=properties)
    assert message in str(caught.value)
