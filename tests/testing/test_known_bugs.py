"""Sixteen bugs, which the kit finds, and their fixed versions, in which it finds nothing."""

from __future__ import annotations

import functools
import statistics
from typing import TYPE_CHECKING

import pytest

from tests.spaces import SEEDS
from trioresource.testing import explore

from .known_bugs import KNOWN_BUGS, PRIMITIVES

if TYPE_CHECKING:
    from .known_bugs import KnownBug, Scenario

EVERY = pytest.mark.parametrize("known", KNOWN_BUGS, ids=lambda known: known.name)
BOUNDED = {"deep": "exhaustive:1"}
"""Those with too many schedules to run all of them; of all others, every schedule runs."""


def test_there_are_enough() -> None:
    assert len(KNOWN_BUGS) >= 12


@pytest.mark.bounded
@EVERY
def test_auto_finds_the_bug_with_every_seed(known: KnownBug) -> None:
    needed = []
    for seed in range(SEEDS):
        result = explore(
            known.bug,
            schedules=1000,
            seed=seed,
            timers=known.timers,
            cancel=known.cancel,
            check=False,
        )
        assert result.failure is not None, f"seed {seed}: not in {result.schedules} schedules"
        assert isinstance(result.failure.error, known.fails_with)
        needed.append(result.schedules)
    assert statistics.median(needed) <= 100


@EVERY
def test_no_false_alarm_in_the_fixed_version(known: KnownBug) -> None:
    run = functools.partial(explore, known.fixed, timers=known.timers, cancel=known.cancel)
    assert run(schedules=300).failure is None
    result = run(strategy=BOUNDED.get(known.name, "exhaustive"), schedules=20_000)
    assert result.exhausted
    assert result.failure is None


@pytest.mark.parametrize(("name", "scenario"), PRIMITIVES)
def test_no_false_alarm_in_trios_own_primitives(name: str, scenario: Scenario) -> None:
    result = explore(scenario, strategy="exhaustive", schedules=20_000)
    assert result.exhausted
    assert result.failure is None


@EVERY
def test_a_bug_shrinks_to_as_few_preemptions_as_it_needs(known: KnownBug) -> None:
    search = functools.partial(
        explore, known.bug, timers=known.timers, cancel=known.cancel, check=False
    )
    without = search(strategy="exhaustive:0", schedules=20_000)
    assert without.exhausted or without.failure is not None
    needed = 0 if without.failure is not None else 1
    for seed in range(5):
        failure = search(schedules=3000, seed=seed).failure
        assert failure is not None
        assert failure.preemptions == needed
