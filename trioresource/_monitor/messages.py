"""The memory channel that a handler is given for its own failure source."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, final

import trio

from .._util.arguments import show

if TYPE_CHECKING:
    from collections.abc import Callable


@final
class Messages:
    """Forwards what is sent into the failure channel of one attempt.

    Args:
        report: takes each message, as ``OnlineScope.report_failure`` does.
    """

    __slots__ = ("_channels", "_is_forwarding", "_marks", "_receive", "_report")

    def __init__(self, report: Callable[[str], object]) -> None:
        self._report = report
        send, self._receive = trio.open_memory_channel[Any](inf)
        # The first is kept open here, so that it means nothing if a handler closes its own.
        self._channels: list[trio.MemorySendChannel[Any]] = [send]
        self._marks: dict[trio.Event, None] = {}
        self._is_forwarding = True

    def open_channel(self) -> trio.MemorySendChannel[str]:
        """Open one more end for a sender; it is closed with the attempt."""
        channel: trio.MemorySendChannel[str] = self._channels[0].clone()
        self._channels.append(channel)
        return channel

    async def forward(self) -> None:
        """Forward messages until cancelled, with the attempt."""
        try:
            async for first in self._receive:
                waiting = self._receive.statistics().current_buffer_used
                batch = [first, *(self._receive.receive_nowait() for _ in range(waiting))]
                marks = [item for item in batch if isinstance(item, trio.Event)]
                # One check follows them all, so the first message of a flood stands for it.
                for message in [item for item in batch if not isinstance(item, trio.Event)][:1]:
                    # Whatever it is, it was sent to say that something is wrong.
                    self._report(message if isinstance(message, str) else show(message))
                for mark in marks:
                    mark.set()
                    del self._marks[mark]
        finally:
            # No task may wait for a forwarder that has ended.
            self._is_forwarding = False
            for mark in self._marks:
                mark.set()

    async def flush(self) -> None:
        """Wait until every message that was sent before this call has been forwarded.

        A memory channel hands a message straight to a task that waits for it, so it does not do
        to look into the buffer: a mark is sent behind the messages. Shielded; bounded because
        the forwarder never waits for anything but messages, and sets the marks when it ends.
        """
        if not self._is_forwarding:
            return
        mark = trio.Event()
        self._marks[mark] = None
        self._channels[0].send_nowait(mark)
        with trio.CancelScope(shield=True):
            await mark.wait()

    def close(self) -> None:
        """Close all ends: the attempt is over."""
        for channel in self._channels:
            channel.close()
        self._receive.close()
