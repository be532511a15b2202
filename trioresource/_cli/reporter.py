"""How `trioresource run` shows what happens, and the writing that never holds up the loop."""

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
        """The cluster is there; nothing has been added yet."""
        ...

    async def show(self, events: Sequence[ClusterEvent | Missed]) -> None:
        """This has happened; the view has not taken it in yet."""
        ...

    async def ready(self) -> None:
        """Everything that should start is online, or has failed."""
        ...

    async def stopping(self, reason: str, terminating: bool = False) -> None:
        """The cluster begins to go offline, or what is left of it is terminated."""
        ...

    async def ended(self, ending: Ending) -> None:
        """Nothing more will happen."""
        ...

    async def close(self) -> None:
        """Leave the terminal as it was; called once, also after errors."""
        ...


def write_all(descriptor: int, text: str) -> None:
    """Write all of a text to a descriptor, past every buffer; blocks while nobody reads.

    Raises:
        OSError: that is not possible any more (nobody reads it, the disk is full).
    """
    data = text.encode(errors="backslashreplace")
    while data:
        data = data[os.write(descriptor, data) :]


@final
class Writer:
    """Writes to a stream in a thread: its reader may stall, and the cluster must not.

    Args:
        stream: where to; past its buffer, so that nothing is left in it at the end.
    """

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        self._descriptor = stream.fileno()
        self._lost = False

    async def write(self, text: str) -> None:
        """Write all of it.

        Where that is not possible any more (nobody reads it, the disk is full), the
        cluster goes on without. Cancellation leaves the thread behind that waits for the
        reader.
        """
        if not text or self._lost:
            await trio.lowlevel.checkpoint()
            return
        try:
            await trio.to_thread.run_sync(write_all, self._descriptor, text, abandon_on_cancel=True)
        except OSError as error:
            self._lost = True
            _LOGGER.warning("what happens is no longer shown: %s", error.strerror)
