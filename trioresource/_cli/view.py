"""What the events of a running cluster tell: the states, and what was down for how long."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, final

import attrs

from .._model.events import RecoveryPlanned
from .._model.reports import AttemptStuck, FailureReport, ProbeInconclusive, Progress, StateChange
from .._model.states import ResourceState
from .formatting import duration, one_line, recovery

if TYPE_CHECKING:
    from .._model.events import ClusterEvent, Missed
    from ..config import ClusterConfig, ResourceConfig

ResourceEvent = (
    StateChange | FailureReport | RecoveryPlanned | Progress | ProbeInconclusive | AttemptStuck
)
"""An event of one resource."""

_MAX_OUTAGES: Final = 1000
"""Outages that are kept; a cluster may run for years, so older ones are only counted."""


@final
@attrs.define(eq=False)
class Outage:
    """A time during which a resource was not online that should have been."""

    resource: str
    reason: str
    """Why, in words for people."""
    began: float
    """Seconds on Trio's clock."""
    own: bool
    """Whether the resource itself failed; otherwise a resource that it depends on did."""
    ended: float | None = None
    """When the resource was online again; None if it has not been."""


@final
@attrs.define(eq=False)
class Row:
    """The state of one resource, as its events tell."""

    config: ResourceConfig
    since: float
    """When the resource came to its state, in seconds on Trio's clock."""
    state: ResourceState = ResourceState.OFFLINE
    epoch: int = 0
    progress: str = ""
    failure: FailureReport | None = None
    plan: str = ""
    """What the cluster will do about the failure."""
    outage: Outage | None = None


@final
class View:
    """Takes in the events of a cluster, in order.

    Args:
        config: the cluster file.
        now: the time, in seconds on Trio's clock.

    Attributes:
        rows: the state of each resource, in start order.
        start: when the view was made.
        ending: when the cluster began to go offline.
        outages: the latest outages, oldest first.
        forgotten: how many outages were before these.
    """

    def __init__(self, config: ClusterConfig, now: float) -> None:
        self.rows: Final = {
            name: Row(config.resources[name], now)
            for group in config.groups
            for layer in config.start_order(group)
            for name in layer
        }
        self.start: Final = now
        self.ending: float | None = None
        self.outages: Final[deque[Outage]] = deque(maxlen=_MAX_OUTAGES)
        self.forgotten: int = 0
        self.failed_at_end: list[str] = []
        """What went wrong while going offline, one line for each failure."""

    def take(self, event: ClusterEvent | Missed) -> None:
        """Take in one event."""
        if isinstance(event, StateChange):
            self._state(self.rows[event.resource], event)
        elif isinstance(event, FailureReport):
            self.rows[event.resource].failure = event
            if self._is_ending(event.time):
                self.failed_at_end.append(f"{event.resource}: {one_line(str(event))}")
        elif isinstance(event, RecoveryPlanned):
            row = self.rows[event.resource]
            row.plan = recovery(event, row.config.restart)
        elif isinstance(event, Progress):
            self.rows[event.resource].progress = event.message

    def _is_ending(self, time: float) -> bool:
        return self.ending is not None and time >= self.ending

    def _state(self, row: Row, event: StateChange) -> None:
        row.state, row.epoch, row.since = event.new, event.epoch, event.time
        if event.new is ResourceState.ONLINE_PENDING or not event.new.is_pending:
            row.progress = ""
        if event.new is ResourceState.ONLINE:
            row.plan = ""
            if row.outage is not None:
                row.outage.ended = event.time
                row.outage = None
        elif row.outage is None and not self._is_ending(event.time):
            if event.new is ResourceState.FAILED:
                self._open(row, event, one_line(event.detail), own=True)
            elif event.old is ResourceState.ONLINE:
                self._open(row, event, self._cause(row), own=False)

    def _open(self, row: Row, event: StateChange, reason: str, *, own: bool) -> None:
        if len(self.outages) == _MAX_OUTAGES:
            self.forgotten += 1
        row.outage = Outage(row.config.name, reason, event.time, own)
        self.outages.append(row.outage)

    def _cause(self, row: Row) -> str:
        """Find the failed resource, near or far, for which it was taken offline."""
        found: dict[str, None] = {}
        seen: dict[str, None] = {}
        pending = list(row.config.depends_on.names)
        while pending:
            name = pending.pop()
            provider = self.rows[name]
            if name in seen or provider.state is ResourceState.ONLINE:
                continue
            seen[name] = None
            if provider.outage is not None and provider.outage.own:
                found[name] = None
            pending += provider.config.depends_on.names
        if found:
            return f"{', '.join(found)} failed"
        return self.waits_for(row) or "taken offline"

    def waits_for(self, row: Row) -> str:
        """Name the providers that it waits for; an empty text if it needs none of them."""
        needed = row.config.depends_on
        if needed.is_satisfied(lambda name: self.rows[name].state is ResourceState.ONLINE):
            return ""
        missing = (
            f"{name} ({self.rows[name].state.value})"
            for name in needed.names
            if self.rows[name].state is not ResourceState.ONLINE
        )
        return f"waits for {', '.join(missing)}"

    def detail(self, row: Row) -> str:
        """Explain the state: the failure, the progress, or what it waits for."""
        if row.state is ResourceState.ONLINE or (
            row.state is ResourceState.OFFLINE and self.ending is not None
        ):
            return ""
        if row.state is ResourceState.FAILED:
            reason = one_line(str(row.failure)) if row.failure else ""
            return "; ".join(text for text in (reason, row.plan) if text)
        if row.state is ResourceState.OFFLINE_PENDING:
            return one_line(row.progress)
        if row.outage is None and row.epoch == 0 and row.state is ResourceState.OFFLINE:
            return "" if row.config.autostart else "no autostart"
        return self.waits_for(row) or one_line(row.progress)

    def headline(self) -> str:
        """Say in one line how many resources are online, and which have failed."""
        states = [row.state for row in self.rows.values()]
        text = f"{states.count(ResourceState.ONLINE)} of {len(states)} online"
        failed = [name for name, row in self.rows.items() if row.state is ResourceState.FAILED]
        if failed:
            more = f" and {len(failed) - 10} more" if len(failed) > 10 else ""
            text += f"; failed: {', '.join(failed[:10])}{more}"
        return text

    def summary(self) -> list[str]:
        """Say when each outage began and how long it lasted, one line for each outage."""
        if not self.outages:
            return []
        lines = ["What was down:" if not self.forgotten else "What was down lately:"]
        width = max(len(outage.resource) for outage in self.outages)
        for outage in self.outages:
            back = (
                "not online again"
                if outage.ended is None
                else f"online again after {duration(outage.ended - outage.began)}"
            )
            at = f"{outage.began - self.start:.3f} s"
            lines.append(f"  {outage.resource:<{width}}  down at {at}, {back}: {outage.reason}")
        if self.forgotten:
            lines.append(f"  and {self.forgotten} times before")
        return lines
