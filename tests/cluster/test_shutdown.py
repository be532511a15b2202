"""The end of a cluster: in order, bounded, whatever ends it."""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    Backoff,
    Cluster,
    Deadlines,
    InvalidStateError,
    OnlineScope,
    Resource,
    ResourceHandler,
    ResourceNotAvailable,
    ResourceState,
    RestartPolicy,
    StateChange,
    open_cluster,
)

from .conftest import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

RS = ResourceState


class Worker(ResourceHandler[Any]):
    """Notes its calls; each of them may take its time, or go wrong."""

    def __init__(self, notes: list[str], **seconds: float) -> None:
        self.notes = notes
        self.seconds = seconds
        self.trouble: BaseException | None = None

    async def online(self, scope: OnlineScope) -> None:
        await self.note("online")
        if self.trouble is not None:
            raise self.trouble

    async def offline(self, scope: OnlineScope) -> None:
        await self.note("offline")

    async def terminate(self) -> None:
        await self.note("terminate")

    async def close(self) -> None:
        await self.note("close")

    async def note(self, what: str) -> None:
        self.notes.append(f"{self.name} {what}")
        await trio.sleep(self.seconds.get(what, 0))


async def fill(
    cluster: Cluster, notes: list[str], *, offline: float = 0, terminate: float = 0
) -> Resource:
    """Two resources, one of which depends on the other, online."""

    def make() -> Worker:
        return Worker(notes, offline=offline, terminate=terminate)

    await cluster.add("db", make)
    web = await cluster.add("web", make, depends_on="db")
    assert await web.online() is RS.ONLINE
    del notes[:]
    return web


ORDERLY = ["web offline", "db offline", "web close", "db close"]


def in_order(notes: list[str]) -> list[str]:
    """The notes, with those that are made side by side in one order."""
    return [*notes[:2], *sorted(notes[2:], reverse=True)]


async def test_the_end_of_the_block(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    async with open_cluster() as cluster:
        await fill(cluster, notes, offline=1)
    assert in_order(notes) == ORDERLY
    assert trio.current_time() == 2
    last = [one for one in cluster.history() if isinstance(one, StateChange)][-1]
    assert (last.resource, last.new) == ("db", RS.OFFLINE)


async def test_an_error_in_the_block(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    with pytest.raises(KeyError, match="mistake"):
        async with open_cluster() as cluster:
            await fill(cluster, notes, offline=1)
            raise KeyError("mistake")
    assert in_order(notes) == ORDERLY


async def test_cancellation_from_outside(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    with trio.move_on_after(5) as scope:
        async with open_cluster() as cluster:
            await fill(cluster, notes, offline=1)
            await trio.sleep(80_000)
    assert scope.cancelled_caught
    assert in_order(notes) == ORDERLY
    assert trio.current_time() == 7


@pytest.mark.timeout(10)
async def test_cancellation_while_the_cluster_is_opened(autojump_clock: MockClock) -> None:
    with trio.move_on_after(0) as scope:
        async with open_cluster():
            raise AssertionError
    assert scope.cancelled_caught
    assert trio.current_time() == 0


async def test_several_errors_come_in_a_group(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(KeyError, ValueError):
        async with open_cluster():
            raise ExceptionGroup("mine", [KeyError(), ValueError()])


async def test_cancellation_while_the_block_ends(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    with trio.move_on_after(1):
        async with open_cluster() as cluster:
            await fill(cluster, notes, offline=5)
    assert in_order(notes) == ORDERLY
    assert trio.current_time() == 10


async def test_what_is_coming_up_is_ended(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    async with open_cluster() as cluster:
        await cluster.add("db", lambda: Worker(notes, online=100))
        await cluster.add("web", lambda: Worker(notes), depends_on="db")
        await cluster.online()
    assert notes[:2] == ["db online", "db terminate"]
    assert trio.current_time() == pytest.approx(0.3)


async def test_nothing_is_restarted_at_the_end(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    async with open_cluster() as cluster:
        web = await fill(cluster, notes, offline=5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cluster.shut_down, 100)
            await trio.testing.wait_all_tasks_blocked()
            web.fail()
            await web.wait_state(RS.FAILED)
    assert "web online" not in notes
    assert not any("Restart" in repr(one) for one in cluster.history())


async def test_the_shutdown_deadline_terminates(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    async with open_cluster(shutdown_deadline=20) as cluster:
        await fill(cluster, notes, offline=100)
    assert trio.current_time() == 20
    assert notes[0] == "web offline"
    assert "db offline" not in notes
    assert sorted(notes[1:3]) == ["db terminate", "web terminate"]
    assert {one.state for one in cluster.resources.values()} == {RS.OFFLINE}


async def test_users_are_cancelled_at_the_latest_by_the_shutdown_deadline(
    autojump_clock: MockClock,
) -> None:
    ended: list[float] = []
    async with trio.open_nursery() as nursery:
        async with open_cluster(shutdown_deadline=20) as cluster:
            await cluster.add("db", lambda: Worker([]), drain_deadline=1000)
            await cluster.online()

            async def use(task_status: trio.TaskStatus[None]) -> None:
                with pytest.raises(ResourceNotAvailable):
                    async with cluster.resource("db").available():
                        task_status.started()
                        await trio.sleep(80_000)
                ended.append(trio.current_time())

            await nursery.start(use)
    assert ended == [20]


async def test_what_hangs_in_the_end_is_bounded(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    async with open_cluster(shutdown_deadline=20) as cluster:
        await fill(cluster, notes, offline=1e6, terminate=1e6)
    # 20 s of order, then 30 s for the terminate of each, at the same time.
    assert trio.current_time() == 50


async def test_a_stuck_resource_does_not_hold_up_the_rest(autojump_clock: MockClock) -> None:
    class Stuck(Worker):
        async def online(self, scope: OnlineScope) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(500)

    notes: list[str] = []
    async with open_cluster() as cluster:
        await cluster.add("db", lambda: Worker(notes))
        stuck = await cluster.add(
            "stuck", lambda: Stuck(notes), depends_on="db", deadlines=Deadlines(terminate=5)
        )
        await stuck.online()
        stuck.fail()
        await trio.sleep(20)
        assert stuck.statistics().stuck
    db_offline = [one for one in cluster.history("db") if isinstance(one, StateChange)][-1]
    assert db_offline.new is RS.OFFLINE
    assert db_offline.time == pytest.approx(20.3)


# --- signals ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_ends_the_block_in_order(number: signal.Signals) -> None:
    notes: list[str] = []
    ended = False
    try:
        with trio.fail_after(20):
            async with open_cluster(stop_on_signals=True) as cluster:
                await fill(cluster, notes)
                os.kill(os.getpid(), number)
                await trio.sleep(80_000)
        ended = True
    finally:
        # Were the block to let its own cancellation out, the test would just end.
        assert ended
    assert in_order(notes) == ORDERLY


async def test_the_second_signal_terminates() -> None:
    notes: list[str] = []
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            async with open_cluster(stop_on_signals=True) as cluster:
                web = await fill(cluster, notes, offline=1e6)

                async def insist() -> None:
                    await web.wait_state(RS.OFFLINE_PENDING)
                    os.kill(os.getpid(), signal.SIGTERM)

                nursery.start_soon(insist)
                os.kill(os.getpid(), signal.SIGINT)
                await trio.sleep(80_000)
    assert notes[0] == "web offline"
    assert sorted(notes[1:3]) == ["db terminate", "web terminate"]
    assert "db offline" not in notes


# --- KeyboardInterrupt and SystemExit --------------------------------------------------


def leaves(error: BaseException) -> list[type[BaseException]]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in leaves(one)]
    return [type(error)]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_a_handler_can_end_the_program(
    autojump_clock: MockClock, kind: Callable[[], BaseException]
) -> None:
    notes: list[str] = []
    scopes: list[trio.CancelScope] = []
    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: ASYNC401 - nested, see leaves()
        async with open_cluster() as cluster:
            await fill(cluster, notes)

            def make() -> Worker:
                bad = Worker(notes)
                bad.trouble = kind()
                return bad

            bad = await cluster.add("bad", make, restart=RestartPolicy(delay=0))
            with trio.CancelScope() as scope:
                scopes.append(scope)
                try:
                    await bad.online()
                    await trio.sleep(80_000)
                finally:
                    # Cancelled at once; a slow end of the block brings nothing back.
                    with trio.CancelScope(shield=True):
                        await trio.sleep(50)
    # Beside it, what bad.online() has raised.
    assert [leaf for leaf in leaves(caught.value) if leaf is not InvalidStateError] == [kind]
    assert not scopes[0].cancelled_caught
    assert trio.current_time() == 50
    assert notes.count("bad online") == 1
    assert notes.count("web online") == 0
    assert notes.count("web terminate") == notes.count("db terminate") == 1


class Interrupting(random.Random):
    """Where the jitter comes from: the only code of a user's that runs in the engine's task."""

    def random(self) -> float:
        raise KeyboardInterrupt


async def test_an_interrupt_in_the_engine_ends_the_block_at_once(
    autojump_clock: MockClock,
) -> None:
    """Nothing waits for an engine that has ended, not even for the shutdown deadline."""
    others: list[Resource] = []
    restart = RestartPolicy(delay=1, backoff=Backoff(jitter=0.5))
    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with open_cluster(random=Interrupting()) as cluster:
            first = await cluster.add("first", Server, restart=restart)
            others.append(await cluster.add("other", Server))
            await cluster.online()
            first.fail()
            await trio.sleep(60)
    assert trio.current_time() < 1
    # Nothing is told any more, and nothing waits for it.
    with pytest.raises(InvalidStateError, match="the cluster has closed"):
        await others[0].wait_state(RS.OFFLINE)
