"""Divide one search among processes.

Schedules do not depend on one another, so each processor can search by itself. The processes
are forks of this one: they have the scenario as it is, with all that it refers to. They send
what they find as a list of decisions, which this process then follows.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import threading
import traceback
import warnings
from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final, final

import attrs
import trio

from .._leaks import TRIO_THREAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from ctypes import c_longlong
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

_NONE_FAILED: Final = 2**62
_TRIO: Final = tuple(map(int, trio.__version__.split(".")[:2]))


@attrs.frozen
class Share:
    """What one of the processes did."""

    ran: int
    """How many schedules it ran."""
    failed: Sequence[int] | None = None
    """The decisions of its last schedule, if that schedule failed."""


def can_divide() -> bool:
    """Say whether this process can be forked.

    It cannot on some systems, nor while it has other threads. The threads that Trio keeps for
    the next call do not count since Trio 0.29, which forgets them in the new process
    (python-trio/trio#2764).
    """
    threads = threading.enumerate()
    if _TRIO >= (0, 29):
        threads = [thread for thread in threads if not thread.name.startswith(TRIO_THREAD)]
    return "fork" in multiprocessing.get_all_start_methods() and len(threads) == 1


def divide(
    jobs: int, search: Callable[[int, Callable[[int], bool]], Share]
) -> tuple[int, Sequence[int] | None]:
    """Search in several processes.

    Their schedules count as if they had run in turn: the first of each process, then the
    second of each, and so on. The first in this order that failed is the result, so that it
    does not depend on which process is faster.

    While this runs, Ctrl-C arrives through a pipe if this process has Python's own handler
    for it; the handler is restored at the end.

    Args:
        jobs: how many processes.
        search: called in each process, with the number of the process and a function that
            says whether the schedule of this process with a given index is still needed.

    Returns:
        How many schedules ran, up to and including the one that failed, and the decisions of
        that one.

    Raises:
        BaseException: what a search raised.
        RuntimeError: a process has ended without a result.
    """
    context = multiprocessing.get_context("fork")
    limit = context.RawValue("q", _NONE_FAILED)
    with _interruptions() as interrupted, contextlib.ExitStack() as stack:
        workers = [_Worker(number, jobs, search, limit) for number in range(jobs)]
        for worker in workers:
            stack.callback(worker.end)
            worker.start()
        shares = _collect(workers, limit, interrupted)
    failed = [
        ((share.ran - 1) * jobs + number, share.failed)
        for number, share in enumerate(shares)
        if share.failed is not None
    ]
    if not failed:
        return sum(share.ran for share in shares), None
    position, picks = min(failed, key=lambda found: found[0])
    return position + 1, picks


def _collect(workers: Sequence[_Worker], limit: c_longlong, interrupted: Connection) -> list[Share]:
    shares: list[Share | None] = [None] * len(workers)
    waiting = list(workers)
    while waiting:
        heard = wait([interrupted, *(worker.results for worker in waiting)])
        if interrupted in heard:
            raise KeyboardInterrupt
        for worker in [worker for worker in waiting if worker.results in heard]:
            waiting.remove(worker)
            share = shares[worker.number] = worker.result()
            if share.failed is not None:
                # The other processes need go no further than this.
                position = (share.ran - 1) * len(workers) + worker.number
                limit.value = min(limit.value, position)
    return [share for share in shares if share is not None]


@final
class _Worker:
    """A process that searches, and the pipe through which it sends its result."""

    def __init__(
        self,
        number: int,
        jobs: int,
        search: Callable[[int, Callable[[int], bool]], Share],
        limit: c_longlong,
    ) -> None:
        self.number: Final = number
        context = multiprocessing.get_context("fork")
        self.results, self._sender = context.Pipe(duplex=False)
        self._process: Final[ForkProcess] = context.Process(
            target=_work,
            args=(number, jobs, search, limit, self._sender),
            name=f"search {number}",
            daemon=True,
        )

    def start(self) -> None:
        """Start the process."""
        with warnings.catch_warnings():
            # Python warns of threads that it does not know, such as those of a numerical library.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
            self._sender.close()

    def result(self) -> Share:
        """Return what it did; raise what it raised."""
        try:
            share, error = self.results.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(
                f"a process of the search has ended without a result, with exit code"
                f" {self._process.exitcode}; run the search without jobs to see what ended it"
            ) from None
        if error is not None:
            raise error
        assert isinstance(share, Share)
        return share

    def end(self) -> None:
        """Kill the process if it runs, and release all that belongs to it."""
        self.results.close()
        self._sender.close()
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self._process.close()


@contextlib.contextmanager
def _interruptions() -> Iterator[Connection]:
    """Let Ctrl-C come through a pipe.

    As an exception, it could come between the start of a process and the moment at which this
    process knows of it; the other process would be left behind.
    """
    heard, said = multiprocessing.Pipe(duplex=False)
    noted = False

    def note(*_: object) -> None:
        nonlocal noted
        if not noted:
            noted = True
            said.send_bytes(b"!")

    # A handler that the program has installed stays.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with heard, said:
        if ours:
            signal.signal(signal.SIGINT, note)
        try:
            yield heard
        finally:
            if ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)
    if noted:
        raise KeyboardInterrupt


def _work(
    number: int,
    jobs: int,
    search: Callable[[int, Callable[[int], bool]], Share],
    limit: c_longlong,
    sender: Connection,
) -> None:
    """Search; this runs in one of the processes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        share = search(number, lambda index: index * jobs + number < limit.value)
    except KeyboardInterrupt:
        # The first process is interrupted as well.
        return
    except BaseException as error:  # noqa: ASYNC103 - raised again in the first process
        sender.send((None, _portable(error)))
    else:
        sender.send((share, None))


def _portable(error: BaseException) -> BaseException:
    """Return the error, or one like it that can be sent to another process."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in a process of the search:\n{text}")
    return error
