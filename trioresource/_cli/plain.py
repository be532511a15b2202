"""Show a run as lines of text, one for each event."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never, final

import trio

from .._model.events import GroupStateChange, Missed, RecoveryPlanned
from .._model.reports import AttemptStuck, FailureReport, ProbeInconclusive, Progress, StateChange
from .formatting import one_line, recovery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._model.events import ClusterEvent
    from .reporter import Ending, Writer
    from .view import ResourceEvent, View


@final
class PlainReporter:
    """Writes one line for each event: seconds since the start, resource, what happened.

    Args:
        view: takes in the events.
        writer: writes the lines.
    """

    def __init__(self, view: View, writer: Writer) -> None:
        self._view = view
        self._writer = writer
        groups = (len(row.config.group) + 2 for row in view.rows.values())
        self._width = max((*map(len, view.rows), *groups), default=0)

    async def started(self) -> None:
        """Do nothing: the first events follow at once."""
        await trio.lowlevel.checkpoint()

    async def show(self, events: Sequence[ClusterEvent | Missed]) -> None:
        """Write one line for each event."""
        lines: list[str] = []
        for event in events:
            self._view.take(event)
            lines.append(self._line(event))
        await self._writer.write("".join(lines))

    async def ready(self) -> None:
        """Write how many resources are online."""
        await self._writer.write(self._stamped(trio.current_time(), "", self._view.headline()))

    async def stopping(self, reason: str, terminating: bool = False) -> None:
        """Write why the run ends."""
        what = f"{'terminating' if terminating else 'going offline'} ({reason})"
        await self._writer.write(self._stamped(trio.current_time(), "", what))

    async def ended(self, ending: Ending) -> None:
        """Write every outage, and why the exit status is not 0."""
        lines = [*self._view.summary(), *ending.mistakes]
        await self._writer.write("".join(f"{line}\n" for line in lines))

    async def close(self) -> None:
        """Do nothing: the writer holds nothing back."""
        await trio.lowlevel.checkpoint()

    def _stamped(self, time: float, who: str, what: str) -> str:
        return f"{time - self._view.start:9.3f}s  {who:<{self._width}}  {what}\n"

    def _line(self, event: ClusterEvent | Missed) -> str:
        if isinstance(event, Missed):
            return f"{'':9}   {event.count} events are missing here\n"
        if isinstance(event, GroupStateChange):
            what = f"{event.old.value} -> {event.new.value}"
            return self._stamped(event.time, f"[{event.group}]", what)
        return self._stamped(event.time, event.resource, self._what(event))

    def _what(self, event: ResourceEvent) -> str:
        row = self._view.rows[event.resource]
        match event:
            case StateChange():
                # The reason of a failure follows in a line of its own.
                return f"{event.old.value} -> {event.new.value}{self._why(event)}"
            case FailureReport():
                return f"failed: {one_line(str(event))}"
            case RecoveryPlanned():
                return recovery(event, row.config.restart)
            case Progress():
                done = "" if event.fraction is None else f"{event.fraction:.0%} "
                return f"{done}{one_line(event.message)}".strip() or "in progress"
            case ProbeInconclusive():
                error = one_line(f"{type(event.error).__name__}: {event.error}")
                return f"could not be checked: {error}"
            case AttemptStuck():
                tree = one_line(event.task_tree)
                return f"stuck: attempt {event.epoch} does not end: {tree}"
            case _:
                assert_never(event)

    def _why(self, event: StateChange) -> str:
        if event.new.is_pending and not event.detail:
            row = self._view.rows[event.resource]
            waits = self._view.waits_for(row) if event.new.value == "online-pending" else ""
            return f" ({waits})" if waits else ""
        if event.detail and event.new.value != "failed":
            return f" ({one_line(event.detail)})"
        return ""
