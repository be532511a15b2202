"""A child process, from exec until no process of its session is left.

The child is reaped last, after its whole session has ended. Until then the kernel gives its
process id to no other process, so that no signal can hit a stranger.
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
from . import session
from .launch import Launch, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncGenerator

KILL_BOUND: Final = 20.0
"""Seconds to wait for killed processes; less than the default terminate deadline (30 s), so that
the resource can say what is left before it is stuck."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.1
"""Seconds between looks at a session that is ending; each look lists all processes."""
_ASK_AGAIN_AFTER: Final = 0.1
"""Seconds after which processes that have not got the stop signal are asked again."""


@attrs.frozen
class Exit:
    """How a process ended."""

    status: int | None = None
    """The exit status, if it exited by itself."""
    signal: int | None = None
    """The number of the signal that killed it."""

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
    """A process in a session of its own; ``spawn`` and ``running`` make it."""

    def __init__(self, popen: subprocess.Popen[bytes], *, pidfd: bool) -> None:
        self._popen = popen
        self._pidfd = pidfd
        self._exit: Exit | None = None
        self.pid: Final = popen.pid
        """The id of the process, of its session and of its first process group."""

    @property
    def gone(self) -> bool:
        """Whether it has been reaped, which is when no process of its session is left."""
        return self._popen.returncode is not None

    def ended(self) -> Exit | None:
        """Return how it ended, or ``None`` while it runs."""
        if self._exit is None:
            # Keep the answer: after the child was reaped the kernel no longer knows it.
            self._exit = self._look()
        return self._exit

    def _look(self) -> Exit | None:
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            # Other code in this program waits for any child (-1), or ignores SIGCHLD.
            return Exit()
        if found is None:
            return None
        if found.si_code == os.CLD_EXITED:
            return Exit(status=found.si_status)
        return Exit(signal=found.si_status)

    async def wait(self) -> Exit:
        """Wait until it ends, without reaping it; any number of tasks may wait."""
        # Without the process id: when a test replays a schedule, the id is another one.
        what = "exit of a process"
        while (exit_ := self.ended()) is None:
            if self._pidfd:
                # Open a descriptor for each wait: Trio lets only one task wait for a descriptor.
                try:
                    descriptor = os.pidfd_open(self.pid)
                except OSError:
                    # Other code has just reaped the child, or no descriptor is left: look again.
                    await trio.sleep(_SHORTEST_PAUSE)
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
        """Send a signal to the process alone; do nothing if it has ended."""
        if not self.gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stop(self, number: signal.Signals) -> None:
        """Ask the session to stop, and wait until all of its processes have ended.

        The wait has no bound: cancel it, and ``destroy`` what is left.

        Args:
            number: the signal to ask with.
        """
        told: set[int] = set()
        first, pause = True, _SHORTEST_PAUSE
        while True:
            ask = partial(session.ask, self.pid, number, told, first=first)
            left = await in_thread("end of session", ask)
            first = False
            if self.ended() is None:
                with trio.move_on_after(_ASK_AGAIN_AFTER):
                    await self.wait()
            elif left:
                await trio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    async def destroy(self) -> None:
        """Kill what is left of the session, wait until it has ended, and reap the child.

        Shielded from cancellation, bounded, and harmless when repeated.

        Raises:
            OfflineFailed: a process survives the kill (it hangs in the kernel, or runs as
                another user), or it is unknown whether a process is left: processes start
                faster than they can be listed, or no file descriptor is left to list them.
        """
        if self.gone:
            return
        left: dict[int, int] | None = {}
        with trio.move_on_after(KILL_BOUND, shield=True):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            await self.wait()
            pause = _SHORTEST_PAUSE
            while (left := await in_thread("end of session", session.kill, self.pid)) != {}:
                await trio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            self._popen.wait()
            return
        if left is None:
            raise OfflineFailed(
                f"it is unknown whether processes of session {self.pid} are left: they start"
                " faster than they can be listed, or no file descriptor is left to list them"
            )
        raise OfflineFailed(
            f"these processes were killed and have not ended: {sorted({self.pid, *left})}"
        )


async def spawn(launch: Launch, output: int, *, pidfd: bool | None = None) -> Child:
    """Start a program.

    Cancellation works only before the start: a child that was started is always returned.

    Args:
        launch: what to start.
        output: the descriptor for standard output and standard error of the program.
        pidfd: whether to wait for the end by a file descriptor of the process rather than
            in a thread; by default, if the kernel can do that.

    Raises:
        OnlineFailed: the program could not be started.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    with trio.CancelScope(shield=True):
        popen = await in_thread(f"start of {launch.command[0]}", start, launch, output)
        return Child(popen, pidfd=_has_pidfd(popen.pid) if pidfd is None else pidfd)
    raise AssertionError("the shield is never cancelled")


def _has_pidfd(pid: int) -> bool:
    try:
        os.close(os.pidfd_open(pid))
    except (AttributeError, OSError):
        return False
    return True


@asynccontextmanager
async def running(launch: Launch, output: int) -> AsyncGenerator[Child, None]:
    """Run a program; leaving the context kills it and every process of its session."""
    child = await spawn(launch, output)
    try:
        yield child
    finally:
        await child.destroy()  # noqa: ASYNC102, it shields and bounds itself
