"""Listens at the doors of a cluster's engine, for the model that is to say what it does.

Reports come up from the monitor by one channel, so it is enough to listen at both ends of
that, and to hear when a hold ends and when the cluster itself does. Nothing is changed, held
up or left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

import trio

from tests.lifecycle_model.observations import AllTaken, GivenUp, HoldEnded, Sent, Taken

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lifecycle_model.observations import ClusterObservation
    from trioresource._cluster import Cluster
    from trioresource._cluster.records import ResourceRecord
    from trioresource._model.reports import Report

__all__ = ["Tap"]


@final
class Tap:
    """Notes what goes into the engine of a cluster.

    To be made before the engine has had its first turn: right after ``open_cluster``.

    Args:
        cluster: whose.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.note: Callable[[ClusterObservation], object] = lambda seen: None
        """Is called with whatever goes in."""
        monitor: Any = cluster._monitor
        engine: Any = cluster._engine
        recovery: Any = engine.recovery
        monitor._home._reports = _Sender(monitor._home._reports, self)
        monitor.reports = _Receiver(monitor.reports, self)
        self._release: Callable[[ResourceRecord], None] = recovery._released
        recovery._released = self._released
        self._terminate_all: Callable[[], None] = engine.terminate_all
        engine.terminate_all = self._given_up

    def _released(self, member: ResourceRecord) -> None:
        self.note(HoldEnded(member.name, trio.current_time()))
        self._release(member)

    def _given_up(self) -> None:
        self.note(GivenUp(trio.current_time()))
        self._terminate_all()


@final
class _Sender:
    """The monitor's end of the channel."""

    def __init__(self, channel: trio.MemorySendChannel[Report], tap: Tap) -> None:
        self._channel = channel
        self._tap = tap
        self.statistics = channel.statistics

    def send_nowait(self, report: Report) -> None:
        self._channel.send_nowait(report)
        self._tap.note(Sent(report, trio.current_time()))


@final
class _Receiver:
    """The engine's end of the channel."""

    def __init__(self, channel: trio.MemoryReceiveChannel[Report], tap: Tap) -> None:
        self._channel = channel
        self._tap = tap

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._channel.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Report:
        report = await self._channel.__anext__()
        self._tap.note(Taken(report, trio.current_time()))
        return report

    def receive_nowait(self) -> Report:
        try:
            report = self._channel.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            self._tap.note(AllTaken(trio.current_time()))
            raise
        self._tap.note(Taken(report, trio.current_time()))
        return report
