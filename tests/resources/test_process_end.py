"""How a process ends: by which signals, how soon, and with nothing left of its session."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource._errors import ResourceStuck
from trioresource._model.policy import Deadlines
from trioresource._model.states import ResourceState
from trioresource.resources._process import child as children
from trioresource.resources._process import session as sessions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from trioresource._monitor import HostedResource

    Until = Callable[[Callable[[], object]], Awaitable[None]]

    Host = Callable[..., Awaitable[HostedResource]]
    Python = Callable[[str], list[str]]
    Members = Callable[[int], list[int]]

ONLINE, OFFLINE, FAILED = ResourceState.ONLINE, ResourceState.OFFLINE, ResourceState.FAILED

DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    if os.fork() == 0:                 # orphaned, in the same session
        os.setpgid(0, 0)               # and in a process group of its own
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("daemon", os.getpid(), flush=True)
        time.sleep(1000)
    os._exit(0)
os.wait()
time.sleep(1000)
"""


async def until_offline(resource: HostedResource) -> None:
    await resource.offline()
    await resource.wait_state(OFFLINE)


async def test_the_end_of_the_leader_takes_everybody_along(
    process: Host, python: Python, members: Members
) -> None:
    resource = await process(python(DAEMON), ready={"log": "daemon"})
    await resource.online()
    await resource.wait_state(ONLINE)
    pid = resource.value.pid
    assert len(members(pid)) == 2
    os.kill(pid, signal.SIGTERM)
    await resource.wait_state(FAILED)
    await resource.terminate()
    assert members(pid) == []


@pytest.mark.parametrize("how", ["terminate", "offline"])
async def test_orphans_that_ignore_signals_go_too(
    process: Host, python: Python, members: Members, how: str
) -> None:
    resource = await process(python(DAEMON), ready={"log": "daemon"}, stop_grace=0.2)
    await resource.online()
    await resource.wait_state(ONLINE)
    pid = resource.value.pid
    with trio.fail_after(5):
        if how == "terminate":
            await resource.terminate()
        else:
            await until_offline(resource)
    assert members(pid) == []


async def test_a_process_that_ignores_term_is_killed_after_the_grace(
    process: Host, members: Members, caplog: pytest.LogCaptureFixture
) -> None:
    command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]
    resource = await process(command, ready={"log": "up"}, stop_grace=0.3)
    await resource.online()
    await resource.wait_state(ONLINE)
    pid = resource.value.pid
    start = trio.current_time()
    await until_offline(resource)
    assert 0.3 <= trio.current_time() - start < 3
    assert members(pid) == []
    assert "did not stop within 0.3 s" in caplog.text


async def test_a_grace_longer_than_the_pending_deadline(process: Host) -> None:
    command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]
    deadlines = Deadlines(soft=0.1, pending=3)
    resource = await process(command, ready={"log": "up"}, stop_grace=4, deadlines=deadlines)
    await resource.online()
    await resource.wait_state(ONLINE)
    with trio.fail_after(10):
        await until_offline(resource)


async def test_stop_signal_and_orderly_end(process: Host, python: Python, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"""
import signal, pathlib
def stop(*_):
    pathlib.Path({str(mark)!r}).write_text("stopped")
    raise SystemExit
signal.signal(signal.SIGQUIT, stop)
print("up", flush=True)
while True: signal.pause()
"""
    resource = await process(python(code), ready={"log": "up"}, stop_signal="quit")
    await resource.online()
    await resource.wait_state(ONLINE)
    with trio.fail_after(5):
        await until_offline(resource)
    assert mark.read_text() == "stopped"


async def test_stop_signal_by_number(process: Host) -> None:
    resource = await process(["sleep", "1000"], stop_signal=15)
    await resource.online()
    await until_offline(resource)


async def test_a_stopped_process_is_woken_to_stop(process: Host) -> None:
    resource = await process(["sleep", "1000"])
    await resource.online()
    os.kill(resource.value.pid, signal.SIGSTOP)
    with trio.fail_after(5):
        await until_offline(resource)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["sleep", "1000"], id="program"),
        pytest.param(["sh", "-c", "sleep 1000"], id="shell"),
        pytest.param(["sh", "-c", "sleep 1000 & sleep 1000 & wait"], id="children"),
    ],
)
async def test_start_and_stop_in_quick_succession_loses_no_signal(
    process: Host, command: list[str]
) -> None:
    """The stop signal must not fall between fork and exec, where handlers swallow it."""
    resource = await process(command, stop_grace=10)
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        slowest = 0.0
        for _ in range(60):
            assert await resource.online() is ONLINE
            start = trio.current_time()
            await until_offline(resource)
            slowest = max(slowest, trio.current_time() - start)
        assert slowest < 2
    finally:
        signal.signal(signal.SIGTERM, previous)


async def test_a_signal_that_was_ignored_is_sent_again(process: Host, python: Python) -> None:
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(0.5)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
time.sleep(1000)
"""
    resource = await process(python(code), ready={"log": "deaf"})
    await resource.online()
    await resource.wait_state(ONLINE)
    start = trio.current_time()
    await until_offline(resource)
    assert trio.current_time() - start < 5


async def test_a_signal_that_arrived_is_not_sent_again(process: Host, python: Python) -> None:
    code = """
import signal, sys, time
count = 0
def stop(*_):
    global count
    count += 1
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
end = time.monotonic() + 1000
while not count: time.sleep(0.01)
end = time.monotonic() + 0.5
while time.monotonic() < end: time.sleep(0.01)
print("signals", count, flush=True)
"""
    resource = await process(python(code), ready={"log": "up"})
    await resource.online()
    await resource.wait_state(ONLINE)
    value = resource.value
    await until_offline(resource)
    assert value.output()[-1] == "signals 1"


@pytest.mark.parametrize("steps", [*range(14), 20, 30, 50])
async def test_cancelled_at_any_moment_of_the_start(
    process: Host, python: Python, steps: int
) -> None:
    """``nothing_left`` sees what leaks."""
    resource = await process(python(DAEMON), ready={"log": "never"}, watchdog=1)
    resource.begin_online()
    for _ in range(steps):
        await trio.lowlevel.checkpoint()
    await resource.terminate()


@pytest.mark.parametrize("delay", [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05])
async def test_cancelled_after_some_time_of_the_start(
    process: Host, python: Python, delay: float
) -> None:
    resource = await process(python(DAEMON), ready={"tcp": "127.0.0.1:9"})
    resource.begin_online()
    await trio.sleep(delay)
    await resource.terminate()


async def test_what_can_not_be_told_to_be_gone_is_stuck(
    process: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    resource = await process(["sleep", "1000"], deadlines=Deadlines(terminate=0.2))
    await resource.online()
    with monkeypatch.context() as patch:
        patch.setattr(children, "KILL_BOUND", 0.05)
        patch.setattr(sessions, "MAX_LOOKS", 1)  # too few for any proof
        with pytest.raises(ResourceStuck, match="p does not end") as caught:
            await resource.terminate()
        assert "p#1" in caught.value.task_tree
        with pytest.raises(ResourceStuck):
            await resource.online()
        assert "they start faster than they can be listed" in caplog.text
        assert str(resource.last_failure).startswith("clean-up raised: ")
    await until(lambda: not resource.statistics().stuck)
    assert await resource.online() is ONLINE
