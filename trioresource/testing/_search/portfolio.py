"""Take several strategies in turn, and make strategies by their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, final

from .exhaustive import Exhaustive
from .strategies import PCT, POS, Fifo, RandomWalk, UniformWalk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._scheduling.strategy import Strategy


@final
class Portfolio:
    """Take several strategies in turn: each finds bugs that others miss.

    Args:
        seed: the seed of all of them.
    """

    def __init__(self, seed: object = 0) -> None:
        # The uniform walk, which finds most bugs soonest, has every other turn.
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
        """Begin a schedule of the next strategy."""
        self._turn = (self._turn + 1) % len(self._members)
        return self._member.begin()

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Let the strategy decide whose turn it is."""
        return self._member.pick(keys, last)

    def choose(self, count: int) -> int:
        """Let the strategy decide whose turn it is."""
        return self._member.choose(count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Let the strategy learn whose turn it was."""
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
    """Make a strategy by its name.

    Args:
        name: ``auto``, ``random``, ``pos``, ``pct`` or ``pct:DEPTH``, ``urw``,
            ``exhaustive`` or ``exhaustive:PREEMPTIONS``, ``fifo``.
        seed: the seed of its random choices.

    Returns:
        The strategy, which has not begun.

    Raises:
        ValueError: there is no strategy of that name.
    """
    match = _FORM.fullmatch(name)
    if match is not None and match[1] in _NAMED and (match[2] is None or match[1] in _NUMBERED):
        return _NAMED[match[1]](None if match[2] is None else int(match[2]), seed)
    known = ", ".join(key + "[:N]" * (key in _NUMBERED) for key in _NAMED)
    raise ValueError(f"there is no strategy {name!r}; there are {known}")
