"""Show log records of a run, on standard error or above the table, without blocking the run.

The handler only puts the record into a queue, and a thread writes it. The queue is bounded, and
so is the wait at the end: a reader that stalls loses lines, but the run goes on and can end.

``QueueListener`` of the standard library does not do. Its ``stop`` joins the thread without a
bound, and its handlers write while they hold a lock that the interpreter waits for when it exits
(``logging.shutdown``). So nothing here writes under such a lock, nor through ``sys.stderr``: the
interpreter cannot exit while a thread is inside its buffer.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final, final

from rich.logging import RichHandler

from .reporter import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    Queue = SimpleQueue[logging.LogRecord | None]
    Show = Callable[[logging.LogRecord], None]

_BUFFER: Final = 10_000
"""Records that may wait for a stalled reader; more are counted and dropped, to bound memory."""
_FLUSH_BOUND: Final = 5.0
"""Seconds to write what is left at the end."""


@contextmanager
def log_lines(console: Console | None) -> Iterator[None]:
    """Show the log records of the block.

    At the end of the block, wait until all have been written, for a few seconds at most.

    Args:
        console: the terminal that shows the table; None to write to standard error.
    """
    queue: Queue = SimpleQueue()
    show = _to_standard_error() if console is None else _above_the_table(console)
    # A daemon thread: the interpreter does not wait for it when it exits.
    thread = Thread(target=_write, args=(queue, show), name="log", daemon=True)
    root, inlet = logging.getLogger(), _Inlet(queue)
    inlet.addFilter(_is_not_shown_as_event)
    root.addHandler(inlet)
    thread.start()
    try:
        yield
    finally:
        root.removeHandler(inlet)
        inlet.finish()
        thread.join(_FLUSH_BOUND)


@final
class _Inlet(QueueHandler):
    """Puts log records into the queue."""

    def __init__(self, queue: Queue) -> None:
        super().__init__(queue)
        self._records = queue
        self._lost = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a record, or count it as lost if the queue is full."""
        if self._records.qsize() >= _BUFFER:
            self._lost += 1
            return
        self._report_lost()
        self._records.put(record)

    def finish(self) -> None:
        """Let the thread end after the records that it has not written yet."""
        self._report_lost()
        self._records.put(None)

    def _report_lost(self) -> None:
        if self._lost:
            keys = {"levelname": "WARNING", "msg": f"{self._lost} log records are missing here"}
            self._records.put(logging.makeLogRecord(keys))
            self._lost = 0


def _is_not_shown_as_event(record: logging.LogRecord) -> bool:
    """Leave out what the cluster logs: the run shows each of its events already."""
    return record.name != "trioresource.cluster"


def _write(queue: Queue, show: Show) -> None:
    while (record := queue.get()) is not None:
        show(record)


def _to_standard_error() -> Show:
    descriptor = sys.stderr.fileno()
    formatter = logging.Formatter("%(levelname)s: %(message)s")

    def show(record: logging.LogRecord) -> None:
        # If the reader has gone, the run goes on without log lines.
        with suppress(OSError):
            write_all(descriptor, f"{formatter.format(record)}\n")

    return show


def _above_the_table(console: Console) -> Show:
    # `emit`, not `handle`, which would hold the handler's lock while it writes.
    return RichHandler(console=console, show_path=False, show_time=False).emit
