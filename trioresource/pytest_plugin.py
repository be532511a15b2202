"""The pytest plugin: options, marker and memory for tests that explore schedules.

It is loaded into every run of pytest where trioresource is installed, so it imports
nothing of the kit before a test needs it.
"""

from __future__ import annotations

import os
import shlex
import sys
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractAsyncContextManager

    from .testing._simulation import SimulatedCluster

__all__: list[str] = []

_FAILED_BEFORE: Final = "trioresource/schedules"
_REMEMBERED: Final = 5
"""Schedules remembered of one test."""
_EXPLORED: Final = "_trioresource_explored"
_MARKER: Final = (
    "explored(**options): run an async test in many schedules; the options are those of"
    " trioresource.testing.explore()"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; what they say holds over what a test says."""
    group = parser.getgroup("trioresource", "schedules of Trio tasks (trioresource)")
    group.addoption(
        "--schedules", type=int, metavar="N", help="how many schedules an exploration runs at most"
    )
    group.addoption(
        "--schedule",
        metavar="TOKEN",
        help="run this one schedule only, as the report of a failure says it",
    )
    group.addoption(
        "--schedule-seed", type=int, metavar="SEED", help="what schedules are drawn from"
    )
    group.addoption(
        "--schedule-strategy",
        metavar="NAME",
        help="how schedules are chosen: auto, random, pos, pct:DEPTH, urw, exhaustive[:N], fifo",
    )
    group.addoption(
        "--schedule-jobs", type=int, metavar="N", help="how many processes share an exploration"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and refuse options that mean nothing."""
    config.addinivalue_line("markers", _MARKER)
    for option in ("schedules", "schedule_jobs"):
        number = config.getoption(option)
        if number is not None and number < 1:
            name = option.replace("_", "-")
            raise pytest.UsageError(f"--{name}: 1 at least, not {number}")
    strategy, token = config.getoption("schedule_strategy"), config.getoption("schedule")
    if strategy is None and token is None:
        return
    from .testing._report.tokens import decode
    from .testing._search.portfolio import make_strategy

    for option, value, check in (
        ("--schedule-strategy", strategy, lambda name: make_strategy(name, 0)),
        ("--schedule", token, decode),
    ):
        try:
            if value is not None:
                check(value)
        except ValueError as error:
            raise pytest.UsageError(f"{option}: {error}") from None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Warn of the one thing that a replay depends on and can not set."""
    if (
        config.getoption("schedule") is None
        or os.environ.get("PYTHONHASHSEED", "random") != "random"
    ):
        return None
    return (
        "schedule: PYTHONHASHSEED is random, so a schedule in which the order of a set of"
        " strings matters may come out differently"
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """A marked test becomes one that explores."""
    marker = item.get_closest_marker("explored")
    if marker is None or not isinstance(item, pytest.Function):
        return
    if not iscoroutinefunction(item.obj):
        if not hasattr(item.obj, _EXPLORED):
            raise pytest.UsageError(f"{item.nodeid}: marked as explored, and no async function")
        return
    if marker.args:
        raise pytest.UsageError(f"{item.nodeid}: explored() takes options by name only")
    from .testing import explored

    item.obj = explored(**marker.kwargs)(item.obj)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse fixtures that would be of the first schedule and seen by all others."""
    if not isinstance(item, pytest.Function) or not _explores(item.obj):
        return
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():
        function = definitions[-1].func
        if iscoroutinefunction(function) or isasyncgenfunction(function) or name == "nursery":
            pytest.fail(
                f"{item.name} explores many schedules, and fixture {name!r} is async: it would"
                " be set up once, for the first schedule only. Make it an async context"
                f" manager, and open it inside the test: async with {name}() as ...",
                pytrace=False,
            )


def _explores(test: Callable[..., Any]) -> bool:
    inner = getattr(getattr(test, "hypothesis", None), "inner_test", test)
    return hasattr(inner, _EXPLORED)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Tell the explorations of a test what holds, and remember what they find."""
    if "trioresource.testing" not in sys.modules:
        return (yield)
    from .testing._scheduling.overrides import Overrides, overridden

    memory = _Memory(item)
    option = item.config.getoption
    over = Overrides(
        schedules=option("schedules"),
        strategy=option("schedule_strategy"),
        seed=option("schedule_seed"),
        jobs=option("schedule_jobs"),
        token=option("schedule"),
        failed_before=memory.tokens,
        command=lambda token: f"pytest {shlex.quote(item.nodeid)} --schedule={token}",
        explored=memory.explored,
    )
    with overridden(over):
        try:
            result = yield
        except BaseException:
            memory.close(failed=True)
            raise
        memory.close(failed=False)
        return result


@pytest.fixture
def simulated_cluster() -> Callable[..., AbstractAsyncContextManager[SimulatedCluster]]:
    """Opens a cluster that is recorded, and whose handlers can be made to go wrong.

    Time is virtual in a test that explores. In one that pytest-trio runs, ask for virtual
    time by its ``autojump_clock``::

        async def test_recovery(simulated_cluster, autojump_clock):
            async with simulated_cluster() as simulated:
                resource = await simulated.add("db", Database)
                simulated.faults.fail("db", "is_alive")
    """
    from .testing._simulation import simulated_cluster

    return simulated_cluster


class _Memory:
    """What the explorations of one test have found, in this run and before."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._cache = getattr(item.config, "cache", None)
        self.tokens: Final = tuple(self._all().get(item.nodeid, []))
        self._failed: list[str] = []
        self._summaries: list[str] = []

    def _all(self) -> dict[str, list[str]]:
        found = self._cache.get(_FAILED_BEFORE, {}) if self._cache is not None else {}
        return found if isinstance(found, dict) else {}

    def explored(self, summary: str, token: str | None) -> None:
        """An exploration has ended."""
        self._summaries.append(summary)
        if token is not None:
            self._failed.append(token)

    def close(self, *, failed: bool) -> None:
        """The test has ended: what made it fail is remembered, until it passes.

        Args:
            failed: whether it failed. A test may also expect an exploration to fail.
        """
        if not self._summaries:
            return
        self._item.add_report_section("call", "schedules", "\n".join(self._summaries))
        if self._cache is None or self._item.config.getoption("schedule") is not None:
            return
        known = self._all()
        before = known.pop(self._item.nodeid, [])
        if failed and self._failed:
            known[self._item.nodeid] = list(dict.fromkeys(self._failed + before))[:_REMEMBERED]
        if known.get(self._item.nodeid, []) != before:
            self._cache.set(_FAILED_BEFORE, known)
