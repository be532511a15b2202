"""A hosting that is far away: commands and reports travel, each for as long as a test says.

In each direction they arrive in the order in which they were sent. All of them arrive: at the
end the monitor takes what is on its way before it closes, and then its last reports are carried.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING

import trio

from tests.lifecycle_model.tapping import HostingThrough, PassedOn
from trioresource._util.nurseries import open_shielded_nursery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.lifecycle_model.observations import Command
    from trioresource._cluster.hosting import Monitor, OpenMonitor
    from trioresource._model.reports import Report

__all__ = ["delayed"]


def delayed(open_monitor: OpenMonitor, delay: Callable[[], Awaitable[object]]) -> OpenMonitor:
    """Put a distance between a cluster and its monitor.

    Args:
        open_monitor: opens the monitor.
        delay: waits as long as the next command or report takes to arrive.
    """

    @asynccontextmanager
    async def open_delayed(
        reports: trio.MemorySendChannel[Report],
    ) -> AsyncGenerator[Monitor, None]:
        up, arriving = trio.open_memory_channel["Report"](inf)
        down, commands = trio.open_memory_channel["Callable[[], object]"](inf)
        all_taken, all_reported = trio.Event(), trio.Event()

        def pass_on(command: Command | None, carry_out: Callable[[], object]) -> None:
            down.send_nowait(carry_out)

        async def arrive() -> None:
            arrived = trio.Event()
            down.send_nowait(arrived.set)
            with trio.CancelScope(shield=True):
                await arrived.wait()

        async with open_shielded_nursery("hosting") as nursery:
            nursery.start_soon(_carry, arriving, reports.send_nowait, delay, all_reported)
            nursery.start_soon(_carry, commands, lambda carry_out: carry_out(), delay, all_taken)
            with reports:
                async with open_monitor(up) as monitor:
                    try:
                        yield HostingThrough(
                            monitor, lambda hosted: PassedOn(hosted, pass_on, arrive=arrive)
                        )
                    finally:
                        down.close()
                        with trio.CancelScope(shield=True):  # bounded by the delays
                            await all_taken.wait()
                with trio.CancelScope(shield=True):  # bounded by the delays
                    await all_reported.wait()

    return open_delayed


async def _carry(
    channel: trio.MemoryReceiveChannel[object],
    deliver: Callable[..., object],
    delay: Callable[[], Awaitable[object]],
    done: trio.Event,
) -> None:
    """Deliver what was sent, in order, each after its delay."""
    try:
        with channel:
            async for sent in channel:
                await delay()
                deliver(sent)
    finally:
        done.set()
