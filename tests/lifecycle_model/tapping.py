"""Listens at the doors of a cluster, for the model that is to say what its engine does.

Commands go down through ``Hosted`` and reports come up by a channel, so it is enough to listen
at both ends of the two, and to see when the task of a hold goes on. Nothing is changed, held up
or left out.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Any, Final, Self, final

import trio

from tests.lifecycle_model.observations import (
    Added,
    AllTaken,
    Ask,
    Closed,
    Closing,
    Command,
    Commanded,
    Delivered,
    HoldEnded,
    Sent,
    Taken,
)
from trioresource._model.reports import MonitorClosing
from trioresource.testing._scheduling.gated_task import GatedTask

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from tests.lifecycle_model.observations import ClusterObservation
    from trioresource import Deadlines, Properties, ResourceStatistics, ResourceType
    from trioresource._cluster.hosting import Hosted, Monitor, OpenMonitor
    from trioresource._model.reports import Report

__all__ = ["PassedOn", "Tap"]

_HOLD: Final = "restart of "
"""How the name of the task begins that waits for the end of a hold."""


@final
class Tap(trio.abc.Instrument):
    """Notes what goes into a cluster's engine and what comes out of it.

    Args:
        note: is called with whatever that is.
    """

    def __init__(self, note: Callable[[ClusterObservation], object]) -> None:
        self._note = note
        self._holds: dict[str, int] = {}
        self._waiting: dict[trio.lowlevel.Task, tuple[str, int, bool]] = {}

    # --- at the engine -------------------------------------------------------------------

    def open_channel(self) -> tuple[Any, Any]:
        """Open the report channel; what the engine takes from it is noted."""
        send, receive = trio.open_memory_channel["Report | trio.Event"](inf)
        return send, _Receiver(receive, self._note)

    def at_engine(self, open_monitor: OpenMonitor) -> OpenMonitor:
        """Note which commands the engine gives to a monitor, and which resources it gets."""
        note = self._note

        def pass_on(command: Command | None, carry_out: Callable[[], object]) -> None:
            if command is not None:
                note(Commanded(command, trio.current_time()))
            carry_out()

        def host(hosted: Hosted) -> Hosted:
            note(Added(hosted.name, hosted.instance, trio.current_time()))
            return PassedOn(hosted, pass_on, closed=closed)

        def closed(hosted: Hosted) -> None:
            note(Closed(hosted.name, hosted.is_closed, trio.current_time()))

        @asynccontextmanager
        async def open_tapped(
            reports: trio.MemorySendChannel[Report],
        ) -> AsyncGenerator[Monitor, None]:
            async with open_monitor(reports) as monitor:
                yield HostingThrough(monitor, host)

        return open_tapped

    # --- at the monitor ------------------------------------------------------------------

    def at_monitor(self, open_monitor: OpenMonitor) -> OpenMonitor:
        """Note which commands a monitor takes, and what it reports."""
        note = self._note

        def pass_on(command: Command | None, carry_out: Callable[[], object]) -> None:
            if command is not None:
                note(Delivered(command, trio.current_time()))
            carry_out()

        def closing(hosted: Hosted) -> None:
            note(Closing(hosted.name, trio.current_time()))

        @asynccontextmanager
        async def open_tapped(
            reports: trio.MemorySendChannel[Report],
        ) -> AsyncGenerator[Monitor, None]:
            sender: Any = _Sender(reports, note)
            async with open_monitor(sender) as monitor:
                yield HostingThrough(
                    monitor, lambda hosted: PassedOn(hosted, pass_on, closing=closing)
                )

        return open_tapped

    # --- the tasks of holds --------------------------------------------------------------

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """Count a hold."""
        if task.name.startswith(_HOLD):
            name = task.name.removeprefix(_HOLD)
            number = self._holds[name] = self._holds.get(name, 0) + 1
            self._waiting[task] = (name, number, False)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Note the second step of such a task; with the first it begins to wait."""
        if task in self._waiting and not _is_at_gate(task):
            name, number, has_begun = self._waiting[task]
            if has_begun:
                del self._waiting[task]
                self._note(HoldEnded(name, number, trio.current_time()))
            else:
                self._waiting[task] = (name, number, True)


def _is_at_gate(task: trio.lowlevel.Task) -> bool:
    """Whether the step only brings the task to the gate of the test kit, to wait for its turn."""
    coro: Any = task.coro
    return isinstance(coro, GatedTask) and not coro.parked


@final
class HostingThrough:
    """A monitor whose resources are used through something else.

    Args:
        monitor: the monitor.
        through: makes that of a hosted resource.
    """

    def __init__(self, monitor: Monitor, through: Callable[[Hosted], Hosted]) -> None:
        self._monitor = monitor
        self._through = through

    async def host(self, name: str, handler: Any, **options: Any) -> Hosted:
        """Make an instance of a handler and open it."""
        return self._through(await self._monitor.host(name, handler, **options))


@final
class PassedOn:
    """A hosted resource whose commands are passed on.

    Args:
        hosted: the hosted resource.
        pass_on: gets each command, if the model knows it, and what carries it out.
        arrive: waits until what was passed on before has been carried out.
        closing: is called when it begins to be closed.
        closed: is called when that has ended.
    """

    def __init__(
        self,
        hosted: Hosted,
        pass_on: Callable[[Command | None, Callable[[], object]], None],
        *,
        arrive: Callable[[], Any] | None = None,
        closing: Callable[[Hosted], None] = lambda hosted: None,
        closed: Callable[[Hosted], None] = lambda hosted: None,
    ) -> None:
        self._hosted = hosted
        self._pass_on = pass_on
        self._arrive = arrive
        self._closing = closing
        self._closed = closed

    @property
    def name(self) -> str:
        return self._hosted.name

    @property
    def instance(self) -> int:
        return self._hosted.instance

    @property
    def type_info(self) -> ResourceType:
        return self._hosted.type_info

    @property
    def properties_type(self) -> type[Properties]:
        return self._hosted.properties_type

    @property
    def deadlines(self) -> Deadlines:
        return self._hosted.deadlines

    @property
    def is_closed(self) -> bool:
        return self._hosted.is_closed

    def begin_online(self, generation: int, epoch: int) -> None:
        command = self._command(Ask.ONLINE, generation, epoch)
        self._pass_on(command, lambda: self._hosted.begin_online(generation, epoch))

    def begin_offline(self, generation: int) -> None:
        command = self._command(Ask.OFFLINE, generation)
        self._pass_on(command, lambda: self._hosted.begin_offline(generation))

    def begin_terminate(self, generation: int) -> None:
        command = self._command(Ask.TERMINATE, generation)
        self._pass_on(command, lambda: self._hosted.begin_terminate(generation))

    def fail(self, detail: str, *, epoch: int) -> None:
        command = self._command(Ask.FAIL, epoch=epoch)
        self._pass_on(command, lambda: self._hosted.fail(detail, epoch=epoch))

    def set_maintenance(self, maintenance: bool) -> None:
        self._pass_on(None, lambda: self._hosted.set_maintenance(maintenance))

    def store_properties(self, stored: Mapping[str, Any]) -> None:
        self._pass_on(None, lambda: self._hosted.store_properties(stored))

    async def apply_properties(self) -> bool:
        await self._wait()
        return await self._hosted.apply_properties()

    async def control(self, code: str, argument: Any) -> Any:
        await self._wait()
        return await self._hosted.control(code, argument)

    def statistics(self) -> ResourceStatistics:
        return self._hosted.statistics()

    async def close(self) -> None:
        await self._wait()
        self._closing(self._hosted)
        try:
            await self._hosted.close()
        finally:
            self._closed(self._hosted)

    def _command(self, what: Ask, generation: int = 0, epoch: int = 0) -> Command:
        return Command(self.name, self.instance, what, generation, epoch)

    async def _wait(self) -> None:
        if self._arrive is not None:
            await self._arrive()


@final
class _Sender:
    """The monitor's end of the channel."""

    def __init__(
        self,
        channel: trio.MemorySendChannel[Report],
        note: Callable[[ClusterObservation], object],
    ) -> None:
        self._channel = channel
        self._note = note
        self.statistics = channel.statistics

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._channel.close()

    def send_nowait(self, report: Report) -> None:
        self._channel.send_nowait(report)
        if not isinstance(report, MonitorClosing):
            self._note(Sent(report, trio.current_time()))


@final
class _Receiver:
    """The engine's end of the channel."""

    def __init__(
        self,
        channel: trio.MemoryReceiveChannel[Report | trio.Event],
        note: Callable[[ClusterObservation], object],
    ) -> None:
        self._channel = channel
        self._note = note
        self.close = channel.close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._channel.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Report | trio.Event:
        return self._taken(await self._channel.__anext__())

    def receive_nowait(self) -> Report | trio.Event:
        try:
            report = self._channel.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            self._note(AllTaken(trio.current_time()))
            raise
        return self._taken(report)

    def _taken(self, report: Report | trio.Event) -> Report | trio.Event:
        if not isinstance(report, trio.Event | MonitorClosing):
            self._note(Taken(report, trio.current_time()))
        return report
