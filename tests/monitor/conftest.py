from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import pytest
import trio

from trioresource import Report, ResourceMonitor, open_monitor
from trioresource.model.reports import StateChange
from trioresource.model.states import is_legal

Drain = Callable[[], list[Report]]


@pytest.fixture
async def monitor() -> AsyncGenerator[ResourceMonitor, None]:
    """A monitor; a test that also names ``autojump_clock`` has it under virtual time."""
    async with open_monitor() as monitor:
        yield monitor


@pytest.fixture
async def drain(monitor: ResourceMonitor) -> AsyncGenerator[Drain, None]:
    """Takes the reports that have come so far; at the end, all state changes were legal."""
    seen: list[Report] = []

    def take() -> list[Report]:
        new: list[Report] = []
        while True:
            try:
                new.append(monitor.reports.receive_nowait())
            except trio.WouldBlock:
                seen.extend(new)
                return new

    yield take
    take()
    for report in seen:
        if isinstance(report, StateChange):
            assert is_legal(report.old, report.new), report
