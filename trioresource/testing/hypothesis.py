"""Let Hypothesis make the workloads, and the kit the schedules.

Each searches for what fails, and makes it small. That works if a workload always fails or
always passes. So the seed is fixed, every example explores the same number of schedules, and
nothing is drawn while schedules run. Hypothesis then shrinks the workload, and the report
shows the simplest schedule of the smallest workload.
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
    """Run an async test with many workloads, each of them in many schedules.

    The same runs each time: the examples have a fixed seed, and Hypothesis uses none from
    earlier runs.

    Args:
        workload: makes the only argument of the test.
        examples: the number of workloads.
        schedules: the number of schedules of each.
        seed: the seed of the schedules.
        options: the other arguments of ``explore``, such as ``timers``.

    Returns:
        A decorator. It makes a test without arguments, which runs under any test runner.
    """
    profile = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
        # Without the phase that explains which parts matter: it runs the failing workload again
        # and again.
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
        # The pytest plugin knows such a test by this attribute.
        vars(explore_workload)["_trioresource_explored"] = True
        return profile(given(workload)(explore_workload))

    return decorate
