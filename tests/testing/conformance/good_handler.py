from __future__ import annotations

import trio

from trioresource import NoProperties, OnlineScope, ResourceHandler
from trioresource.testing import FakeProcess


class Good(ResourceHandler[NoProperties]):
    """Runs a process, and keeps the contract; the broken handlers differ in one thing each."""

    process: FakeProcess | None = None
    stopping = False

    async def online(self, scope: OnlineScope) -> FakeProcess:
        self.stopping = False
        self.process = await FakeProcess.start(takes=0.1, stops_in=0.2)
        # Until it is ready. If this is cancelled, terminate ends the process.
        await trio.sleep(0.05)
        scope.start_soon(self.watch, self.process)
        return self.process

    async def watch(self, process: FakeProcess) -> None:
        code = await process.wait()
        if self.stopping:
            return
        raise RuntimeError(f"it ended with status {code}")

    def looks_alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def is_alive(self) -> bool:
        await trio.lowlevel.checkpoint()
        return self.looks_alive()

    async def offline(self, scope: OnlineScope) -> None:
        assert self.process is not None
        self.stopping = True
        self.process.terminate()
        with trio.move_on_after(1):
            await self.process.wait()
        self.process.kill()

    async def terminate(self) -> None:
        if self.process is not None:
            self.process.kill()
