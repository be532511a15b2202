"""Show a run as JSON objects, one in each line.

Every object has ``event``, the kind of event, and ``time``, the seconds since the start.
``docs/command-line.md`` lists the other keys.
"""

from __future__ import annotations

import datetime
import json
import os
from typing import TYPE_CHECKING, Any, assert_never, final

import trio

from .._model.events import GroupStateChange, Missed, RecoveryPlanned
from .._model.policy import Restart
from .._model.reports import AttemptStuck, FailureReport, ProbeInconclusive, Progress, StateChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._model.events import ClusterEvent
    from .reporter import Ending, Writer
    from .view import ResourceEvent, View


@final
class JsonReporter:
    """Writes one JSON object for each event.

    Args:
        cluster: the name of the cluster.
        view: takes in the events.
        writer: writes the lines.
    """

    def __init__(self, cluster: str, view: View, writer: Writer) -> None:
        self._cluster = cluster
        self._view = view
        self._writer = writer

    async def started(self) -> None:
        """Write the names of all resources, and the date and time."""
        await self._now(
            "started",
            cluster=self._cluster,
            pid=os.getpid(),
            at=datetime.datetime.now(datetime.UTC).isoformat(),
            resources=list(self._view.rows),
        )

    async def show(self, events: Sequence[ClusterEvent | Missed]) -> None:
        """Write one line for each event."""
        lines: list[str] = []
        for event in events:
            self._view.take(event)
            if isinstance(event, Missed):
                lines.append(self._line("missed", trio.current_time(), count=event.count))
            elif isinstance(event, GroupStateChange):
                keys = {"group": event.group, "old": event.old.value, "new": event.new.value}
                lines.append(self._line("group", event.time, **keys))
            else:
                kind, keys = self._keys(event)
                who = {"resource": event.resource, "epoch": event.epoch}
                lines.append(self._line(kind, event.time, **who, **keys))
        await self._writer.write("".join(lines))

    async def ready(self) -> None:
        """Write which resources are online."""
        online = [name for name, row in self._view.rows.items() if row.state.value == "online"]
        await self._now("ready", online=online)

    async def stopping(self, reason: str, terminating: bool = False) -> None:
        """Write why the run ends."""
        await self._now("stopping", reason=reason, terminating=terminating)

    async def ended(self, ending: Ending) -> None:
        """Write every outage, and the exit status."""
        for outage in self._view.outages:
            ended, began = outage.ended, outage.began
            await self._writer.write(
                self._line(
                    "outage",
                    began,
                    resource=outage.resource,
                    reason=outage.reason,
                    seconds=None if ended is None else round(ended - began, 6),
                )
            )
        await self._now("ended", status=ending.status, mistakes=list(ending.mistakes))

    async def close(self) -> None:
        """Do nothing: the writer holds nothing back."""
        await trio.lowlevel.checkpoint()

    async def _now(self, kind: str, **keys: Any) -> None:
        await self._writer.write(self._line(kind, trio.current_time(), **keys))

    def _line(self, kind: str, time: float, **keys: Any) -> str:
        at = round(time - self._view.start, 6)
        return json.dumps({"time": at, "event": kind, **keys}) + "\n"

    def _keys(self, event: ResourceEvent) -> tuple[str, dict[str, Any]]:
        match event:
            case StateChange():
                keys = {"old": event.old.value, "new": event.new.value, "detail": event.detail}
                return "state", keys
            case FailureReport():
                reason = event.reason.name.lower().replace("_", "-")
                return "failure", {"reason": reason, "detail": event.detail}
            case RecoveryPlanned():
                return "recovery", self._decision(event)
            case Progress():
                return "progress", {"message": event.message, "fraction": event.fraction}
            case ProbeInconclusive():
                return "inconclusive", {"error": f"{type(event.error).__name__}: {event.error}"}
            case AttemptStuck():
                return "stuck", {"task_tree": event.task_tree}
            case _:
                assert_never(event)

    def _decision(self, event: RecoveryPlanned) -> dict[str, Any]:
        decision = event.decision
        threshold = self._view.rows[event.resource].config.restart.threshold
        keys: dict[str, Any] = {"failures": decision.failures, "threshold": threshold}
        if isinstance(decision, Restart):
            return {"action": "restart", "delay": decision.delay, **keys}
        return {"action": "stay-failed", "retry": decision.retry, **keys}
