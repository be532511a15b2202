"""Opening a cluster, and everything that leaving it takes."""

from __future__ import annotations

import random as random_module
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from .._monitor.monitor import open_monitor
from .._util.nurseries import open_shielded_nursery, ungrouped
from .cluster import Cluster
from .commands import Commands
from .engine import Engine
from .event_log import EventLog
from .recovery import Recovery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

# Seconds for the engine to deal with the last reports; it never blocks.
_LAST_WORDS: Final = 60.0


def open_cluster(
    *,
    shutdown_deadline: float = 1200.0,
    history: int = 1000,
    stop_on_signals: bool = False,
    random: random_module.Random | None = None,
) -> AbstractAsyncContextManager[Cluster]:
    """Open a cluster of one node, whose state is kept in memory.

    Leaving the block, also by an error or by cancellation, takes everything offline,
    dependents first; what has not gone within the shutdown deadline is terminated. An
    error of the block comes out as it is. ``KeyboardInterrupt`` and ``SystemExit`` of a
    handler cancel the block, and come out in an exception group.

    Args:
        shutdown_deadline: how many seconds the orderly part may take.
        history: how many events to remember.
        stop_on_signals: whether the first SIGINT or SIGTERM cancels the block, so that
            everything goes offline in order, and the second one terminates everything.
        random: where jitter comes from.

    Returns:
        An asynchronous context manager that gives the cluster.

    Example::

        async with open_cluster() as cluster:
            database = await cluster.add("db", Database, properties={...})
            await database.online()
    """
    generator = random or random_module.Random()
    log = EventLog(history)
    return ungrouped(_open_grouped(log, generator, shutdown_deadline, stop_on_signals))


@asynccontextmanager
async def _open_grouped(
    log: EventLog, random: random_module.Random, shutdown_deadline: float, stop_on_signals: bool
) -> AsyncGenerator[Cluster, None]:
    """The cluster in its nurseries, which put every error into groups."""
    async with open_shielded_nursery("trioresource cluster") as nursery:
        engine_done: trio.Event | None = None
        try:
            async with open_monitor() as monitor:
                engine = Engine(monitor, log)
                engine.recovery = Recovery(nursery, log, random, engine.release)
                cluster = Cluster(monitor, engine, Commands(engine), log)
                engine_done = trio.Event()
                nursery.start_soon(_run_engine, engine, engine_done, name="trioresource engine")
                try:
                    with trio.CancelScope() as body:
                        if stop_on_signals:
                            await nursery.start(_obey_signals, cluster, body)
                        yield cluster
                finally:
                    # Shielded and bounded in there.
                    await cluster.shut_down(shutdown_deadline)  # noqa: ASYNC102
        finally:
            # The monitor has sent its last report: let the engine tell of it.
            if engine_done is not None:
                with trio.move_on_after(_LAST_WORDS, shield=True):
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
