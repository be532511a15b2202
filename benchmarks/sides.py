"""What is measured against what: the smallest handlers, and the same job in bare Trio."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from benchmarks.measure import Drain
from trioresource import Cluster, NoProperties, ResourceHandler, open_cluster, open_monitor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trioresource import (
        HostedResource,
        OnlineScope,
        PollIntervals,
        Resource,
        ResourceMonitor,
        Subscription,
    )


class Idle(ResourceHandler[NoProperties]):
    """Comes online at once and is not polled: nothing but the lifecycle."""

    async def online(self, scope: OnlineScope) -> None:
        pass


class Polled(Idle):
    """Idle, and polled."""

    def looks_alive(self) -> bool:
        return True


class Slow(ResourceHandler[NoProperties]):
    """Takes its time to come online."""

    async def online(self, scope: OnlineScope) -> None:
        await trio.sleep(30)


@asynccontextmanager
async def consumed_monitor() -> AsyncGenerator[tuple[ResourceMonitor, Drain], None]:
    """A monitor whose reports are received by a task."""
    async with trio.open_nursery() as nursery, open_monitor() as monitor:
        drain = Drain(monitor.reports)
        nursery.start_soon(drain.run)
        yield monitor, drain


@asynccontextmanager
async def consumed_cluster(*, history: int = 1000) -> AsyncGenerator[Cluster, None]:
    """A cluster with a subscriber."""
    async with open_cluster(history=history) as cluster:
        with cluster.subscribe(buffer=1_000_000) as events:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_receive, events)
                yield cluster
                nursery.cancel_scope.cancel()


async def _receive(events: Subscription) -> None:
    async for _ in events:
        pass


async def bring_online(
    host: ResourceMonitor | Cluster,
    handler: type[ResourceHandler[Any]],
    count: int,
    *,
    poll: PollIntervals | None = None,
    prefix: str = "r",
) -> list[HostedResource | Resource]:
    """Make resources and bring them online, one after the other."""
    found: list[HostedResource | Resource] = []
    for number in range(count):
        name = f"{prefix}{number}"
        one: HostedResource | Resource
        if isinstance(host, Cluster):
            one = await host.add(name, handler, poll=poll)
        else:
            one = await host.host(name, handler, poll=poll)
        await one.online()
        found.append(one)
    return found


async def hold_nursery(
    ended: trio.Event, *, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    """Run a task as it is written by hand: a cancel scope to end it by, and an open nursery."""
    try:
        with trio.CancelScope() as scope:
            async with trio.open_nursery():
                task_status.started(scope)
                await trio.sleep_forever()
    finally:
        ended.set()


async def bare_cycle(nursery: trio.Nursery) -> None:
    """Start such a task, cancel it, wait for its end."""
    ended = trio.Event()
    scope: trio.CancelScope = await nursery.start(hold_nursery, ended)
    scope.cancel()
    await ended.wait()
