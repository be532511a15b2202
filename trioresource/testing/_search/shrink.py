"""Shrink: find the simplest schedule that fails in the same way.

A reader wants to know where a task was interrupted, and by which other task. So the simplest
schedule is the one with the fewest preemptions, then the fewest switches, then the fewest
decisions (the order of Jalbert and Sen's "A Trace Simplification Technique for Effective
Debugging of Concurrent Programs"). A schedule is taken as a list of names, one for each
decision; a name that cannot go when it is due is passed over. Each change to that list must
make the schedule simpler. That alone would miss a schedule with fewer preemptions that
resembles none of the steps on the way. So the schedules with fewer preemptions are tried as
well, up to a bound.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final, final

from .._scheduling.running import Run, Scenario, Settings, run
from .._scheduling.stacks import is_under_test
from .exhaustive import Exhaustive
from .replay import PreferredKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

Signature = tuple[object, ...]

_TO_THE_END: Final = 100
"""More decisions than a task is likely to have left."""
_FEWER_PREEMPTIONS: Final = 100
"""Schedules with fewer preemptions that are tried at least. If more schedules were tried
before, as many again."""


def signature(error: BaseException) -> Signature:
    """Return what two errors of the same bug have in common: their class and their place."""
    if isinstance(error, BaseExceptionGroup):
        return (type(error).__name__, *sorted(map(repr, map(signature, error.exceptions))))
    place = None
    link = error.__traceback__
    while link is not None:
        if is_under_test(link.tb_frame.f_code.co_filename):
            place = (link.tb_frame.f_code.co_filename, link.tb_lineno)
        link = link.tb_next
    return (type(error).__name__, place)


@final
class Shrinker:
    """Look for the simplest schedule that fails like a given one.

    Args:
        scenario: what runs.
        settings: what there is to decide.
        budget: the largest number of schedules to try.
    """

    def __init__(self, scenario: Scenario, settings: Settings, budget: int = 1000) -> None:
        self._scenario: Final = scenario
        self._settings: Final = settings
        self._budget = budget
        self.tried: int = 0
        """How many schedules were tried."""

    def shrink(self, failed: Run) -> Run:
        """Find the simplest schedule within the budget.

        Args:
            failed: a schedule that failed, in a run of its own.

        Returns:
            A schedule that fails in the same way, in a run of its own as well.
        """
        assert failed.error is not None
        self._wanted: Signature = signature(failed.error)
        self._best = failed
        if failed.controller.external_waits.delivered:
            # Real processes and threads: each try would take real time, and might differ.
            return failed
        self._change()
        if self._replace():
            self._change()
        return self._best

    @property
    def _left(self) -> bool:
        return self.tried < self._budget

    def _change(self) -> None:
        """Change the best schedule as long as a change makes it simpler."""
        while any([self._drop(), self._merge(), self._simplify()]) and self._left:
            pass

    def _replace(self) -> bool:
        """Try schedules with fewer preemptions; say whether one of them fails as well."""
        preemptions = len(self._best.controller.departures)
        end = min(self.tried + max(self.tried, _FEWER_PREEMPTIONS), self._budget)
        for bound in range(preemptions):
            # Share out what is left: even a small bound may have many schedules.
            until = self.tried + (end - self.tried) // (preemptions - bound)
            every = _Every(bound, self._best.controller.choices)
            while self.tried < until and every.begin():
                tried = run(self._scenario, every, self._settings)
                every.end(tried.controller.picks, tried.failed)
                if self._is_better(tried):
                    return True
        return False

    def _try(self, keys: Sequence[str], choices: Sequence[int]) -> bool:
        """Try a schedule; keep it if it fails as well and is simpler, and say whether it is."""
        strategy = PreferredKeys(keys, choices)
        strategy.begin()
        return self._is_better(run(self._scenario, strategy, self._settings, follow=True))

    def _is_better(self, tried: Run) -> bool:
        self.tried += 1
        if tried.error is None or signature(tried.error) != self._wanted:
            return False
        if _measure(tried) >= _measure(self._best):
            return False
        self._best = tried
        return True

    def _drop(self) -> bool:
        """Leave out parts of the list, large ones first; say whether that helped."""
        better = False
        size = max(1, len(self._best.controller.picked_keys) // 2)
        while size and self._left:
            position = 0
            while position < len(self._best.controller.picked_keys) and self._left:
                keys = self._best.controller.picked_keys
                kept = keys[:position] + keys[position + size :]
                if self._try(kept, self._best.controller.choices):
                    better = True
                else:
                    position += size
            size //= 2
        return better

    def _merge(self) -> bool:
        """Join what a task does to its turn before or after; say whether that helped."""
        better = False
        position = 0
        while self._left:
            segments = [
                (key, len(list(same))) for key, same in groupby(self._best.controller.picked_keys)
            ]
            if position >= len(segments):
                break
            if any(
                self._try(keys, self._best.controller.choices)
                for keys in _merged(segments, position)
            ):
                better = True
            else:
                position += 1
        return better

    def _simplify(self) -> bool:
        """Take the first option where the scenario has a choice; say whether that helped."""
        better = False
        for position in range(len(self._best.controller.choices)):
            choices = list(self._best.controller.choices)
            if position < len(choices) and choices[position] and self._left:
                choices[position] = 0
                better = self._try(self._best.controller.picked_keys, choices) or better
        return better


@final
class _Every:
    """Try every schedule with few preemptions in which the scenario decides the same.

    Args:
        bound: the largest number of preemptions.
        choices: the decisions of ``choose()``; after them, the first option is chosen.
    """

    def __init__(self, bound: int, choices: Sequence[int]) -> None:
        self._order: Final = Exhaustive(bound)
        self._choices: Final = PreferredKeys((), choices)

    def begin(self) -> bool:
        """Begin the next schedule; ``False`` if none is left."""
        self._choices.begin()
        return self._order.begin()

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Choose what is next in the order of the schedules."""
        return self._order.pick(keys, last)

    def choose(self, count: int) -> int:
        """Choose what was decided."""
        return self._choices.choose(count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Go on to the next schedule."""
        self._order.end(picks, failed)


def _merged(segments: Sequence[tuple[str, int]], position: int) -> list[list[str]]:
    """Return the lists in which a segment is joined to the nearest of its task, or made longer.

    A task that was alone at its end had no decisions there, so that the list says nothing of
    that end. It cannot be moved to the segment. But the segment can go on to the end.
    """
    key, count = segments[position]
    rest = [*segments[:position], *segments[position + 1 :]]
    before = next((i for i in reversed(range(position)) if rest[i][0] == key), None)
    after = next((i for i in range(position, len(rest)) if rest[i][0] == key), None)
    results = [[*segments[:position], (key, count + _TO_THE_END), *segments[position + 1 :]]]
    for place in (before, after):
        if place is not None:
            joined = (key, rest[place][1] + count)
            results.insert(0, [*rest[:place], joined, *rest[place + 1 :]])
    return [[name for name, times in result for _ in range(times)] for result in results]


def _measure(tried: Run) -> tuple[int, int, int, int]:
    controller = tried.controller
    switches = sum(a != b for a, b in pairwise(controller.steps))
    chosen = sum(map(bool, controller.choices))
    return len(controller.departures), switches + chosen, len(controller.picked_keys), chosen
