"""What an exploration says of itself, and a failure of its schedule: no more than is so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.lowlevel

from trioresource.testing import Schedule, cancellable, explore, explored, replay
from trioresource.testing._scheduling.overrides import Overrides, overridden

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LEGEND = "* the schedule leaves a task here that could have gone on"


class Cache:
    """Loads twice if ``get`` is called again while it loads."""

    value, loads = "", 0

    async def get(self) -> None:
        if not self.value:
            self.loads += 1
            await trio.lowlevel.checkpoint()
            self.value = "loaded"


async def loads_once() -> None:
    cache = Cache()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.get)
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        await cache.get()
    assert cache.loads == 1, "loaded twice"


async def wrong() -> None:
    raise LookupError


async def left_open() -> None:
    opened = []
    with cancellable():
        opened.append("handle")
        await trio.lowlevel.checkpoint()
        opened.remove("handle")
    assert not opened, "left open"


def failure_of(
    scenario: Callable[[], Awaitable[None]], **options: Any
) -> tuple[Schedule, Schedule]:
    """As it was found, and as it was shrunk."""
    with overridden(Overrides()):
        result = explore(scenario, check=False, **options)
    assert result.found is not None
    assert result.failure is not None
    return result.found, result.failure


def note_of(scenario: Callable[[], Awaitable[None]], **options: Any) -> list[str]:
    """Outside of pytest, which has words of its own for a replay."""
    with pytest.raises((AssertionError, LookupError)) as caught, overridden(Overrides()):
        explore(scenario, **options)
    return str(caught.value.__notes__[-1]).splitlines()


def test_nothing_to_shrink() -> None:
    lines = note_of(wrong)
    assert lines[0] == "schedule 1 (auto, seed 0) · 0 preemptions, 0 switches, virtual time 0 s"
    assert not any("shrunk" in line or "simpler" in line for line in lines)


def test_nothing_simpler() -> None:
    found, failure = failure_of(loads_once, strategy="exhaustive")
    assert found.picks == failure.picks
    lines = note_of(loads_once, strategy="exhaustive")
    assert lines[0].endswith("· 1 preemption, 2 switches, virtual time 0 s")
    assert re.fullmatch(r"no simpler one found in \d+ runs", lines[1])


def test_what_was_shrunk() -> None:
    found, failure = failure_of(loads_once, strategy="random", seed=2)
    assert found.preemptions > 1 == failure.preemptions
    assert found.switches > 2 == failure.switches
    lines = note_of(loads_once, strategy="random", seed=2)
    assert re.fullmatch(
        rf"shrunk in \d+ runs: {found.preemptions} preemptions to 1,"
        rf" {found.switches} switches to 2",
        lines[1],
    )


def test_a_replay_is_not_shrunk_and_does_not_say_so() -> None:
    found, _ = failure_of(loads_once, strategy="random", seed=2)
    lines = note_of(loads_once, replay=found.token)
    assert found.preemptions > 1
    assert lines[0].startswith(f"schedule 1 (replay, seed 0) · {found.preemptions} preemptions, ")
    assert not any("shrunk" in line or "simpler" in line for line in lines)


def test_the_star_is_explained_where_there_is_one() -> None:
    assert LEGEND in note_of(loads_once)
    assert LEGEND not in note_of(wrong)


def test_a_schedule_as_text_is_what_the_note_shows() -> None:
    _, failure = failure_of(loads_once)
    first, *table = str(failure).splitlines()
    assert first == f"schedule {failure.token}: 1 preemption, 2 switches, virtual time 0 s"
    assert table == [*failure.table().splitlines(), LEGEND]
    assert "\n".join(table) in "\n".join(note_of(loads_once))


@pytest.mark.parametrize(
    "options", [{}, {"timers": True, "cancel": True}, {"cancel": True, "max_steps": 50}]
)
def test_what_replays_it_can_be_called(options: dict[str, Any]) -> None:
    command = note_of(left_open if options else loads_once, **options)[-1]
    calls: list[tuple[object, str, dict[str, Any]]] = []
    scenario = object()

    def call(scenario: object, token: str, **given: Any) -> None:
        calls.append((scenario, token, given))

    eval(command.removeprefix("replay: "), {"replay": call, "scenario": scenario})
    ((given_scenario, token, given),) = calls
    assert given_scenario is scenario
    assert given == options
    with pytest.raises(AssertionError, match="left open" if options else "loaded twice"):
        replay(left_open if options else loads_once, token, **given)


def test_a_decorated_test_is_replayed_by_its_decorator() -> None:
    with pytest.raises(AssertionError) as caught, overridden(Overrides()):
        explored(loads_once)()
    token = failure_of(loads_once)[1].token
    assert caught.value.__notes__[-1].endswith(f"\nreplay: @explored(..., replay={token!r})")
    with pytest.raises(AssertionError, match="loaded twice"):
        explored(replay=token)(loads_once)()


def test_the_token_to_remember_is_that_of_the_simplest_schedule() -> None:
    told: list[str | None] = []
    with (
        overridden(Overrides(explored=lambda summary, token: told.append(token))),
        pytest.raises(AssertionError),
    ):
        explore(loads_once, strategy="random", seed=2)
    found, failure = failure_of(loads_once, strategy="random", seed=2)
    assert told == [failure.token] != [found.token]


def test_a_schedule_that_fails_again_is_shrunk_again() -> None:
    # The code may have changed since, or it was another exploration of the same test.
    found, _ = failure_of(loads_once, strategy="random", seed=2)
    with (
        overridden(Overrides(failed_before=(found.token,))),
        pytest.raises(AssertionError) as caught,
    ):
        explore(loads_once)
    (note,) = caught.value.__notes__
    assert note.startswith("schedule 1 (failed before, seed 0) · 1 preemption, ")
    assert found.preemptions > 1


async def two_steps() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.lowlevel.checkpoint)
        nursery.start_soon(trio.lowlevel.checkpoint)


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("fifo", "1 schedule (fifo, seed 0)"),
        ("exhaustive", "6 schedules (exhaustive, seed 0): every schedule there is"),
        # The plain schedule has two preemptions.
        (
            "exhaustive:0",
            "3 schedules (exhaustive:0, seed 0): every schedule with at most 0 preemptions,"
            " and 1 with more",
        ),
        (
            "exhaustive:1",
            "5 schedules (exhaustive:1, seed 0): every schedule with at most 1 preemption,"
            " and 1 with more",
        ),
        (
            "exhaustive:2",
            "6 schedules (exhaustive:2, seed 0): every schedule with at most 2 preemptions",
        ),
    ],
)
def test_how_much_was_tried(strategy: str, said: str) -> None:
    # Two tasks of two steps each have six orders.
    assert str(explore(two_steps, strategy=strategy)) == said


def test_a_schedule_that_failed_before_is_not_counted_again() -> None:
    with overridden(Overrides(failed_before=("tr1-", "tr1-AAE", "tr1-AAEAAg"))):
        result = explore(two_steps, strategy="exhaustive")
    assert (result.schedules, result.exhausted) == (6, True)
