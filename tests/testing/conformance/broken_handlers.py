"""One handler for each way to break the contract."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import trio

from trioresource.testing import FakeProcess

from .good_handler import Good

if TYPE_CHECKING:
    from trioresource import OnlineScope


class LeaksWhenCancelled(Good):
    """Knows its process only once it is ready, so that a process that is not is never ended."""

    async def online(self, scope: OnlineScope) -> FakeProcess:
        process = await FakeProcess.start(takes=0.1)
        await trio.sleep(0.05)
        self.process = process
        scope.start_soon(self.watch, process)
        return process


class ForgetsHalfOpen(Good):
    """Opens a second thing, and when that fails, the first is forgotten."""

    helper: FakeProcess | None = None

    async def online(self, scope: OnlineScope) -> FakeProcess:
        self.helper = None
        helper = await FakeProcess.start(takes=0.02)
        process = await super().online(scope)
        self.helper = helper
        return process

    async def offline(self, scope: OnlineScope) -> None:
        await super().offline(scope)
        assert self.helper is not None
        self.helper.kill()

    async def terminate(self) -> None:
        await super().terminate()
        if self.helper is not None:
            self.helper.kill()


class StartsTwice(Good):
    """After a failure it starts anew beside what still runs, and ends both much later."""

    def __init__(self) -> None:
        self.all: list[FakeProcess] = []

    async def online(self, scope: OnlineScope) -> FakeProcess:
        process = await super().online(scope)
        self.all.append(process)
        return process

    async def terminate(self) -> None:
        if self.all and self.process is not self.all[-1]:
            await super().terminate()

    async def offline(self, scope: OnlineScope) -> None:
        await super().offline(scope)
        self.end_all()

    async def close(self) -> None:
        self.end_all()

    def end_all(self) -> None:
        for process in self.all:
            process.kill()


class CleansUpUnshielded(Good):
    """Its clean-up waits, and is cancelled there."""

    async def online(self, scope: OnlineScope) -> FakeProcess:
        process = await FakeProcess.start(takes=0.1)
        try:
            await trio.sleep(0.05)
        except BaseException:
            await trio.sleep(0.01)  # noqa: ASYNC102 - that is the mistake
            process.kill()
            raise
        self.process = process
        scope.start_soon(self.watch, process)
        return process


class OfflineLeaves(Good):
    """Only asks its process to stop, and does not see to it."""

    async def offline(self, scope: OnlineScope) -> None:
        assert self.process is not None
        self.stopping = True
        self.process.terminate()
        await trio.lowlevel.checkpoint()


class SaysAlive(Good):
    """Says that it is alive, whatever is the case, and nothing else watches."""

    async def online(self, scope: OnlineScope) -> FakeProcess:
        self.process = await FakeProcess.start(takes=0.1)
        return self.process

    def looks_alive(self) -> bool:
        return True


class BlocksTheLoop(Good):
    """Computes, or waits, without letting others go on."""

    async def is_alive(self) -> bool:
        time.sleep(0.06)  # noqa: TID251, ASYNC251 - that is the mistake
        return await super().is_alive()


class SwallowsCancelled(Good):
    """Takes its cancellation for one of the things that can go wrong."""

    async def online(self, scope: OnlineScope) -> FakeProcess:
        self.process = await FakeProcess.start(takes=0.1)
        with contextlib.suppress(BaseException):
            await trio.sleep(0.05)
        scope.start_soon(self.watch, self.process)
        return self.process


class LosesOnCancel(Good):
    """Forgets its process before it is sure that it has ended."""

    async def offline(self, scope: OnlineScope) -> None:
        assert self.process is not None
        self.stopping = True
        process, self.process = self.process, None
        process.terminate()
        with trio.move_on_after(1):
            await process.wait()
        process.kill()


class TerminateHangs(Good):
    """Waits for the end of a process that it has not told to end."""

    async def terminate(self) -> None:
        if self.process is not None and self.process.returncode is None:
            await self.process.wait()


class NeverEnds(Good):
    """Shields its clean-up, and does not bound it."""

    async def online(self, scope: OnlineScope) -> FakeProcess:
        try:
            return await super().online(scope)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()
            raise


class RememberedByAll(Good):
    """Keeps state in its class, so that one instance depends on what another did."""

    seen: ClassVar[list[int]] = []

    async def online(self, scope: OnlineScope) -> FakeProcess:
        self.seen.append(1)
        for _ in range(len(self.seen) % 3):
            await trio.lowlevel.checkpoint()
        return await super().online(scope)


class LeavesFiles(Good):
    """Makes a temporary file at each online."""

    async def online(self, scope: OnlineScope) -> FakeProcess:
        Path(tempfile.mkdtemp()).joinpath("state").write_text("", encoding="utf-8")  # noqa: ASYNC240
        return await super().online(scope)


class NotWell(Good):
    """Says that it is not alive while it is."""

    async def is_alive(self) -> bool:
        return not await super().is_alive()


class OpensForNothing(Good):
    """Opens something in ``open`` that ``close`` does not close."""

    async def open(self) -> None:
        self.channel = trio.open_memory_channel[int](0)
        await trio.lowlevel.checkpoint()
