"""All that a cluster knows of a monitor: commands go down here, reports come up by a channel.

Nothing else connects the two floors. So a monitor may run in the same program, in a process of
its own or on another machine, and the cluster does not notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    import trio

    from .._handler import HandlerFactory, ResourceType
    from .._model.policy import Deadlines, PollIntervals
    from .._model.properties import Properties
    from .._model.reports import Report
    from .._monitor.hosted import ResourceStatistics


class Hosted(Protocol):
    """A resource in a monitor, as its cluster commands it.

    Commands that begin with ``begin_`` never block. Each carries a number (``generation``) and
    is answered by a report that has observed it.
    """

    # What never changes.

    @property
    def name(self) -> str:
        """The name of the resource."""
        ...

    @property
    def instance(self) -> int:
        """The number that its reports carry; a name may be used again, this number is not."""
        ...

    @property
    def type_info(self) -> ResourceType:
        """What holds for all resources of the type."""
        ...

    @property
    def properties_type(self) -> type[Properties]:
        """The class of its properties."""
        ...

    @property
    def deadlines(self) -> Deadlines:
        """Its deadlines."""
        ...

    # Commands.

    def begin_online(self, generation: int, epoch: int) -> None:
        """Begin the attempt with this epoch, or confirm it if it has begun."""

    def begin_offline(self, generation: int) -> None:
        """Begin to go offline."""

    def begin_terminate(self, generation: int) -> None:
        """Cancel the attempt, if there is one."""

    def fail(self, detail: str, *, epoch: int) -> None:
        """Let the attempt with this epoch fail, unless it is over."""

    def set_maintenance(self, maintenance: bool) -> None:
        """Ignore reported failures and bad answers of checks, or no longer."""

    def store_properties(self, stored: Mapping[str, Any]) -> None:
        """Keep properties for the next attempt that begins."""

    async def apply_properties(self) -> bool:
        """Put the stored properties into use now; whether that was possible."""
        ...

    async def control(self, code: str, argument: Any) -> Any:
        """Send a control code to the handler."""

    def statistics(self) -> ResourceStatistics:
        """Get its figures, as they were last reported."""
        ...

    async def close(self) -> None:
        """Terminate what runs, close the handler and forget the resource."""

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` got so far that nothing is left."""
        ...


class Monitor(Protocol):
    """Where a cluster has its resources hosted."""

    async def host(
        self,
        name: str,
        handler: HandlerFactory,
        *,
        properties: Mapping[str, Any] | None,
        deadlines: Deadlines | None,
        poll: PollIntervals | None,
    ) -> Hosted:
        """Make an instance of a handler and open it."""
        ...


class OpenMonitor(Protocol):
    """Opens a monitor."""

    def __call__(
        self, reports: trio.MemorySendChannel[Report], /
    ) -> AbstractAsyncContextManager[Monitor]:
        """Open a monitor whose reports go into a channel, which it closes when it has ended."""
        ...
