from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading

import pytest
import trio

from trioresource import StateChange, open_monitor, service
from trioresource.testing import FakeProcess, Leaked, explore, no_leaks


async def test_a_task() -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(Leaked, match=r"task .*sleep_forever"):
            with no_leaks():
                nursery.start_soon(trio.sleep_forever)
        nursery.cancel_scope.cancel()


def test_a_descriptor() -> None:
    with contextlib.ExitStack() as stack, pytest.raises(Leaked, match=r"descriptor \d+ \(pipe"):
        with no_leaks():
            for descriptor in os.pipe():
                stack.callback(os.close, descriptor)


def test_a_process() -> None:
    started = []
    with pytest.raises(Leaked, match=r"process \d+ \(sleep 60 ?\)"):
        with no_leaks():
            started.append(subprocess.Popen(["sleep", "60"]))
    started[0].kill()
    started[0].wait()


def test_a_thread() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="left-behind")
    with pytest.raises(Leaked, match="thread left-behind"):
        with no_leaks():
            thread.start()
    done.set()
    thread.join()


async def test_a_channel() -> None:
    kept = []
    with pytest.raises(Leaked, match="open MemoryReceiveChannel"):
        with no_leaks():
            send, receive = trio.open_memory_channel[int](0)
            kept.append(receive)
            send.close()
    kept[0].close()
    with no_leaks():
        send, receive = trio.open_memory_channel[int](0)
        with send, receive:
            pass


async def test_a_thread_that_trio_keeps_does_not_count() -> None:
    with no_leaks():
        await trio.to_thread.run_sync(int)


async def test_a_call_in_a_thread_that_goes_on() -> None:
    done = threading.Event()
    with pytest.raises(Leaked, match="thread wait from"):
        with no_leaks():
            with trio.move_on_after(0.01):
                await trio.to_thread.run_sync(done.wait, abandon_on_cancel=True)
    done.set()


def test_nothing_hides_an_error_of_the_block() -> None:
    with contextlib.ExitStack() as stack, pytest.raises(LookupError):
        with no_leaks():
            for descriptor in os.pipe():
                stack.callback(os.close, descriptor)
            raise LookupError


def test_all_leaks_are_named_at_once() -> None:
    async def scenario() -> None:
        channels: list[object] = []
        async with trio.open_nursery() as nursery:
            with no_leaks():
                nursery.start_soon(trio.sleep, 1)
                FakeProcess(runs_for=2)
                channels += trio.open_memory_channel[int](0)

    expected = (
        r"left behind: task .*sleep; fake process 1000;"
        r" open Memory\w+Channel; open Memory\w+Channel$"
    )
    with pytest.RaisesGroup(pytest.RaisesExc(Leaked, match=expected)):
        explore(scenario)


def test_schedules_do_not_see_each_others_channels() -> None:
    kept: list[object] = []

    async def scenario() -> None:
        with no_leaks():
            send, receive = trio.open_memory_channel[int](1)
            kept.append((send, receive))
            with send, receive:
                await send.send(1)

    assert explore(scenario, schedules=30).schedules == 30


class TestFakeProcess:
    async def test_it_ends_by_itself(self, autojump_clock: trio.testing.MockClock) -> None:
        process = FakeProcess(runs_for=5, exit_code=3)
        assert process.returncode is None
        assert await process.wait() == 3
        assert trio.current_time() - 5 == pytest.approx(0)
        assert process.poll() == 3

    async def test_a_signal_ends_it(self, autojump_clock: trio.testing.MockClock) -> None:
        process = FakeProcess(stops_in=2)
        process.terminate()
        assert process.returncode is None
        assert await process.wait() == -signal.SIGTERM
        assert trio.current_time() == pytest.approx(2)

    async def test_it_may_ignore_all_but_one(self, autojump_clock: trio.testing.MockClock) -> None:
        process = FakeProcess(ignores=(signal.SIGTERM, signal.SIGKILL))
        process.terminate()
        with trio.move_on_after(1000) as scope:
            await process.wait()
        assert scope.cancelled_caught
        process.kill()
        assert process.returncode == -signal.SIGKILL

    async def test_it_may_crash(self, autojump_clock: trio.testing.MockClock) -> None:
        process = FakeProcess()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(process.wait)
            await trio.testing.wait_all_tasks_blocked()
            process.crash(7)
        assert process.returncode == 7
        process.crash(8)
        process.kill()
        assert process.returncode == 7

    async def test_its_start_may_fail(self, autojump_clock: trio.testing.MockClock) -> None:
        with pytest.raises(FileNotFoundError):
            await FakeProcess.start(takes=1, fails=FileNotFoundError("no such program"))
        assert trio.current_time() == pytest.approx(1)


@pytest.mark.parametrize("closes", [True, False])
def test_the_reports_of_a_monitor_are_for_the_reader_to_close(closes: bool) -> None:
    """They can be read when the monitor has ended, so that the monitor cannot close them."""

    async def scenario() -> None:
        async with no_leaks():
            async with open_monitor() as monitor:
                await monitor.host("r", service(trio.sleep_forever))
            reports = monitor.reports
            with reports if closes else contextlib.nullcontext():
                assert [type(report) async for report in reports] == [StateChange]

    if closes:
        assert explore(scenario, schedules=3).failure is None
    else:
        with pytest.raises(Leaked, match=r"^left behind: open MemoryReceiveChannel\n"):
            explore(scenario)
