"""A process that exists in virtual time only."""

from __future__ import annotations

import signal
from math import inf
from typing import TYPE_CHECKING, Final, final

import trio

from .running import current

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FakeProcess", "living_fakes"]

_LIVING: Final[trio.lowlevel.RunVar[list[FakeProcess]]] = trio.lowlevel.RunVar("fake_processes")
_FIRST_PID: Final = 1000


@final
class FakeProcess:
    """Looks like a ``trio.Process``, and needs no operating system.

    It ends by itself, by a signal, or when it is told to crash; as long as it has not
    ended, ``no_leaks()`` sees it.

    Args:
        runs_for: after how many seconds it ends by itself.
        exit_code: its status when it ends by itself.
        stops_in: how many seconds it takes to end after SIGTERM or SIGINT.
        ignores: signals that do nothing to it. SIGKILL can not be ignored.
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
        living = living_fakes()
        self.pid: Final = _FIRST_PID + len(living)
        living.append(self)

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
        """Start one, as ``trio.lowlevel.open_process`` does.

        Cancelled in time, nothing has been started.

        Args:
            takes: seconds until it runs.
            fails: is raised then instead, if given.
            runs_for: as for the class.
            exit_code: as for the class.
            stops_in: as for the class.
            ignores: as for the class.

        Returns:
            A process that runs.
        """
        await trio.sleep(takes)
        if fails is not None:
            raise fails
        return cls(runs_for=runs_for, exit_code=exit_code, stops_in=stops_in, ignores=ignores)

    @property
    def returncode(self) -> int | None:
        """Its status, negative for a signal; ``None`` while it runs."""
        return self._code if trio.current_time() >= self._ends_at else None

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    async def wait(self) -> int:
        """Wait until it has ended; a checkpoint.

        Returns:
            Its status.
        """
        await trio.lowlevel.checkpoint()
        while (code := self.returncode) is None:
            with trio.CancelScope(deadline=self._ends_at):
                await self._changed.wait()
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it has ended, or ignores it."""
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


def living_fakes() -> list[FakeProcess]:
    """All that were started in this schedule, or in this run of Trio."""
    controller = current()
    if controller is not None:
        return controller.fakes
    try:
        return _LIVING.get()
    except LookupError:
        living: list[FakeProcess] = []
        _LIVING.set(living)
        return living
