"""Whether something costs the same among few and among many: a process for each number."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.measure import Row, row_of_ratios

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from benchmarks.measure import Effort

    Serve = Callable[[int, Connection], None]


def compare_sizes(serve: Serve, effort: Effort, *, benchmark: str, what: str) -> Iterator[Row]:
    """Each size against the smallest, in turn: at most 1.2 times the cost.

    Both have been set up in processes of their own and wait for their turn, so that neither
    stands in the other's memory, and both see the same moods of the machine.

    Args:
        serve: run in each process with the size and a connection: sends the cost in seconds
            each time it receives True.
        effort: the sizes, and how many pairs.
        benchmark: its name.
        what: what costs.
    """
    smallest, *others = effort.sizes
    with worker(serve, smallest) as few:
        for size in others:
            with worker(serve, size) as many:
                # The first pair is for nothing.
                pairs = [(many(), few()) for _ in range(effort.pairs + 1)][1:]
            yield row_of_ratios(
                pairs,
                benchmark=benchmark,
                what=f"{what}, {size:,} / {smallest:,} of them",
                unit="us",
                scale=1e6,
                bar=1.2,
            )


@contextmanager
def worker(serve: Serve, size: int) -> Iterator[Callable[[], float]]:
    """A process that measures something each time it is called."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(size, there), daemon=True)
    process.start()
    there.close()

    def measure() -> float:
        here.send(True)
        cost: float = here.recv()
        return cost

    try:
        yield measure
    finally:
        # It holds nothing but memory; to end all that in good order would take long.
        process.kill()
        process.join()
        here.close()
