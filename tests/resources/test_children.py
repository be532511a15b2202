from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trioresource.errors import OfflineFailed
from trioresource.resources import children, sessions
from trioresource.resources._external import set_gate
from trioresource.resources.children import Child, Exit, running, spawn
from trioresource.resources.launch import Launch
from trioresource.resources.sessions import Disposition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Until = Callable[[Callable[[], object]], Awaitable[None]]

ORPHANS = """
import os, sys, time
for _ in range(5):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setpgid(0, 0)
            sys.stdout.write("x"); sys.stdout.flush()
            time.sleep(1000)
        os._exit(0)
    os.wait()
os.write(1, b"x")
time.sleep(1000)
"""


def launch(*command: str, **options: Any) -> Launch:
    return Launch(command=command, **options)


@pytest.fixture
def null() -> Any:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("pidfd", [True, False])
@pytest.mark.parametrize(
    ("script", "exit_"),
    [("exit 7", Exit(status=7)), ("kill -9 $$", Exit(signal=9))],
)
async def test_exit(null: int, pidfd: bool, script: str, exit_: Exit) -> None:
    child = await spawn(launch("sh", "-c", script), null, pidfd=pidfd)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child.wait)
            assert await child.wait() == exit_
    before = child.gone
    await child.destroy()
    assert (before, child.gone) == (False, True)
    await child.destroy()
    child.send(signal.SIGTERM)


@pytest.mark.parametrize("pidfd", [True, False])
async def test_wait_can_be_cancelled(null: int, pidfd: bool) -> None:
    child = await spawn(launch("sleep", "1000"), null, pidfd=pidfd)
    with trio.move_on_after(0.05) as scope:
        await child.wait()
    ended = child.ended()
    await child.destroy()
    assert scope.cancelled_caught
    assert ended is None


@pytest.mark.parametrize(
    ("exit_", "text"),
    [
        (Exit(status=0), "exited with status 0"),
        (Exit(signal=15), "was killed by SIGTERM"),
        (Exit(signal=63), "was killed by signal 63"),
        (Exit(), "ended, and another part of this program has collected its exit status"),
    ],
)
def test_exit_in_words(exit_: Exit, text: str) -> None:
    assert str(exit_) == text


async def test_exit_is_noticed_when_descriptors_are_short(null: int) -> None:
    child = await spawn(launch("sleep", "0.2"), null)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.pidfd_open(child.pid)
        with trio.fail_after(5):
            assert await child.wait() == Exit(status=0)
            await child.destroy()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_exit_collected_by_somebody_else(null: int) -> None:
    child = await spawn(launch("true"), null)
    await child.wait()
    os.waitpid(-1, 0)  # noqa: ASYNC222
    assert await child.wait() == Exit()
    await child.destroy()


async def test_destroy_is_shielded_and_complete() -> None:
    read, write = os.pipe()
    pids: list[int] = []
    try:
        with trio.CancelScope() as scope:
            async with running(launch(sys.executable, "-S", "-c", ORPHANS), write) as child:
                seen = b""
                while len(seen) < 6:
                    await trio.lowlevel.wait_readable(read)
                    seen += os.read(read, 6)
                pids.append(child.pid)
                found = sessions.members(child.pid)
                assert len(found) == 6
                assert len(set(found.values())) == 6
                scope.cancel()
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert sessions.members(pids[0]) == {}
    finally:
        os.close(read)
        os.close(write)


async def test_what_can_not_be_killed_is_named(null: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no time at all nothing ends in time; later it is gone."""
    child = await spawn(launch("sleep", "1000"), null)
    with monkeypatch.context() as patch:
        patch.setattr(children, "_KILL_BOUND", 0)
        with pytest.raises(OfflineFailed, match=str(child.pid)):
            await child.destroy()
    await child.destroy()


async def test_start_that_is_cancelled_before_leaves_nothing(null: int) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await spawn(launch("sleep", "1000"), null)
    assert scope.cancelled_caught


async def test_start_that_is_cancelled_meanwhile_returns_the_child(null: int) -> None:
    started: list[Child] = []

    async def start() -> None:
        started.append(await spawn(launch("sleep", "1000"), null))

    begun = trio.Event()

    async def gate(_: str, wait: Callable[[], Awaitable[Any]]) -> Any:
        begun.set()
        return await wait()

    set_gate(gate)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(start)
        await begun.wait()
        nursery.cancel_scope.cancel()
    assert started[0].ended() is None
    await started[0].destroy()


def test_what_a_process_does_upon_a_signal(tmp_path: Path) -> None:
    script = "trap '' TERM; trap : HUP; echo; while :; do sleep 1; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.read(1)
        assert sessions.disposition(shell.pid, signal.SIGTERM) is Disposition.IGNORED
        assert sessions.disposition(shell.pid, signal.SIGHUP) is Disposition.CAUGHT
        assert sessions.disposition(shell.pid, signal.SIGUSR1) is Disposition.DEFAULT
        missing = sessions.disposition(shell.pid, signal.SIGUSR1, proc=tmp_path)
        assert missing is Disposition.CAUGHT
        shell.kill()


GRACEFUL = """
import os, signal, sys, time
count = 0
def stop(*_):
    global count
    count += 1
def serve(name):
    signal.signal(signal.SIGTERM, stop)
    os.write(1, b"up\\n")
    while not count: time.sleep(0.01)
    time.sleep(0.3)
    os.write(1, f"{name}: {count}\\n".encode())
    os._exit(0)
if os.fork() == 0:
    serve("same group")
if os.fork() == 0:
    os.setpgid(0, 0)
    serve("own group")
os.wait()
"""


async def test_each_member_is_asked_once(until: Until, tmp_path: Path) -> None:
    """Also where the leader goes at once and leaves the others to their own orderly end."""
    path = tmp_path / "out"
    with path.open("w") as output:
        command = launch(sys.executable, "-S", "-c", GRACEFUL)
        async with running(command, output.fileno()) as child:
            await until(lambda: path.read_text().count("up") == 2)
            with trio.fail_after(5):
                await child.stop(signal.SIGTERM)
            assert child.ended() == Exit(signal=signal.SIGTERM)
            assert sessions.members(child.pid) == {}
    assert sorted(path.read_text().splitlines()) == ["own group: 1", "same group: 1", "up", "up"]


LATE = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: None)
if os.fork() == 0:
    time.sleep(0.5)                    # the inherited handler swallows it
    os.execlp("sleep", "sleep", "1000")
os.write(1, b"x")
time.sleep(0.2)
"""


async def test_a_signal_lost_between_fork_and_exec_of_a_grandchild(null: int) -> None:
    read, write = os.pipe()
    try:
        async with running(launch(sys.executable, "-S", "-c", LATE), write) as child:
            await trio.lowlevel.wait_readable(read)
            with trio.fail_after(5):
                await child.stop(signal.SIGTERM)
            assert sessions.members(child.pid) == {}
    finally:
        os.close(read)
        os.close(write)


def test_members_where_there_is_no_list(tmp_path: Path) -> None:
    assert sessions.members(os.getsid(0), proc=tmp_path / "missing") == {}
    assert os.getpid() in sessions.members(os.getsid(0))
