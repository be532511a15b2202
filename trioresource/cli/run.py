"""`trioresource run`: a cluster in the foreground, from a cluster file."""

from __future__ import annotations

import enum
import logging
import signal
import sys
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, final

import attrs
import trio
from rich.console import Console
from rich.logging import RichHandler

from ..cluster import open_cluster
from ..errors import ConfigError, TrioResourceError
from ..loading import load
from ..model.states import DesiredState, ResourceState
from ..registry import load_cluster_file
from .json_lines import JsonReporter
from .live import LiveReporter
from .main import ExitStatus
from .plain import PlainReporter
from .reporter import Ending, Reporter, Writer
from .systemd import ServiceManager
from .view import View
from .words import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..cluster import Cluster, Subscription
    from ..model.config import ClusterConfig
    from ..model.events import ClusterEvent, Missed

_BUFFER: Final = 10_000
"""So many events may wait for a stalled terminal; others are counted and left out."""
_LAST_WORDS: Final = 5.0
"""Seconds to write what is left when the cluster has gone."""
_TICK: Final = 1.0
"""Seconds after which the display is brought up to date though nothing happened."""


class Mode(enum.Enum):
    """How to show what happens."""

    AUTOMATIC = enum.auto()
    """A table on a terminal, lines elsewhere."""
    PLAIN = enum.auto()
    JSON = enum.auto()


def run_file(file: Path, *, seconds: float | None, mode: Mode) -> int:
    """Run a cluster file until a signal comes or the time is over.

    Args:
        file: the cluster file.
        seconds: how long to run; None for no bound.
        mode: how to show what happens.

    Returns:
        The exit status.
    """
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        config = load_cluster_file(file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return ExitStatus.CLUSTER_FILE
    console = Console()
    live = mode is Mode.AUTOMATIC and sys.stdout.isatty() and not console.is_dumb_terminal
    try:
        with _logging(console if live else None), ServiceManager() as manager:
            return trio.run(_run, config, seconds, manager, mode, console if live else None)
    except BaseExceptionGroup as group:
        # Trio wraps what comes out of its nurseries.
        for kind in (BrokenPipeError, KeyboardInterrupt):
            if group.split(kind)[1] is None:
                raise kind from None
        raise


@contextmanager
def _logging(console: Console | None) -> Iterator[None]:
    """Log to standard error, or above the table, in a thread of its own."""
    handler: logging.Handler
    if console is None:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    else:
        handler = RichHandler(console=console, show_path=False, show_time=False)
    queue: SimpleQueue[Any] = SimpleQueue()
    listener = QueueListener(queue, handler)
    logging.basicConfig(level=logging.WARNING, handlers=[QueueHandler(queue)], format="%(message)s")
    listener.start()
    try:
        yield
    finally:
        listener.stop()


async def _run(
    config: ClusterConfig,
    seconds: float | None,
    manager: ServiceManager,
    mode: Mode,
    console: Console | None,
) -> int:
    view = View(config, trio.current_time())
    reporter: Reporter
    if console is not None:
        reporter = LiveReporter(config.name, view, console)
    elif mode is Mode.JSON:
        reporter = JsonReporter(config.name, view, Writer(sys.stdout))
    else:
        reporter = PlainReporter(view, Writer(sys.stdout))
    try:
        return await _Run(config, view, reporter, manager).run(seconds)
    finally:
        await reporter.close()


@final
class _Run:
    """One run; its parts share the view, the reporter and what went wrong."""

    def __init__(
        self, config: ClusterConfig, view: View, reporter: Reporter, manager: ServiceManager
    ) -> None:
        self._config = config
        self._view = view
        self._reporter = reporter
        self._manager = manager
        self._body = trio.CancelScope()
        self._mistakes: list[str] = []
        self._interrupted = False

    async def run(self, seconds: float | None) -> int:
        deadline = self._config.shutdown_deadline
        async with trio.open_nursery() as nursery:
            async with open_cluster(shutdown_deadline=deadline) as cluster:
                if isinstance(self._reporter, LiveReporter):
                    self._reporter.watch(cluster)
                await nursery.start(self._obey_signals, cluster, nursery)
                await nursery.start(self._follow, cluster, nursery)
                if seconds is not None:
                    self._body.deadline = trio.current_time() + seconds
                with self._body:
                    await self._stay(cluster)
                self._begin_end(cluster, nursery, seconds)
            if trio.current_time() - (self._view.ending or 0) >= deadline:
                self._mistakes.append(f"terminated: not offline within {deadline:g} s")
            nursery.cancel_scope.deadline = trio.current_time() + _LAST_WORDS
        return ExitStatus.FAILED if self._mistakes else ExitStatus.OK

    async def _stay(self, cluster: Cluster) -> None:
        try:
            wanted = await load(cluster, self._config)
        except Exception as error:
            # What an author's `open` raised: it may be anything, and is no bug here.
            notes = getattr(error, "__notes__", ["the cluster could not be loaded"])
            reason = one_line(f"{notes[-1]}: {type(error).__name__}: {error}")
            self._mistakes.append(reason)
            return
        for resource in wanted:
            try:
                await resource.wait_online()
            except TrioResourceError:
                continue  # Its failure has been told.
        self._manager.ready()
        await self._reporter.ready()
        await trio.sleep_forever()

    def _begin_end(self, cluster: Cluster, nursery: trio.Nursery, seconds: float | None) -> None:
        self._view.ending = trio.current_time()
        self._manager.stopping()
        for resource in cluster.resources.values():
            if resource.desired is DesiredState.OFFLINE or resource.state is ResourceState.ONLINE:
                continue
            if self._interrupted and resource.state is ResourceState.ONLINE_PENDING:
                continue  # Whoever interrupts it takes it as it is.
            self._mistakes.append(f"{resource.name} was {resource.state.value}, not online")
        if not self._interrupted and not self._mistakes and seconds is not None:
            nursery.start_soon(self._reporter.stopping, f"going offline after {seconds:g} s")

    # --- beside it ---------------------------------------------------------------------

    async def _obey_signals(
        self, cluster: Cluster, nursery: trio.Nursery, task_status: trio.TaskStatus[None]
    ) -> None:
        """End the run upon the first signal, and terminate everything upon the second."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Without this, closing the terminal would leave every process behind.
            numbers.append(signal.SIGHUP)
        with trio.open_signal_receiver(*numbers) as signals:
            task_status.started()
            async for number in signals:
                name = signal.Signals(number).name
                ...
