"""How `trioresource run` shows what happens, and the writing that never holds up the loop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, final

import attrs
import trio

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from ..model.events import ClusterEvent, Missed


@final
@attrs.frozen(kw_only=True)
class Ending:
    """How a run ended."""

    status: int
    """The exit status."""
    mistakes: tuple[str, ...]
    """Why it is not 0, one line for each reason."""


class Reporter(Protocol):
    """Shows a run. Its methods are called by one task, except ``stopping``."""

    async def started(self) -> None:
        """The cluster is there; nothing has been added yet."""
        ...

    async def show(self, events: Sequence[ClusterEvent | Missed]) -> None:
        """This has happened; the view has not taken it in yet."""
        ...

    async def ready(self) -> None:
        """Everything that should start is online, or has failed."""
        ...

    async def stopping(self, reason: str) -> None:
        """The cluster begins to go offline, or is terminated."""
        ...

    async def ended(self, ending: Ending) -> None:
        """Nothing more will happen."""
        ...

    async def close(self) -> None:
        """Leave the terminal as it was; called once, also after errors."""
        ...


@final
class Writer:
    """Writes to a stream in a thread: its reader may stall, and the cluster must not.

    Args:
        stream: where to; past its buffer, so that nothing is left in it at the end.
    """

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        self._descriptor = stream.fileno()
        self._turn = trio.Lock()

    async def write(self, text: str) -> None:
        """Write all of it, after what others are writing.

        Cancellation leaves the thread behind that waits for the reader.

        Raises:
            BrokenPipeError: nobody will ever read it.
        """
        if not text:
            return
        async with self._turn:
            await trio.to_thread.run_sync(self._write, text, abandon_on_cancel=True)

    def _write(self, text: str) -> None:
        data = text.encode(errors="backslashreplace")
        while data:
            data = data[os.write(self._descriptor, data) :]
