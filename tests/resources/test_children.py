from __future__ import annotations

import os
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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

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
    assert not child.gone
    await child.destroy()
    assert child.gone
    await child.destroy()
    child.send(signal.SIGTERM)


@pytest.mark.parametrize("pidfd", [True, False])
async def test_wait_can_be_cancelled(null: int, pidfd: bool) -> None:
    child = await spawn(launch("sleep", "1000"), null, pidfd=pidfd)
    try:
        with trio.move_on_after(0.05) as scope:
            await child.wait()
        assert scope.cancelled_caught
        assert child.ended() is None
    finally:
        await child.destroy()


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


async def test_exit_collected_by_somebody_else(null: int) -> None:
    child = await spawn(launch("true"), null)
    await child.wait()
    os.waitpid(-1, 0)
    assert await child.wait() == Exit()
    await child.destroy()


async def test_destroy_is_shielded_and_complete() -> None:
    read, write = os.pipe()
    try:
        with trio.CancelScope() as scope:
            async with running(launch(sys.executable, "-S", "-c", ORPHANS), write) as child:
                seen = b""
                while len(seen) < 5:
                    await trio.lowlevel.wait_readable(read)
                    seen += os.read(read, 5)
                found = sessions.members(child.pid)
                assert len(found) == 6
                assert len(set(found.values())) == 6
                scope.cancel()
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert sessions.members(child.pid) == {}
    finally:
        os.close(read)
        os.close(write)


async def test_fork_bomb_is_ended(null: int) -> None:
    code = """
import os
while True:
    try:
        pid = os.fork()
    except OSError:
        continue
    if pid:
        os._exit(0)
    os.setpgid(0, 0)
"""
    async with running(launch(sys.executable, "-S", "-c", code), null) as child:
        await trio.sleep(0.05)
    assert sessions.members(child.pid) == {}


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


def test_who_ignores_what(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo; exec sleep 1000"], stdout=subprocess.PIPE
    ) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.read(1)
        assert sessions.ignores(deaf.pid, signal.SIGTERM)
        assert not sessions.ignores(deaf.pid, signal.SIGHUP)
        assert not sessions.ignores(deaf.pid, signal.SIGTERM, proc=tmp_path)
        (tmp_path / str(deaf.pid)).mkdir()
        (tmp_path / str(deaf.pid) / "status").write_text("Name: x\n")
        assert not sessions.ignores(deaf.pid, signal.SIGTERM, proc=tmp_path)
        deaf.kill()


def test_members_where_there_is_no_list(tmp_path: Path) -> None:
    assert sessions.members(os.getsid(0), proc=tmp_path / "missing") == {}
    assert os.getpid() in sessions.members(os.getsid(0))
