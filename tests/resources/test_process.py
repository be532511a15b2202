from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trioresource.errors import (
    InvalidStateError,
    OnlineFailed,
    PropertyError,
    ResourceStuck,
    UnknownControlCode,
)
from trioresource.model.policy import Deadlines, PollIntervals
from trioresource.model.reports import FailureReason, Progress
from trioresource.model.states import ResourceState
from trioresource.resources import RunningProcess, children, sessions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from trioresource.monitor import HostedResource, ResourceMonitor

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


async def test_online_provides_the_process_and_offline_leaves_nothing(
    process: Host, members: Members
) -> None:
    resource = await process(["sh", "-c", "echo hello; exec sleep 1000"], ready={"log": "hello"})
    assert await resource.online() is ONLINE
    value = resource.value
    assert isinstance(value, RunningProcess)
    assert os.getsid(value.pid) == os.getpgid(value.pid) == value.pid
    assert value.output() == ("hello",)
    await until_offline(resource)
    assert members(value.pid) == []


async def test_command_as_one_string(process: Host) -> None:
    resource = await process("sh -c 'echo \"two words\"; sleep 1000'", ready={"log": "two words"})
    await resource.online()
    await resource.wait_state(ONLINE)


async def test_exit_is_noticed_at_once_and_told_in_full(process: Host) -> None:
    resource = await process(["sh", "-c", "echo up; sleep 1000; echo never"], ready={"log": "up"})
    await resource.online()
    with trio.fail_after(5):
        start = trio.current_time()
        os.kill(resource.value.pid, signal.SIGKILL)
        await resource.wait_state(FAILED)
        assert trio.current_time() - start < 0.5
    failure = resource.last_failure
    assert failure is not None
    assert failure.reason is FailureReason.SIGNAL
    assert failure.detail == "was killed by SIGKILL; its last lines:\nup"


async def test_exit_with_status_0_is_a_failure_too(process: Host) -> None:
    resource = await process(["sh", "-c", "sleep 0.2; exit 0"])
    await resource.online()
    await resource.wait_state(FAILED)
    assert resource.last_failure is not None
    assert "exited with status 0" in resource.last_failure.detail


async def test_exit_before_ready(process: Host) -> None:
    command = ["sh", "-c", "echo no such database; exit 3"]
    resource = await process(command, ready={"log": "never"})
    with pytest.raises(OnlineFailed) as caught:
        await resource.online()
        await resource.wait_state(FAILED)
        raise OnlineFailed(str(resource.last_failure))
    text = str(caught.value)
    assert "exited with status 3 before it was ready" in text
    assert "no such database" in text


async def test_settle(process: Host) -> None:
    resource = await process(["sh", "-c", "exit 1"], settle=1000)
    with trio.fail_after(5):
        with pytest.raises(OnlineFailed, match="exited with status 1 before it was ready"):
            await resource.online()
            await resource.wait_state(FAILED)
            raise OnlineFailed(str(resource.last_failure))


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
        patch.setattr(children, "_KILL_BOUND", 0.05)
        patch.setattr(sessions, "_LOOKS", 1)  # too few for any proof
        with pytest.raises(ResourceStuck, match="p does not end") as caught:
            await resource.terminate()
        assert "p#1" in caught.value.task_tree
        with pytest.raises(ResourceStuck):
            await resource.online()
        assert "started faster than they can be listed" in caplog.text
        assert str(resource.last_failure).startswith("clean-up raised: ")
    await until(lambda: not resource.statistics().stuck)
    assert await resource.online() is ONLINE


async def test_environment_and_directory(
    process: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTER", "outer")
    monkeypatch.setenv("NOTIFY_SOCKET", "@not-for-children")
    resource = await process(
        ["sh", "-c", 'echo "$OUTER $PORT ${NOTIFY_SOCKET-none}"; pwd; echo end; sleep 1000'],
        environment={"PORT": 8080},
        directory=str(tmp_path),
        ready={"log": "end"},
    )
    await resource.online()
    await resource.wait_state(ONLINE)
    assert resource.value.output() == ("outer 8080 none", str(tmp_path), "end")


async def test_environment_of_its_own(process: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "outer")
    resource = await process(
        ["/bin/sh", "-c", 'echo "${OUTER-none} $A"; exec /bin/sleep 1000'],
        environment={"A": "b"},
        inherit_environment=False,
        ready={"log": "none b"},
    )
    await resource.online()
    await resource.wait_state(ONLINE)


async def test_log_file_and_ring(process: Host, tmp_path: Path) -> None:
    log_file = tmp_path / "log"
    log_file.write_text("before\n")
    resource = await process(
        ["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2; sleep 1000"],
        log_file=str(log_file),
        log_lines=3,
        ready={"log": "oops"},
    )
    await resource.online()
    await resource.wait_state(ONLINE)
    assert resource.value.output() == ("line 4", "line 5", "oops")
    assert await resource.control("log") == ["line 4", "line 5", "oops"]
    assert await resource.control("log", 1) == ["oops"]
    await until_offline(resource)
    expected = "before\nline 1\nline 2\nline 3\nline 4\nline 5\noops\n"
    assert log_file.read_text() == expected
    assert await resource.control("log", 1) == ["oops"]


async def test_log_file_that_can_not_be_opened(process: Host, tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "log")
    resource = await process(["sleep", "1000"], log_file=path)
    with pytest.raises(OnlineFailed, match=r"log_file '.*log': No such file or directory"):
        await resource.online()


async def test_control(process: Host, python: Python, until: Until) -> None:
    code = """
import signal
signal.signal(signal.SIGHUP, lambda *_: print("reloaded", flush=True))
print("up", flush=True)
while True: signal.pause()
"""
    resource = await process(python(code), ready={"log": "up"})
    assert await resource.control("log") == []
    with pytest.raises(InvalidStateError, match="no process"):
        await resource.control("signal", "HUP")
    await resource.online()
    await resource.wait_state(ONLINE)
    await resource.control("signal", "HUP")
    await until(lambda: resource.value.output()[-1] == "reloaded")
    with pytest.raises(ValueError, match="name of a signal"):
        await resource.control("signal", "NONE")
    with pytest.raises(ValueError, match="how many lines"):
        await resource.control("log", 0)
    with pytest.raises(UnknownControlCode):
        await resource.control("dance")
    await until_offline(resource)
    with pytest.raises(InvalidStateError, match="no process"):
        await resource.control("signal", "HUP")


async def test_is_alive_asks_readiness_again(
    process: Host, monitor: ResourceMonitor, python: Python, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    code = f"""
import socket, time
server = socket.socket(socket.AF_UNIX)
server.bind({str(path)!r})
server.listen()
print(server.accept() and "met", flush=True)
time.sleep(1000)
"""
    resource = await process(
        python(code), ready={"unix": str(path)}, poll=PollIntervals(is_alive=0.05)
    )
    await resource.online()
    await resource.wait_state(ONLINE)
    path.unlink()
    with trio.fail_after(5):
        await resource.wait_state(FAILED)
    assert resource.last_failure is not None
    assert resource.last_failure.reason is FailureReason.NOT_ALIVE


async def test_is_alive_of_a_process_without_readiness(process: Host, until: Until) -> None:
    resource = await process(["sleep", "1000"], poll=PollIntervals(is_alive=0.01))
    assert not await resource.handler.is_alive()
    await resource.online()
    await until(lambda: resource.statistics().is_alive_calls >= 3)
    assert resource.state is ONLINE
    assert resource.statistics().looks_alive_polls == 0


async def test_waiting_is_reported_once(process: Host, monitor: ResourceMonitor) -> None:
    resource = await process(["sleep", "1000"], ready={"unix": "/nowhere", "every": 0.001})
    resource.begin_online()
    await trio.sleep(0.1)
    await resource.terminate()
    assert progress(monitor) == ["unix /nowhere: No such file or directory"]


def progress(monitor: ResourceMonitor) -> list[str]:
    messages: list[str] = []
    while True:
        try:
            report = monitor.reports.receive_nowait()
        except trio.WouldBlock:
            return messages
        if isinstance(report, Progress):
            messages.append(report.message)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"command": []}, "command"),
        ({"command": "sh 'open"}, "can not be split like a shell command"),
        ({"command": ["a\0b"]}, "null character"),
        ({"command": "a", "directory": "a\0b"}, "directory: must not contain a null character"),
        ({"command": "a", "directory": ""}, "directory: '' is not accepted"),
        ({"command": "a", "log_file": "a\0b"}, "log_file: must not contain a null character"),
        ({"command": "a", "log_file": ""}, "log_file: '' is not accepted"),
        ({"command": "a", "user": "a\0b"}, "user: must not contain a null character"),
        ({"command": "a", "group": "a\0b"}, "group: must not contain a null character"),
        ({"command": "a", "stop_signal": "FOO"}, "must be the name of a signal"),
        ({"command": "a", "stop_signal": True}, "must be the name of a signal"),
        ({"command": "a", "ready": {"tcp": "x:1", "log": "y"}}, "exactly one of"),
        ({"command": "a", "ready": "tcp"}, "exactly one of"),
        ({"command": "a", "ready": {"tcp": "nowhere"}}, "must be host:port"),
        ({"command": "a", "ready": {"log": "("}}, "is not a regular expression"),
        ({"command": "a", "ready": {"notify": False}}, "ready.notify"),
        ({"command": "a", "ready": {"tcp": "x:1", "evry": 1}}, "ready.evry"),
        ({"command": "a", "stop_grace": -1}, "stop_grace"),
    ],
)
async def test_mistakes_in_properties(
    process: Host, properties: dict[str, Any], message: str
) -> None:
    with pytest.raises(PropertyError) as caught:
        await process(**properties)
    assert message in str(caught.value)


async def test_stop_signal_by_number(process: Host) -> None:
    resource = await process(["sleep", "1000"], stop_signal=15)
    await resource.online()
    await until_offline(resource)


async def test_from_kill_to_online_again(
    process: Host, require_program: Any, free_port: int
) -> None:
    """Start-up of the program itself aside, little time may be spent here."""
    redis = require_program("redis-server")
    command = [redis, "--port", str(free_port), "--save", "", "--appendonly", "no"]
    resource = await process(command, ready={"tcp": f"127.0.0.1:{free_port}"})
    await resource.online()
    with trio.fail_after(10):
        await resource.wait_state(ONLINE)
        start = trio.current_time()
        os.kill(resource.value.pid, signal.SIGKILL)
        await resource.wait_state(FAILED)
        await resource.terminate()
        await resource.online()
        await resource.wait_state(ONLINE)
        up = trio.current_time() - start
    assert up < 2
