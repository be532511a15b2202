"""Schedules that failed before: which are remembered, and what becomes of them."""

from __future__ import annotations

import pytest
import trio

from trioresource.testing import Diverged, explore
from trioresource.testing._scheduling.overrides import Overrides, overridden


def test_remembered_schedule_that_fits_no_more_is_passed_over() -> None:
    fits = False

    async def scenario() -> None:
        seen: list[int] = []

        async def one(number: int) -> None:
            await trio.lowlevel.checkpoint()
            seen.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one, 1)
            nursery.start_soon(one, 2)
        if seen == [2, 1]:
            raise AssertionError if fits else Diverged("what it was recorded for is gone")

    fits = True
    failure = explore(scenario, check=False).failure
    assert failure is not None
    fits = False
    with overridden(Overrides(failed_before=(failure.token,))):
        assert explore(scenario, strategy="fifo").failure is None
        with pytest.raises(Diverged):
            explore(scenario, replay=failure.token)


def test_what_is_not_checked_is_not_remembered() -> None:
    told: list[str | None] = []

    async def fails() -> None:
        await trio.lowlevel.checkpoint()
        raise AssertionError

    note = Overrides(explored=lambda summary, token: told.append(token))
    with overridden(note):
        explore(fails, check=False)
        with pytest.raises(AssertionError):
            explore(fails)
    assert told[0] is None
    assert told[1] is not None
