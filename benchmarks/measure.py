"""Taking measurements in pairs, and what comes out of them."""

from __future__ import annotations

import gc
import statistics
from typing import TYPE_CHECKING, Any, final

import attrs
import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from trioresource import Report

    Side = Callable[[], Awaitable[float]]


@attrs.frozen(kw_only=True)
class Effort:
    """How much is measured."""

    pairs: int = 20
    cycles: int = 500
    """Cycles in one half of a pair."""
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    """How many idle resources there are, where that is varied."""
    pending_pairs: int = 4
    """Pairs where many resources come online at once."""


FULL = Effort()
QUICK = Effort(pairs=5, cycles=200, sizes=(1_000, 10_000), pending_pairs=1)


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table."""

    benchmark: str
    what: str
    unit: str
    ours: float | None = None
    other: float | None = None
    """The median of what it is compared with, in the same unit as ``ours``."""
    result: float | None = None
    """The median over the pairs of what is held against the bar."""
    result_unit: str = "x"
    low: float | None = None
    """A quarter of the pairs lie below."""
    high: float | None = None
    """A quarter of the pairs lie above."""
    pairs: int = 0
    bar: float | None = None
    """The most that ``result`` may be; None where it is told for information."""
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the bar is not missed."""
        return self.result is None or self.bar is None or self.result <= self.bar

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**attrs.asdict(self), "met": self.met}


Pairs = list[tuple[float, float]]


async def alternate(pairs: int, ours: Side, other: Side) -> Pairs:
    """Measure both sides in turn, in one order and in the other, after a turn for nothing."""
    found: Pairs = []
    gc.collect()
    for turn in range(pairs + 1):
        if turn % 2:
            first = await ours()
            pair = (first, await other())
        else:
            second = await other()
            pair = (await ours(), second)
        found.append(pair)
    return found[1:]


def row_of_ratios(
    pairs: Pairs, *, benchmark: str, what: str, unit: str, scale: float, bar: float | None
) -> Row:
    """The row for pairs of which the ratio counts; ``scale`` makes seconds into ``unit``."""
    return _row(
        [ours / other for ours, other in pairs],
        Row(
            benchmark=benchmark,
            what=what,
            unit=unit,
            ours=statistics.median(ours for ours, _ in pairs) * scale,
            other=statistics.median(other for _, other in pairs) * scale,
            bar=bar,
        ),
    )


def row_of_differences(
    pairs: Pairs, *, benchmark: str, what: str, bar: float, note: str = ""
) -> Row:
    """The row for pairs of seconds of which the difference counts."""
    return _row(
        [(ours - other) * 1e3 for ours, other in pairs],
        Row(
            benchmark=benchmark,
            what=what,
            unit="ms",
            ours=statistics.median(ours for ours, _ in pairs) * 1e3,
            other=statistics.median(other for _, other in pairs) * 1e3,
            result_unit="ms",
            bar=bar,
            note=note,
        ),
    )


def row_of_values(values: Sequence[float], row: Row) -> Row:
    """The row for values that count by themselves, in the unit of its result."""
    return _row(values, row)


def row_of_size(
    values: Sequence[float], *, benchmark: str, what: str, unit: str, scale: float = 1
) -> Row:
    """The row for what ours costs alone, for a comparison of sizes that follows."""
    ours = statistics.median(values) * scale
    return Row(benchmark=benchmark, what=what, unit=unit, ours=ours, pairs=len(values))


def _row(results: Sequence[float], row: Row) -> Row:
    low, _, high = statistics.quantiles(results, n=4) if len(results) > 1 else [results[0]] * 3
    return attrs.evolve(
        row, result=statistics.median(results), low=low, high=high, pairs=len(results)
    )


def flatness(rows: Sequence[Row], what: str) -> Iterator[Row]:
    """How much more each size costs than the smallest one: at most 1.2 times as much."""
    first, *others = rows
    for row in others:
        assert first.ours is not None
        assert row.ours is not None
        yield Row(
            benchmark=row.benchmark,
            what=f"{what}, {row.what.split()[0]} / {first.what.split()[0]} of them",
            unit=row.unit,
            ours=row.ours,
            other=first.ours,
            result=row.ours / first.ours,
            bar=1.2,
        )


@final
class Drain:
    """Receives every report, as the owner of a monitor does, and can say that it is done."""

    def __init__(self, reports: trio.MemoryReceiveChannel[Report]) -> None:
        self._reports = reports

    async def run(self) -> None:
        """Receive until cancelled."""
        async for _ in self._reports:
            pass

    async def emptied(self) -> None:
        """Wait until nothing is left to receive."""
        while self._reports.statistics().current_buffer_used:  # noqa: ASYNC110
            await trio.lowlevel.checkpoint()
