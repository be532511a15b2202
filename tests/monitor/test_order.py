"""Rules 10 and 11: Trio's clock everywhere, and order is never accidental."""

from __future__ import annotations

import gc
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

import trioresource
from trioresource import (
    OnlineScope,
    PollIntervals,
    Report,
    ResourceHandler,
    ResourceState,
    StateChange,
    open_monitor,
)
from trioresource._util.timers import TimerQueue, Timers

from .conftest import Watched

if TYPE_CHECKING:
    from trio.testing import MockClock

RS = ResourceState
SOURCES = sorted(Path(trioresource.__file__).parent.rglob("*.py"))


async def test_six_hours_take_a_moment(autojump_clock: MockClock) -> None:
    class Fine(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            pass

        def looks_alive(self) -> bool:
            return True

    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Fine)
        await hosted.online()
        await trio.sleep(6 * 3600 + 1)
        assert hosted.statistics().looks_alive_polls == 6 * 720


def test_nothing_reads_another_clock() -> None:
    """Real time is for the watchdog, which watches the loop that keeps Trio's time.

    The command line shows wall-clock time to people, and the test kit waits for real
    processes and measures how fast it is.
    """
    pattern = re.compile(r"\btime\.(time|monotonic|perf_counter|sleep)\b|datetime\.now")
    found = [path for path in SOURCES if pattern.search(path.read_text())]
    others = [path.name for path in found if not {"_cli", "testing"} & {*path.parts}]
    assert others == ["watchdog.py"]


async def test_tasks_have_names_that_tell_whose_they_are(autojump_clock: MockClock) -> None:
    names: list[str] = []

    class Named(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            self.note()
            scope.start_soon(self.background)
            scope.start_soon(self.background, name="mine")
            await scope.start(self.started)

        def note(self) -> None:
            names.append(trio.lowlevel.current_task().name)

        async def background(self) -> None:
            self.note()
            await trio.sleep_forever()

        async def started(self, *, task_status: trio.TaskStatus[None]) -> None:
            self.note()
            task_status.started()
            await trio.sleep_forever()

        async def is_alive(self) -> bool:
            self.note()
            return True

        async def control(self, code: str, argument: Any = None) -> None:
            self.note()

    async with open_monitor() as monitor:
        hosted = await monitor.host("db", Named)
        await hosted.online()
        await hosted.control("x")
        await trio.sleep(61)
    prefix = f"{test_tasks_have_names_that_tell_whose_they_are.__name__}.<locals>.Named"
    assert sorted(names) == sorted(
        [
            "db#1",
            f"db#1 {prefix}.background",
            "db#1 mine",
            f"db#1 {prefix}.started",
            "db control",
            "db#1 is_alive",
        ]
    )


SCENARIO = """
import random, sys
import trio, trio.testing
import trio._core._run as run
from trioresource import *

# What is made from here on lies elsewhere in memory, in each process.
ballast = [[object()] * number for number in range(int(sys.argv[2]))]

run._ALLOW_DETERMINISTIC_SCHEDULING = True
run._r = random.Random(int(sys.argv[1]))

class Flaky(ResourceHandler):
    async def online(self, scope):
        scope.start_soon(self.later)
        await trio.sleep(len(self.name) / 10)
    async def later(self):
        await trio.sleep(1)
        if self.name < "r3":
            raise ValueError(self.name)
        await trio.sleep_forever()

async def main():
    async with open_cluster(random=random.Random(1)) as cluster:
        previous = None
        for number in range(8):
            previous = await cluster.add(f"r{number}", Flaky, depends_on=previous and previous.name,
                restart=RestartPolicy(backoff=Backoff(jitter=0.5)))
        await cluster.online()
        await trio.sleep(20)
    for event in cluster.history():
        print(event)

trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
"""


def test_the_same_run_gives_the_same_history_in_every_process() -> None:
    """Also with another hash seed, and other addresses."""
    digests = []
    for hash_seed in ("0", "1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCENARIO, "7", str(100 * int(hash_seed))],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        )
        assert done.stdout.count("RecoveryPlanned") >= 4
        digests.append(hashlib.sha256(done.stdout.encode()).hexdigest())
    assert len(set(digests)) == 1


# --- the clock -------------------------------------------------------------------------


async def test_timers_of_many_lengths_expire_in_order(autojump_clock: MockClock) -> None:
    clock = Timers()
    expired: list[tuple[str, float, float]] = []

    def note(key: str, due: float) -> None:
        expired.append((key, due, trio.current_time()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        await trio.testing.wait_all_tasks_blocked()
        for delay in (3, 1, 2, 1.5):
            clock.queue("test", delay, note).arm(f"after {delay}")
        clock.queue("test", 1, note).arm("also after 1")
        clock.queue("test", float("inf"), note).arm("never")
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert [key for key, _, _ in expired] == [
        "after 1",
        "also after 1",
        "after 1.5",
        "after 2",
        "after 3",
    ]
    assert all(due == now for _, due, now in expired)


async def test_rearmed_and_cleared_timers(autojump_clock: MockClock) -> None:
    clock = Timers()
    expired: list[tuple[str, float]] = []
    lane: TimerQueue[str] = clock.queue("test", 10, lambda key, due: expired.append((key, due)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        lane.arm("cleared")
        lane.arm("again")
        await trio.sleep(5)
        lane.arm("again")
        lane.disarm("cleared")
        lane.disarm("never set")
        lane.arm_if_clear("again")
        lane.arm_if_clear("new")
        await trio.sleep(100)
        lane.arm("late")
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert expired == [("again", 15), ("new", 15), ("late", 115)]
    assert len(lane) == 0


async def test_timers_on_a_grain_expire_together(autojump_clock: MockClock) -> None:
    clock = Timers()
    expired: list[tuple[int, float]] = []
    lane: TimerQueue[int] = clock.queue(
        "test", 8, lambda key, due: expired.append((key, due)), grain=0.5
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        for number in range(8):
            lane.arm(number)
            await trio.sleep(0.1)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert expired == [(0, 8), *((number, 8.5) for number in range(1, 6)), (6, 9), (7, 9)]


async def test_turns_that_were_missed_are_left_out(autojump_clock: MockClock) -> None:
    clock = Timers()
    polls: list[float] = []

    def poll(key: str, due: float) -> None:
        polls.append(due)
        if len(polls) == 2:
            # The loop was held up for two and a half turns.
            autojump_clock.jump(2.5)
        lane.arm_after(key, due)

    lane = clock.queue("poll", 1, poll)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        lane.arm("one")
        await trio.sleep(6.6)
        nursery.cancel_scope.cancel()
    assert polls == [1, 2, 5.5, 6.5]


async def test_a_burst_of_timers_lets_others_have_a_turn(autojump_clock: MockClock) -> None:
    clock = Timers()
    expired: list[int] = []
    lane: TimerQueue[int] = clock.queue("burst", 1, lambda key, _: expired.append(key))
    seen: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        for number in range(2000):
            lane.arm(number)
        await trio.sleep(1)
        while len(expired) < 2000:
            seen.append(len(expired))
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert expired == list(range(2000))
    assert len(seen) >= 5


@pytest.mark.parametrize("count", [5000])
async def test_thousands_that_start_at_once_are_all_answered(count: int) -> None:
    """Starting is paced, so that those who wait get their answer meanwhile."""

    class Slow(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            await trio.sleep(60)

    async with open_monitor() as monitor:
        hosted = [await monitor.host(f"r{number}", Slow) for number in range(count)]
        answers: list[ResourceState] = []

        async def online(number: int) -> None:
            answers.append(await hosted[number].online())

        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(online, number)
        assert answers == [RS.ONLINE_PENDING] * count


async def test_the_garbage_collector_is_the_programs_own(autojump_clock: MockClock) -> None:
    """Rule 12: also a burst of starts changes nothing that belongs to the whole process."""
    before = (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count())
    async with open_monitor() as monitor:
        hosted = [await monitor.host(f"r{number}", Watched) for number in range(600)]
        for one in hosted:
            one.begin_online()
        assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before
        for one in hosted:
            await one.wait_state(RS.ONLINE)
        assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before


async def test_a_backlogged_attempt_can_be_terminated(autojump_clock: MockClock) -> None:
    begun: list[str] = []

    class Notes(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            begun.append(self.name)

    async with open_monitor() as monitor:
        hosted = [await monitor.host(f"r{number}", Notes) for number in range(100)]
        for one in hosted:
            one.begin_online()
        await hosted[90].terminate()
        assert hosted[90].state is RS.OFFLINE
        await trio.testing.wait_all_tasks_blocked()
    assert len(begun) == 99
    assert "r90" not in begun


async def test_polls_of_many_resources_come_in_the_order_of_coming_online(
    autojump_clock: MockClock,
) -> None:
    polled: list[str] = []

    class Polled(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            pass

        def looks_alive(self) -> bool:
            polled.append(self.name)
            return True

    order: list[str] = []
    async with open_monitor() as monitor:
        for number in (3, 1, 2, 0):
            hosted = await monitor.host(f"r{number}", Polled, poll=PollIntervals(looks_alive=1))
            await hosted.online()
        await trio.sleep(3.5)
        while True:
            try:
                report: Report = monitor.reports.receive_nowait()
            except trio.WouldBlock:
                break
            if isinstance(report, StateChange) and report.new is RS.ONLINE:
                order.append(report.resource)
    assert order == ["r3", "r1", "r2", "r0"]
    assert polled == order * 3
