from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource.testing import FakeProcess, Leaked, no_leaks, replay, sweep
from trioresource.testing._scheduling.overrides import Overrides, overridden

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Processes = list[FakeProcess]


@contextlib.asynccontextmanager
async def processes() -> AsyncIterator[Processes]:
    await trio.lowlevel.checkpoint()
    with no_leaks():
        started: Processes = []
        yield started
    await trio.lowlevel.checkpoint()


async def kill_all(started: Processes) -> None:
    for process in started:
        process.kill()


async def careful(started: Processes) -> None:
    process = await FakeProcess.start(takes=0.1)
    try:
        await trio.sleep(0.2)
    except BaseException:
        process.kill()
        raise
    started.append(process)


async def careless(started: Processes) -> None:
    process = await FakeProcess.start(takes=0.1)
    await trio.sleep(0.2)
    started.append(process)


def test_each_checkpoint_once() -> None:
    result = sweep(careful, setup=processes, check=kill_all)
    assert [(point.number, point.cancelled) for point in result.points] == [
        (0, True),
        (1, True),
        (2, True),
    ]
    assert result.points[0].where == "before it began"
    assert result.points[2].where.startswith("test_sweeping.py:")
    assert result.checkpoints == 3


def test_what_leaks_at_one_checkpoint_is_found() -> None:
    with pytest.raises(Leaked, match="fake process 1000") as caught:
        sweep(careless, setup=processes, check=kill_all)
    assert caught.value.__notes__[-1].startswith("cancelled at checkpoint 2: test_sweeping.py:")


async def nap(value: object) -> None:
    with contextlib.suppress(trio.Cancelled):
        await trio.sleep(1)


def test_a_swallowed_cancellation_is_found() -> None:
    with pytest.raises(
        AssertionError, match=r"cancelled at test_sweeping.py:\d+, the operation ret"
    ):
        sweep(nap)


def test_a_timeout_of_its_own_is_no_swallowed_cancellation() -> None:
    async def operation(value: object) -> None:
        with trio.move_on_after(1):
            await trio.sleep_forever()

    result = sweep(operation)
    assert [point.cancelled for point in result.points] == [True, True]


def test_a_shielded_end_is_no_swallowed_cancellation() -> None:
    async def operation(value: object) -> None:
        await trio.sleep(1)
        with trio.CancelScope(shield=True):
            await trio.sleep(1)

    result = sweep(operation)
    assert [point.cancelled for point in result.points] == [True, True, False]


def test_an_operation_without_checkpoints() -> None:
    async def operation(value: object) -> None:
        pass

    result = sweep(operation)
    assert [(point.number, point.cancelled) for point in result.points] == [(0, False)]


def test_what_must_hold_afterwards_is_checked_for_every_cancellation() -> None:
    checked = []

    async def check(value: object) -> None:
        await trio.lowlevel.checkpoint()
        checked.append(value)

    async def operation(value: object) -> None:
        for _ in range(4):
            await trio.lowlevel.checkpoint()

    result = sweep(operation, check=check)
    assert result.checkpoints == 5
    assert len(checked) >= result.checkpoints


class Slot:
    """Loses what it holds when it is cancelled between two awaits, if others go in between."""

    def __init__(self) -> None:
        self.taken = False
        self.waiting = 0

    async def use(self) -> None:
        self.waiting += 1
        await trio.lowlevel.checkpoint()
        while self.taken:
            await trio.lowlevel.checkpoint()
        self.waiting -= 1
        self.taken = True
        await trio.lowlevel.checkpoint()
        self.taken = False


def test_cancellation_and_schedules_together() -> None:
    @contextlib.asynccontextmanager
    async def beside_another() -> AsyncIterator[Slot]:
        slot = Slot()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(slot.use)
            yield slot
            nursery.cancel_scope.cancel()

    async def operation(slot: Slot) -> None:
        before = slot.waiting
        try:
            await slot.use()
        except trio.Cancelled:
            # Right if it was waiting still, and wrong if it had the slot.
            slot.waiting -= 1
            raise
        assert before >= 0

    async def check(slot: Slot) -> None:
        assert slot.waiting >= 0, "given back what it never had"

    what = pytest.RaisesExc(AssertionError, match="given back what it never had")
    with pytest.RaisesGroup(what):
        sweep(operation, setup=beside_another, check=check, schedules=20)


def test_the_note_says_how_to_replay_it_without_a_test_runner() -> None:
    setups = 0

    @contextlib.asynccontextmanager
    async def counted() -> AsyncIterator[Processes]:
        nonlocal setups
        setups += 1
        async with processes() as started:
            yield started

    with pytest.raises(Leaked) as caught, overridden(Overrides()):
        sweep(careless, setup=counted, check=kill_all)
    where = caught.value.__notes__[-1]
    said = re.search(r"\nreplay: sweep\(\.\.\., replay='(tr1-\w+)'\)$", caught.value.__notes__[-2])
    assert said is not None
    setups = 0
    with pytest.raises(Leaked, match="fake process 1000") as caught:
        sweep(careless, setup=counted, check=kill_all, replay=said[1])
    # Once, and once more for the table.
    assert setups == 2
    assert caught.value.__notes__[-1] == where
    again = sweep(careful, setup=counted, check=kill_all, replay=said[1])
    assert [point.number for point in again.points] == [2]
    assert again.schedules == 1


def test_the_token_knows_where_it_was_cancelled() -> None:
    with pytest.raises(Leaked) as caught:
        sweep(careless, setup=processes, check=kill_all)
    note = next(note for note in caught.value.__notes__ if "tr1-" in note)
    token = note.rpartition("=")[2]
    assert token.startswith("tr1-")
    # Cancelled at checkpoint 2 is the fourth option: not at all, before it began, 1, 2.
    result = replay(_picks_three, token)
    assert result.schedules == 1


async def _picks_three() -> None:
    from trioresource.testing import choose

    assert choose(range(10)) == 3
