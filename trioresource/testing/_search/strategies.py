"""Which schedules to try: the strategies that choose at random.

The facts behind them: Burckhardt et al., "A Randomized Scheduler with Probabilistic
Guarantees of Finding Bugs" (PCT); Yuan et al., "Partial Order Aware Concurrency Sampling"
(POS); Zhao et al., "Selectively Uniform Concurrency Testing" (the uniform random walk).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, Protocol, final, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PCT", "POS", "Fifo", "RandomWalk", "Strategy", "UniformWalk"]

_SPIN: Final = 64
"""A task that goes on so often while others wait is taken to wait for them, in a loop."""


@runtime_checkable
class Strategy(Protocol):
    """Chooses the schedules of one exploration, one after the other.

    Whatever it chooses by must be its own: the same strategy, made again, must choose the
    same when it is asked the same.
    """

    def begin(self) -> bool:
        """A new schedule starts.

        Returns:
            ``False`` if there is none left to try; then there is no such schedule.
        """
        ...

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose who goes next.

        Args:
            keys: the names of those who could, two at least; first comes who has waited
                longest, so 0 is what a scheduler without a strategy would do. Tasks are
                named by their place in the tree (``main/worker#1``). Names in angle
                brackets are no tasks: ``<clock>`` lets the next deadline expire,
                ``<cancel …>`` cancels a scope, ``<external …>`` delivers a completion.
            last: the name of who went last, which may be able to go on or not.

        Returns:
            An index into ``keys``.
        """
        ...

    def choose(self, count: int) -> int:
        """Decide for the scenario, which called ``choose()`` with so many options.

        Args:
            count: how many options there are, two at least.

        Returns:
            The option's index; 0 is what the scenario's author put first.
        """
        ...

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """The schedule has ended.

        Args:
            picks: all its decisions, those of ``choose`` included: the index, and how
                many there were to choose from.
            failed: whether it found something.
        """
        ...


@final
class Fifo:
    """What Trio does when nobody interferes: first come, first served. One schedule."""

    def __init__(self) -> None:
        self._begun = False

    def begin(self) -> bool:
        """There is one schedule."""
        begun, self._begun = self._begun, True
        return not begun

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """The first."""
        return 0

    def choose(self, count: int) -> int:
        """The first."""
        return 0

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Nothing is learnt."""


@final
class RandomWalk:
    """At each decision, everybody has the same chance.

    Args:
        seed: what the choices are drawn from.
    """

    def __init__(self, seed: object = 0) -> None:
        self._random = random.Random(f"random {seed}")

    def begin(self) -> bool:
        """There is always one more schedule."""
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Anybody."""
        return int(self._random.random() * len(keys))

    def choose(self, count: int) -> int:
        """Any option."""
        return int(self._random.random() * count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Nothing is learnt."""


@final
class POS:
    """Partial-order sampling: everybody draws a lot when it could go, and keeps it until it goes.

    Args:
        seed: what the lots are drawn from.
    """

    def __init__(self, seed: object = 0) -> None:
        self._random = random.Random(f"pos {seed}")
        self._lots: dict[str, float] = {}

    def begin(self) -> bool:
        """There is always one more schedule."""
        self._lots = {}
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Whose lot is highest."""
        lots = self._lots
        best, index = -1.0, 0
        for position, key in enumerate(keys):
            lot = lots.get(key)
            if lot is None:
                lot = lots[key] = self._random.random()
            if lot > best:
                best, index = lot, position
        del lots[keys[index]]
        return index

    def choose(self, count: int) -> int:
        """Any option."""
        return int(self._random.random() * count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Nothing is learnt."""


@final
class PCT:
    """Random priorities, which change at a few random moments.

    Finds a bug that needs ``depth`` orderings, among ``n`` tasks and ``k`` decisions, with
    a chance of at least ``1 / (n * k ** (depth - 1))`` in each schedule. How many
    decisions there are is learnt from the schedules that went before.

    Args:
        depth: one more than the number of changes; one at least.
        seed: what priorities and moments are drawn from.
    """

    def __init__(self, depth: int = 2, seed: object = 0) -> None:
        if depth < 1:
            raise ValueError(f"PCT has a depth of one at least, not {depth}")
        self._depth = depth
        self._random = random.Random(f"pct {depth} {seed}")
        self._longest = 1
        self._priorities: dict[str, float] = {}
        self._lowest = 0.0
        self._decisions = 0
        self._changes: frozenset[int] = frozenset()
        self._running: tuple[str, int] = ("", 0)

    def begin(self) -> bool:
        """There is always one more schedule."""
        self._priorities = {}
        self._lowest = 0.0
        self._decisions = 0
        self._running = ("", 0)
        moments = range(1, max(self._longest, 2))
        count = min(self._depth - 1, len(moments)) if self._longest > 1 else 0
        self._changes = frozenset(self._random.sample(moments, count))
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Whose priority is highest; it falls below all others at one of the moments."""
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
        """Any option."""
        return int(self._random.random() * count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Learns how many decisions there are."""
        self._longest = max(self._longest, self._decisions)


@final
class UniformWalk:
    """A random walk that weighs everybody by how many steps it has left.

    So each interleaving of independent tasks is about as likely as any other, which it is
    not when each task has the same chance: then short tasks are over too soon. How many
    steps a task has, and those that it will spawn, is learnt from the schedules before.

    Args:
        seed: what the choices are drawn from.
    """

    def __init__(self, seed: object = 0) -> None:
        self._random = random.Random(f"urw {seed}")
        self._learnt: dict[str, int] = {}
        self._steps: dict[str, int] = {}
        self._left: dict[str, int] = {}

    def begin(self) -> bool:
        """There is always one more schedule."""
        for key, steps in self._steps.items():
            # The most that was ever seen: whoever is alone is not seen to go.
            self._learnt[key] = max(steps, self._learnt.get(key, 0))
        self._steps = {}
        # What a task has left includes what its children will have, as long as they are
        # not there themselves.
        self._left = dict.fromkeys(self._learnt, 0)
        for key, count in self._learnt.items():
            for ancestor in _lineage(key):
                if ancestor in self._left:
                    self._left[ancestor] += count
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Anybody, by what it has left."""
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
        """Any option."""
        return int(self._random.random() * count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """What was learnt is used from the next schedule on."""


def _lineage(key: str) -> list[str]:
    """A task's name, and those of its ancestors, nearest first."""
    lineage = [key]
    while "/" in key:
        key = key.rpartition("/")[0]
        lineage.append(key)
    return lineage
