"""Strategies that follow a schedule: by its decisions, or by the names of what went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PATIENCE: Final = 200
"""Decisions for the same task, after which it is taken to wait for others in a loop."""


@final
class Replay:
    """Follow the decisions of a schedule; after them, choose what has waited longest.

    Where the code has changed since, a decision may be out of range. Then 0 is chosen.

    Args:
        picks: the decisions.
    """

    def __init__(self, picks: Iterable[int]) -> None:
        self._picks: Final = tuple(picks)
        self._position = 0

    def begin(self) -> bool:
        """Begin anew; the schedule can be followed any number of times."""
        self._position = 0
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose what was recorded."""
        return self.choose(len(keys))

    def choose(self, count: int) -> int:
        """Choose what was recorded."""
        position = self._position
        self._position = position + 1
        if position >= len(self._picks):
            return 0
        return self._picks[position] if self._picks[position] < count else 0

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Learn nothing."""


@final
class PreferredKeys:
    """Follow a list of names; a name that cannot go when it is due is passed over.

    After the list, the same task goes on as long as it can, which makes the fewest switches.

    Args:
        keys: the name that should go at each decision.
        choices: the decisions of ``choose()``; after them, the first option is chosen.
    """

    def __init__(self, keys: Sequence[str], choices: Sequence[int] = ()) -> None:
        self._keys: Final = keys
        self._choices: Final = choices
        self._position = 0
        self._chosen = 0
        self._stayed = 0

    def begin(self) -> bool:
        """Begin anew; the schedule can be followed any number of times."""
        self._position = self._chosen = self._stayed = 0
        return True

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose the preferred name, or else what went last, or else what has waited longest."""
        while self._position < len(self._keys):
            key = self._keys[self._position]
            self._position += 1
            if key in keys:
                return keys.index(key)
        if last not in keys:
            return 0
        self._stayed += 1
        index = keys.index(last)
        return (index + 1) % len(keys) if self._stayed % _PATIENCE == 0 else index

    def choose(self, count: int) -> int:
        """Choose the preferred option."""
        position = self._chosen
        self._chosen = position + 1
        return min(self._choices[position], count - 1) if position < len(self._choices) else 0

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Learn nothing."""
