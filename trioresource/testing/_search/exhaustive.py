"""Every schedule, up to a number of preemptions.

After Musuvathi and Qadeer, "Iterative Context Bounding for Systematic Testing of
Multithreaded Programs" (CHESS): to switch away from a task that could go on costs one;
to switch where the last task waits is free, and so is a decision of the scenario. Most
bugs need one preemption or two, so a small bound covers much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Exhaustive"]

_SPIN: Final = 50
"""So often a task goes on by itself; then it is taken to wait for others, in a loop."""


@final
class Exhaustive:
    """Every schedule with at most so many preemptions, in depth-first order.

    Each schedule runs anew from its start: the decisions of the one before are followed up
    to the last that has an alternative, and there the next alternative is taken.

    Args:
        bound: how many preemptions at most; ``None`` for any number.
    """

    def __init__(self, bound: int | None = None) -> None:
        if bound is not None and bound < 0:
            raise ValueError(f"a number of preemptions is not negative, unlike {bound}")
        self.bound: Final = bound
        self._prefix: list[int] | None = []
        # Of the schedule that runs: each decision's rank, number of ranks, and price.
        self._ranks: list[int] = []
        self._counts: list[int] = []
        self._prices: list[int] = []
        self._spins = 0

    @property
    def exhausted(self) -> bool:
        """Whether every schedule within the bound has run."""
        return self._prefix is None

    def begin(self) -> bool:
        """Whether there is a schedule left."""
        self._ranks, self._counts, self._prices = [], [], []
        self._spins = 0
        return self._prefix is not None

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """The last task goes on; then the others, in the order of their arrival."""
        going = keys.index(last) if last in keys else -1
        if going >= 0 and self._spins >= _SPIN:
            going = -1
        rank = self._rank(len(keys), price=1 if going >= 0 else 0)
        if going >= 0:
            index = going if rank == 0 else rank - 1 if rank <= going else rank
        else:
            # Behind a task that spins, somebody else comes first.
            index = rank
            if self._spins >= _SPIN and last is not None and keys[0] == last:
                index = (rank + 1) % len(keys)
        self._spins = self._spins + 1 if keys[index] == last else 0
        return index

    def choose(self, count: int) -> int:
        """The options in their order."""
        return self._rank(count, price=0)

    def _rank(self, count: int, *, price: int) -> int:
        assert self._prefix is not None
        position = len(self._ranks)
        rank = self._prefix[position] if position < len(self._prefix) else 0
        # Fewer options than the last time would mean that the scenario is not the same
        # twice, which is found and said elsewhere.
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
