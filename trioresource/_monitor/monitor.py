"""The resource monitor: runs handlers, keeps the clocks, polls, detects; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Any, final

import trio

from .._errors import InvalidStateError, TrioResourceError
from .._handler import make_handler, mark_hosted
from .._model.policy import DEFAULT_POLL_INTERVALS, Deadlines, PollIntervals
from .._model.properties import read_properties
from .._model.reports import describe_error
from .._util.arguments import check_instance, check_name
from .._util.construction import NoPublicConstructor, construct
from .._util.nurseries import open_shielded_nursery, ungrouped
from .._util.timers import Timers
from .attempt import AttemptTimers
from .entry_call import EntryCall
from .failures import FailureChannel
from .hosted import HostedResource
from .instance import Instance
from .launcher import ReportSink, TaskLauncher
from .polling import Polling
from .watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from .._handler import HandlerFactory
    from .._model.reports import Report
    from .attempt import Attempt


@final
class ResourceMonitor(metaclass=NoPublicConstructor):
    """Hosts resources in one nursery and reports what happens to them.

    Made by ``open_monitor``. It never restarts anything: the consumer of its reports decides.
    """

    def __init__(
        self,
        launcher: TaskLauncher,
        sink: ReportSink,
        failures: FailureChannel,
        timers: Timers,
        reports: trio.MemoryReceiveChannel[Report] | None,
    ) -> None:
        self._reports = reports
        self._launcher = launcher
        self._sink = sink
        self._failures = failures
        self._timers = timers
        self._hosted: dict[str, HostedResource] = {}
        self._attempt_timers: dict[Deadlines, AttemptTimers] = {}
        self._polling: dict[PollIntervals, Polling] = {}
        self._is_closing = False

    @property
    def reports(self) -> trio.MemoryReceiveChannel[Report]:
        """Everything that happens, in order.

        It ends when the monitor closes; buffered reports can still be received. The receiver
        must close it (``with monitor.reports:``), or ``no_leaks()`` finds it open.

        Raises:
            InvalidStateError: the reports go to the owner of the monitor.
        """
        if self._reports is None:
            raise InvalidStateError("the reports of this monitor go to its owner")
        return self._reports

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
            InvalidStateError: the name is taken, or the monitor is closing; or the handler is
                that of another resource already.
            TypeError: the handler cannot work (it defines no ``online``, or an entry point
                that is not async and must be, or the reverse), or an argument is of another type.
            ValueError: the name cannot be written in an expression of dependencies.
            PropertyError: the properties are not what the type accepts.
            TimeoutError: ``open`` took longer than the deadlock deadline.
            Exception: what ``open`` raised; nothing is hosted then.
        """
        check_name("resource", name)
        check_instance("properties", properties, Mapping, hint="a mapping of names to values")
        check_instance("deadlines", deadlines, Deadlines)
        check_instance("poll", poll, PollIntervals)
        if self._is_closing:
            raise InvalidStateError("the monitor is closing")
        if name in self._hosted:
            raise InvalidStateError(f"there is a resource named {name!r} already")
        made = make_handler(handler, resource=name)
        info = made.type_info
        stored = dict(properties or {})
        read = read_properties(made.properties_type, info.property_defaults, stored, owner=name)
        deadlines = deadlines or info.deadlines
        instance = Instance(
            name,
            made,
            stored,
            launcher=self._launcher,
            sink=self._sink,
            failures=self._failures,
            deadlines=deadlines,
            timers=self._timers_for(deadlines),
            polling=self._polling_for((poll or PollIntervals()).inherit(info.poll)),
        )
        # Nothing is changed before this line, also in a handler that was refused.
        made.name = name
        made.properties = read
        mark_hosted(made, is_hosted=True)
        hosted = self._hosted[name] = construct(HostedResource, instance, self._forget)
        opened = False
        try:
            await EntryCall(instance, "open", made.open, ()).run()
            instance.opened()
            opened = True
        finally:
            if not opened:
                instance.is_closed = True
                self._forget(hosted)
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
        await self._hosted[name].close()

    async def aclose(self) -> None:
        """Terminate everything, and close every handler; shielded and bounded.

        The bounds are those of the resources: the terminate deadline for each attempt,
        all at the same time, and the deadlock deadline for ``close``.
        """
        self._is_closing = True
        resources = list(self._hosted.values())
        for hosted in resources:
            hosted.begin_terminate()
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for hosted in resources:
                    nursery.start_soon(_close, hosted, name=f"close {hosted.name}")

    def _forget(self, hosted: HostedResource) -> None:
        # Another resource may have that name by now.
        if self._hosted.get(hosted.name) is hosted:
            del self._hosted[hosted.name]
            mark_hosted(hosted.handler, is_hosted=False)

    def _timers_for(self, deadlines: Deadlines) -> AttemptTimers:
        found = self._attempt_timers.get(deadlines)
        if found is None:
            timers = self._timers
            found = self._attempt_timers[deadlines] = AttemptTimers(
                timers.queue("pending", deadlines.progress_gap, _pending_overrun),
                timers.queue("terminate", deadlines.terminate, _terminate_overrun),
                timers.queue("deadlock", deadlines.deadlock, _probe_overrun),
            )
        return found

    def _polling_for(self, poll: PollIntervals) -> Polling:
        intervals = poll.inherit(DEFAULT_POLL_INTERVALS)
        polling = self._polling.get(intervals)
        if polling is None:
            polling = self._polling[intervals] = Polling(self._timers, intervals)
        return polling


def _pending_overrun(attempt: Attempt, _: float) -> None:
    attempt.owner.pending_overrun(attempt)


def _terminate_overrun(attempt: Attempt, _: float) -> None:
    attempt.overdue()


def _probe_overrun(attempt: Attempt, _: float) -> None:
    attempt.owner.probe(attempt).overdue()


async def _close(hosted: HostedResource) -> None:
    # Shielded, and in a nursery of its own: an interrupt out of one handler's close does not cut
    # short those of the others. Bounded by the deadlines of the resource.
    with trio.CancelScope(shield=True):  # noqa: ASYNC912 - close() waits
        async with trio.open_nursery() as nursery:
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
            as blocked; the resource whose handler blocked it has failed. ``None``: no watchdog.
            Not for a virtual clock.

    Returns:
        An asynchronous context manager that gives the monitor.

    Example:
        ```python
        async with open_monitor() as monitor:
            database = await monitor.host("db", Database, properties={...})
            await database.online()
            async for report in monitor.reports:
                ...
        ```
    """
    return ungrouped(_open_grouped(watchdog))


@asynccontextmanager
async def _open_grouped(watchdog: float | None) -> AsyncGenerator[ResourceMonitor, None]:
    """Open the monitor in its nursery, which puts every error into groups."""
    send, receive = trio.open_memory_channel["Report"](inf)
    async with open_monitor_below(send, receive, watchdog=watchdog) as monitor:
        yield monitor


@asynccontextmanager
async def open_monitor_below(
    send: trio.MemorySendChannel[Report],
    receive: trio.MemoryReceiveChannel[Report] | None = None,
    *,
    watchdog: float | None = None,
) -> AsyncGenerator[ResourceMonitor, None]:
    """Open a monitor whose reports go into a channel of its owner's.

    Args:
        send: where reports go; it is closed when the monitor is.
        receive: the other end, where the users of the monitor get it from the monitor.
        watchdog: see ``open_monitor``.
    """
    failures = FailureChannel()
    timers = Timers()
    # The channel ends after the last task: one that would not end may still report.
    with send:
        # The timers bound the clean-up also after a crash has cancelled the nursery below,
        # and the consumer of the failure channel outlives every attempt.
        async with (
            open_shielded_nursery("trioresource timers") as outer,
            open_shielded_nursery("trioresource monitor") as nursery,
        ):
            launcher = TaskLauncher(nursery)
            outer.start_soon(timers.run, name="trioresource clock")
            outer.start_soon(failures.consume, name="trioresource failure channel")
            if watchdog is not None:
                nursery.start_soon(Watchdog(watchdog, launcher).run, name="trioresource watchdog")
            monitor = construct(
                ResourceMonitor, launcher, ReportSink(send), failures, timers, receive
            )
            try:
                yield monitor
            finally:
                await monitor.aclose()  # noqa: ASYNC102 - shielded and bounded in itself
