"""Finds a handler that blocks the event loop.

While the loop is blocked nothing in it can notice, so a thread watches a heartbeat. It
says in the log where the loop stands; once the loop turns again, the resource whose
handler it was has failed.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Final, final

import trio

from .instance import Instance

if TYPE_CHECKING:
    from types import FrameType

_LOGGER = logging.getLogger("trioresource.watchdog")

# So many times within the limit the heart beats.
_BEATS: Final = 4


@final
class Watchdog:
    """Watches one event loop, in real time, from a thread of its own.

    Args:
        limit: after how many seconds without a turn the loop counts as blocked.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._loop_thread = threading.get_ident()
        self._stop = threading.Event()
        self._limiter = trio.CapacityLimiter(1)
        # Real time: what is watched here is the loop that keeps Trio's time.
        self._beat = time.monotonic()  # noqa: TID251
        self._culprit: tuple[Instance, str] | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_from_thread, name="trioresource watchdog thread")
            try:
                while True:
                    self._beat = time.monotonic()  # noqa: TID251
                    self._accuse()
                    await trio.sleep(self._limit / _BEATS)
            finally:
                self._stop.set()

    async def _watch_from_thread(self) -> None:
        # Not abandoned: it ends as soon as it is told to.
        await trio.to_thread.run_sync(self._watch, limiter=self._limiter)

    def _watch(self) -> None:
        reported = 0.0
        while not self._stop.wait(self._limit / _BEATS):
            beat = self._beat
            blocked = time.monotonic() - beat  # noqa: TID251
            if blocked >= self._limit and beat != reported:
                reported = beat
                self._report(blocked)

    def _report(self, blocked: float) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        hosted = _find_resource(frame)
        if frame is None:
            return
        where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        stack = "".join(traceback.format_stack(frame, 8))
        whose = "code outside of every handler" if hosted is None else hosted.name
        _LOGGER.error("the event loop is blocked for %.1f s by %s\n%s", blocked, whose, stack)
        if hosted is not None:
            self._culprit = (hosted, where)

    def _accuse(self) -> None:
        """The loop turns again: the one who held it up has failed."""
        culprit, self._culprit = self._culprit, None
        if culprit is not None:
            hosted, where = culprit
            hosted.blocked_the_loop(f"for more than {self._limit:g} s at {where}")


def _find_resource(frame: FrameType | None) -> Instance | None:
    """Whose handler runs in this frame, or was called by it."""
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(f"{__package__}."):
            for name in ("attempt", "self"):
                hosted = getattr(frame.f_locals.get(name), "hosted", None)
                if isinstance(hosted, Instance):
                    return hosted
        frame = frame.f_back
    return None
