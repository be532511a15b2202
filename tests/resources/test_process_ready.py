from __future__ import annotations

import fcntl
import os
import pwd
import socket
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource._errors import OnlineFailed
from trioresource._model.policy import Deadlines
from trioresource._model.reports import Progress
from trioresource._model.states import ResourceState
from trioresource.resources._process.readiness import LogReady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from trioresource._monitor import HostedResource, ResourceMonitor

    Until = Callable[[Callable[[], object]], Awaitable[None]]

    Host = Callable[..., Awaitable[HostedResource]]
    Python = Callable[[str], list[str]]

ONLINE, OFFLINE, FAILED = ResourceState.ONLINE, ResourceState.OFFLINE, ResourceState.FAILED

NOTIFY = """
import os, socket, sys, time
def tell(*lines):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(chr(0) + os.environ["NOTIFY_SOCKET"][1:])
        s.send("\\n".join(lines).encode())
"""


async def come_online(resource: HostedResource) -> None:
    with trio.fail_after(10):
        if await resource.online() is not ONLINE:
            assert await resource.wait_state(ONLINE, FAILED) is ONLINE, resource.last_failure


async def failure_of(resource: HostedResource) -> str:
    with trio.fail_after(10):
        await resource.wait_state(FAILED)
    assert resource.last_failure is not None
    return str(resource.last_failure)


def progress(monitor: ResourceMonitor) -> list[str]:
    messages: list[str] = []
    while True:
        try:
            report = monitor.reports.receive_nowait()
        except trio.WouldBlock:
            return messages
        if isinstance(report, Progress):
            messages.append(report.message)


async def test_tcp_with_redis(process: Host, require_program: Any, free_port: int) -> None:
    redis = require_program("redis-server")
    command = f"{redis} --port {free_port} --save '' --appendonly no"
    resource = await process(command, ready={"tcp": f"localhost:{free_port}"})
    await come_online(resource)
    assert await resource.handler.is_alive()
    stream = await trio.open_tcp_stream("127.0.0.1", free_port)
    async with stream:
        await stream.send_all(b"PING\r\n")
        assert await stream.receive_some() == b"+PONG\r\n"
    await resource.offline()
    await resource.wait_state(OFFLINE)


async def test_http_with_nginx(
    process: Host, require_program: Any, free_port: int, tmp_path: Path
) -> None:
    nginx = require_program("nginx")
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"""
        daemon off; pid {tmp_path}/pid; error_log stderr;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {tmp_path}/1; proxy_temp_path {tmp_path}/2;
            fastcgi_temp_path {tmp_path}/3; uwsgi_temp_path {tmp_path}/4;
            scgi_temp_path {tmp_path}/5;
            server {{
                listen 127.0.0.1:{free_port};
                location /health {{ return 200 "all is well"; }}
            }}
        }}
        """
    )
    resource = await process(
        [nginx, "-p", str(tmp_path), "-c", str(config)],
        ready={
            "http": f"http://127.0.0.1:{free_port}/health",
            "status": 200,
            "body": "all is .*",
        },
        stop_signal="QUIT",
    )
    await come_online(resource)
    assert await resource.handler.is_alive()
    await resource.control("signal", "HUP")
    await resource.offline()
    await resource.wait_state(OFFLINE)


async def test_readiness_given_as_a_value(process: Host) -> None:
    resource = await process("sh -c 'echo up; sleep 1000'", ready=LogReady(log="^up$"))
    await come_online(resource)


async def test_unix(process: Host, python: Python, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    code = f"""
import socket, time
time.sleep(0.05)
server = socket.socket(socket.AF_UNIX)
server.bind({str(path)!r})
server.listen()
time.sleep(1000)
"""
    resource = await process(python(code), ready={"unix": str(path), "every": 0.01})
    await come_online(resource)


async def test_command(process: Host, tmp_path: Path) -> None:
    check = ["sh", "-c", 'test -e "$MARK" || { echo no mark; exit 1; }']
    resource = await process(
        ["sh", "-c", 'sleep 0.1; touch "$MARK"; sleep 1000'],
        environment={"MARK": str(tmp_path / "mark")},
        ready={"command": check, "every": 0.02},
    )
    await come_online(resource)
    assert await resource.handler.is_alive()
    (tmp_path / "mark").unlink()
    assert not await resource.handler.is_alive()


async def test_command_that_prints_more_than_a_pipe_holds(process: Host) -> None:
    check = "i=0; while [ $i -lt 3000 ]; do echo 'this line is forty characters long: 012345'; "
    check += "i=$((i + 1)); done"
    ready = {"command": ["sh", "-c", check]}
    resource = await process("sleep 1000", ready=ready, deadlines=Deadlines(pending=10))
    await come_online(resource)
    assert await resource.handler.is_alive()


async def test_command_that_hangs_is_bounded(process: Host, monitor: ResourceMonitor) -> None:
    ready = {"command": "sleep 1000", "timeout": 0.05, "every": 0.01}
    resource = await process("sleep 1000", ready=ready)
    resource.begin_online()
    with trio.fail_after(5):
        report = await monitor.reports.receive()
        while not isinstance(report, Progress):
            report = await monitor.reports.receive()
    assert report.message == "no answer within 0.05 s"
    await resource.terminate()


async def test_command_that_is_missing(process: Host) -> None:
    resource = await process("sleep 1000", ready={"command": "/no/such/check"})
    with pytest.raises(OnlineFailed, match="'/no/such/check' does not exist"):
        await resource.online()


async def test_pending_deadline_bounds_readiness(process: Host) -> None:
    resource = await process(
        "sleep 1000",
        ready={"unix": "/nowhere", "every": 0.01},
        deadlines=Deadlines(soft=0.01, pending=0.2),
    )
    resource.begin_online()
    assert "no progress" in await failure_of(resource)


async def test_notify_ready_and_status(
    process: Host, python: Python, monitor: ResourceMonitor
) -> None:
    code = (
        NOTIFY
        + """
tell("STATUS=loading tables", "MAINPID=1", "nonsense", "FOO=bar")
time.sleep(0.05)
tell("READY=1", "STATUS=serving")
tell("STATUS=still serving", "RELOADING=1")
time.sleep(1000)
"""
    )
    resource = await process(python(code), ready={"notify": True})
    await come_online(resource)
    assert progress(monitor)[0] == "loading tables"


async def test_systemd_notify(process: Host, require_program: Any, until: Until) -> None:
    """A sender that ends at once waits until its message was read (BARRIER=1)."""
    notify = require_program("systemd-notify")
    command = ["sh", "-c", f"{notify} --ready --status=up; echo told; sleep 1000"]
    resource = await process(command, ready={"notify": True})
    await come_online(resource)
    await until(lambda: "told" in resource.value.output())


async def test_strangers_are_not_listened_to(
    process: Host, python: Python, monitor: ResourceMonitor, tmp_path: Path, until: Until
) -> None:
    code = "import os, time; print(os.environ['NOTIFY_SOCKET'], flush=True); time.sleep(1000)"
    log = tmp_path / "log"
    resource = await process(python(code), ready={"notify": True}, log_file=str(log))
    resource.begin_online()
    await until(lambda: log.exists() and log.read_text().endswith("\n"))
    address = "\0" + log.read_text().strip()[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"READY=1\nSTATUS=trust me", address)
        stranger.setblocking(False)
        # Nothing reads it, so it counts as queued.
        await until(lambda: _queued(stranger) == 0)
    await trio.testing.wait_all_tasks_blocked()
    assert resource.state is ResourceState.ONLINE_PENDING
    assert progress(monitor) == []
    await resource.terminate()


def _queued(sender: socket.socket) -> int:
    """Bytes that a datagram socket has sent and that have not been read yet."""
    answer = fcntl.ioctl(sender, termios.TIOCOUTQ, b"\0" * 4)
    return int.from_bytes(answer, sys.byteorder)


async def test_extended_time(process: Host, python: Python, monitor: ResourceMonitor) -> None:
    code = (
        NOTIFY
        + """
tell("EXTEND_TIMEOUT_USEC=10000000")
time.sleep(2.4)
tell("READY=1")
time.sleep(1000)
"""
    )
    resource = await process(
        python(code), ready={"notify": True}, deadlines=Deadlines(soft=0.01, pending=1.5)
    )
    await come_online(resource)
    assert progress(monitor) == ["it needs more time"] * 3


async def test_extended_time_to_stop(process: Host, python: Python) -> None:
    code = (
        NOTIFY
        + """
import signal
def stop(*_):
    tell("STOPPING=1", "EXTEND_TIMEOUT_USEC=10000000", "STATUS=saving")
    time.sleep(0.6)
    print("saved", flush=True)
    raise SystemExit
signal.signal(signal.SIGTERM, stop)
tell("READY=1")
while True: signal.pause()
"""
    )
    resource = await process(python(code), ready={"notify": True}, stop_grace=0.3)
    await come_online(resource)
    value = resource.value
    with trio.fail_after(5):
        await resource.offline()
        await resource.wait_state(OFFLINE)
    assert value.output() == ("saved",)


async def test_last_words(process: Host, python: Python) -> None:
    code = (
        NOTIFY
        + """
tell("READY=1")
tell("STOPPING=1", "ERRNO=28")
time.sleep(0.2)
sys.exit(4)
"""
    )
    resource = await process(python(code), ready={"notify": True})
    await come_online(resource)
    assert await failure_of(resource) == (
        "the resource reported a failure: exited with status 4,"
        " it reported: No space left on device, it had said STOPPING=1 unasked"
    )


async def test_watchdog(process: Host, python: Python) -> None:
    code = (
        NOTIFY
        + """
assert os.environ["WATCHDOG_USEC"] == "300000"
time.sleep(0.4)                       # nothing is expected before it is ready
tell("READY=1")
for _ in range(8):
    time.sleep(0.1)
    tell("WATCHDOG=1")
print("stuck", flush=True)
time.sleep(1000)
"""
    )
    resource = await process(python(code), ready={"notify": True}, watchdog=0.3)
    await come_online(resource)
    start = trio.current_time()
    text = await failure_of(resource)
    assert "no WATCHDOG=1 for 0.3 s; its last lines:\nstuck" in text
    assert 1.0 < trio.current_time() - start < 3


async def test_watchdog_without_other_notification(process: Host, python: Python) -> None:
    resource = await process("sleep 1000", watchdog=0.1)
    await come_online(resource)
    assert "no WATCHDOG=1" in await failure_of(resource)


async def test_watchdog_set_and_triggered_by_the_process(process: Host, python: Python) -> None:
    code = (
        NOTIFY
        + """
tell("READY=1")
time.sleep(0.05)
tell("WATCHDOG_USEC=10000000")
tell("WATCHDOG=trigger")
time.sleep(1000)
"""
    )
    resource = await process(python(code), ready={"notify": True})
    await come_online(resource)
    assert "WATCHDOG=trigger" in await failure_of(resource)


async def test_watchdog_is_quiet_while_stopping(process: Host, python: Python) -> None:
    code = (
        NOTIFY
        + """
import signal
def stop(*_):
    time.sleep(0.5)
    raise SystemExit
signal.signal(signal.SIGTERM, stop)
tell("READY=1", "WATCHDOG=1")
while True:
    tell("WATCHDOG=1")
    time.sleep(0.05)
"""
    )
    resource = await process(python(code), ready={"notify": True}, watchdog=0.2)
    await come_online(resource)
    with trio.fail_after(5):
        await resource.offline()
        await resource.wait_state(OFFLINE, FAILED)
    assert resource.state is OFFLINE


async def test_user(process: Host, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can change the user")
    resource = await process(
        ["sh", "-c", 'id -u; id -g; id -G; echo "$USER"; echo end; exec sleep 1000'],
        user="nobody",
        ready={"log": "end"},
    )
    await come_online(resource)
    account = pwd.getpwnam("nobody")
    uid, gid, groups, name, _ = resource.value.output()
    assert (uid, gid, name) == (str(account.pw_uid), str(account.pw_gid), "nobody")
    assert groups.split() == [str(account.pw_gid)]
    await resource.offline()
    await resource.wait_state(OFFLINE)
