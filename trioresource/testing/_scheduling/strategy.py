"""The interface of what chooses schedules.

Declared here, and not beside the strategies, because the controller asks a strategy for
every decision, and ``_search`` lies above this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence


@runtime_checkable
class Strategy(Protocol):
    """Choose the schedules of one exploration, one after the other.

    A strategy must decide by its own state alone: the same strategy, made again, must choose
    the same when it is asked the same. Otherwise no failure could be replayed.
    """

    def begin(self) -> bool:
        """Begin a new schedule.

        Returns:
            ``False`` if there is none left to try; then no such schedule runs.
        """
        ...

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose what goes next.

        Args:
            keys: the names of what could go, two at least, in the order in which each has
                waited, longest first; so 0 is what a scheduler without a strategy would do.
                Tasks are named by their place in the tree (``main/worker#1``). Names in angle
                brackets are no tasks: ``<clock>`` lets the next deadline expire,
                ``<cancel …>`` cancels a scope, ``<external …>`` delivers a completion.
            last: the name of what went last, whether it could go on or not.

        Returns:
            An index into ``keys``.
        """
        ...

    def choose(self, count: int) -> int:
        """Decide for the scenario, which called ``choose()`` with ``count`` options.

        Args:
            count: how many options there are, two at least.

        Returns:
            The option's index; 0 is what the scenario's author put first.
        """
        ...

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """End the schedule.

        Args:
            picks: all its decisions, those of ``choose`` included: the index, and how
                many there were to choose from.
            failed: whether the schedule failed.
        """
        ...
