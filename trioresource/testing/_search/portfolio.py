"""Several strategies in turn, and what strategies are called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, final

from .exhaustive import Exhaustive
from .strategies import PCT, POS, Fifo, RandomWalk, Strategy, UniformWalk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Portfolio", "make_strategy"]


@final
class Portfolio:
    """Several strategies in turn: each finds bugs that others miss.

    Args:
        seed: what all of them draw from.
    """

    def __init__(self, seed: object = 0) -> None:
        # Every other turn is the uniform walk's, which finds most bugs soonest.
        uniform = UniformWalk(seed)
        others = (RandomWalk(seed), POS(seed), PCT(2, seed), PCT(3, seed))
        self._members: Final[tuple[Strategy, ...]] = tuple(
            member for other in others for member in (uniform, other)
        )
        self._turn = -1

    @property
    def _member(self) -> Strategy:
        return self._members[self._turn]

    def begin(self) -> bool:
        """It is the next one's turn."""
        self._turn = (self._turn + 1) % len(self._members)
        return self._member.begin()

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """As the one whose turn it is says."""
        return self._member.pick(keys, last)

    def choose(self, count: int) -> int:
        """As the one whose turn it is says."""
        return self._member.choose(count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """The one whose turn it was may learn."""
        self._member.end(picks, failed)


_NAMED: Final[dict[str, Callable[[int | None, object], Strategy]]] = {
    "auto": lambda _, seed: Portfolio(seed),
    "random": lambda _, seed: RandomWalk(seed),
    "pos": lambda _, seed: POS(seed),
    "pct": lambda depth, seed: PCT(2 if depth is None else depth, seed),
    "urw": lambda _, seed: UniformWalk(seed),
    "exhaustive": lambda bound, _: Exhaustive(bound),
    "fifo": lambda _, seed: Fifo(),
}
_NUMBERED: Final = ("pct", "exhaustive")
_FORM: Final = re.compile(r"([a-z]+)(?::(\d+))?")


def make_strategy(name: str, seed: object) -> Strategy:
    """The strategy of a name.

    Args:
        name: ``auto``, ``random``, ``pos``, ``pct`` or ``pct:DEPTH``, ``urw``,
            ``exhaustive`` or ``exhaustive:PREEMPTIONS``, ``fifo``.
        seed: what it draws from.

    Returns:
        The strategy, unused.

    Raises:
        ValueError: there is no strategy of that name.
    """
    match = _FORM.fullmatch(name)
    if match is not None and match[1] in _NAMED and (match[2] is None or match[1] in _NUMBERED):
        return _NAMED[match[1]](None if match[2] is None else int(match[2]), seed)
    known = ", ".join(f"{each}[:N]" if each in _NUMBERED else each for each in _NAMED)
    raise ValueError(f"there is no strategy {name!r}; there are {known}")
