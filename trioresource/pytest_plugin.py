"""The pytest plugin: options, a marker and a cache for tests that explore schedules.

Pytest loads it in every run where trioresource is installed, so it imports nothing of the
package, and not Trio either, before a test needs them.
"""

from __future__ import annotations

import os
import shlex
import sys
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractAsyncContextManager

    from .testing import SimulatedCluster

_CACHE_KEY: Final = "trioresource/schedules"
_REMEMBERED: Final = 5
"""Failed schedules kept of one test; each of them runs before every search."""
_EXPLORED: Final = "_trioresource_explored"
_MARKER: Final = (
    "explored(**options): run an async test in many schedules; the options are those of"
    " trioresource.testing.explore()"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, which win over what a test says."""
    group = parser.getgroup("trioresource", "schedules of Trio tasks (trioresource)")
    group.addoption(
        "--schedules",
        type=int,
        metavar="N",
        help="how many schedules an exploration runs at most",
    )
    group.addoption(
        "--schedule",
        metavar="TOKEN",
        help="run only this schedule; the report of a failure names the token",
    )
    group.addoption("--schedule-seed", type=int, metavar="SEED", help="the seed of the schedules")
    group.addoption(
        "--schedule-strategy",
        metavar="NAME",
        help="what chooses the schedules: auto, random, pos, pct:DEPTH, urw, exhaustive[:N], fifo",
    )
    group.addoption(
        "--schedule-jobs",
        type=int,
        metavar="N",
        help="how many processes share an exploration",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and refuse options that are wrong."""
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
    """Warn of a random hash seed, on which a replay may depend and which it cannot set."""
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
    """Let a marked test explore schedules."""
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
    """Refuse async fixtures, which would belong to the first schedule and be seen by all."""
    if not isinstance(item, pytest.Function) or not _explores(item.obj):
        return
    # Private to pytest, which has no public way to tell the fixtures of a test before they are
    # set up. The hook for their set-up comes too late: one of a module may have been set up by
    # another test.
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():
        function = definitions[-1].func
        if iscoroutinefunction(function) or isasyncgenfunction(function) or name == "nursery":
            pytest.fail(
                f"{item.name} explores many schedules, and fixture {name!r} is async: it would"
                " be set up once, for the first schedule only. Make it an async context"
                f" manager, and open it inside the test: async with {name}() as ...",
                pytrace=False,
            )


def _explores(test: object) -> bool:
    inner = getattr(getattr(test, "hypothesis", None), "inner_test", test)
    return hasattr(inner, _EXPLORED)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Apply the options to the explorations of a test, and remember what fails in them."""
    if "trioresource.testing" not in sys.modules:
        # The test cannot explore: whatever it explores with has imported the kit.
        return (yield)
    from .testing._scheduling.overrides import Overrides, overridden

    failed_schedules = _FailedSchedules(item)
    option = item.config.getoption
    over = Overrides(
        schedules=option("schedules"),
        strategy=option("schedule_strategy"),
        seed=option("schedule_seed"),
        jobs=option("schedule_jobs"),
        token=option("schedule"),
        failed_before=failed_schedules.tokens,
        command=lambda token: f"pytest {shlex.quote(item.nodeid)} --schedule={token}",
        explored=failed_schedules.explored,
    )
    with overridden(over):
        try:
            result = yield
        except BaseException:
            failed_schedules.close(failed=True)
            raise
        failed_schedules.close(failed=False)
        return result


@pytest.fixture
def simulated_cluster() -> Callable[..., AbstractAsyncContextManager[SimulatedCluster]]:
    """Open a cluster that records its events, and whose handlers can be made to go wrong.

    In a test that explores, time is virtual. In a test that pytest-trio runs, use its
    ``autojump_clock`` for virtual time:

    ```python
    async def test_recovery(simulated_cluster, autojump_clock):
        async with simulated_cluster() as simulated:
            resource = await simulated.add("db", Database)
            simulated.faults.fail("db", "is_alive")
    ```
    """
    from .testing import simulated_cluster

    return simulated_cluster


class _FailedSchedules:
    """The schedules of one test that failed, in this run of pytest and before."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._cache = getattr(item.config, "cache", None)
        self.tokens: Final = tuple(self._all().get(item.nodeid, []))
        self._failed: list[str] = []
        self._summaries: list[str] = []

    def _all(self) -> dict[str, list[str]]:
        found = self._cache.get(_CACHE_KEY, {}) if self._cache is not None else {}
        return found if isinstance(found, dict) else {}

    def explored(self, summary: str, token: str | None) -> None:
        """Note that an exploration has ended; ``token`` is that of its failure."""
        self._summaries.append(summary)
        if token is not None:
            self._failed.append(token)

    def close(self, *, failed: bool) -> None:
        """Store the schedules that made the test fail; forget them when the test passes.

        Args:
            failed: whether the test failed. A test may expect its exploration to fail.
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
            self._cache.set(_CACHE_KEY, known)
