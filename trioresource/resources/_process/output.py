"""Read what a process writes: keep the last lines in memory, and append all of it to a file."""

from __future__ import annotations

import os
import select
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, final

import trio

from ..._errors import OnlineFailed
from ..._util.external import in_thread, readable

if TYPE_CHECKING:
    import logging
    import re
    from collections.abc import AsyncGenerator

_CHUNK: Final = 65536
"""Bytes of one read; as many as a pipe holds in Linux."""
_MAX_LINE: Final = 8192
"""Bytes after which a line is cut, so that memory is bounded."""
_MAX_AT_ONCE: Final = 16 * _CHUNK
"""Bytes to read in one step; more would keep other tasks from running."""
_WRITE_BOUND: Final = 5.0
"""Seconds for the last write to the file, and for a FIFO to take more."""


@final
class Output:
    """The output of one process; ``open_output`` makes it.

    Attributes:
        inlet: the writing end of the pipe, to give to the process.
    """

    def __init__(
        self,
        outlet: int,
        inlet: int,
        size: int,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self.inlet: int = inlet
        self._outlet = outlet
        self._file: int | None = None
        self._log = log
        self._lines: deque[str] = deque(maxlen=size)
        self._partial = b""
        self._unwritten = bytearray()
        self._expected: list[tuple[re.Pattern[str], trio.Event]] = []

    async def open_file(self, path: str) -> None:
        """Append all output from now on to a file.

        Raises:
            OnlineFailed: the file cannot be opened.
        """
        # Cancellation works only before the file is opened: later it would lose the descriptor.
        await trio.lowlevel.checkpoint_if_cancelled()
        # O_NONBLOCK means nothing for a file; for a FIFO without a reader it raises at once.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            with trio.CancelScope(shield=True):
                self._file = await in_thread("opening the log file", os.open, path, flags, 0o644)
        except OSError as error:
            raise OnlineFailed(f"log_file {path!r}: {error.strerror}") from error

    def lines(self) -> tuple[str, ...]:
        """Return the last lines, the oldest first; the last may not have ended yet."""
        rest = (_text(self._partial),) if self._partial else ()
        return (*self._lines, *rest)

    def expect(self, pattern: re.Pattern[str]) -> trio.Event:
        """Return an event that is set when a line comes that the pattern matches somewhere."""
        event = trio.Event()
        self._expected.append((pattern, event))
        return event

    def close_inlet(self) -> None:
        """Close the writing end here, so that the end of the process ends the output."""
        if self.inlet >= 0:
            os.close(self.inlet)
            self.inlet = -1

    def take(self) -> bool:
        """Read what the process has written so far, without blocking.

        Returns:
            False if no process is left that could write more.
        """
        for _ in range(_MAX_AT_ONCE // _CHUNK):
            try:
                chunk = os.read(self._outlet, _CHUNK)
            except BlockingIOError:
                break
            if not chunk:
                return False
            self._feed(chunk)
        return True

    def _feed(self, chunk: bytes) -> None:
        if self._file is not None:
            self._unwritten += chunk
        *whole, self._partial = (self._partial + chunk).split(b"\n")
        for line in whole:
            for start in range(0, max(len(line), 1), _MAX_LINE):
                self._add(line[start : start + _MAX_LINE])
        while len(self._partial) > _MAX_LINE:
            self._add(self._partial[:_MAX_LINE])
            self._partial = self._partial[_MAX_LINE:]

    def _add(self, line: bytes) -> None:
        text = _text(line)
        self._lines.append(text)
        for pattern, event in self._expected:
            if not event.is_set() and pattern.search(text):
                event.set()

    async def pump(self) -> None:
        """Read all output until cancelled; the end of the output does not end this."""
        while True:
            await readable("output", self._outlet)
            more = self.take()
            await self._write()
            if not more:
                await trio.sleep_forever()

    async def _write(self) -> None:
        """Write to the file what has been read, in a thread: a disk may be slow."""
        while self._unwritten and self._file is not None:
            data = bytes(self._unwritten)
            self._unwritten.clear()
            try:
                await in_thread("write to the log file", _write_all, self._file, data)
            except OSError as error:
                # Go on without the file: a full disk must not take down the process.
                self._log.warning("output is no longer written to its file: %s", error)
                os.close(self._file)
                self._file = None

    async def close(self) -> None:
        """Read and write the last output, and close everything."""
        try:
            self.close_inlet()
            self.take()
            with trio.move_on_after(_WRITE_BOUND, shield=True):
                await self._write()
        finally:
            os.close(self._outlet)
            if self._file is not None:
                os.close(self._file)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", errors="replace")


def _write_all(file: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(file, data) :]
        except BlockingIOError:
            # A FIFO or a terminal. The thread cannot be cancelled, so the wait is bounded.
            poll = select.poll()
            poll.register(file, select.POLLOUT)
            if not poll.poll(_WRITE_BOUND * 1000):
                raise


@asynccontextmanager
async def open_output(
    log: logging.LoggerAdapter[logging.Logger], *, size: int, file: str | None = None
) -> AsyncGenerator[Output, None]:
    """Open a pipe for the output of a process.

    Args:
        log: gets a warning when the file cannot be written.
        size: how many lines to keep.
        file: the path of a file to append all output to.

    Raises:
        OnlineFailed: the file cannot be opened.
    """
    outlet, inlet = os.pipe()
    os.set_blocking(outlet, False)
    output = Output(outlet, inlet, size, log)
    try:
        if file is not None:
            await output.open_file(file)
        yield output
    finally:
        await output.close()  # noqa: ASYNC102, it shields and bounds itself
