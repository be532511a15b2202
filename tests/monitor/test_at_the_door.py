"""What is wrong is refused at the door of the monitor, and the faults of a handler stay its own."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trioresource import (
    FailureReason,
    InvalidStateError,
    OnlineFailed,
    OnlineScope,
    ResourceHandler,
    ResourceState,
    open_monitor,
    service,
)

from .conftest import Watched, failures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from trioresource import HostedResource, ResourceMonitor

    from .conftest import Drain

RS = ResourceState


class Fine(ResourceHandler[Any]):
    async def online(self, scope: OnlineScope) -> None:
        pass


def making(**attributes: Any) -> type[ResourceHandler[Any]]:
    """A handler class that is fine, but for these attributes."""
    return type("Odd", (Fine,), attributes)


def plain(self: object, *args: object) -> bool:
    return True


async def asynchronous(self: object, *args: object) -> bool:  # noqa: ASYNC124 - what is refused
    return True


async def generating(self: object, *args: object) -> Any:  # noqa: ASYNC124, ASYNC900, ASYNC911 - what is refused
    yield True  # noqa: ASYNC911 - what is refused


class NoText(Exception):
    """An error of which neither text nor representation can be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        raise RuntimeError("no representation")


class NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no representation")


# --- handlers that cannot work ---------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["open", "online", "offline", "terminate", "close", "is_alive", "control"]
)
@pytest.mark.parametrize("fn", [plain, generating])
async def test_an_entry_point_that_must_be_async(
    monitor: ResourceMonitor, name: str, fn: Callable[..., object]
) -> None:
    with pytest.raises(TypeError, match=rf"'r'.*Odd\.{name} .*(async def {name}\(self|yield)"):
        await monitor.host("r", making(**{name: fn}))
    assert dict(monitor.resources) == {}


@pytest.mark.parametrize("name", ["looks_alive", "properties_changed"])
@pytest.mark.parametrize("fn", [asynchronous, generating])
async def test_an_entry_point_that_must_not_be_async(
    monitor: ResourceMonitor, name: str, fn: Callable[..., object]
) -> None:
    with pytest.raises(TypeError, match=rf"'r'.*Odd\.{name} must not .*({name}\(self|yield)"):
        await monitor.host("r", making(**{name: fn}))
    assert dict(monitor.resources) == {}


async def test_all_mistakes_of_a_handler_are_in_one_error(monitor: ResourceMonitor) -> None:
    class Wrong(ResourceHandler[Any]):
        def is_alive(self) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            return True

        async def looks_alive(self) -> bool:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            return True

    with pytest.raises(TypeError) as caught:
        await monitor.host("r", Wrong)
    for text in (
        "Wrong does not define online(); write `async def online(self, scope)`",
        "Wrong.is_alive is not an async function; write `async def is_alive(self)`",
        "Wrong.looks_alive must not be async; write `def looks_alive(self)`",
    ):
        assert text in str(caught.value)


class CallableCheck:
    async def __call__(self) -> bool:
        return True


def undecorated(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any) -> Any:
        return fn(*args)

    return call


async def test_what_gives_something_to_await_is_async(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    """However it is written: a partial, a decorated function, an object that is called."""

    async def check(self: object, answer: bool) -> bool:  # noqa: ASYNC124 - what is refused
        return answer

    def delegating(self: ResourceHandler[Any]) -> Any:
        return asynchronous(self)

    delegating.__annotations__["return"] = "Awaitable[bool]"
    for fn in (
        functools.partialmethod(check, True),
        staticmethod(functools.partial(check, None, True)),
        undecorated(asynchronous),
        CallableCheck(),
        delegating,
    ):
        hosted = await monitor.host("r", making(is_alive=fn))
        await hosted.online()
        await trio.sleep(100)
        assert hosted.state is RS.ONLINE
        assert hosted.statistics().inconclusive_calls == 0
        assert hosted.statistics().failures == 0
        await monitor.unhost("r")


async def test_what_makes_no_handler(monitor: ResourceMonitor) -> None:
    async def serve() -> None:
        pass

    for handler, wrong in (
        (Fine(), "is a handler already; pass its class"),
        (dict, "dict is no subclass of trioresource.ResourceHandler"),
        (lambda: 5, "returned 5, and not a new"),
        (lambda: serve(*()), "and not a new"),
        (serve, r"is an async function; to run it, pass service\(fn, \*args\)"),
        (serve(), r"is a call; to run an async function, pass service\(fn, \*args\)"),
        ("postgres", "'postgres' is neither a handler class nor a function"),
        (None, "None is neither"),
        (NoRepr(), "NoRepr, whose __repr__ raised RuntimeError"),
    ):
        with pytest.raises(TypeError, match=f"handler of 'r': .*{wrong}"):
            await monitor.host("r", handler)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert dict(monitor.resources) == {}


async def test_a_handler_belongs_to_one_resource(monitor: ResourceMonitor) -> None:
    handler = Fine()
    await monitor.host("first", lambda: handler)
    with pytest.raises(InvalidStateError, match="returned the handler of 'first' again"):
        await monitor.host("second", lambda: handler)
    async with open_monitor() as another:
        with pytest.raises(InvalidStateError, match="'first' again"):
            await another.host("second", lambda: handler)
    assert handler.name == "first"
    assert list(monitor.resources) == ["first"]
    await monitor.unhost("first")
    await monitor.host("second", lambda: handler)
    assert handler.name == "second"


async def test_a_handler_whose_open_raised_may_be_used_again(monitor: ResourceMonitor) -> None:
    errors = [OSError("not yet")]

    class Late(Fine):
        async def open(self) -> None:
            if errors:
                raise errors.pop()

    handler = Late()
    with pytest.raises(OSError, match="not yet"):
        await monitor.host("r", lambda: handler)
    await monitor.host("r", lambda: handler)


@pytest.mark.parametrize(
    "name", ["", " ", " db", "db ", "[db]", "d]b", "d\nb", "d\x00b", "\x1b[31mdb", "\ud800"]
)
async def test_texts_that_cannot_be_names(monitor: ResourceMonitor, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a resource; a name is not empty"):
        await monitor.host(name, Fine)
    assert dict(monitor.resources) == {}


@pytest.mark.parametrize("name", [None, 5, b"db", ("db",), ["db"], NoRepr()])
async def test_names_that_are_no_texts(monitor: ResourceMonitor, name: Any) -> None:
    with pytest.raises(TypeError, match="the name of a resource must be a str, not "):
        await monitor.host(name, Fine)
    assert dict(monitor.resources) == {}


@pytest.mark.parametrize("argument", ["properties", "deadlines", "poll"])
async def test_arguments_of_another_type(monitor: ResourceMonitor, argument: str) -> None:
    wrong: tuple[Any, ...] = (5, "fast", True)
    for value in wrong:
        with pytest.raises(TypeError, match=f"{argument} must be .*, not {value!r}"):
            await monitor.host("r", Fine, **{argument: value})
    assert dict(monitor.resources) == {}


async def test_names_that_are_fine(monitor: ResourceMonitor) -> None:
    for name in ("db", "orders db", "Größe", "a/b", "(a or b)", "and", "数据库", "a.b:c"):
        assert (await monitor.host(name, Fine)).name == name


# --- calls that would wait for themselves ----------------------------------------------


class Own(ResourceHandler[Any]):
    """Calls its own resource's ``control`` from one of its entry points."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.hosted: HostedResource | None = None
        self.seen: list[tuple[str, float]] = []

    async def call_at(self, place: str) -> None:
        if place == self.where:
            await self.call()

    async def call(self, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        assert self.hosted is not None
        begun = trio.current_time()
        try:
            await self.hosted.control("again")
        except InvalidStateError as error:
            self.seen.append((str(error), trio.current_time() - begun))
        task_status.started()
        if task_status is not trio.TASK_STATUS_IGNORED:
            await trio.sleep_forever()

    async def online(self, scope: OnlineScope) -> None:
        await self.call_at("online")
        async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - the test is about a nursery
            nursery.start_soon(self.call_at, "nested")
        if self.where == "start":
            await scope.start(self.call)

    async def offline(self, scope: OnlineScope) -> None:
        await self.call_at("offline")

    async def is_alive(self) -> bool:
        await self.call_at("is_alive")
        return True

    async def control(self, code: str, argument: Any = None) -> Any:
        if code == "first":
            await self.call_at("control")


@pytest.mark.parametrize("where", ["online", "nested", "start", "offline", "is_alive", "control"])
async def test_control_of_oneself_is_refused_at_once(
    autojump_clock: MockClock, monitor: ResourceMonitor, where: str
) -> None:
    own = Own(where)
    own.hosted = hosted = await monitor.host("r", lambda: own)
    await hosted.online()
    await hosted.control("first")
    await trio.sleep(61)
    await hosted.offline()
    text, seconds = own.seen[0]
    assert text.startswith("r: control() was called by an entry point of the resource itself")
    assert seconds == 0
    assert hosted.state is RS.OFFLINE
    assert hosted.statistics().failures == 0


async def test_tasks_that_outlive_online_may_wait_for_it(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    """Those of ``start_soon``, and those in a nursery that was entered, also during ``online``."""
    seen: list[str] = []

    class Own(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.start_soon(self.wait, "start_soon")
            nursery = await scope.enter(trio.open_nursery())
            nursery.start_soon(self.wait, "entered")
            await scope.start(self.wait_once_started)
            await trio.sleep(1)

        async def wait_once_started(self, *, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            await self.wait("start")

        async def wait(self, who: str) -> None:
            assert await hosted.wait_state(RS.ONLINE) is RS.ONLINE
            assert await hosted.control(who) == who
            seen.append(who)
            if who != "entered":
                await trio.sleep_forever()

        async def control(self, code: str, argument: Any = None) -> str:
            await trio.sleep(0.1)
            return code

    hosted = await monitor.host("r", Own)
    await hosted.online()
    await trio.sleep(2)
    assert sorted(seen) == ["entered", "start", "start_soon"]
    assert hosted.state is RS.ONLINE


async def test_waiting_for_a_state_that_online_keeps_away_is_refused(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Own(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            assert await hosted.wait_state(RS.ONLINE_PENDING, held_for=1) is RS.ONLINE_PENDING
            await hosted.wait_state(RS.ONLINE)

    hosted = await monitor.host("r", Own)
    hosted.begin_online()
    await hosted.wait_state(RS.FAILED)
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.ONLINE_RAISED
    assert "wait_state() was called by an entry point" in hosted.last_failure.detail


# --- what a handler hands over ---------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "fraction", "error"),
    [
        ("half way", "half", TypeError),
        ("half way", True, TypeError),
        ("half way", NoRepr(), TypeError),
        ("half way", float("nan"), ValueError),
        ("half way", 1.01, ValueError),
        ("half way", -1, ValueError),
        pytest.param("half way", 10**5000, ValueError, id="huge"),
        (7, None, TypeError),
        (b"step 1", None, TypeError),
        (None, 0.5, TypeError),
        (NoRepr(), None, TypeError),
    ],
)
async def test_progress_that_is_none(
    autojump_clock: MockClock,
    monitor: ResourceMonitor,
    drain: Drain,
    message: Any,
    fraction: Any,
    error: type[Exception],
) -> None:
    class Reports(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.report_progress(message, fraction=fraction)

    hosted = await monitor.host("r", Reports)
    with pytest.raises(OnlineFailed, match=r"(message|fraction) of report_progress\(\) must be"):
        await hosted.online()
    (failure,) = failures(drain())
    assert failure.reason is FailureReason.ONLINE_RAISED
    assert type(failure.error) is error


async def test_a_detail_that_is_no_text_fails_its_task(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    class Reports(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.start_soon(self.detect, scope)

        async def detect(self, scope: OnlineScope) -> None:
            await trio.sleep(1)
            scope.report_failure(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    hosted = await monitor.host("r", Reports)
    await hosted.online()
    await trio.sleep(2)
    (failure,) = failures(drain())
    assert failure.reason is FailureReason.TASK_CRASHED
    assert "the detail of report_failure() must be a str, not None" in failure.detail


async def test_a_detail_that_is_no_text_raises_in_the_thread_that_reports_it(
    monitor: ResourceMonitor,
) -> None:
    errors: list[Exception] = []

    class Reports(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            return scope

    hosted = await monitor.host("r", Reports)
    await hosted.online()

    def detect() -> None:
        try:
            hosted.value.report_failure(5)
        except TypeError as error:
            errors.append(error)

    thread = threading.Thread(target=detect)
    thread.start()
    await trio.to_thread.run_sync(thread.join)
    assert [str(error) for error in errors] == [
        "the detail of report_failure() must be a str, not 5"
    ]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (None, "None"),
        (5, "5"),
        (b"lost", "b'lost'"),
        (NoRepr(), "<NoRepr, whose __repr__ raised RuntimeError>"),
        (NoText(), "<NoText, whose __repr__ raised RuntimeError>"),
    ],
)
async def test_a_message_that_is_no_text_counts(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain, message: Any, shown: str
) -> None:
    class Sends(Watched):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            channel = scope.failure_channel()
            channel.send_nowait(message)
            return scope

    def sends() -> Sends:
        handler = Sends()
        handler.alive = False
        return handler

    hosted = await monitor.host("r", sends)
    await hosted.online()
    await trio.sleep(1)
    (failure,) = failures(drain())
    assert (failure.reason, failure.detail) == (FailureReason.SIGNAL, shown)


class Raises(ResourceHandler[Any]):
    """Raises at one place."""

    def __init__(self, where: str, error: Exception) -> None:
        self.where = where
        self.error = error

    def raise_at(self, *places: str) -> None:
        if self.where in places:
            raise self.error

    async def open(self) -> None:
        self.raise_at("open")

    async def online(self, scope: OnlineScope) -> None:
        self.raise_at("online")
        scope.start_soon(self.task)
        if self.where == "signal":
            scope.failure_channel().send_nowait("look")

    async def task(self) -> None:
        await trio.sleep(1)
        self.raise_at("task")
        await trio.sleep_forever()

    async def offline(self, scope: OnlineScope) -> None:
        self.raise_at("offline", "terminate")

    async def terminate(self) -> None:
        self.raise_at("terminate")

    async def close(self) -> None:
        self.raise_at("close")

    def looks_alive(self) -> bool:
        self.raise_at("looks_alive")
        return True

    async def is_alive(self) -> bool:
        self.raise_at("is_alive", "signal")
        return True

    async def control(self, code: str, argument: Any = None) -> None:
        self.raise_at("control")

    def properties_changed(self, previous: Any) -> None:
        self.raise_at("properties_changed")


async def live(monitor: ResourceMonitor, handler: Raises) -> list[str]:
    """Call everything there is, and note what raised."""
    raised: list[str] = []

    async def note(place: str, call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except (NoText, ExceptionGroup, OnlineFailed):
            raised.append(place)

    await note("open", lambda: monitor.host("r", lambda: handler))
    if raised:
        return raised
    hosted = monitor.resources["r"]
    await note("online", hosted.online)
    await note("apply_properties", hosted.apply_properties)
    await note("control", lambda: hosted.control("x"))
    await trio.sleep(100)
    hosted.begin_offline()
    await trio.sleep(100)
    await note("close", lambda: monitor.unhost("r"))
    return raised


@pytest.mark.parametrize("error", [NoText(), ExceptionGroup("several", [NoText(), NoText()])])
@pytest.mark.parametrize(
    ("where", "raised", "fails"),
    [
        ("open", ["open"], False),
        ("online", ["online"], True),
        ("offline", [], True),
        ("terminate", [], True),
        ("close", ["close"], False),
        ("task", [], True),
        ("is_alive", [], False),
        ("looks_alive", [], False),
        ("signal", [], True),
        ("properties_changed", [], True),
        ("control", ["control"], False),
    ],
)
async def test_an_error_without_a_text_stays_with_its_resource(
    autojump_clock: MockClock,
    monitor: ResourceMonitor,
    drain: Drain,
    where: str,
    raised: list[str],
    fails: bool,
    error: Exception,
) -> None:
    neighbour = await monitor.host("neighbour", Fine)
    await neighbour.online()
    assert await live(monitor, Raises(where, error)) == raised
    reports = drain()
    assert repr(reports)
    assert [type(str(failure)) for failure in failures(reports)] == [str] * fails
    assert neighbour.state is RS.ONLINE


# --- functions -------------------------------------------------------------------------


async def test_keywords_belong_into_a_partial(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Starts(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            with pytest.raises(TypeError, match=r"start_soon\(\).*functools.partial\(fn, x=\.\.\."):
                scope.start_soon(self.task, x=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            with pytest.raises(TypeError, match=r"start\(\).*functools.partial\(fn, x=\.\.\."):
                await scope.start(self.task, x=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            scope.start_soon(functools.partial(self.task, x=1))

        async def task(self, x: int) -> None:
            await trio.sleep_forever()

    assert await (await monitor.host("r", Starts)).online() is RS.ONLINE


async def serve(port: int = 0, *, task_status: trio.TaskStatus[int]) -> None:
    task_status.started(port)
    await trio.sleep_forever()


async def test_a_service_takes_keywords_in_a_partial(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    with pytest.raises(TypeError, match=r"service\(\).*functools.partial\(fn, port=\.\.\.\)"):
        service(serve, port=80)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    hosted = await monitor.host("r", service(functools.partial(serve, port=80)))
    await hosted.online()
    assert hosted.value == 80


def test_a_service_needs_an_async_function() -> None:
    async def nothing() -> None:
        pass

    for fn, wrong in (
        (lambda: None, "needs an async function, not <function"),
        (5, "needs an async function, not 5"),
        (functools.partial(plain, 1), "needs an async function, not functools.partial"),
        (nothing(), r"takes the function, not what it returns: service\(nothing, \.\.\.\)"),
    ):
        with pytest.raises(TypeError, match=rf"service\(\) {wrong}"):
            service(fn)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_wait_state_needs_states(monitor: ResourceMonitor) -> None:
    hosted = await monitor.host("r", Fine)
    with trio.fail_after(5):
        with pytest.raises(ValueError, match=r"wait_state\(\) needs at least one ResourceState"):
            await hosted.wait_state()
        for states in (("online",), ([RS.ONLINE],), (RS.ONLINE, None)):
            with pytest.raises(TypeError, match=r"wait_state\(\) takes members of ResourceState"):
                await hosted.wait_state(*states)  # pyright: ignore[reportArgumentType]
        for seconds in (None, True, float("nan"), -1, "1", float("inf"), 10**400):
            with pytest.raises(ValueError, match="held_for must be"):
                await hosted.wait_state(RS.OFFLINE, held_for=seconds)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
