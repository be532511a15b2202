"""What a cluster logs: state changes, failures with their traceback, and what is given up."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any, Final

import pytest
import trio

from trioresource import (
    Deadlines,
    OnlineScope,
    ResourceHandler,
    ResourceState,
    RestartPolicy,
    open_cluster,
    resource_type,
)

from .conftest import NEVER, RS, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio.testing import MockClock

LOGGER: Final = logging.getLogger("trioresource.cluster")
KEYS: Final = ("event", "resource", "type", "group", "epoch")


class Kept(logging.Handler):
    """Keeps records, as a program's own handler would."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def lines(self, least: int = logging.DEBUG) -> list[str]:
        return [
            f"{record.levelname} {record.getMessage()}"
            for record in self.records
            if record.levelno >= least
        ]

    def named(self, start: str) -> logging.LogRecord:
        return next(record for record in self.records if record.getMessage().startswith(start))


@pytest.fixture
def kept() -> Iterator[Kept]:
    """What the cluster logs, from the level INFO on, and nowhere else."""
    kept, level = Kept(), LOGGER.level
    LOGGER.addHandler(kept)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    yield kept
    LOGGER.propagate = True
    LOGGER.setLevel(level)
    LOGGER.removeHandler(kept)


def extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: vars(record)[f"trioresource_{key}"] for key in KEYS if has(record, key)}


def has(record: logging.LogRecord, key: str) -> bool:
    return f"trioresource_{key}" in vars(record)


async def test_state_changes(shop: Shop, kept: Kept, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    await db.online()
    assert kept.lines() == [
        "INFO db: offline -> online-pending",
        "INFO group shop: offline -> pending",
        "INFO db: online-pending -> online",
        "INFO group shop: pending -> online",
    ]
    change, group = kept.records[2:]
    assert extra(change) == {
        "event": "StateChange",
        "resource": "db",
        "type": "part",
        "group": "shop",
        "epoch": 1,
    }
    assert extra(group) == {"event": "GroupStateChange", "group": "shop"}


async def test_a_failure_comes_with_its_traceback(
    shop: Shop, kept: Kept, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", crash_after=5.0)
    await db.online()
    await db.wait_state(RS.ONLINE_PENDING)
    await db.wait_online()
    assert kept.lines(logging.WARNING) == [
        "WARNING db failed: a task crashed: Part.crash: RuntimeError: db crashed",
        "WARNING db will be restarted in 0.5 s, after 1 failure",
    ]
    failure = kept.named("db failed")
    text = logging.Formatter().format(failure)
    assert "in crash" in text
    assert text.endswith("RuntimeError: db crashed")
    assert extra(failure)["type"] == "part"
    plan = kept.named("db will")
    assert plan.exc_info is None
    assert extra(plan)["epoch"] == 1


async def test_what_is_given_up(shop: Shop, kept: Kept, autojump_clock: MockClock) -> None:
    await shop.add("db", failures=9, restart=RestartPolicy(threshold=1, retry=60.0))
    await shop.add("web", failures=9, restart=NEVER)
    await shop.cluster.online()
    await trio.sleep(5)
    assert kept.lines(logging.ERROR) == [
        "ERROR web gave up after 1 failure and stays failed",
        "ERROR db gave up after 2 failures and stays failed; next try in 60 s",
    ]


async def test_a_text_of_several_lines_is_one_line(
    shop: Shop, kept: Kept, autojump_clock: MockClock
) -> None:
    await shop.add("db", trouble=ValueError("first\n\nsecond"), restart=NEVER)
    await shop.cluster.online()
    assert "WARNING db failed: online raised: ValueError: first | second" in kept.lines()


async def test_what_is_stuck(shop: Shop, kept: Kept, autojump_clock: MockClock) -> None:
    deadlines = Deadlines(pending=5.0, terminate=1.0)
    db = await shop.add("db", stubborn=30.0, deadlines=deadlines, restart=NEVER)
    await db.online()
    await trio.sleep(10)
    (record,) = [record for record in kept.records if "stuck" in record.getMessage()]
    first, *tree = record.getMessage().splitlines()
    assert record.levelname == "ERROR"
    assert first == "db is stuck: attempt 1 was terminated and does not end"
    assert "online" in "\n".join(tree)
    await trio.sleep(30)


async def test_a_check_that_cannot_be_carried_out(autojump_clock: MockClock, kept: Kept) -> None:
    @resource_type("odd")
    class Odd(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.report_progress("half", fraction=0.5)

        async def is_alive(self) -> bool:
            raise OSError("no answer")

    LOGGER.setLevel(logging.DEBUG)
    async with open_cluster() as cluster:
        odd = await cluster.add("odd", Odd)
        await odd.online()
        await trio.sleep(61)
    assert "DEBUG odd: 50% half" in kept.lines()
    record = kept.named("odd could not be checked")
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith("OSError: no answer")
    assert record.exc_info is not None


async def test_nothing_is_made_that_is_not_asked_for(
    shop: Shop, kept: Kept, autojump_clock: MockClock
) -> None:
    """With the level off, not even a record: making one costs more than a state change."""
    made: list[str] = []
    factory = logging.getLogRecordFactory()

    def make(*args: Any, **options: Any) -> logging.LogRecord:
        record = factory(*args, **options)
        made.append(record.name)
        return record

    LOGGER.setLevel(logging.CRITICAL)
    logging.setLogRecordFactory(make)
    try:
        db = await shop.add("db", failures=1)
        with pytest.raises(Exception, match="does not start"):
            await db.online()
        await db.wait_online()
    finally:
        logging.setLogRecordFactory(factory)
    assert LOGGER.name not in made


class Broken(logging.Filter):
    """A filter with a mistake; the standard library lets such an error out."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise ZeroDivisionError(record.getMessage())


@pytest.mark.parametrize("is_shown", [True, False])
async def test_a_filter_that_raises(
    is_shown: bool,
    shop: Shop,
    kept: Kept,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cluster goes on, and the error is shown where logging shows its own."""
    shown, broken = io.StringIO(), Broken()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr(logging, "raiseExceptions", is_shown)
    LOGGER.addFilter(broken)
    try:
        db = await shop.add("db")
        assert await db.online() is ResourceState.ONLINE
    finally:
        LOGGER.removeFilter(broken)
    assert ("ZeroDivisionError: db: online-pending -> online" in shown.getvalue()) is is_shown
    assert kept.records == []


async def test_a_handler_that_raises_without_standard_error(
    shop: Shop, kept: Kept, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    monkeypatch.setattr(kept, "handle", lambda _: 1 / 0)
    db = await shop.add("db")
    assert await db.online() is ResourceState.ONLINE


async def test_an_error_without_a_truth_value(
    shop: Shop, kept: Kept, autojump_clock: MockClock
) -> None:
    class Odd(Exception):
        def __bool__(self) -> bool:
            raise TypeError("neither")

        def __str__(self) -> str:
            raise TypeError("nor")

    await shop.add("db", trouble=Odd(), restart=NEVER)
    await shop.cluster.online()
    failure = kept.named("db failed")
    assert failure.exc_info is not None
    assert failure.exc_info[0] is Odd


async def test_a_handler_finds_the_new_state(
    shop: Shop, kept: Kept, autojump_clock: MockClock
) -> None:
    found: list[tuple[str, str]] = []

    def look(record: logging.LogRecord) -> bool:
        if has(record, "resource"):
            found.append((record.getMessage(), shop.cluster.resource("db").state.value))
        else:
            found.append((record.getMessage(), shop.cluster.group("shop").state.value))
        return True

    LOGGER.addFilter(look)
    try:
        db = await shop.add("db")
        await db.online()
    finally:
        LOGGER.removeFilter(look)
    assert len(found) == 4
    assert all(message.endswith(f"-> {state}") for message, state in found)
