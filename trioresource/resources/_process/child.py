"""A child process, from exec until nothing of its session is left.

The child is not reaped before its whole session has gone: until then its process id can
not be given to anybody else, and no signal can hit a stranger.
"""

from __future__ import annotations

import contextlib
import os
import signal
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, final

import attrs
import trio

from ..._errors import OfflineFailed
from ..._util.external import in_thread, readable
from . import session as sessions
from .launch import Launch, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncGenerator

_KILL_BOUND: Final = 20.0
"""Seconds to wait for killed processes; less than the default terminate deadline."""
_SHORTEST_LOOK, _LONGEST_LOOK = 0.001, 0.1
"""Seconds between looks at a session that is ending."""
_INSIST_EVERY: Final = 0.1
"""Seconds between looks at who has not got the stop signal."""


@attrs.frozen
class Exit:
    """How a process ended."""

    status: int | None = None
    """The exit status, if it exited by itself."""
    signal: int | None = None
    """The signal that killed it."""

    def __str__(self) -> str:
        if self.status is not None:
            return f"exited with status {self.status}"
        if self.signal is None:
            return "ended, and another part of this program has collected its exit status"
        try:
            return f"was killed by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"was killed by signal {self.signal}"


@final
class Child:
    """A process in a session of its own; made by ``spawn`` and ``running``."""

    def __init__(self, popen: subprocess.Popen[bytes], *, pidfd: bool) -> None:
        self._popen = popen
        self._pidfd = pidfd
        self._exit: Exit | None = None
        self.pid: Final = popen.pid
        """The id of the process, of its session and of its first process group."""

    @property
    def gone(self) -> bool:
        """Whether it has been reaped, and nothing of its session is left."""
        return self._popen.returncode is not None

    def ended(self) -> Exit | None:
        """How it ended, or ``None`` while it runs."""
        if self._exit is None:
            # Kept: some may ask only after it has been reaped.
            self._exit = self._look()
        return self._exit

    def _look(self) -> Exit | None:
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            # Somebody waits for any child (-1), or ignores SIGCHLD.
            return Exit()
        if found is None:
            return None
        if found.si_code == os.CLD_EXITED:
            return Exit(status=found.si_status)
        return Exit(signal=found.si_status)

    async def wait(self) -> Exit:
        """Wait until it ends; any number of tasks may. It is not reaped by that."""
        # Without its id: in the replay of a schedule that is another one.
        what = "exit of a process"
        while (exit_ := self.ended()) is None:
            if self._pidfd:
                # A descriptor of its own for each wait: Trio lets only one task wait for one.
                try:
                    descriptor = os.pidfd_open(self.pid)
                except OSError:
                    # It has just been reaped by somebody else, or descriptors are short.
                    await trio.sleep(_SHORTEST_LOOK)
                    continue
                try:
                    await readable(what, descriptor)
                finally:
                    os.close(descriptor)
            else:
                await in_thread(what, self._wait_blocking, abandon=True)
        return exit_

    def _wait_blocking(self) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone; does nothing if it has ended."""
        if not self.gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stop(self, number: signal.Signals) -> None:
        """Ask it to stop, and wait until all of its session has ended.

        Has no bound of its own: cancel it, and ``destroy`` what is left.

        Args:
            number: the signal to ask with.
        """
        told: set[int] = set()
        first, pause = True, _SHORTEST_LOOK
        while True:
            ask = partial(sessions.ask, self.pid, number, told, first=first)
            left = await in_thread("end of session", ask)
            first = False
            if self.ended() is None:
                with trio.move_on_after(_INSIST_EVERY):
                    await self.wait()
            elif left:
                await trio.sleep(pause)
                pause = min(2 * pause, _LONGEST_LOOK)
            else:
                return

    async def destroy(self) -> None:
        """Kill what is left of its session, wait until it has gone, and reap it.

        Shielded from cancellation, bounded, and harmless when repeated.

        Raises:
            OfflineFailed: a process would not go even so (it hangs in the kernel, or runs
                as another user), or it can not be told whether one is left: processes are
                started faster than they can be listed, or no descriptor is left for that.
        """
        if self.gone:
            return
        left: dict[int, int] | None = {}
        with trio.move_on_after(_KILL_BOUND, shield=True):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            await self.wait()
            pause = _SHORTEST_LOOK
            while (left := await in_thread("end of session", sessions.kill, self.pid)) != {}:
                await trio.sleep(pause)
                pause = min(2 * pause, _LONGEST_LOOK)
            self._popen.wait()
            return
        if left is None:
            raise OfflineFailed(
                f"whether processes of session {self.pid} are left can not be told: they are"
                " started faster than they can be listed, or no file descriptor is left for it"
            )
        raise OfflineFailed(
            f"processes do not end although they were killed: {sorted({self.pid, *left})}"
        )


async def spawn(launch: Launch, output: int, *, pidfd: bool | None = None) -> Child:
    """Start a program.

    Cancellation counts before it is started or not at all: a child that is there is
    always returned.

    Args:
        launch: what to start.
        output: a descriptor for its standard output and standard error.
        pidfd: whether to wait for its end by a descriptor of the process rather than in
            a thread; by default, if the system can.

    Raises:
        OnlineFailed: it could not be started.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    with trio.CancelScope(shield=True):
        popen = await in_thread(f"start of {launch.command[0]}", start, launch, output)
        return Child(popen, pidfd=_has_pidfd(popen.pid) if pidfd is None else pidfd)
    raise AssertionError("nobody cancels the shield")


def _has_pidfd(pid: int) -> bool:
    try:
        os.close(os.pidfd_open(pid))
    except (AttributeError, OSError):
        return False
    return True


@asynccontextmanager
async def running(launch: Launch, output: int) -> AsyncGenerator[Child, None]:
    """Run a program; when the context is left, nothing of it is left either."""
    child = await spawn(launch, output)
    try:
        yield child
    finally:
        await child.destroy()  # noqa: ASYNC102, it shields and bounds itself
