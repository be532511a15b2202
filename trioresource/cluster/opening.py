"""Opening a cluster, and everything that leaving it takes."""

from __future__ import annotations

import operator
import random as random_module
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

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

# Seconds for the engine to deal with the last reports; it never blocks.
_LAST_WORDS: Final = 60.0


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
    dependents first; what has not gone within the shutdown deadline is terminated. An
    error of the block comes out as it is. ``KeyboardInterrupt`` and ``SystemExit`` of a
    handler cancel the block, and come out in an exception group.

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
    block_error: BaseException | None = None
    log = EventLog(history)
    generator = random or random_module.Random()
    try:
        async with _open_grouped(log, generator, shutdown_deadline, stop_on_signals) as cluster:
            try:
                yield cluster
            except BaseException as error:
                block_error = error
                raise
    except BaseExceptionGroup as group:
        if block_error is None or not _is_same(block_error, group):
            raise
    else:
        return
    # That there are nurseries around the block is nobody's business but ours.
    raise block_error


def _is_same(error: BaseException, group: BaseException) -> bool:
    """Whether two hold the same errors; passing through a nursery copies groups."""
    ours, theirs = _leaves(error), _leaves(group)
    return len(ours) == len(theirs) and all(map(operator.is_, ours, theirs))


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]


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
