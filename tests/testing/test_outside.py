"""What is awaited outside of Trio: its completion is delivered by a decision, or given up.

``determinism.outside`` has programs with real processes and threads.
"""

from __future__ import annotations

import threading
from typing import Final

import pytest
import trio

from trioresource.testing import (
    Diverged,
    Leaked,
    Uncontrolled,
    always,
    explore,
    external,
    no_leaks,
    replay,
)

BOUND: Final = 0.05
"""Instead of 30 s, for waits that do not end when they are cancelled."""


async def test_without_an_exploration_it_is_a_plain_wait() -> None:
    async def answer() -> int:
        await trio.lowlevel.checkpoint()
        return 42

    assert await external(answer) == 42


def test_an_error_outside_is_delivered() -> None:
    async def fail() -> None:
        raise ConnectionRefusedError

    async def scenario() -> None:
        with pytest.raises(ConnectionRefusedError):
            await external(fail)

    explore(scenario, schedules=3)


def test_a_cancelled_wait_ends_at_once_and_for_good() -> None:
    ended = threading.Event()

    async def wait() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async def scenario() -> None:
        ended.clear()
        async with no_leaks():
            with trio.move_on_after(1) as scope:
                await external(wait)
            assert scope.cancelled_caught
        assert ended.is_set()

    explore(scenario, schedules=2)


def test_what_comes_and_nobody_gets_is_closed() -> None:
    class Connection(trio.abc.AsyncResource):
        closed = False

        async def aclose(self) -> None:
            self.closed = True

    connections: list[Connection] = []
    delivered: list[Connection] = []

    async def connect() -> Connection:
        connections.append(Connection())
        return connections[-1]

    async def scenario() -> None:
        async def use() -> None:
            delivered.append(await external(connect))

        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(use)
                # It has come, and is not delivered, as long as others go.
                for _ in range(20):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        await trio.sleep(1)

    explore(scenario, strategy="random", schedules=20)
    assert 0 < len(delivered) < len(connections)
    assert all(connection.closed is (connection not in delivered) for connection in connections)


def test_another_content_is_not_a_replay() -> None:
    answers = iter(range(1000))

    async def answer() -> int:
        return next(answers)

    async def scenario() -> None:
        await external(answer, what="answer")

    with pytest.raises(
        Diverged, match=r"completion 1 was <external main: answer>: 0, and then .*1"
    ):
        explore(scenario)


def test_a_wait_that_can_not_be_cancelled_has_its_result_delivered() -> None:
    async def scenario() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            assert await external(answer, cancellable=False) == 1
        assert not scope.cancelled_caught

    async def answer() -> int:
        return 1

    explore(scenario, schedules=3)


# -- waits that go on though they were given up


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trioresource.testing._scheduling.external_waits.GIVE_UP_AFTER", BOUND)


@pytest.mark.usefixtures("short")
def test_a_thread_that_never_ends_holds_up_nothing() -> None:
    never = threading.Event()

    async def scenario() -> None:
        with trio.move_on_after(0.01):
            await external(lambda: trio.to_thread.run_sync(never.wait), what="a thread")

    try:
        with pytest.raises(Leaked, match=r"^<external main: a thread> goes on, 0.05 s after canc"):
            explore(scenario)
    finally:
        # Each schedule had one.
        never.set()


@pytest.mark.usefixtures("short")
def test_what_failed_before_is_not_hidden() -> None:
    never = threading.Event()

    async def scenario() -> None:
        with trio.move_on_after(0.01):
            await external(lambda: trio.to_thread.run_sync(never.wait), what="a thread")
        raise ValueError("this first")

    try:
        with pytest.raises(ValueError, match="this first") as caught:
            explore(scenario)
    finally:
        never.set()
    assert caught.value.__notes__[0].startswith("<external main: a thread> goes on")


def test_after_a_thread_out_of_control_a_shield_holds_up_nothing() -> None:
    async def behind_shield() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(behind_shield)
            await trio.to_thread.run_sync(str)

    with pytest.raises(Uncontrolled):
        explore(scenario)


@pytest.mark.usefixtures("short")
def test_a_thread_that_ends_in_time_is_no_finding() -> None:
    threads: list[threading.Event] = []

    async def scenario() -> None:
        end = threading.Event()
        threads.append(end)
        try:
            with trio.move_on_after(0.01):
                await external(lambda: trio.to_thread.run_sync(end.wait))
        finally:
            end.set()

    assert explore(scenario, schedules=3).failure is None
    assert len(threads) == 4


@pytest.mark.usefixtures("short")
def test_a_thread_that_may_be_abandoned_is_no_finding() -> None:
    never = threading.Event()

    async def wait() -> None:
        await trio.to_thread.run_sync(never.wait, abandon_on_cancel=True)

    async def scenario() -> None:
        with trio.move_on_after(0.01):
            await external(wait)

    try:
        assert explore(scenario, schedules=3).failure is None
    finally:
        never.set()


@pytest.mark.usefixtures("short")
def test_waits_behind_shields_end_by_force() -> None:
    """With tasks of their own, one of which waits once more, and with a clock of their own."""
    ends: list[str] = []

    async def clings(name: str) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                try:
                    await trio.sleep_forever()
                finally:
                    ends.append(name)

    async def polls() -> None:
        while True:  # noqa: ASYNC110 - its deadlines are what this is about
            await trio.sleep(BOUND)

    async def wait() -> None:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(clings, "first")
                nursery.start_soon(clings, "second")
                nursery.start_soon(polls)

    async def scenario() -> None:
        ends.clear()
        async with no_leaks():
            with trio.move_on_after(0.01):
                await external(wait, what="shielded")

    with pytest.raises(Leaked, match=r"^<external main: shielded> goes on") as caught:
        explore(scenario)
    assert sorted(ends) == ["first", "second"]
    # Each try would take as long as the bound.
    assert "shrunk" not in "".join(caught.value.__notes__)


@pytest.mark.usefixtures("short")
def test_a_schedule_that_had_failed_keeps_its_error() -> None:
    async def shielded() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(external, shielded)
            await trio.sleep(0.01)
            always(lambda: False, "a rule")
            await trio.lowlevel.checkpoint()

    failure = explore(scenario, check=False).failure
    assert failure is not None
    assert failure.error is not None
    assert str(failure.error) == "a rule: does not hold"
    assert any("goes on, 0.05 s after" in note for note in failure.error.__notes__)
    again = replay(scenario, failure.token, check=False).failure
    assert again is not None
    assert again.delivered == failure.delivered
