"""What is wrong is refused at the door of the cluster, with nothing half done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from trioresource import (
    FailureReason,
    InvalidStateError,
    OnlineScope,
    PollIntervals,
    ResourceHandler,
    ResourceState,
    RestartAction,
    RestartPolicy,
    open_cluster,
)

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioresource import Cluster

    from .conftest import Shop

RS = ResourceState
NAN, INF = float("nan"), float("inf")


class Fine(ResourceHandler[Any]):
    async def online(self, scope: OnlineScope) -> None:
        pass


def assert_nothing_was_added(cluster: Cluster) -> None:
    assert dict(cluster.resources) == {}
    assert dict(cluster.groups) == {}
    assert cluster.history() == ()


# --- adding ----------------------------------------------------------------------------


async def test_a_handler_that_cannot_work() -> None:
    class Wrong(Fine):
        def is_alive(self) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            return True

    async with open_cluster() as cluster:
        with pytest.raises(TypeError, match=r"'r': .*write `async def is_alive\(self\)`"):
            await cluster.add("r", Wrong)
        with pytest.raises(TypeError, match=r"handler of 'r': .*does not define online\(\)"):
            await cluster.add("r", ResourceHandler)
        with pytest.raises(TypeError, match="handler of 'r': 5 is neither"):
            await cluster.add("r", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert_nothing_was_added(cluster)
        assert (await cluster.add("r", Fine)).name == "r"


async def test_a_handler_belongs_to_one_resource() -> None:
    handler = Fine()
    async with open_cluster() as cluster:
        first = await cluster.add("first", lambda: handler)
        with pytest.raises(InvalidStateError, match="returned the handler of 'first' again"):
            await cluster.add("second", lambda: handler)
        assert list(cluster.resources) == ["first"]
        assert await first.online() is RS.ONLINE
        await first.offline()
        await cluster.remove("first")
        assert await (await cluster.add("second", lambda: handler)).online() is RS.ONLINE


@pytest.mark.parametrize("name", ["", "a ", "[a]", "a\n", None, 5])
async def test_names_that_no_expression_can_hold(name: Any) -> None:
    async with open_cluster() as cluster:
        for kind, names in (("resource", (name, "g")), ("group", ("r", name))):
            with pytest.raises((TypeError, ValueError), match=f"the name of a {kind}"):
                await cluster.add(names[0], Fine, group=names[1])
        assert_nothing_was_added(cluster)


async def test_resources_and_groups_share_their_names() -> None:
    async with open_cluster() as cluster:
        with pytest.raises(InvalidStateError, match="a resource and its group cannot both be"):
            await cluster.add("shop", Fine, group="shop")
        with pytest.raises(InvalidStateError, match="a resource and its group cannot both be"):
            await cluster.add("default", Fine)
        assert_nothing_was_added(cluster)
        await cluster.add("db", Fine, group="shop")
        with pytest.raises(InvalidStateError, match="a group named 'shop' already"):
            await cluster.add("shop", Fine, group="other")
        with pytest.raises(InvalidStateError, match="a resource named 'db' already"):
            await cluster.add("web", Fine, group="db")
        assert list(cluster.resources) == ["db"]
        assert list(cluster.groups) == ["shop"]


async def test_names_that_were_taken_while_a_handler_opened(autojump_clock: MockClock) -> None:
    closed: list[str] = []

    class Slow(Fine):
        async def open(self) -> None:
            await trio.sleep(1)

        async def close(self) -> None:
            closed.append(self.name)

    async with open_cluster() as cluster:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cluster.add, "other", Fine)
            with pytest.raises(InvalidStateError, match="a resource named 'other' already"):
                await cluster.add("slow", Slow, group="other")
        assert closed == ["slow"]
        assert list(cluster.resources) == ["other"]


@pytest.mark.parametrize("argument", ["properties", "deadlines", "poll", "restart"])
async def test_arguments_of_another_type(argument: str) -> None:
    async with open_cluster() as cluster:
        wrong: tuple[Any, ...] = (5, "fast", True)
        for value in wrong:
            with pytest.raises(TypeError, match=f"{argument} must be .*, not {value!r}"):
                await cluster.add("r", Fine, **{argument: value})
        assert_nothing_was_added(cluster)


NO_SECONDS = [None, True, NAN, -1, -INF, "5", 1 + 2j, [5], pytest.param(10**5000, id="huge")]


@pytest.mark.parametrize("value", NO_SECONDS)
async def test_what_is_no_number_of_seconds(value: Any) -> None:
    with pytest.raises(ValueError, match="shutdown_deadline must be"):
        open_cluster(shutdown_deadline=value)
    async with open_cluster() as cluster:
        with pytest.raises(ValueError, match="drain_deadline must be"):
            await cluster.add("r", Fine, drain_deadline=value)
        assert_nothing_was_added(cluster)
        resource = await cluster.add("r", Fine)
        with pytest.raises(ValueError, match="held_for must be"):
            await resource.wait_state(RS.OFFLINE, held_for=value)
        with pytest.raises(ValueError, match="deadline must be"):
            await cluster.shut_down(value)
        assert await resource.online() is RS.ONLINE


@pytest.mark.parametrize("value", [None, True, NAN, 0.5, "5", [5], -1, -INF])
async def test_what_is_no_number_of_events(value: Any) -> None:
    with pytest.raises(ValueError, match="history must be"):
        open_cluster(history=value)
    async with open_cluster() as cluster:
        with pytest.raises(ValueError, match="buffer must be"):
            cluster.subscribe(buffer=value)
        with cluster.subscribe(buffer=INF):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            pass


# --- methods of a resource -------------------------------------------------------------


async def test_waiting_for_no_state_raises_at_once(autojump_clock: MockClock) -> None:
    async with open_cluster() as cluster:
        resource = await cluster.add("r", Fine)
        with trio.fail_after(5):
            with pytest.raises(ValueError, match=r"wait_state\(\) needs at least one"):
                await resource.wait_state()
            for states in (("online",), ([RS.ONLINE],), (RS.ONLINE, None), (FailureReason.SIGNAL,)):
                with pytest.raises(TypeError, match=r"such as ResourceState\.\w+, not "):
                    await resource.wait_state(*states)  # pyright: ignore[reportArgumentType]


async def test_texts_are_texts(autojump_clock: MockClock) -> None:
    async with open_cluster() as cluster:
        resource = await cluster.add("r", Fine)
        await resource.online()
        with pytest.raises(TypeError, match="detail must be a str, not 5"):
            resource.fail(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(TypeError, match="code must be a str, not None"):
            await resource.control(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert resource.state is RS.ONLINE


@pytest.mark.any_hosted
@pytest.mark.parametrize("call", ["wait_online", "wait_state", "control"])
@pytest.mark.parametrize("where", ["online", "start", "nested"])
async def test_what_waits_for_itself_is_refused_at_once(
    shop: Shop, autojump_clock: MockClock, call: str, where: str
) -> None:
    class Own(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            if where == "online":
                await self.call()
            elif where == "start":
                await scope.start(self.call)
            else:
                async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - the test is about a nursery
                    nursery.start_soon(self.call)

        async def call(self, *, task_status: object = None) -> None:  # noqa: ASYNC128 - that is what is refused
            if call == "wait_online":
                await resource.wait_online()
            elif call == "wait_state":
                await resource.wait_state(RS.ONLINE, RS.FAILED)
            else:
                await resource.control("x")

    never = RestartPolicy(action=RestartAction.NONE)
    resource = await shop.cluster.add("own", Own, restart=never)
    begun = trio.current_time()
    with trio.CancelScope() as scope:
        scope.cancel()
        await resource.online()
    await resource.wait_state(RS.FAILED)
    assert trio.current_time() - begun < 1
    failure = resource.last_failure
    assert failure is not None
    assert failure.reason is FailureReason.ONLINE_RAISED
    assert f"own: {call}() was called by an entry point of the resource itself" in failure.detail


@pytest.mark.any_hosted
async def test_tasks_of_the_scope_may_wait_for_their_own_resource(
    shop: Shop, autojump_clock: MockClock
) -> None:
    seen: list[object] = []

    class Own(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> str:
            scope.start_soon(self.announce)
            await trio.sleep(1)
            return "value"

        async def announce(self) -> None:
            seen.append(await resource.wait_online())
            await resource.wait_state(RS.ONLINE)
            await trio.sleep_forever()

    resource = await shop.cluster.add("own", Own)
    await resource.online()
    await resource.wait_online()
    await trio.sleep(1)
    assert seen == ["value"]
    assert resource.state is RS.ONLINE


# --- what comes out of a handler -------------------------------------------------------


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        raise RuntimeError("no representation")


@pytest.mark.any_hosted
@pytest.mark.parametrize("where", ["online", "offline", "terminate", "close", "is_alive", "task"])
async def test_an_error_without_a_text_stays_with_its_resource(
    shop: Shop, autojump_clock: MockClock, where: str
) -> None:
    class Raises(ResourceHandler[Any]):
        def raise_at(self, place: str) -> None:
            if place == where:
                raise NoText

        async def online(self, scope: OnlineScope) -> None:
            self.raise_at("online")
            scope.start_soon(self.task)

        async def task(self) -> None:
            await trio.sleep(2)
            self.raise_at("task")
            if where == "terminate":
                raise NoText
            await trio.sleep_forever()

        async def offline(self, scope: OnlineScope) -> None:
            self.raise_at("offline")

        async def terminate(self) -> None:
            self.raise_at("terminate")

        async def close(self) -> None:
            self.raise_at("close")

        async def is_alive(self) -> bool:
            self.raise_at("is_alive")
            return True

    good = await shop.add("good")
    odd = await shop.cluster.add(
        "odd",
        Raises,
        poll=PollIntervals(is_alive=1),
        restart=RestartPolicy(threshold=1, delay=0.1),
    )
    await shop.cluster.online()
    await trio.sleep(20)
    await shop.cluster.offline("odd")
    await trio.sleep(20)
    assert good.state is RS.ONLINE
    assert repr(shop.cluster.history())
    assert str(odd.last_failure)
    # The fixture closes the cluster, where "close" raises.
