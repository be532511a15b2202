"""Try every schedule, up to a number of preemptions.

After Musuvathi and Qadeer, "Iterative Context Bounding for Systematic Testing of
Multithreaded Programs" (CHESS). A switch away from a task that could go on is a preemption. A
switch away from a task that waits is none, nor is a decision of the scenario. Most bugs need
one or two preemptions, so a small bound covers much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPIN: Final = 50
"""Steps in a row of one task; after them it is taken to wait for others in a loop. Without
this bound, a loop that waits by checkpoints would never let the others go."""


@final
class Exhaustive:
    """Try every schedule with at most ``bound`` preemptions, in depth-first order.

    Each schedule runs from its start. It follows the decisions of the schedule before it up to
    the last one that has an alternative, and takes the next alternative there.

    Args:
        bound: the largest number of preemptions; ``None`` for any number.

    Raises:
        ValueError: the bound is negative.
    """

    def __init__(self, bound: int | None = None) -> None:
        if bound is not None and bound < 0:
            raise ValueError(f"the number of preemptions must be 0 or more, not {bound}")
        self.bound: Final = bound
        self._prefix: list[int] | None = []
        # For each decision of this schedule: its rank, how many ranks there are, and its price
        # in preemptions.
        self._ranks: list[int] = []
        self._counts: list[int] = []
        self._prices: list[int] = []
        self._spins = 0

    @property
    def exhausted(self) -> bool:
        """Whether every schedule within the bound has run."""
        return self._prefix is None

    def begin(self) -> bool:
        """Begin the next schedule; ``False`` if none is left."""
        self._ranks, self._counts, self._prices = [], [], []
        self._spins = 0
        return self._prefix is not None

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose the last task first; then the others, in the order in which they wait."""
        going = keys.index(last) if last in keys else -1
        if going >= 0 and self._spins >= _SPIN:
            going = -1
        rank = self._rank(len(keys), price=1 if going >= 0 else 0)
        if going >= 0:
            index = going if rank == 0 else rank - 1 if rank <= going else rank
        else:
            # After a task that spins, another task comes first.
            index = rank
            if self._spins >= _SPIN and last is not None and keys[0] == last:
                index = (rank + 1) % len(keys)
        self._spins = self._spins + 1 if keys[index] == last else 0
        return index

    def choose(self, count: int) -> int:
        """Choose the options in their order."""
        return self._rank(count, price=0)

    def _rank(self, count: int, *, price: int) -> int:
        assert self._prefix is not None
        position = len(self._ranks)
        rank = self._prefix[position] if position < len(self._prefix) else 0
        # Fewer options than the last time mean that the scenario does not do the same twice,
        # which the comparison of two runs reports.
        rank = min(rank, count - 1)
        self._ranks.append(rank)
        self._counts.append(count)
        self._prices.append(price)
        return rank

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Find the last decision that has an alternative within the bound."""
        spent = sum(price for rank, price in zip(self._ranks, self._prices, strict=True) if rank)
        for position in reversed(range(len(self._ranks))):
            rank, price = self._ranks[position], self._prices[position]
            if rank:
                spent -= price
            affordable = self.bound is None or spent + price <= self.bound
            if rank + 1 < self._counts[position] and affordable:
                self._prefix = [*self._ranks[:position], rank + 1]
                return
        self._prefix = None
