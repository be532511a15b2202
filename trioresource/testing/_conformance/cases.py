"""Go through the cases of a check, each in many schedules.

A case is a variant of the check and, in a sweep, the wait at which something happens. The
first decisions of a schedule choose its case. So a token names the case as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import attrs

from .._scheduling.scenario import choose
from .._search.portfolio import make_strategy
from .._search.strategies import Fifo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._scheduling.strategy import Strategy

MOST_WAITS: Final = 1_000
"""Waits of one entry point that a sweep goes through at most."""


@attrs.define
class Case:
    """One case of a check."""

    variant: str
    wait: int
    """In a sweep, the wait at which something happens, beginning with 0."""
    reached: bool = True
    """Whether there was such a wait; if not, the sweep ends."""
    sweeps: bool = False
    """Whether this variant is a sweep; the check sets this while it runs."""
    measured: str = ""
    """What a measurement has found wrong, in words."""


@final
class Cases:
    """Choose the schedules of all cases; a strategy.

    Args:
        variants: the variants of the check.
        strategies: the strategies that choose the schedules of a case, one after the other,
            each with its largest number of schedules.
        sweeping: the same for each wait of a sweep.
        seed: the seed of the strategies.
    """

    name: Final = "cases"

    def __init__(
        self,
        variants: Sequence[str],
        *,
        strategies: Sequence[tuple[str, int]],
        sweeping: Sequence[tuple[str, int]],
        seed: int = 0,
    ) -> None:
        self._variants: Final = variants
        self._strategies: Final = strategies
        self._sweeping: Final = sweeping
        self._seed: Final = seed
        self._variant = self._wait = 0
        self._left: list[tuple[str, int]] = []
        self._inner: Strategy = Fifo()
        self._quota = 1
        self._decided = 0
        self._first = True
        self._case: Case | None = None
        self.count: int = 0
        """How many cases there were."""

    def draw(self, *, explored: bool = True) -> Case:
        """Return the case of the schedule that begins. A scenario calls this first.

        Args:
            explored: whether an exploration runs; otherwise this object alone decides.
        """
        variant, wait = self._variant, self._wait
        if explored:
            variant = choose(range(len(self._variants)))
            wait = choose(range(MOST_WAITS))
        self._case = Case(self._variants[variant], wait)
        return self._case

    @property
    def measured(self) -> str:
        """What the last case has found wrong by a measurement, in words."""
        return "" if self._case is None else self._case.measured

    def begin(self) -> bool:
        """Begin the next schedule of this case, or else the first of the next case."""
        self._decided = 0
        while True:
            if self._first:
                self._first = False
                self._inner, self._quota = Fifo(), 1
                self._case = None
                self.count += 1
            if self._quota > 0 and self._inner.begin():
                self._quota -= 1
                return True
            if self._case is not None and not self._left:
                if not self._advance():
                    return False
                continue
            name, self._quota = self._left.pop(0)
            self._inner = make_strategy(name, self._seed)

    def _advance(self) -> bool:
        """Go on to the next case; ``False`` if there is none."""
        case = self._case
        assert case is not None
        if case.sweeps and case.reached and self._wait + 1 < MOST_WAITS:
            self._wait += 1
        else:
            self._variant, self._wait = self._variant + 1, 0
        self._first = True
        return self._variant < len(self._variants)

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Let the strategy decide whose turn it is."""
        return self._inner.pick(keys, last)

    def choose(self, count: int) -> int:
        """Choose the case first; then let the strategy decide whose turn it is."""
        leading = [self._variant] if len(self._variants) > 1 else []
        leading.append(self._wait)
        if self._decided < len(leading):
            self._decided += 1
            return leading[self._decided - 1]
        return self._inner.choose(count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Let the strategy learn whose turn it was; decide what runs next of this case."""
        self._inner.end(picks[self._decided :], failed)
        case = self._case
        if isinstance(self._inner, Fifo) and case is not None:
            if case.sweeps and not case.reached:
                self._left = []
            else:
                self._left = list(self._sweeping if case.sweeps else self._strategies)
