"""The strategies that choose schedules at random, and the plain one.

The papers behind them: Burckhardt et al., "A Randomized Scheduler with Probabilistic
Guarantees of Finding Bugs" (PCT); Yuan et al., "Partial Order Aware Concurrency Sampling"
(POS); Zhao et al., "Selectively Uniform Concurrency Testing" (the uniform random walk).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPIN: Final = 64
"""Steps in a row of one task while others could go; after them it is taken to wait for those
in a loop."""


@final
class Fifo:
    """Choose what has waited longest, as a scheduler without a strategy does. One schedule."""

    def __init__(self) -> None:
        self._begun = False

    def begin(self) -> bool:
        """Begin the one schedule."""
        begun, self._begun = self._begun, True
        return not begun

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose the first."""
        return 0

    def choose(self, count: int) -> int:
        """Choose the first."""
        return 0

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Learn nothing."""


@final
class RandomWalk:
    """Choose at each decision with the same chance for all.

    Args:
        seed: the seed of the choices.
    """

    def __init__(self, seed: object = 0) -> None:
        self._random = random.Random(f"random {seed}")

    def begin(self) -> bool:
        """Begin a schedule; there is always one more."""
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose any."""
        return int(self._random.random() * len(keys))

    def choose(self, count: int) -> int:
        """Choose any option."""
        return int(self._random.random() * count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Learn nothing."""


@final
class POS:
    """Sample partial orders: what could go gets a random priority, and keeps it until it goes.

    Args:
        seed: the seed of the priorities.
    """

    def __init__(self, seed: object = 0) -> None:
        self._random = random.Random(f"pos {seed}")
        self._priorities: dict[str, float] = {}

    def begin(self) -> bool:
        """Begin a schedule; there is always one more."""
        self._priorities = {}
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose the highest priority."""
        priorities = self._priorities
        best, index = -1.0, 0
        for position, key in enumerate(keys):
            priority = priorities.get(key)
            if priority is None:
                priority = priorities[key] = self._random.random()
            if priority > best:
                best, index = priority, position
        del priorities[keys[index]]
        return index

    def choose(self, count: int) -> int:
        """Choose any option."""
        return int(self._random.random() * count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Learn nothing."""


@final
class PCT:
    """Choose by random priorities, which change at a few random moments.

    This finds a bug that needs ``depth`` orderings, among ``n`` tasks and ``k`` decisions, with
    a chance of at least ``1 / (n * k ** (depth - 1))`` in each schedule. It learns from the
    schedules before how many decisions there are.

    Args:
        depth: the number of changes plus 1; 1 at least.
        seed: the seed of the priorities and the moments.

    Raises:
        ValueError: the depth is less than 1.
    """

    def __init__(self, depth: int = 2, seed: object = 0) -> None:
        if depth < 1:
            raise ValueError(f"pct: the depth is 1 at least, not {depth}")
        self._depth = depth
        self._random = random.Random(f"pct {depth} {seed}")
        self._longest = 1
        self._priorities: dict[str, float] = {}
        self._lowest = 0.0
        self._decisions = 0
        self._changes: frozenset[int] = frozenset()
        self._running: tuple[str, int] = ("", 0)

    def begin(self) -> bool:
        """Begin a schedule; there is always one more."""
        self._priorities = {}
        self._lowest = 0.0
        self._decisions = 0
        self._running = ("", 0)
        moments = range(1, max(self._longest, 2))
        count = min(self._depth - 1, len(moments)) if self._longest > 1 else 0
        self._changes = frozenset(self._random.sample(moments, count))
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose the highest priority; at one of the moments it falls below all others."""
        priorities = self._priorities
        for key in keys:
            if key not in priorities:
                priorities[key] = self._random.random() + 1
        top = max(keys, key=priorities.__getitem__)
        key, times = self._running
        spins = top == key and times >= _SPIN
        if self._decisions in self._changes or spins:
            self._lowest -= 1
            priorities[top] = self._lowest
            top = max(keys, key=priorities.__getitem__)
        self._running = (top, times + 1 if top == key else 1)
        self._decisions += 1
        return keys.index(top)

    def choose(self, count: int) -> int:
        """Choose any option."""
        return int(self._random.random() * count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Learn how many decisions there are."""
        self._longest = max(self._longest, self._decisions)


@final
class UniformWalk:
    """Choose at random, each task in proportion to the steps that it has left.

    So each interleaving of independent tasks is about as likely as any other. When each task
    has the same chance, it is not: short tasks end too soon. It learns from the schedules
    before how many steps a task has, with those of the tasks that it will spawn.

    Args:
        seed: the seed of the choices.
    """

    def __init__(self, seed: object = 0) -> None:
        self._random = random.Random(f"urw {seed}")
        self._learnt: dict[str, int] = {}
        self._steps: dict[str, int] = {}
        self._left: dict[str, int] = {}

    def begin(self) -> bool:
        """Begin a schedule; there is always one more."""
        for key, steps in self._steps.items():
            # The most that was ever seen: the steps of a task that is alone are no decisions,
            # so they are not seen.
            self._learnt[key] = max(steps, self._learnt.get(key, 0))
        self._steps = {}
        # What a task has left includes what its children will have, until they are spawned.
        self._left = dict.fromkeys(self._learnt, 0)
        for key, count in self._learnt.items():
            for ancestor in _lineage(key):
                if ancestor in self._left:
                    self._left[ancestor] += count
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose any, in proportion to what it has left."""
        for key in keys:
            if key not in self._steps:
                self._arrive(key)
        index = self._random.choices(
            range(len(keys)), [max(self._left.get(key, 1), 1) for key in keys]
        )[0]
        key = keys[index]
        self._steps[key] += 1
        self._left[key] = self._left.get(key, 1) - 1
        return index

    def _arrive(self, key: str) -> None:
        self._steps[key] = 0
        own = self._left.get(key, 0)
        for ancestor in _lineage(key)[1:]:
            if ancestor in self._steps and ancestor in self._left:
                self._left[ancestor] -= own
                break

    def choose(self, count: int) -> int:
        """Choose any option."""
        return int(self._random.random() * count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Do nothing: ``begin`` uses what was learnt."""


def _lineage(key: str) -> list[str]:
    """Return a task's name and those of its ancestors, nearest first."""
    lineage = [key]
    while "/" in key:
        key = key.rpartition("/")[0]
        lineage.append(key)
    return lineage
