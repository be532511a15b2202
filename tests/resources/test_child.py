from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource._errors import OfflineFailed
from trioresource._util import external as external_module
from trioresource._util.external import set_gate
from trioresource.resources._process import child as children
from trioresource.resources._process import session as sessions
from trioresource.resources._process.child import Child, Exit, running, spawn
from trioresource.resources._process.launch import Launch
from trioresource.resources._process.session import Disposition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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
    assert child.ended() == exit_
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
        assert sessions.kill(child.pid) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    await child.destroy()


async def test_exit_collected_by_other_code(null: int) -> None:
    child = await spawn(launch("true"), null)
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
        patch.setattr(children, "KILL_BOUND", 0)
        with pytest.raises(OfflineFailed, match=str(child.pid)):
            await child.destroy()
    await child.destroy()


async def test_what_can_not_be_told_is_not_taken_for_gone(
    null: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = await spawn(launch("sleep", "1000"), null)
    with monkeypatch.context() as patch:
        patch.setattr(children, "KILL_BOUND", 0.05)
        patch.setattr(sessions, "MAX_LOOKS", 1)
        with pytest.raises(
            OfflineFailed, match=f"it is unknown whether processes of session {child.pid} are left"
        ):
            await child.destroy()
        assert not child.gone
    await child.destroy()
    assert child.gone


async def test_more_processes_than_threads_where_there_are_no_descriptors_of_processes(
    null: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread waits for each, and must not take the place of one that ends them."""

    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    monkeypatch.setattr(external_module, "MAX_THREADS", 2)
    ended: list[int] = []

    async def watch(child: Child) -> None:
        assert await child.wait() == Exit(signal=signal.SIGTERM)
        ended.append(child.pid)

    async with trio.open_nursery() as nursery:
        started = [await spawn(launch("sleep", "1000"), null) for _ in range(5)]
        for child in started:
            nursery.start_soon(watch, child)
        await trio.testing.wait_all_tasks_blocked()
        for child in started:
            with trio.move_on_after(10):
                await child.stop(signal.SIGTERM)
            await child.destroy()
    assert sorted(ended) == sorted(child.pid for child in started)


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

    async def gate(what: str, wait: Callable[[], Awaitable[Any]], *, cancellable: bool) -> Any:
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


CHAIN = """
import os
for _ in range(2000):                  # enough to outlive the test by far, and it ends
    try:
        pid = os.fork()
    except OSError:
        continue
    if pid:
        os._exit(0)
    os.setpgid(0, 0)
    os.write(1, b"x")
"""


@pytest.mark.parametrize("turn", range(5))
async def test_a_chain_of_processes_has_ended_when_that_is_said(turn: int) -> None:
    """Each starts the next, in a group of its own, and ends; none is there for long."""
    read, write = os.pipe()
    try:
        child = await spawn(launch(sys.executable, "-S", "-c", CHAIN), write)
        os.close(write)
        write = -1
        seen = 0
        while seen < 10:
            await trio.lowlevel.wait_readable(read)
            seen += len(os.read(read, 10))
        await child.destroy()
        os.set_blocking(read, False)
        # Who lived would hold the other end open: this would be a BlockingIOError.
        while os.read(read, 65536):
            pass
    finally:
        os.set_blocking(read, False)
        await until_all_writers_have_gone(read)  # noqa: ASYNC102, it shields and bounds itself
        os.close(read)
        if write >= 0:
            os.close(write)


async def until_all_writers_have_gone(descriptor: int) -> None:
    with trio.CancelScope(shield=True, deadline=trio.current_time() + 60):
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            with contextlib.suppress(BlockingIOError):
                if not os.read(descriptor, 65536):
                    return


THREAD = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


async def test_a_process_whose_first_thread_has_ended_is_still_there(
    null: int, until: Until
) -> None:
    async with running(launch(sys.executable, "-S", "-c", THREAD), null) as child:
        stat = Path(f"/proc/{child.pid}/stat")
        await until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z")
        assert child.ended() is None
        assert sessions.members(child.pid) == {child.pid: child.pid}


NO_PROCESS = 1 << 22
"""More than any process id can be."""


def test_a_session_is_empty_only_with_proof(tmp_path: Path) -> None:
    (tmp_path / "loadavg").write_text("0.00 0.00 0.00 1/200 4711\n")
    assert sessions.kill(NO_PROCESS, proc=tmp_path) == {}
    # Listed, and gone when looked at: it may have been a member, and have had children.
    (tmp_path / str(NO_PROCESS + 1)).mkdir()
    assert sessions.kill(NO_PROCESS, proc=tmp_path) is None


def test_proof_without_knowledge_of_the_newest_process(tmp_path: Path) -> None:
    assert sessions.kill(NO_PROCESS, proc=tmp_path) == {}


def test_members_where_there_is_no_list(tmp_path: Path) -> None:
    assert sessions.members(os.getsid(0), proc=tmp_path / "missing") == {}
    assert os.getpid() in sessions.members(os.getsid(0))
