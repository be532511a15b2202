"""What the kit finds by itself, and what it passes on."""

from __future__ import annotations

import random
import unittest

import pytest
import trio
import trio.lowlevel
import trio.testing

from trioresource.testing import Deadlock, Diverged, Livelock, Uncontrolled, explore


async def opposite_order() -> None:
    left, right = trio.Lock(), trio.Lock()

    async def take(first: trio.Lock, second: trio.Lock) -> None:
        async with first:
            async with second:
                pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, left, right)
        nursery.start_soon(take, right, left)


def test_a_deadlock_shows_where_each_task_waits() -> None:
    with pytest.raises(Deadlock) as caught:
        explore(opposite_order)
    notes = "\n".join(caught.value.__notes__)
    assert "main/take waits: take (test_findings.py:" in notes
    assert "main/take#1 waits: take (test_findings.py:" in notes


def test_a_deadlock_that_cancellation_does_not_end() -> None:
    async def scenario() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    with pytest.raises(Deadlock):
        explore(scenario)


def test_a_livelock() -> None:
    async def scenario() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    with pytest.raises(Livelock, match="no end after 100 steps"):
        explore(scenario, max_steps=100)


def test_state_that_outlives_a_schedule_is_found() -> None:
    calls = []

    async def scenario() -> None:
        calls.append(1)
        for _ in calls:
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()

    with pytest.raises(Diverged, match=r"step \d+ was .*state that outlives a schedule"):
        explore(scenario)


def test_randomness_without_a_seed_is_found() -> None:
    async def scenario() -> None:
        await trio.sleep(random.random())
        for _ in range(random.randrange(100)):
            await trio.lowlevel.checkpoint()

    with pytest.raises(Diverged):
        for _ in range(5):
            explore(scenario, schedules=2)


def test_a_thread_is_fenced_off() -> None:
    async def scenario() -> None:
        await trio.to_thread.run_sync(int)

    with pytest.raises(Uncontrolled, match=r"main waits for a thread.*Wrap that wait in external"):
        explore(scenario)


def test_a_socket_is_fenced_off() -> None:
    async def scenario() -> None:
        left, right = trio.socket.socketpair()
        with left, right:
            await left.recv(1)

    with pytest.raises(Uncontrolled, match="main waits for a descriptor, outside of Trio"):
        explore(scenario)


def test_an_error_in_the_strategy_is_not_lost() -> None:
    class Broken:
        def begin(self) -> bool:
            return True

        def pick(self, keys: object, last: object) -> int:
            raise ZeroDivisionError("a strategy's own mistake")

        def choose(self, count: int) -> int:
            return 0

        def end(self, picks: object, failed: bool) -> None: ...

    with pytest.raises(ZeroDivisionError, match="a strategy's own mistake"):
        explore(two_increments_that_pass, strategy=Broken())


async def two_increments_that_pass() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.lowlevel.checkpoint)
        nursery.start_soon(trio.lowlevel.checkpoint)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, unittest.SkipTest])
def test_an_interruption_is_no_finding(error: type[BaseException]) -> None:
    calls = []

    async def scenario() -> None:
        calls.append(1)
        await trio.lowlevel.checkpoint()
        raise error

    with pytest.raises(error) as caught:
        explore(scenario)
    assert len(calls) == 1
    assert not getattr(caught.value, "__notes__", [])


def test_an_error_in_a_nursery_stays_a_group() -> None:
    async def fail() -> None:
        raise LookupError("gone")

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            await trio.sleep(1)

    with pytest.RaisesGroup(LookupError):
        explore(scenario)
