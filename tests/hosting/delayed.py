"""A second implementation of ``Hosted``: commands and reports travel, and take their time.

It stands for a monitor in another process or on another machine. Everything that passes between
the cluster and the monitor goes through a channel, in order in each direction, and arrives after
a delay that a test controls. So it shows that the two floors share nothing else.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Any, Final, final

import trio

from trioresource._monitor.monitor import open_monitor_below
from trioresource._util.nurseries import open_shielded_nursery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from trioresource import (
        Deadlines,
        HostedResource,
        PollIntervals,
        Properties,
        Report,
        ResourceMonitor,
        ResourceStatistics,
        ResourceType,
    )
    from trioresource._cluster.hosting import OpenMonitor
    from trioresource._handler import HandlerFactory

    Delay = Callable[[str], Awaitable[object]]


@final
class Traffic:
    """Lets a test hold up commands to resources and reports to the cluster, each by name."""

    def __init__(self) -> None:
        self._held: dict[str, None] = {}
        self._changed = trio.Event()

    def hold(self, *ways: str) -> None:
        """Let nothing pass any more.

        Args:
            ways: ``"reports"``, or the names of resources whose commands are held.
        """
        self._held.update(dict.fromkeys(ways))

    def let_go(self, *ways: str) -> None:
        """Let everything pass again."""
        for way in ways:
            del self._held[way]
        self._changed.set()
        self._changed = trio.Event()

    async def delay(self, way: str) -> None:
        """Wait until something may pass."""
        await trio.lowlevel.checkpoint()
        while way in self._held:
            await self._changed.wait()


@final
class DelayedResource:
    """A resource whose commands arrive late."""

    def __init__(self, hosted: HostedResource, delay: Delay) -> None:
        self._hosted: Final = hosted
        self._delay = delay
        self._send, self._receive = trio.open_memory_channel["Callable[[], object]"](inf)

    async def carry_commands(self) -> None:
        """Deliver commands in their order, each after its delay, until there are no more."""
        with self._receive:
            async for command in self._receive:
                await self._delay(self.name)
                command()

    def end(self) -> None:
        """Take no more commands; those on their way still arrive."""
        self._send.close()

    def _command(self, command: Callable[[], object]) -> None:
        try:
            self._send.send_nowait(command)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            # The monitor has closed: a command arrives nowhere.
            return

    @property
    def name(self) -> str:
        return self._hosted.name

    @property
    def instance(self) -> int:
        return self._hosted.instance

    @property
    def type_info(self) -> ResourceType:
        return self._hosted.type_info

    @property
    def properties_type(self) -> type[Properties]:
        return self._hosted.properties_type

    @property
    def deadlines(self) -> Deadlines:
        return self._hosted.deadlines

    def begin_online(self, generation: int, epoch: int) -> None:
        self._command(lambda: self._hosted.begin_online(generation, epoch))

    def begin_offline(self, generation: int) -> None:
        self._command(lambda: self._hosted.begin_offline(generation))

    def begin_terminate(self, generation: int) -> None:
        self._command(lambda: self._hosted.begin_terminate(generation))

    def fail(self, detail: str, *, epoch: int) -> None:
        self._command(lambda: self._hosted.fail(detail, epoch=epoch))

    def set_maintenance(self, maintenance: bool) -> None:
        self._command(lambda: self._hosted.set_maintenance(maintenance))

    def store_properties(self, stored: Mapping[str, Any]) -> None:
        self._command(lambda: self._hosted.store_properties(stored))

    async def apply_properties(self) -> bool:
        await self._arrive()
        return await self._hosted.apply_properties()

    async def control(self, code: str, argument: Any) -> Any:
        await self._arrive()
        return await self._hosted.control(code, argument)

    def statistics(self) -> ResourceStatistics:
        return self._hosted.statistics()

    async def close(self) -> None:
        with trio.CancelScope(shield=True):
            await self._arrive()
        await self._hosted.close()

    @property
    def is_closed(self) -> bool:
        return self._hosted.is_closed

    async def _arrive(self) -> None:
        """Wait until the commands that were given before have been delivered."""
        arrived = trio.Event()
        self._command(arrived.set)
        await arrived.wait()


@final
class DelayedMonitor:
    """A monitor that is far away."""

    def __init__(
        self,
        monitor: ResourceMonitor,
        nursery: trio.Nursery,
        delay: Delay,
    ) -> None:
        self._monitor = monitor
        self._nursery = nursery
        self._delay = delay
        self.resources: list[DelayedResource] = []

    async def host(
        self,
        name: str,
        handler: HandlerFactory,
        *,
        properties: Mapping[str, Any] | None,
        deadlines: Deadlines | None,
        poll: PollIntervals | None,
    ) -> DelayedResource:
        hosted = await self._monitor.host(
            name, handler, properties=properties, deadlines=deadlines, poll=poll
        )
        resource = DelayedResource(hosted, self._delay)
        self.resources.append(resource)
        self._nursery.start_soon(resource.carry_commands, name=f"commands to {name}")
        return resource


def open_delayed_monitor(delay: Delay) -> OpenMonitor:
    """Open a monitor in this program that answers as if it were far away.

    Args:
        delay: waits as long as the next thing takes to arrive. Its argument is ``"reports"``, or
            the name of the resource to which a command is on its way.
    """

    @asynccontextmanager
    async def open_monitor(
        reports: trio.MemorySendChannel[Report],
    ) -> AsyncGenerator[DelayedMonitor, None]:
        send, receive = trio.open_memory_channel["Report"](inf)
        async with trio.open_nursery() as outer:
            # Reports arrive until the last one has; the monitor closes its end after it.
            await outer.start(_carry_reports, receive, reports, delay)
            async with (
                open_shielded_nursery("commands") as nursery,
                open_monitor_below(send) as monitor,
            ):
                delayed = DelayedMonitor(monitor, nursery, delay)
                try:
                    yield delayed
                finally:
                    for resource in delayed.resources:
                        resource.end()

    return open_monitor


async def _carry_reports(
    receive: trio.MemoryReceiveChannel[Report],
    send: trio.MemorySendChannel[Report],
    delay: Delay,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    with trio.CancelScope(shield=True), receive, send:
        task_status.started()
        async for report in receive:
            await delay("reports")
            send.send_nowait(report)
