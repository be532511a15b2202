"""Hypothesis makes the workloads, the kit makes the schedules.

Both are searched for what fails, and both make it small. That is sound as long as a
workload fails or passes by itself: so the seed is fixed, every example explores the same
number of schedules, and nothing is drawn while schedules run. Hypothesis then shrinks the
workload, and what it reports is the simplest schedule of the smallest workload.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from hypothesis import HealthCheck, Phase, given, settings

from ._scheduling.overrides import overridden, overrides, replayed_by
from ._search.explore import explore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


def explored_workload(
    workload: SearchStrategy[T],
    *,
    examples: int = 50,
    schedules: int = 20,
    seed: int = 0,
    **options: Any,
) -> Callable[[Callable[[T], Awaitable[object]]], Callable[[], None]]:
    """Let an async test run with many workloads, each of them in many schedules.

    What runs is the same each time: the examples are not drawn at random, and no earlier
    ones are looked up.

    Args:
        workload: makes the test's one argument.
        examples: how many workloads.
        schedules: how many schedules of each.
        seed: what the schedules are drawn from.
        options: the other arguments of ``explore``, such as ``timers``.

    Returns:
        A decorator. It makes a test without arguments, that any test runner runs.
    """
    profile = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
        # To explain which parts matter, it would run the failing workload again and again.
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )

    def decorate(test: Callable[[T], Awaitable[object]]) -> Callable[[], None]:
        def explore_workload(workload: T) -> None:
            # A schedule that has failed before belongs to another workload.
            with (
                overridden(attrs.evolve(overrides(), failed_before=())),
                replayed_by(lambda token: f"replay(partial(test, workload), {token!r})"),
            ):
                explore(
                    functools.partial(test, workload), schedules=schedules, seed=seed, **options
                )

        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(explore_workload, name, getattr(test, name))
        # What the pytest plugin knows such a test by.
        vars(explore_workload)["_trioresource_explored"] = True
        return profile(given(workload)(explore_workload))

    return decorate
