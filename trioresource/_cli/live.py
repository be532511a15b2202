"""Show a run as a table on a terminal, kept up to date."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, final

import trio
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .._model.states import ResourceState
from .formatting import age

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from .._cluster import Cluster
    from .._model.events import ClusterEvent, Missed
    from .reporter import Ending
    from .view import Row, View

_COLOURS: Final = {
    ResourceState.INITIALIZING: "dim",
    ResourceState.OFFLINE: "dim",
    ResourceState.ONLINE_PENDING: "yellow",
    ResourceState.ONLINE: "green",
    ResourceState.OFFLINE_PENDING: "yellow",
    ResourceState.FAILED: "bold red",
}
_FRAME: Final = 0.05
"""Seconds from one picture to the next; a terminal shows no more, and drawing is slow."""
_FRAME_LINES: Final = 6
"""Lines of the table that are not rows: title, header, rules, caption."""


@final
class LiveReporter:
    """Shows a table of all resources.

    A thread draws it, one picture at a time: the user may halt the terminal (Ctrl-S), and
    that must not halt the cluster.

    Args:
        cluster_name: the name of the cluster.
        view: takes in the events.
        console: the terminal.
    """

    def __init__(self, cluster_name: str, view: View, console: Console) -> None:
        self._name = cluster_name
        self._view = view
        self._console = console
        self._cluster: Cluster | None = None
        self._note = ""
        # _fitting leaves out the rows that do not fit; cut what a long title adds to them.
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def watch(self, cluster: Cluster) -> None:
        """Take the desired states from this cluster."""
        self._cluster = cluster

    async def started(self) -> None:
        """Draw the first picture."""
        await self._in_thread(self._live.start)

    async def show(self, events: Sequence[ClusterEvent | Missed]) -> None:
        """Draw the table, then wait a moment, so that the next events are drawn together."""
        for event in events:
            self._view.take(event)
        await self._draw()
        await trio.sleep(_FRAME)

    async def ready(self) -> None:
        """Do nothing: the table shows it already."""
        await trio.lowlevel.checkpoint()

    async def stopping(self, reason: str, terminating: bool = False) -> None:
        """Show below the table why the run ends."""
        again = "terminating" if terminating else "going offline; a signal now terminates at once"
        self._note = f"{reason}: {again}"
        await self._draw()

    async def ended(self, ending: Ending) -> None:
        """Leave the last picture, and show every outage below it."""
        self._note = ""
        await self._draw()
        await self.close()
        text = Text("\n".join((*self._view.summary(), *ending.mistakes)))
        if text:
            await self._in_thread(self._console.print, text)

    async def close(self) -> None:
        """Give the terminal back; if it is halted, the caller gives up waiting."""
        await self._in_thread(self._live.stop)

    async def _draw(self) -> None:
        await self._in_thread(self._show, self._table())

    async def _in_thread(self, fn: Callable[..., object], *args: object) -> None:
        # The terminal may have gone. Do not end the run here: SIGHUP will do that.
        with contextlib.suppress(OSError):
            await trio.to_thread.run_sync(fn, *args, abandon_on_cancel=True)

    def _show(self, picture: Table) -> None:
        self._live.update(picture, refresh=True)

    def _table(self) -> Table:
        now = trio.current_time()
        table = Table(
            title=Text(f"{self._name}: {self._view.headline()}", style="bold"),
            caption=Text(self._note) if self._note else None,
            title_justify="left",
            caption_justify="left",
            expand=True,
        )
        for name in ("resource", "group", "state", "desired"):
            table.add_column(name, no_wrap=True)
        table.add_column("epoch", justify="right")
        table.add_column("since", justify="right", no_wrap=True)
        table.add_column("detail", ratio=1, no_wrap=True, overflow="ellipsis")
        rows, hidden = self._fitting()
        for name, row in rows.items():
            table.add_row(
                Text(name),
                Text(row.config.group),
                Text(row.state.value, style=_COLOURS[row.state]),
                Text(self._desired(name)),
                str(row.epoch),
                age(now - row.since),
                Text(self._view.detail(row)),
            )
        if hidden:
            table.add_row(Text(f"and {hidden} more", style="dim"))
        return table

    def _fitting(self) -> tuple[Mapping[str, Row], int]:
        """Return as many rows as fit, those that are not online first, and how many do not."""
        rows = self._view.rows
        room = max(self._console.height - _FRAME_LINES, 1)
        if len(rows) <= room:
            return rows, 0
        online = ResourceState.ONLINE
        names = sorted(rows, key=lambda name: rows[name].state is online)[: room - 1]
        return {name: rows[name] for name in names}, len(rows) - len(names)

    def _desired(self, name: str) -> str:
        resource = self._cluster.resources.get(name) if self._cluster else None
        return resource.desired.value if resource else ""
