"""Log lines of a run: on standard error or above the table, and never in the way.

Whoever logs only puts the record into a queue, and a thread of its own writes. The queue and
the end are bounded: a reader that stalls loses lines, it does not keep the run from going on
or from ending.

The ``QueueListener`` of the standard library is not enough for this. Its ``stop`` joins the
thread without a bound, and its handlers write while they hold their lock, for which the
interpreter waits at exit (``logging.shutdown``). So nothing here writes under such a lock, nor
through ``sys.stderr``: the interpreter can not end while a thread is inside of its buffer.
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
"""So many records may wait for a stalled reader; others are counted and left out."""
_LAST_WORDS: Final = 5.0
"""Seconds to write what is left at the end."""


@contextmanager
def log_lines(console: Console | None) -> Iterator[None]:
    """Show what is logged while the block lasts.

    At the end it waits until all has been written, for a few seconds at most.

    Args:
        console: the terminal that has a table; None to write to standard error.
    """
    queue: Queue = SimpleQueue()
    show = _to_standard_error() if console is None else _above_the_table(console)
    # A daemon: the interpreter does not wait for it.
    thread = Thread(target=_write, args=(queue, show), name="log", daemon=True)
    root, inlet = logging.getLogger(), _Inlet(queue)
    root.addHandler(inlet)
    thread.start()
    try:
        yield
    finally:
        root.removeHandler(inlet)
        inlet.finish()
        thread.join(_LAST_WORDS)


@final
class _Inlet(QueueHandler):
    """Takes records from whoever logs."""

    def __init__(self, queue: Queue) -> None:
        super().__init__(queue)
        self._records = queue
        self._lost = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """Let a record wait to be written, or count it as lost."""
        if self._records.qsize() >= _BUFFER:
            self._lost += 1
            return
        self._tell_lost()
        self._records.put(record)

    def finish(self) -> None:
        """Let the thread come to the end, after what it has not written yet."""
        self._tell_lost()
        self._records.put(None)

    def _tell_lost(self) -> None:
        if self._lost:
            keys = {"levelname": "WARNING", "msg": f"{self._lost} log records are missing here"}
            self._records.put(logging.makeLogRecord(keys))
            self._lost = 0


def _write(queue: Queue, show: Show) -> None:
    while (record := queue.get()) is not None:
        show(record)


def _to_standard_error() -> Show:
    descriptor = sys.stderr.fileno()
    formatter = logging.Formatter("%(levelname)s: %(message)s")

    def show(record: logging.LogRecord) -> None:
        # Where nobody reads it any more, the run goes on without.
        with suppress(OSError):
            write_all(descriptor, f"{formatter.format(record)}\n")

    return show


def _above_the_table(console: Console) -> Show:
    # Not its `handle`, which would take its lock.
    return RichHandler(console=console, show_path=False, show_time=False).emit
