"""The resource monitor: runs handlers, keeps the clocks, polls, detects; decides nothing."""

from __future__ import annotations

from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Any, final

import trio

from .._errors import InvalidStateError, TrioResourceError
from .._model.policy import DEFAULT_POLL_INTERVALS, Deadlines, PollIntervals
from .._model.properties import read_properties
from .._model.reports import describe_error
from .._util.nurseries import open_shielded_nursery, ungrouped
from .._util.timers import KeyT, Timers
from .hosted import HostedResource
from .instance import DeadlineTimers
from .launcher import TaskLauncher
from .polling import Polling
from .watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from .._handler import HandlerFactory
    from .._model.reports import Report
    from .._util.timers import TimerQueue
    from .._util.waiting import SoftWait
    from .attempt import Attempt
    from .probe import Probe


@final
class ResourceMonitor:
    """Hosts resources in one nursery and reports what happens to them.

    Made by ``open_monitor``. It never restarts anything: who listens on ``reports``
    decides.
    """

    def __init__(
        self, home: TaskLauncher, clock: Timers, reports: trio.MemoryReceiveChannel[Report]
    ):
        self.reports = reports
        """Everything that happens, in order; it ends with the monitor. What was reported until
        then can still be received afterwards, so the monitor does not close this end: that is
        for whoever receives, when done with it (``with monitor.reports:``). What has not been
        received by then is lost, which harms nobody else. Unless it is closed, ``no_leaks()``
        finds it open."""
        self._home = home
        self._clock = clock
        self._hosted: dict[str, HostedResource] = {}
        self._lanes: dict[Deadlines, DeadlineTimers] = {}
        self._polling: dict[PollIntervals, Polling] = {}
        self._closing = False

    @property
    def resources(self) -> Mapping[str, HostedResource]:
        """The hosted resources by name, in the order in which they came."""
        return dict(self._hosted)

    async def host(
        self,
        name: str,
        handler: HandlerFactory,
        *,
        properties: Mapping[str, Any] | None = None,
        deadlines: Deadlines | None = None,
        poll: PollIntervals | None = None,
    ) -> HostedResource:
        """Make an instance of a handler and open it.

        Args:
            name: its name; not in use here.
            handler: a handler class, ``service(...)``, or anything that makes a handler.
            properties: what is set for it; the type's defaults stand below.
            deadlines: its deadlines; by default the type's.
            poll: its poll intervals; what is not set is the type's.

        Returns:
            The hosted resource, offline.

        Raises:
            InvalidStateError: the name is taken, or the monitor is closing.
            PropertyError: the properties are not what the type accepts.
            TimeoutError: ``open`` took longer than the deadlock deadline.
            Exception: what ``open`` raised; nothing is hosted then.
        """
        if self._closing:
            raise InvalidStateError("the monitor is closing")
        if name in self._hosted:
            raise InvalidStateError(f"there is a resource named {name!r} already")
        instance = handler()
        info = instance.type_info
        stored = dict(properties or {})
        instance.name = name
        instance.properties = read_properties(
            instance.properties_type, info.property_defaults, stored, owner=name
        )
        deadlines = deadlines or info.deadlines
        hosted = HostedResource(
            name,
            instance,
            stored,
            home=self._home,
            deadlines=deadlines,
            lanes=self._lanes_for(deadlines),
            polling=self._polling_for((poll or PollIntervals()).inherit(info.poll)),
        )
        self._hosted[name] = hosted
        opened = False
        try:
            await hosted.open()
            opened = True
        finally:
            if not opened:
                hosted.closed = True
                if self._hosted.get(name) is hosted:
                    del self._hosted[name]
        return hosted

    async def unhost(self, name: str) -> None:
        """Terminate the resource if it runs, close its handler and forget it.

        Once begun it is shielded and bounded: a cancelled caller returns when it is done.

        Args:
            name: the name of a hosted resource.

        Raises:
            KeyError: nothing of that name is hosted.
            InvalidStateError: called from a task of the resource itself.
            ResourceStuck: its attempt did not end; it stays hosted.
            TimeoutError: ``close`` took longer than the deadlock deadline, or another
                call did not end in that time.
            Exception: what ``close`` raised; it is forgotten all the same.
        """
        hosted = self._hosted[name]
        try:
            await hosted.close()
        finally:
            # Another one may have that name by now.
            if hosted.closed and self._hosted.get(name) is hosted:
                del self._hosted[name]

    async def aclose(self) -> None:
        """Terminate everything, and close every handler; shielded and bounded.

        The bounds are those of the resources: the terminate deadline for each attempt,
        all at the same time, and the deadlock deadline for ``close``.
        """
        self._closing = True
        self._home.resume_gc()
        resources = list(self._hosted.values())
        for hosted in resources:
            hosted.begin_terminate()
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for hosted in resources:
                    nursery.start_soon(_close, hosted, nursery, name=f"close {hosted.name}")

    def timers(
        self, purpose: str, expired: Callable[[KeyT, float], None]
    ) -> Callable[[float], TimerQueue[KeyT]]:
        """Timers on the monitor's clock for the use of its owner.

        Args:
            purpose: keeps them apart from others.
            expired: called with the key of each expired timer and the time at which it
                was due; must neither block nor raise.

        Returns:
            A function from a delay in seconds to the lane with that delay.
        """
        return lambda delay: self._clock.queue(("owner", purpose), delay, expired)

    def _lanes_for(self, deadlines: Deadlines) -> DeadlineTimers:
        lanes = self._lanes.get(deadlines)
        if lanes is None:
            clock = self._clock
            lanes = self._lanes[deadlines] = DeadlineTimers(
                clock.queue("soft", deadlines.soft, _soft_deadline),
                clock.queue("pending", deadlines.progress_gap, _pending_overrun),
                clock.queue("terminate", deadlines.terminate, _terminate_overrun),
                clock.queue("deadlock", deadlines.deadlock, _probe_overrun),
            )
        return lanes

    def _polling_for(self, poll: PollIntervals) -> Polling:
        intervals = poll.inherit(DEFAULT_POLL_INTERVALS)
        polling = self._polling.get(intervals)
        if polling is None:
            polling = self._polling[intervals] = Polling(self._clock, intervals)
        return polling


def _soft_deadline(wait: SoftWait, _: float) -> None:
    wait.wake()


def _pending_overrun(attempt: Attempt, _: float) -> None:
    attempt.hosted.pending_overrun(attempt)


def _terminate_overrun(attempt: Attempt, _: float) -> None:
    attempt.overdue()


def _probe_overrun(probe: Probe, _: float) -> None:
    probe.overdue()


async def _close(hosted: HostedResource, nursery: trio.Nursery) -> None:
    try:
        # Not in the monitor's nursery: after a crash that takes nothing any more.
        await hosted.close(nursery)
    except TrioResourceError as error:
        hosted.handler.log.error("%s", describe_error(error))
    except Exception as error:
        hosted.handler.log.warning("close: %s", describe_error(error), exc_info=error)


def open_monitor(*, watchdog: float | None = None) -> AbstractAsyncContextManager[ResourceMonitor]:
    """Open a resource monitor: the mechanism alone, for those who bring a policy.

    Leaving the block, for whatever reason, terminates every attempt, closes every
    handler and ends the report channel. Cancelling the block does the same. An error of
    a handler never comes out here; ``KeyboardInterrupt`` and ``SystemExit`` always do, in an
    exception group. An error of the block comes out as it is.

    Args:
        watchdog: after how many seconds of real time without a turn the event loop counts
            as blocked; whose handler blocked it, has failed. ``None``: nobody watches.
            Not for a virtual clock.

    Returns:
        An asynchronous context manager that gives the monitor.

    Example::

        async with open_monitor() as monitor:
            database = await monitor.host("db", Database, properties={...})
            await database.online()
            async for report in monitor.reports:
                ...
    """
    return ungrouped(_open_grouped(watchdog))


@asynccontextmanager
async def _open_grouped(watchdog: float | None) -> AsyncGenerator[ResourceMonitor, None]:
    """The monitor in its nursery, which puts every error into groups."""
    send, receive = trio.open_memory_channel["Report"](inf)
    clock = Timers()
    # The channel ends after the last task: one that would not end may still report.
    with send:
        # The clock bounds the clean-up also after a crash has cancelled the nursery below.
        async with (
            open_shielded_nursery("trioresource timers") as timers,
            open_shielded_nursery("trioresource monitor") as nursery,
        ):
            timers.start_soon(clock.run, name="trioresource clock")
            if watchdog is not None:
                nursery.start_soon(Watchdog(watchdog).run, name="trioresource watchdog")
            monitor = ResourceMonitor(TaskLauncher(nursery, send, clock), clock, receive)
            try:
                yield monitor
            finally:
                await monitor.aclose()  # noqa: ASYNC102 - shielded and bounded in itself
