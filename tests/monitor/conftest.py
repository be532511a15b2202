from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from trioresource import (
    FailureReport,
    OnlineScope,
    Report,
    ResourceHandler,
    ResourceMonitor,
    StateChange,
    open_monitor,
)
from trioresource._model.states import is_legal

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


class Watched(ResourceHandler[Any]):
    """Answers checks as it is told, and counts them."""

    def __init__(self) -> None:
        self.looks: bool | Exception = True
        self.alive: bool | Exception = True
        self.looked: list[float] = []
        self.asked: list[float] = []
        self.seconds = 0.0

    async def online(self, scope: OnlineScope) -> OnlineScope:
        return scope

    def looks_alive(self) -> bool:
        self.looked.append(trio.current_time())
        return answer(self.looks)

    async def is_alive(self) -> bool:
        self.asked.append(trio.current_time())
        await trio.sleep(self.seconds)
        return answer(self.alive)


def answer(told: bool | Exception) -> bool:
    if isinstance(told, Exception):
        raise told
    return told


def failures(reports: list[Report]) -> list[FailureReport]:
    return [report for report in reports if isinstance(report, FailureReport)]


async def start(monitor: ResourceMonitor, **options: Any) -> tuple[Any, Watched]:
    hosted = await monitor.host("r", Watched, **options)
    await hosted.online()
    assert isinstance(hosted.handler, Watched)
    return hosted, hosted.handler


class Recorder(ResourceHandler[Any]):
    """Notes what happens to it; each entry point takes the time it is given."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.events: list[str] = []

    async def step(self, name: str) -> None:
        self.events.append(name)
        try:
            await trio.sleep(self.seconds.get(name, 0))
        except trio.Cancelled:
            self.events.append(f"{name} cancelled")
            raise

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            with trio.move_on_after(1, shield=True):
                await trio.sleep(self.seconds.get("leave", 0))
            self.events.append("left")

    async def open(self) -> None:
        await self.step("open")

    async def online(self, scope: OnlineScope) -> None:
        await scope.enter(self.held())
        await self.step("online")

    async def offline(self, scope: OnlineScope) -> None:
        await self.step("offline")

    async def is_alive(self) -> bool:
        await self.step("is_alive")
        return True

    async def control(self, code: str, argument: Any = None) -> str:
        await self.step("control")
        return "done"

    async def terminate(self) -> None:
        await self.step("terminate")

    async def close(self) -> None:
        await self.step("close")


def recorder(hosted: Any) -> Recorder:
    assert isinstance(hosted.handler, Recorder)
    return hosted.handler


class SlowToEnd(ResourceHandler[Any]):
    """Takes a second to terminate and a second to close."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def online(self, scope: OnlineScope) -> OnlineScope:
        self.events.append("late online" if scope.terminated else "online")
        return scope

    async def offline(self, scope: OnlineScope) -> None:
        self.events.append("offline")

    async def control(self, code: str, argument: Any = None) -> None:
        await trio.sleep(float(code))

    async def terminate(self) -> None:
        await trio.sleep(1)
        self.events.append("terminate")

    async def close(self) -> None:
        self.events.append("close")
        await trio.sleep(1)
        self.events.append("closed")


async def cling(seconds: float = 10_000) -> None:
    """What can not be cancelled, like a thread."""
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)
