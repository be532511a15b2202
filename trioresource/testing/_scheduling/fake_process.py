"""Processes that exist in virtual time only."""

from __future__ import annotations

import signal
from math import inf
from typing import TYPE_CHECKING, Final, final

import trio

if TYPE_CHECKING:
    from collections.abc import Iterable

_STARTED: Final[trio.lowlevel.RunVar[list[FakeProcess]]] = trio.lowlevel.RunVar("fake_processes")
_FIRST_PID: Final = 1000


@final
class FakeProcess:
    """Stand in for a ``trio.Process``, without the operating system.

    It ends by itself, by a signal, or by ``crash()``. Until then, ``no_leaks()`` reports it
    as left behind.

    Args:
        runs_for: seconds after which it ends by itself.
        exit_code: its status when it ends by itself.
        stops_in: seconds that it takes to end after SIGTERM, SIGINT or SIGHUP.
        ignores: signals that do nothing to it. SIGKILL cannot be ignored.
    """

    def __init__(
        self,
        *,
        runs_for: float = inf,
        exit_code: int = 0,
        stops_in: float = 0.0,
        ignores: Iterable[signal.Signals] = (),
    ) -> None:
        self._ends_at = trio.current_time() + runs_for
        self._code = exit_code
        self._stops_in: Final = stops_in
        self._ignores: Final = frozenset(ignores) - {signal.SIGKILL}
        self._changed = trio.Event()
        started = _started()
        self.pid: Final = _FIRST_PID + len(started)
        started.append(self)

    @classmethod
    async def start(
        cls,
        *,
        takes: float = 0.0,
        fails: BaseException | None = None,
        runs_for: float = inf,
        exit_code: int = 0,
        stops_in: float = 0.0,
        ignores: Iterable[signal.Signals] = (),
    ) -> FakeProcess:
        """Start a process, as ``trio.lowlevel.open_process`` does.

        If this call is cancelled before it returns, no process was started.

        Args:
            takes: seconds until the process runs.
            fails: the error that is raised after ``takes`` instead, if given.
            runs_for: as for the class.
            exit_code: as for the class.
            stops_in: as for the class.
            ignores: as for the class.

        Returns:
            The process, which runs.
        """
        await trio.sleep(takes)
        if fails is not None:
            raise fails
        return cls(runs_for=runs_for, exit_code=exit_code, stops_in=stops_in, ignores=ignores)

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; ``None`` while it runs."""
        return self._code if trio.current_time() >= self._ends_at else None

    def poll(self) -> int | None:
        """Return ``returncode``."""
        return self.returncode

    async def wait(self) -> int:
        """Wait until it has ended. Always a checkpoint.

        Returns:
            Its exit status.
        """
        await trio.lowlevel.checkpoint()
        while (code := self.returncode) is None:
            with trio.CancelScope(deadline=self._ends_at):
                await self._changed.wait()
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal; does nothing if it has ended, or ignores the signal."""
        if self.returncode is not None or number in self._ignores:
            return
        if number is signal.SIGKILL:
            self._end(0, -number)
        elif number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._end(self._stops_in, -number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def crash(self, exit_code: int = 1) -> None:
        """End it now, as if by itself."""
        if self.returncode is None:
            self._end(0, exit_code)

    def _end(self, after: float, code: int) -> None:
        moment = trio.current_time() + after
        if moment < self._ends_at:
            self._ends_at, self._code = moment, code
            changed, self._changed = self._changed, trio.Event()
            changed.set()


def running_fake_processes() -> list[FakeProcess]:
    """Return those of this schedule (without one, of this run of Trio) that have not ended."""
    return [process for process in _started() if process.returncode is None]


def forget_fake_processes() -> None:
    """Begin a new list of fake processes, with process ids from the first one on.

    Each schedule calls this. Without it, a schedule would see the processes of those that
    ran before it in the same run of Trio.
    """
    _STARTED.set([])


def _started() -> list[FakeProcess]:
    try:
        return _STARTED.get()
    except LookupError:
        started: list[FakeProcess] = []
        _STARTED.set(started)
        return started
