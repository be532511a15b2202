"""The interface of what shows a run, and writing that never blocks the event loop."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Protocol, final

import attrs
import trio

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from .._model.events import ClusterEvent, Missed

_LOGGER = logging.getLogger("trioresource.cli")


@final
@attrs.frozen(kw_only=True)
class Ending:
    """How a run ended."""

    status: int
    """The exit status."""
    mistakes: tuple[str, ...]
    """Why it is not 0, one line for each reason."""


class Reporter(Protocol):
    """Shows a run. One task calls its methods, one after the other."""

    async def started(self) -> None:
        """Begin: the cluster is open and still empty."""
        ...

    async def show(self, events: Sequence[ClusterEvent | Missed]) -> None:
        """Show events, and let the view take them in."""
        ...

    async def ready(self) -> None:
        """Show that every resource that should start is online or has failed."""
        ...

    async def stopping(self, reason: str, terminating: bool = False) -> None:
        """Show that the cluster goes offline, or that what is left is terminated."""
        ...

    async def ended(self, ending: Ending) -> None:
        """Show how the run ended; no event follows."""
        ...

    async def close(self) -> None:
        """Leave the terminal as it was; called once, also after errors."""
        ...


def write_all(descriptor: int, text: str) -> None:
    """Write all of a text to a descriptor, past every buffer; block until it is written.

    Raises:
        OSError: the descriptor takes no more: its reader has gone, or the disk is full.
    """
    data = text.encode(errors="backslashreplace")
    while data:
        data = data[os.write(descriptor, data) :]


@final
class Writer:
    """Writes to a stream in a thread: its reader may stall, which must not stall the cluster.

    Args:
        stream: the stream; the writer bypasses its buffer, so that nothing stays in there.
    """

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        self._descriptor = stream.fileno()
        self._lost = False

    async def write(self, text: str) -> None:
        """Write all of a text.

        If the stream takes no more (its reader has gone, the disk is full), log that once
        and write nothing from then on. Cancellation leaves the thread behind that waits
        for the reader.
        """
        if not text or self._lost:
            await trio.lowlevel.checkpoint()
            return
        try:
            await trio.to_thread.run_sync(write_all, self._descriptor, text, abandon_on_cancel=True)
        except OSError as error:
            self._lost = True
            _LOGGER.warning("what happens is no longer shown: %s", error.strerror)
