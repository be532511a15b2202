"""Real processes and threads, whose completions are delivered by decisions."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource.testing import Diverged, Schedule, explore, external, no_leaks, replay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def ended(process: trio.Process) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        await process.wait()

    return wait


async def processes() -> None:
    """Four real processes, some of which end within their timeout."""
    outcomes: list[tuple[int, bool]] = []

    async def one(milliseconds: int) -> None:
        command = ["sleep", f"{milliseconds / 1000}"]
        start = functools.partial(trio.lowlevel.open_process, command)
        process = await external(start, what="start", cancellable=False)
        with trio.move_on_after(0.03) as scope:
            await external(process.wait, what="end")
        if scope.cancelled_caught:
            process.kill()
            # Not its status: it may just have ended by itself.
            await external(ended(process), what="end after kill", cancellable=False)
        outcomes.append((milliseconds, scope.cancelled_caught))

    async with no_leaks():
        async with trio.open_nursery() as nursery:
            for milliseconds in (10, 25, 35, 200):
                nursery.start_soon(one, milliseconds)
    assert len(outcomes) == 4


async def threads() -> None:
    order: list[int] = []

    async def one(number: int) -> None:
        await external(
            lambda: trio.to_thread.run_sync(threading.Event().wait, 0.001 * (number % 3)),
            what="thread",
            cancellable=False,
        )
        order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(9):
            nursery.start_soon(one, number)
    assert sorted(order) == list(range(9))


def failing_schedule(seed: int) -> Schedule:
    """A recording of real processes, ended by an error so that it is handed out."""

    async def scenario() -> None:
        await processes()
        raise LookupError

    failure = explore(scenario, seed=seed, check=False).failure
    assert failure is not None
    return failure


@pytest.mark.parametrize("scenario", [processes, threads])
def test_the_outside_is_under_control(scenario: Callable[[], Awaitable[None]]) -> None:
    assert explore(scenario, strategy="random", schedules=4).failure is None


@pytest.mark.parametrize("seed", range(3))
def test_a_replay_of_processes_is_the_recording(seed: int) -> None:
    async def scenario() -> None:
        await processes()
        raise LookupError

    recorded = failing_schedule(seed)
    assert any(text.startswith("<external") for text in recorded.delivered)
    again = replay(scenario, recorded.token, check=False).failure
    assert again is not None
    assert (again.digest, again.delivered) == (recorded.digest, recorded.delivered)


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
    assert all(one.closed is (one not in delivered) for one in connections)


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
