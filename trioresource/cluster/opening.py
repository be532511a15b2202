"""Opening a cluster, and everything that leaving it takes."""

from __future__ import annotations

import random as random_module
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from ..monitor.home import open_shielded_nursery
from ..monitor.monitor import open_monitor
from .commands import Commands
from .engine import Engine
from .events import EventLog
from .recovery import Recovery
from .service import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@asynccontextmanager
async def open_cluster(
    *,
    shutdown_deadline: float = 1200.0,
    history: int = 1000,
    stop_on_signals: bool = False,
    random: random_module.Random | None = None,
) -> AsyncGenerator[Cluster, None]:
    """Open a cluster of one node, whose state is kept in memory.

    Leaving the block, also by an error or by cancellation, takes everything offline,
    dependents first; what has not gone within the shutdown deadline is terminated.

    Args:
        shutdown_deadline: how many seconds the orderly part may take.
        history: how many events to remember.
        stop_on_signals: whether the first SIGINT or SIGTERM cancels the block, so that
            everything goes offline in order, and the second one terminates everything.
        random: where jitter comes from.

    Example::

        async with open_cluster() as cluster:
            database = await cluster.add("db", Database, properties={...})
            await database.online()
    """
    log = EventLog(history)
    async with open_shielded_nursery("trioresource cluster") as nursery:
        engine_done = trio.Event()
        try:
            async with open_monitor() as monitor:
                engine = Engine(monitor, log)
                engine.recovery = Recovery(
                    nursery, log, random or random_module.Random(), engine.release
                )
                cluster = Cluster(monitor, engine, Commands(engine), log)
                nursery.start_soon(_run_engine, engine, engine_done, name="trioresource engine")
                try:
                    with trio.CancelScope() as body:
                        if stop_on_signals:
                            await nursery.start(_obey_signals, cluster, body)
                        yield cluster
                finally:
                    await cluster.shut_down(shutdown_deadline)
        finally:
            # The monitor has sent its last report: let the engine tell of it.
            with trio.CancelScope(shield=True):
                await engine_done.wait()
            log.close()


async def _run_engine(engine: Engine, done: trio.Event) -> None:
    try:
        await engine.run()
    finally:
        done.set()


async def _obey_signals(
    cluster: Cluster, body: trio.CancelScope, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if body.cancel_called:
                cluster.terminate_all()
            body.cancel()
