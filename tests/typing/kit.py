"""What users of the test kit write. Only mypy and pyright read it: it need not run."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, assert_type

import pytest
import trio
from hypothesis import strategies as st

from trioresource import NoProperties, OnlineScope, ResourceHandler, ResourceState
from trioresource.testing import (
    ConformanceReport,
    Deadlock,
    Exploration,
    HandlerConformance,
    always,
    cancellable,
    check_handler,
    choose,
    explore,
    explored,
    no_leaks,
    replay,
    simulated_cluster,
)
from trioresource.testing.hypothesis import explored_workload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Handler(ResourceHandler[NoProperties]):
    async def online(self, scope: OnlineScope) -> int:
        return 1


async def scenario() -> None:
    assert_type(choose([1, 2, 3]), int)
    assert_type(choose(["a", "b"]), str)
    always(lambda: True, "holds")
    with cancellable() as scope:
        assert_type(scope, trio.CancelScope)
    async with no_leaks():
        await trio.sleep(1)


def use_the_kit() -> None:
    found = explore(scenario, schedules=100, cancel=True)
    assert_type(found, Exploration)
    assert_type(replay(scenario, "token"), Exploration)
    with pytest.raises(Deadlock):
        explore(scenario)


@explored
async def test_plain() -> None:
    await scenario()


@explored(schedules=10)
async def test_with_options(tmp_path: str) -> None:
    await scenario()


@explored_workload(st.lists(st.integers()), schedules=10)
async def test_workload(numbers: list[int]) -> None:
    assert_type(numbers, list[int])
    await scenario()


def call_them() -> None:
    test_plain()
    test_with_options("x")
    test_workload()


async def operate(pool: int) -> None:
    await trio.sleep(1)


@asynccontextmanager
async def surroundings() -> AsyncGenerator[int, None]:
    yield 1


async def simulate() -> None:
    async with simulated_cluster() as simulation:
        resource = await simulation.add("db", Handler)
        assert_type(await resource.online(), ResourceState)
        simulation.faults.fail("db", "online")


class TestHandler(HandlerConformance):
    # This project asks mypy for one check more than --strict does, and ruff for another one.
    handler = Handler  # type: ignore[mutable-override]
    properties = {"size": 1}  # type: ignore[mutable-override]  # noqa: RUF012


def check() -> None:
    report = check_handler(Handler, schedules=5)
    assert_type(report, ConformanceReport)
    assert_type(report.passed, bool)
