"""The command `trioresource run`: run a cluster file in the foreground."""

from __future__ import annotations

import enum
import signal
import sys
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final, final

import trio
from rich.console import Console

from .._cluster import open_cluster
from .._errors import ConfigError, ResourceGaveUp, TrioResourceError
from .._model.states import DesiredState, ResourceState
from ..config import add_resources, load_cluster_file
from .exit_status import ExitStatus
from .formatting import one_line
from .json_lines import JsonReporter
from .live import LiveReporter
from .log import log_lines
from .plain import PlainReporter
from .reporter import Ending, Reporter, Writer
from .service_manager import ServiceManager
from .view import View

if TYPE_CHECKING:
    from pathlib import Path

    from .._cluster import Cluster, Subscription
    from .._model.events import ClusterEvent, Missed
    from ..config import ClusterConfig

_BUFFER: Final = 10_000
"""Events that may wait for a stalled terminal; more are counted and dropped, to bound memory."""
_FLUSH_BOUND: Final = 5.0
"""Seconds to write what is left when the cluster has closed."""
_MAX_AT_ONCE: Final = 1000
"""Events to show in one step; more would keep signals and the service manager waiting."""
_TICK: Final = 1.0
"""Seconds without an event after which the display is updated: it shows the age of states."""


class Mode(enum.Enum):
    """How to show what happens."""

    AUTOMATIC = enum.auto()
    """Show a table on a terminal, lines elsewhere."""
    PLAIN = enum.auto()
    JSON = enum.auto()


def run_file(file: Path, *, seconds: float | None, mode: Mode) -> int:
    """Run a cluster file until a signal comes or the time is over.

    Args:
        file: the cluster file.
        seconds: how long to run; None for no bound.
        mode: how to show the events.

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
        with log_lines(console if live else None), ServiceManager() as manager:
            return trio.run(_run, config, seconds, manager, mode, console if live else None)
    except BaseExceptionGroup as group:
        # Ctrl-C before _obey_signals has started: Trio's nurseries have wrapped it.
        if group.split(KeyboardInterrupt)[1] is None:
            raise KeyboardInterrupt from None
        raise


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
        with trio.move_on_after(_FLUSH_BOUND, shield=True):
            await reporter.close()


@final
class _Run:
    """One run; its tasks share the view, the reporter and the list of mistakes."""

    def __init__(
        self, config: ClusterConfig, view: View, reporter: Reporter, manager: ServiceManager
    ) -> None:
        self._config = config
        self._view = view
        self._reporter = reporter
        self._manager = manager
        self._body = trio.CancelScope()
        self._idle = trio.CancelScope()
        """The scope of the wait for the next event."""
        self._hurried = False
        """Whether there is something to show that is no event, so that the wait must end."""
        self._settled = False
        """Whether every resource that should start is online or has failed."""
        self._notes: deque[tuple[str, bool]] = deque()
        """Arguments for calls of the reporter's ``stopping`` that are still to be made."""
        self._all_shown = trio.Event()
        self._signals: list[str] = []
        self._mistakes: list[str] = []

    async def run(self, seconds: float | None) -> int:
        """Run the cluster until a signal comes or the time is over."""
        bound = self._config.shutdown_deadline
        async with trio.open_nursery() as nursery:
            ending = inf
            try:
                async with open_cluster(shutdown_deadline=bound) as cluster:
                    if isinstance(self._reporter, LiveReporter):
                        self._reporter.watch(cluster)
                    # Both tasks must outlive the cluster, so they run in the outer nursery.
                    await nursery.start(self._obey_signals, cluster)  # noqa: ASYNC111
                    await nursery.start(self._follow, cluster)  # noqa: ASYNC111
                    if seconds is not None:
                        self._body.deadline = trio.current_time() + seconds
                    try:
                        with self._body:
                            await self._stay(cluster)
                    except trio.Cancelled:
                        # By the cluster: the cancellation of the body itself ends there.
                        ending = self._begin_end()
                        self._note("a resource gave up")
                        raise
                    ending = self._begin_end()
                    self._note_mistakes(cluster, seconds)
            except ResourceGaveUp as error:
                # The other resources are not listed: this says why they are not online.
                self._mistakes.append(one_line(str(error)))
            if trio.current_time() - ending >= bound:
                self._mistakes.append(f"terminated: not offline within {bound:g} s")
            with trio.move_on_after(_FLUSH_BOUND):
                await self._all_shown.wait()
                await self._reporter.ended(self._ending())
            nursery.cancel_scope.cancel()
        return self._ending().status

    async def _stay(self, cluster: Cluster) -> None:
        try:
            wanted = await add_resources(cluster, self._config)
        except Exception as error:
            # A handler's `open` may raise anything: show it, do not crash.
            note = getattr(error, "__notes__", ["the cluster could not be loaded"])[-1]
            self._mistakes.append(one_line(f"{note}: {type(error).__name__}: {error}"))
            return
        for resource in wanted:
            try:
                await resource.wait_online()
            except TrioResourceError:
                continue  # Its failure has been shown as an event.
        self._manager.ready()
        self._settled = True
        self._hurry()
        await trio.sleep_forever()

    def _begin_end(self) -> float:
        """Note that the end begins, and return the time."""
        self._manager.stopping()
        self._view.ending = trio.current_time()
        return self._view.ending

    def _note_mistakes(self, cluster: Cluster, seconds: float | None) -> None:
        """Note which resources are not as they should be, before all go offline."""
        for resource in cluster.resources.values():
            if resource.desired is DesiredState.OFFLINE or resource.state is ResourceState.ONLINE:
                continue
            if self._signals and resource.state.is_pending:
                continue  # The user has interrupted its start: that is no mistake.
            self._mistakes.append(f"{resource.name} was {resource.state.value}, not online")
        if self._body.cancel_called and not self._signals:
            self._note(f"{seconds:g} s are over")

    def _note(self, reason: str, terminating: bool = False) -> None:
        self._notes.append((reason, terminating))
        self._hurry()

    def _hurry(self) -> None:
        self._hurried = True
        self._idle.cancel()

    def _ending(self) -> Ending:
        mistakes = (*self._mistakes, *self._view.failed_at_end)
        return Ending(status=ExitStatus.FAILED if mistakes else ExitStatus.OK, mistakes=mistakes)

    # --- tasks beside the cluster ------------------------------------------------------

    async def _obey_signals(self, cluster: Cluster, task_status: trio.TaskStatus[None]) -> None:
        """End the run upon the first signal, terminate everything upon the second.

        ``open_cluster(stop_on_signals=True)`` would do that, too, but the exit status has
        to say which of the two happened.
        """
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Otherwise closing the terminal would kill this program and leave its processes.
            numbers.append(signal.SIGHUP)
        with trio.open_signal_receiver(*numbers) as signals:
            task_status.started()
            async for number in signals:
                name = signal.Signals(number).name
                self._signals.append(name)
                first = not self._body.cancel_called
                self._body.cancel()
                if not first:
                    self._mistakes.append(f"terminated by {name}")
                    cluster.terminate_all()
                self._note(name, not first)

    async def _follow(self, cluster: Cluster, task_status: trio.TaskStatus[None]) -> None:
        """Show all events, until the cluster has closed and the last event has been shown."""
        shown = False
        with cluster.subscribe(buffer=_BUFFER) as subscription:
            task_status.started()
            await self._reporter.started()
            while (events := await self._next(subscription)) is not None:
                settled = self._settled  # Read it now: the events include all that led to it.
                await self._show_notes()
                await self._reporter.show(events)
                self._manager.status(self._view.headline())
                if settled and not shown:
                    shown = True
                    await self._reporter.ready()
            await self._show_notes()
        self._all_shown.set()

    async def _show_notes(self) -> None:
        while self._notes:
            await self._reporter.stopping(*self._notes.popleft())

    async def _next(self, subscription: Subscription) -> list[ClusterEvent | Missed] | None:
        """Wait for events; return none after a moment without events, and None at the end."""
        events: list[ClusterEvent | Missed] = []
        try:
            patience = 0 if self._hurried else _TICK
            self._hurried = False
            with trio.move_on_after(patience) as self._idle:
                events.append(await subscription.receive())
            while len(events) < _MAX_AT_ONCE:
                events.append(subscription.receive_nowait())
        except trio.WouldBlock:
            pass
        except trio.EndOfChannel:
            return events or None
        return events
