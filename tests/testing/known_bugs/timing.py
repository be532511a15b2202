"""Deadlines, delays, and waits without an end."""

from __future__ import annotations

import trio

from trioresource.testing import Deadlock, cancellable

from .known_bug import KnownBug, steps

# -- soft-deadline tie


class Attempt:
    """A start reports "pending" when it has not ended within 0.3 seconds.

    That the deadline has expired is known one turn before it is acted on; a start that
    ends in that very turn has said "online" already, and "pending" comes last. Fails if
    the deadline expires while the last steps of the start are still to run.
    """

    def __init__(self) -> None:
        self.state = "offline"
        self.ended = trio.Event()

    async def start(self) -> None:
        await trio.sleep(0.2)
        await steps(3)
        self.state = "online"
        self.ended.set()

    async def watch(self) -> None:
        with trio.move_on_after(0.3) as scope:
            await self.ended.wait()
        if scope.cancelled_caught:
            self.state = "pending"


class FixedAttempt(Attempt):
    """It is asked again whether the start has ended, in the step that says "pending"."""

    async def watch(self) -> None:
        with trio.move_on_after(0.3):
            await self.ended.wait()
        if not self.ended.is_set():
            self.state = "pending"


async def slow_start(attempt: Attempt) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attempt.watch)
        nursery.start_soon(attempt.start)
    assert attempt.state == "online", f"it has started, and is {attempt.state}"


async def soft_deadline_tie() -> None:
    await slow_start(Attempt())


async def fixed_tie() -> None:
    await slow_start(FixedAttempt())


# -- restart after offline


class Restarted:
    """A restart is due after a delay; whether it is still wanted is asked before the start.

    ``offline`` during that start finds nothing to stop, and reports success; then the
    start ends, and the resource runs though it must not. Fails if the whole of
    ``offline`` runs within the start. (``offline`` comes when the restart is due.)
    """

    def __init__(self) -> None:
        self.wanted = True
        self.running = False

    async def restart_later(self) -> None:
        await trio.sleep(1)
        if self.wanted:
            await self.start()

    async def start(self) -> None:
        await steps(2)
        self.running = True

    async def offline(self) -> None:
        self.wanted = False
        await steps(1)
        self.running = False


class FixedRestarted(Restarted):
    """``offline`` calls the restart off, and waits until it has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.restarting = trio.CancelScope()
        self.ended = trio.Event()

    async def restart_later(self) -> None:
        try:
            with self.restarting:
                await super().restart_later()
        finally:
            self.ended.set()

    async def offline(self) -> None:
        self.restarting.cancel()
        await self.ended.wait()
        await super().offline()


async def restart_and_offline(resource: Restarted) -> None:
    async def operator() -> None:
        await trio.sleep(1)
        await steps(3)
        await resource.offline()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(resource.restart_later)
        nursery.start_soon(operator)
    assert not resource.running, "it is offline, and runs"


async def restart_after_offline() -> None:
    await restart_and_offline(Restarted())


async def fixed_restart() -> None:
    await restart_and_offline(FixedRestarted())


# -- unbounded clean-up


class Daemon:
    """It can be asked to end once it listens; who asks sooner is not heard."""

    def __init__(self) -> None:
        self.listens = False
        self.ended = trio.Event()

    async def boot(self) -> None:
        await steps(3)
        self.listens = True

    def terminate(self) -> None:
        if self.listens:
            self.ended.set()

    def kill(self) -> None:
        self.ended.set()


async def clean_up(daemon: Daemon) -> None:
    """Shielded, it waits for an end that may never come.

    Nothing can cancel it then, so the program hangs when it should end. Fails if the
    daemon's user ends, or is cancelled, before the daemon listens.
    """
    daemon.terminate()
    with trio.CancelScope(shield=True):
        await daemon.ended.wait()


async def fixed_clean_up(daemon: Daemon) -> None:
    """After a while it takes stronger means, which need no wait."""
    daemon.terminate()
    with trio.move_on_after(5, shield=True):
        await daemon.ended.wait()
    if not daemon.ended.is_set():
        daemon.kill()


async def use_daemon(*, fixed: bool) -> None:
    daemon = Daemon()

    async def user() -> None:
        with cancellable():
            try:
                await steps(5)
            finally:
                await (fixed_clean_up if fixed else clean_up)(daemon)  # noqa: ASYNC102

    async with trio.open_nursery() as nursery:
        nursery.start_soon(daemon.boot)
        nursery.start_soon(user)
    assert daemon.ended.is_set()
    assert trio.current_time() <= 5


async def unbounded_clean_up() -> None:
    await use_daemon(fixed=False)


async def bounded_clean_up() -> None:
    await use_daemon(fixed=True)


BUGS = (
    KnownBug("soft-deadline tie", soft_deadline_tie, fixed_tie, timers=True),
    KnownBug("restart after offline", restart_after_offline, fixed_restart),
    KnownBug(
        "unbounded clean-up",
        unbounded_clean_up,
        bounded_clean_up,
        cancel=True,
        fails_with=Deadlock,
    ),
)
