"""A process that runs: how it comes online, what is told of it, and what it accepts."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trioresource._errors import (
    InvalidStateError,
    OnlineFailed,
    PropertyError,
    UnknownControlCode,
)
from trioresource._model.policy import PollIntervals
from trioresource._model.reports import FailureReason, Progress
from trioresource._model.states import ResourceState
from trioresource.resources import RunningProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from trioresource._monitor import HostedResource, ResourceMonitor

    Until = Callable[[Callable[[], object]], Awaitable[None]]

    Host = Callable[..., Awaitable[HostedResource]]
    Python = Callable[[str], list[str]]
    Members = Callable[[int], list[int]]

ONLINE, OFFLINE, FAILED = ResourceState.ONLINE, ResourceState.OFFLINE, ResourceState.FAILED


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


@pytest.mark.alone
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
    with pytest.raises(ValueError, match="the number of lines must be 1 or more"):
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
        ({"command": "sh 'open"}, "cannot be split like a shell command"),
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


@pytest.mark.alone
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
