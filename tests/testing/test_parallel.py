"""A search divided among processes finds what one process would, and leaves none behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import unittest
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource.testing import Diverged, explore
from trioresource.testing._search.parallel import can_divide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="needs fork()"
)


@pytest.fixture(autouse=True)
def none_left_behind() -> Iterator[None]:
    assert can_divide(), f"other threads: {threading.enumerate()}"
    yield
    assert not multiprocessing.active_children()


async def three_in_order() -> None:
    """Fails if the last of three tasks is the first to go, and the first the last."""
    order: list[int] = []

    async def one(number: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(one, number)
    assert order != [3, 2, 1, 0]


async def holds() -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(trio.lowlevel.checkpoint)


async def in_child(parent: int, act: object) -> None:
    """Do something in another process only."""
    if os.getpid() != parent:
        assert callable(act)
        act()


@pytest.mark.parametrize("strategy", ["auto", "random", "pct:2"])
def test_same_seed_same_finding(strategy: str) -> None:
    found = [
        explore(three_in_order, strategy=strategy, schedules=2000, jobs=jobs, check=False)
        for jobs in (3, 3)
    ]
    assert found[0].failure is not None
    assert found[1].failure is not None
    assert found[0].schedules == found[1].schedules > 1
    assert found[0].found is not None
    assert found[1].found is not None
    assert found[0].found.token == found[1].found.token
    assert found[0].jobs == 3


def test_error_is_raised_and_explained() -> None:
    with pytest.raises(AssertionError) as caught:
        explore(three_in_order, schedules=2000, jobs=2)
    assert "replay: " in "".join(caught.value.__notes__)


def test_all_schedules_run_once_each(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()

    async def logged() -> None:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        await holds()

    result = explore(logged, strategy="random", schedules=50, jobs=3)
    assert (result.schedules, result.jobs, result.failure) == (50, 3, None)
    pids = log.read_text().split()
    here = pids.count(str(os.getpid()))
    # The plain schedule, twice; the search is elsewhere.
    assert here == 2
    assert len(pids) == 51
    assert sorted(pids.count(pid) for pid in dict.fromkeys(pids)) == [2, 16, 16, 17]


def test_what_fails_there_and_passes_here_has_diverged() -> None:
    parent = os.getpid()

    async def scenario() -> None:
        await holds()
        assert os.getpid() == parent

    with pytest.raises(Diverged, match="passed"):
        explore(scenario, jobs=2)


def test_process_that_dies() -> None:
    scenario = partial(in_child, os.getpid(), lambda: os._exit(3))
    with pytest.raises(RuntimeError, match="without a result, with exit code 3"):
        explore(scenario, jobs=2)


def test_signal_to_the_test_runner_comes_through() -> None:
    def skip() -> None:
        raise unittest.SkipTest("not here")

    with pytest.raises(unittest.SkipTest, match="not here"):
        explore(partial(in_child, os.getpid(), skip), jobs=2)


def test_error_that_can_not_be_sent() -> None:
    class LocalInterrupt(BaseException):
        """No other process knows it."""

    def interrupt() -> None:
        raise LocalInterrupt("now")

    with pytest.raises(RuntimeError, match="LocalInterrupt: now") as caught:
        explore(partial(in_child, os.getpid(), interrupt), jobs=2)
    assert "in_child" in "".join(caught.value.__notes__)


def test_interrupt_ends_all() -> None:
    """At whatever moment it comes: here, while others are being started, or have been."""
    parent = os.getpid()

    def interrupt() -> None:
        os.kill(parent, signal.SIGINT)
        signal.pause()

    with pytest.raises(KeyboardInterrupt):
        explore(partial(in_child, parent, interrupt), jobs=2)


def test_one_process_where_the_order_is_fixed() -> None:
    result = explore(holds, strategy="exhaustive", jobs=2)
    assert result.exhausted
    assert result.jobs == 1


def test_one_process_beside_other_threads() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert explore(holds, jobs=2).jobs == 1
    finally:
        done.set()
        thread.join()


def test_number_of_processes_is_checked() -> None:
    with pytest.raises(ValueError, match="jobs: 1 at least, not 0"):
        explore(holds, jobs=0)
