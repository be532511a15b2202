"""Shrinking: the simplest schedule that fails in the same way.

What a person wants to know is where a task was interrupted, and by whom. So the simplest
schedule is the one with the fewest preemptions, then the fewest switches, then the fewest
decisions (the order of Jalbert and Sen's "A Trace Simplification Technique for Effective
Debugging of Concurrent Programs"). A schedule is taken as a list of who goes, decision by
decision; whoever can not go when the list says so is passed over. Each change to that list
must be for the better, so this can end where a schedule with fewer preemptions is another
altogether. Hence the schedules with fewer preemptions are tried as well, for some time.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final, final

from .._scheduling.running import Run, Scenario, Settings, run
from .._scheduling.stacks import is_ours
from .exhaustive import Exhaustive
from .replay import Wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Shrinker", "signature"]

Signature = tuple[object, ...]

_TO_THE_END: Final = 100
"""More decisions than a task is likely to have left."""
_OTHERS: Final = 100
"""Schedules with fewer preemptions are tried as often as others were, and so often at least."""


def signature(error: BaseException) -> Signature:
    """What two errors have in common that come of the same bug: their kind, and their place."""
    if isinstance(error, BaseExceptionGroup):
        return (type(error).__name__, *sorted(map(repr, map(signature, error.exceptions))))
    place = None
    link = error.__traceback__
    while link is not None:
        if is_ours(link.tb_frame.f_code.co_filename):
            place = (link.tb_frame.f_code.co_filename, link.tb_lineno)
        link = link.tb_next
    return (type(error).__name__, place)


@final
class Shrinker:
    """Looks for the simplest schedule that fails like a given one.

    Args:
        scenario: what runs.
        settings: what there is to decide.
        budget: how many schedules to try at most.
    """

    def __init__(self, scenario: Scenario, settings: Settings, budget: int = 1000) -> None:
        self._scenario: Final = scenario
        self._settings: Final = settings
        self._budget = budget
        self.tried: int = 0
        """How many schedules were tried."""

    def shrink(self, failed: Run) -> Run:
        """The simplest schedule found.

        Args:
            failed: a schedule that failed, in a run of its own.

        Returns:
            One that fails in the same way; it ran in a run of its own, too.
        """
        assert failed.error is not None
        self._wanted: Signature = signature(failed.error)
        self._best = failed
        if failed.controller.inbox.delivered:
            # Real processes and threads: each try takes real time, and comes out anew.
            return failed
        self._change()
        if self._replace():
            self._change()
        return self._best

    @property
    def _left(self) -> bool:
        return self.tried < self._budget

    def _change(self) -> None:
        """Change the best schedule as long as that makes it simpler."""
        while any([self._drop(), self._merge(), self._simplify()]) and self._left:
            pass

    def _replace(self) -> bool:
        """Whether, of the schedules with fewer preemptions, one that was tried fails as well."""
        preemptions = len(self._best.controller.departures)
        end = min(self.tried + max(self.tried, _OTHERS), self._budget)
        for bound in range(preemptions):
            # What is left is shared out: a small bound may have many schedules, too.
            until = self.tried + (end - self.tried) // (preemptions - bound)
            every = _Every(bound, self._best.controller.choices)
            while self.tried < until and every.begin():
                tried = run(self._scenario, every, self._settings)
                every.end(tried.controller.picks, tried.failed)
                if self._is_better(tried):
                    return True
        return False

    def _try(self, keys: Sequence[str], choices: Sequence[int]) -> bool:
        """Whether this schedule fails as well, and is simpler; then it is the best."""
        strategy = Wishes(keys, choices)
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
        """Leave out parts of the list, large ones first."""
        better = False
        size = max(1, len(self._best.controller.wishes) // 2)
        while size and self._left:
            position = 0
            while position < len(self._best.controller.wishes) and self._left:
                wishes = self._best.controller.wishes
                kept = wishes[:position] + wishes[position + size :]
                if self._try(kept, self._best.controller.choices):
                    better = True
                else:
                    position += size
            size //= 2
        return better

    def _merge(self) -> bool:
        """Move what a task does to where it went before, or goes next."""
        better = False
        position = 0
        while self._left:
            segments = [
                (key, len(list(same))) for key, same in groupby(self._best.controller.wishes)
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
        """Take the first option where the scenario has a choice."""
        better = False
        for position in range(len(self._best.controller.choices)):
            choices = list(self._best.controller.choices)
            if position < len(choices) and choices[position] and self._left:
                choices[position] = 0
                better = self._try(self._best.controller.wishes, choices) or better
        return better


@final
class _Every:
    """Every schedule with so many preemptions at most, in which the scenario decides the same.

    Args:
        bound: how many preemptions.
        choices: the decisions of ``choose()``; after them, the first option.
    """

    def __init__(self, bound: int, choices: Sequence[int]) -> None:
        self._order: Final = Exhaustive(bound)
        self._choices: Final = Wishes((), choices)

    def begin(self) -> bool:
        """Whether there is a schedule left."""
        self._choices.begin()
        return self._order.begin()

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        """Who is next in the order of the schedules."""
        return self._order.pick(keys, last)

    def choose(self, count: int) -> int:
        """What was decided."""
        return self._choices.choose(count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        """Go on to the next one."""
        self._order.end(picks, failed)


def _merged(segments: Sequence[tuple[str, int]], position: int) -> list[list[str]]:
    """The list with one segment joined to the nearest of the same task, or made longer.

    A task that was alone at its end had no decision there, and nothing of that end is in
    the list; so it can not be moved to the segment, but the segment can go on to the end.
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
    return len(controller.departures), switches + chosen, len(controller.wishes), chosen
