"""Rule 5: how failures are found: tasks that end, signals, polling."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    AttemptEnded,
    BackgroundCheck,
    FailureReason,
    InvalidStateError,
    OnlineScope,
    PollIntervals,
    ResourceHandler,
    ResourceMonitor,
    ResourceState,
    resource_type,
    service,
)

from .conftest import Watched, answer, failures, start

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Drain

RS = ResourceState


# --- background tasks ------------------------------------------------------------------


@pytest.mark.parametrize("crash", [True, False])
async def test_a_task_that_ends_is_a_failure(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain, crash: bool
) -> None:
    async def serve(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep(2)
        if crash:
            raise ConnectionError("gone")

    hosted = await monitor.host("r", service(serve))
    await hosted.online()
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(2)
    (failure,) = failures(drain())
    assert failure.epoch == 1
    if crash:
        assert failure.reason is FailureReason.TASK_CRASHED
        assert isinstance(failure.error, ConnectionError)
        assert "ConnectionError: gone" in failure.detail
    else:
        assert failure.reason is FailureReason.TASK_RETURNED
    assert await hosted.online() is RS.ONLINE


async def test_a_task_may_end_while_going_offline(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    class Stoppable(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            self.stop = trio.Event()
            scope.start_soon(self.stop.wait)

        async def offline(self, scope: OnlineScope) -> None:
            self.stop.set()
            await trio.sleep(0.1)

    hosted = await monitor.host("r", Stoppable)
    await hosted.online()
    assert await hosted.offline() is RS.OFFLINE
    assert failures(drain()) == []


# --- signals ---------------------------------------------------------------------------


async def test_a_signal_is_verified(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted, handler = await start(monitor)
    assert hosted.value.report_failure("smells odd")
    await trio.testing.wait_all_tasks_blocked()
    assert handler.asked == [0]
    assert hosted.state is RS.ONLINE
    handler.alive = False
    assert hosted.value.report_failure("smells worse")
    assert hosted.value.report_failure("and again")
    await hosted.wait_state(RS.FAILED)
    (failure,) = failures(drain())
    assert failure.reason is FailureReason.SIGNAL
    assert failure.detail == "smells worse"


async def test_a_signal_that_can_not_be_verified_counts(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted, handler = await start(monitor)
    handler.alive = OSError("no route")
    hosted.value.report_failure("silence")
    await hosted.wait_state(RS.FAILED)
    assert str(hosted.last_failure) == (
        "the resource reported a failure: silence; it could not be checked: OSError: no route"
    )


async def test_a_trusted_signal_counts_at_once(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    @resource_type("trusted", trust_signals=True)
    class Trusted(Watched):
        pass

    hosted = await monitor.host("r", Trusted)
    await hosted.online()
    scope = hosted.value
    assert scope.report_failure("dead")
    # The attempt is over at once; the consumer of the failure channel tells of it.
    assert scope.terminated
    assert not scope.report_failure("dead again")
    await hosted.wait_state(RS.FAILED)
    assert [failure.detail for failure in failures(drain())] == ["dead"]


@pytest.mark.parametrize("looks", [True, False])
async def test_a_signal_that_cannot_be_denied_counts(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain, looks: bool
) -> None:
    """Rule 5: a handler that defines no ``is_alive`` cannot deny it."""

    class Silent(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            return scope

    class Looks(Silent):
        def looks_alive(self) -> bool:
            return True

    hosted = await monitor.host("r", Looks if looks else Silent)
    await hosted.online()
    assert hosted.value.report_failure("lost the primary")
    await hosted.wait_state(RS.FAILED)
    (failure,) = failures(drain())
    assert (failure.reason, failure.detail) == (FailureReason.SIGNAL, "lost the primary")


async def test_a_signal_while_coming_online_is_looked_at_when_online(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Early(Watched):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            assert scope.report_failure("early")
            await trio.sleep(0.1)
            return scope

    hosted = await monitor.host("r", Early)
    assert isinstance(hosted.handler, Watched)
    assert await hosted.online() is RS.ONLINE
    await trio.testing.wait_all_tasks_blocked()
    assert hosted.handler.asked == pytest.approx([0.1])
    await hosted.offline()
    hosted.handler.alive = False
    await hosted.online()
    await hosted.wait_state(RS.FAILED)


async def test_a_signal_while_going_offline_means_nothing(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    class Leaves(Watched):
        async def offline(self, scope: OnlineScope) -> None:
            assert not scope.report_failure("of course it is gone")
            await trio.sleep(0.1)

    hosted = await monitor.host("r", Leaves)
    await hosted.online()
    assert await hosted.offline() is RS.OFFLINE
    assert failures(drain()) == []


async def test_a_signal_from_a_thread(drain: Drain, monitor: ResourceMonitor) -> None:
    hosted = await monitor.host("r", Watched)
    await hosted.online()
    assert isinstance(hosted.handler, Watched)
    hosted.handler.alive = False
    scope: OnlineScope = hosted.value
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(scope.report_failure("from outside")))
    thread.start()
    await hosted.wait_state(RS.FAILED)
    thread.join()
    assert answers == [True]


async def test_failing_on_request(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted, _ = await start(monitor)
    hosted.fail("for the test")
    (failure,) = failures(drain())
    assert (failure.reason, failure.detail) == (FailureReason.REQUESTED, "for the test")
    with pytest.raises(InvalidStateError, match="r is failed; it cannot fail now"):
        hosted.fail()
    await trio.testing.wait_all_tasks_blocked()
    assert [one for one in drain() if isinstance(one, AttemptEnded)]
    with pytest.raises(InvalidStateError):
        hosted.fail()


# --- polling ---------------------------------------------------------------------------


async def test_default_intervals(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    hosted, handler = await start(monitor)
    await trio.sleep(121)
    assert handler.looked == pytest.approx([5.0 * n for n in range(1, 25)])
    assert handler.asked == pytest.approx([60, 120])
    await hosted.offline()
    await trio.sleep(121)
    assert len(handler.looked) == 24
    assert len(handler.asked) == 2
    statistics = hosted.statistics()
    assert (statistics.looks_alive_polls, statistics.is_alive_calls) == (24, 2)


async def test_polls_keep_their_schedule(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    """No drift, also when the interval is no binary fraction."""
    _, handler = await start(monitor, poll=PollIntervals(looks_alive=0.3))
    await trio.sleep(3000.1)
    assert len(handler.looked) == 10_000
    assert handler.looked[-1] == pytest.approx(3000, abs=1e-6)


async def test_intervals_of_type_and_resource(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    @resource_type("quick", poll=PollIntervals(looks_alive=1, is_alive=10))
    class Quick(Watched):
        pass

    hosted = await monitor.host("r", Quick, poll=PollIntervals(looks_alive=2))
    await hosted.online()
    await trio.sleep(11)
    assert isinstance(hosted.handler, Watched)
    assert hosted.handler.looked == pytest.approx([2, 4, 6, 8, 10])
    assert hosted.handler.asked == pytest.approx([10])


async def test_suspicion_leads_to_is_alive_at_once(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted, handler = await start(monitor)
    handler.looks = False
    await trio.sleep(5.5)
    assert handler.asked == pytest.approx([5])
    assert hosted.state is RS.ONLINE
    handler.looks = ValueError("also a suspicion")
    handler.alive = False
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(10)
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.NOT_ALIVE
    assert hosted.statistics().suspicions == 2


async def test_is_alive_false_is_a_failure(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted, handler = await start(monitor)
    handler.alive = False
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(60)
    await trio.sleep(200)
    assert handler.asked == pytest.approx([60])


async def test_n_of_m(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    poll = PollIntervals(is_alive=10, failures=2, window=3)
    hosted, handler = await start(monitor, poll=poll)
    for alive in (False, True, True, False, True, True):
        handler.alive = alive
        await trio.sleep(10)
        assert hosted.state is RS.ONLINE
    for alive in (False, True, False):
        handler.alive = alive
        await trio.sleep(10)
    assert hosted.state is RS.FAILED
    assert str(hosted.last_failure) == "is_alive answered no: 2 of the last 3 times"


async def test_a_failure_source_of_its_own_ends_looks_alive_polling_only(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Detects(Watched):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            scope.failure_channel()
            return scope

    hosted = await monitor.host("r", Detects)
    await hosted.online()
    await trio.sleep(100)
    assert isinstance(hosted.handler, Watched)
    assert hosted.handler.looked == []
    assert hosted.handler.asked == pytest.approx([60])


async def test_one_detector_may_serve_many(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    channels: dict[str, trio.MemorySendChannel[str]] = {}

    @resource_type("watched-by-one", trust_signals=True)
    class Served(Watched):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            channels[self.name] = scope.failure_channel()
            return scope

    one = await monitor.host("one", Served)
    two = await monitor.host("two", Served)
    await one.online()
    await two.online()
    channels["two"].send_nowait("this one")
    await two.wait_state(RS.FAILED)
    assert str(two.last_failure) == "the resource reported a failure: this one"
    assert (one.state, two.state) == (RS.ONLINE, RS.FAILED)


async def test_looks_alive_that_fails_by_itself_is_not_polled_again(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    @resource_type("abrupt", trust_signals=True)
    class Abrupt(Watched):
        def looks_alive(self) -> bool:
            hosted.value.report_failure("seen by looks_alive")
            return super().looks_alive()

    hosted = await monitor.host("r", Abrupt)
    await hosted.online()
    await trio.sleep(100)
    assert hosted.state is RS.FAILED
    assert isinstance(hosted.handler, Watched)
    assert hosted.handler.looked == [5]


async def test_background_check(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    """A slow check answers with its last verdict."""

    class Slow(Watched):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            self.check = BackgroundCheck(self.ping, every=10)
            scope.start_soon(self.check.run)
            return scope

        async def ping(self) -> bool:
            await trio.sleep(8)
            return answer(self.alive)

        async def is_alive(self) -> bool:
            return self.check.verdict()

    hosted = await monitor.host("r", Slow, poll=PollIntervals(is_alive=1))
    await hosted.online()
    await trio.sleep(7.5)
    # There is no verdict yet: that is not a no.
    assert hosted.statistics().inconclusive_calls == 7
    await trio.sleep(2)
    assert hosted.statistics().inconclusive_calls == 7
    assert isinstance(hosted.handler, Watched)
    hosted.handler.alive = OSError("can not tell")
    await trio.sleep(18)
    assert hosted.state is RS.ONLINE
    assert hosted.statistics().inconclusive_calls > 7
    hosted.handler.alive = False
    await hosted.wait_state(RS.FAILED)
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.NOT_ALIVE


async def test_a_stale_verdict_is_none(autojump_clock: MockClock) -> None:
    async def hang() -> bool:
        if trio.current_time() > 5:
            await trio.sleep_forever()
        return True

    check = BackgroundCheck(hang, every=6, stale_after=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(check.run)
        await trio.sleep(9)
        assert check.verdict()
        await trio.sleep(2)
        with pytest.raises(TimeoutError, match="no answer of the background check for 11"):
            check.verdict()
        nursery.cancel_scope.cancel()
