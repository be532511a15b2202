"""What a process writes: the last lines in memory, all of it in a file if wanted."""

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
_LONGEST_LINE: Final = 8192
"""Bytes after which a line is cut, so that memory is bounded."""
_MOST_AT_ONCE: Final = 16 * _CHUNK
"""Bytes that are taken without letting other tasks run."""
_WRITE_BOUND: Final = 5.0
"""Seconds for the last write to the file, and to wait for who reads it if it is a FIFO."""


@final
class Output:
    """The output of one process; made by ``open_output``.

    Attributes:
        inlet: the descriptor to give to the process.
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
        """Append from now on all that comes to a file.

        Raises:
            OnlineFailed: it can not be opened.
        """
        # Cancellation counts before it is open or not at all: no descriptor gets lost.
        await trio.lowlevel.checkpoint_if_cancelled()
        # Nothing changes for a file; a FIFO without a reader is refused instead of waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            with trio.CancelScope(shield=True):
                self._file = await in_thread("opening the log file", os.open, path, flags, 0o644)
        except OSError as error:
            raise OnlineFailed(f"log_file {path!r}: {error.strerror}") from error

    def lines(self) -> tuple[str, ...]:
        """The last lines, the oldest first, with one that has not ended yet."""
        rest = (_text(self._partial),) if self._partial else ()
        return (*self._lines, *rest)

    def expect(self, pattern: re.Pattern[str]) -> trio.Event:
        """An event that is set as soon as a line comes in which the pattern is found."""
        event = trio.Event()
        self._expected.append((pattern, event))
        return event

    def close_inlet(self) -> None:
        """Leave the writing end to the process alone."""
        if self.inlet >= 0:
            os.close(self.inlet)
            self.inlet = -1

    def take(self) -> bool:
        """Take in what the process has written so far; never blocks.

        Returns:
            False if there is nobody left who could write any more.
        """
        for _ in range(_MOST_AT_ONCE // _CHUNK):
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
            for start in range(0, max(len(line), 1), _LONGEST_LINE):
                self._add(line[start : start + _LONGEST_LINE])
        while len(self._partial) > _LONGEST_LINE:
            self._add(self._partial[:_LONGEST_LINE])
            self._partial = self._partial[_LONGEST_LINE:]

    def _add(self, line: bytes) -> None:
        text = _text(line)
        self._lines.append(text)
        for pattern, event in self._expected:
            if not event.is_set() and pattern.search(text):
                event.set()

    async def pump(self) -> None:
        """Take in all that is written until cancelled; stays when there is no more."""
        while True:
            await readable("output", self._outlet)
            more = self.take()
            await self._write()
            if not more:
                await trio.sleep_forever()

    async def _write(self) -> None:
        """Bring what has come to the file, in a thread: a disk may be slow."""
        while self._unwritten and self._file is not None:
            data = bytes(self._unwritten)
            self._unwritten.clear()
            try:
                await in_thread("write to the log file", _write_all, self._file, data)
            except OSError as error:
                # A full disk is no reason to take down what runs.
                self._log.warning("output is no longer written to its file: %s", error)
                os.close(self._file)
                self._file = None

    async def close(self) -> None:
        """Take in the last words, write them, and let go of everything."""
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
            # A FIFO or a terminal. The thread can not be cancelled, so the wait is bounded.
            poll = select.poll()
            poll.register(file, select.POLLOUT)
            if not poll.poll(_WRITE_BOUND * 1000):
                raise


@asynccontextmanager
async def open_output(
    log: logging.LoggerAdapter[logging.Logger], *, size: int, file: str | None = None
) -> AsyncGenerator[Output, None]:
    """Make a place for the output of a process.

    Args:
        log: where to say that the file can not be written.
        size: how many lines to keep.
        file: the path of a file to append everything to.

    Raises:
        OnlineFailed: the file can not be opened.
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
