"""Every interleaving of a race, and of nothing else.

What a monitor does before and after the race would multiply the schedules and find
nothing: there, tasks go in the order in which they could.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager, nullcontext
from math import inf
from typing import TYPE_CHECKING, Any, Final, final

import attrs
import trio

from tests.spaces import PREEMPTIONS
from trioresource import (
    Deadlines,
    FailureReport,
    HostedResource,
    OfflineFailed,
    OnlineFailed,
    OnlineScope,
    Report,
    ResourceHandler,
    ResourceNotAvailable,
    ResourceState,
    StateChange,
    open_monitor,
)
from trioresource._model.states import is_legal
from trioresource.testing import Exhaustive, Exploration, explore, no_leaks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from trioresource import ResourceMonitor

SOFT: Final = 0.3
ONLY_SOFT: Final = Deadlines(soft=SOFT, pending=inf, deadlock=inf, terminate=inf)
"""The other deadlines are far away, in the race and in the space of schedules."""
_THOROUGH: Final = 20
"""In one of so many schedules, all kinds of leaks are looked for."""


@final
class Race:
    """A strategy: every schedule of what happens in ``with race.run():``.

    ``tests.spaces`` bounds the preemptions.

    Args:
        bound: how many preemptions at most; ``None`` for any number.
    """

    name = "every schedule of the race"

    def __init__(self, bound: int | None = PREEMPTIONS) -> None:
        self._every = Exhaustive(bound)
        self._on = False

    @property
    def exhausted(self) -> bool:
        return self._every.exhausted

    def begin(self) -> bool:
        self._on = False
        return self._every.begin()

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        if not self._on:
            return 0
        return self._every.pick(keys, last)

    def choose(self, count: int) -> int:
        return self._every.choose(count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        self._every.end(picks, failed)

    @contextmanager
    def run(self) -> Iterator[None]:
        self._on = True
        try:
            yield
        finally:
            self._on = False


class Small(ResourceHandler[Any]):
    """Holds a context and a task; each entry point takes one pass, or the given time."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.alive = True
        self.scope: OnlineScope | None = None
        self.held = 0
        self.most_held = 0
        self.calls: list[str] = []
        self.running: list[str] = []

    @contextmanager
    def held_context(self) -> Iterator[None]:
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        try:
            yield
        finally:
            self.held -= 1

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        assert name == "terminate" or not self.running, f"{name} during {self.running}"
        self.calls.append(name)
        self.running.append(name)
        try:
            yield
        finally:
            self.running.remove(name)

    async def online(self, scope: OnlineScope) -> str:
        with self.call("online"):
            self.scope = scope
            await scope.enter(self.held_context())
            await trio.sleep(self.takes)
            return "value"

    async def offline(self, scope: OnlineScope) -> None:
        with self.call("offline"):
            await trio.lowlevel.checkpoint()

    async def terminate(self) -> None:
        with self.call("terminate"):
            assert self.held == 0, "the handler's terminate comes after its contexts"

    async def control(self, code: str, argument: object = None) -> str:
        with self.call("control"):
            await trio.lowlevel.checkpoint()
            return code


class Watched(Small):
    """Can be asked whether it is alive, and so is polled: one timer more."""

    async def is_alive(self) -> bool:
        with self.call("is_alive"):
            await trio.lowlevel.checkpoint()
            return self.alive


@attrs.define
class Scene:
    """One resource in the middle of a race."""

    monitor: ResourceMonitor
    hosted: HostedResource
    handler: Small
    answers: dict[str, str] = attrs.field(factory=dict)
    reports: list[Report] = attrs.field(factory=list)

    async def ask(self, name: str, call: Callable[[], Awaitable[Any]]) -> None:
        """Note the answer, whatever it is."""
        try:
            answer = await call()
        except (OnlineFailed, OfflineFailed, ResourceNotAvailable) as error:
            answer = type(error).__name__
        self.answers[name] = str(getattr(answer, "value", answer))

    def drain(self) -> None:
        while True:
            try:
                self.reports.append(self.monitor.reports.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                return

    @property
    def failures(self) -> list[FailureReport]:
        return [report for report in self.reports if isinstance(report, FailureReport)]


def race(
    contenders: Callable[[Scene], Sequence[Callable[[], Awaitable[None]]]],
    check: Callable[[Scene], None],
    *,
    takes: float = 0.0,
    online: bool = False,
    most: int,
    timers: bool = True,
    kind: type[Small] = Small,
) -> Exploration:
    """Let requests race in every schedule, and check what is left, what was told, and more.

    Args:
        contenders: what runs at the same time, each in a task; the last one in the task that
            waits for the others.
        check: what else holds after it.
        takes: how long coming online takes.
        online: whether the resource is online before the race.
        most: how many schedules there may be.
        timers: whether time may pass while tasks could run.
        kind: the class of the handler.

    Returns:
        What was explored: the whole space.
    """
    strategy = Race()
    count = itertools.count()

    async def scenario() -> None:
        # What looks for leaks takes longer than the race. Nothing here waits, so that a
        # schedule is the same with it and without.
        thorough = next(count) % _THOROUGH == 0
        with no_leaks() if thorough else nullcontext():
            async with open_monitor() as monitor:
                hosted = await monitor.host("r", lambda: kind(takes), deadlines=ONLY_SOFT)
                assert isinstance(hosted.handler, Small)
                scene = Scene(monitor, hosted, hosted.handler)
                if online:
                    await hosted.online()
                with strategy.run():
                    async with trio.open_nursery() as nursery:
                        *others, last = contenders(scene)
                        for other in others:
                            nursery.start_soon(other)
                        await last()
                scene.drain()
                check(scene)
                check_reports(scene)
            scene.drain()
            scene.monitor.reports.close()
            check_reports(scene)
            assert scene.handler.held == 0
            assert scene.handler.most_held <= 1

    result = explore(scenario, strategy=strategy, schedules=most, timers=timers)
    assert strategy.exhausted, f"there are more than {most} schedules"
    return result


def check_reports(scene: Scene) -> None:
    """Every state is told once and in order, and every failure once for an attempt."""
    state, epoch = ResourceState.INITIALIZING, 0
    for change in scene.reports:
        if isinstance(change, StateChange):
            assert change.old is state, change
            assert is_legal(change.old, change.new), change
            begins = change.new is ResourceState.ONLINE_PENDING
            assert change.epoch == epoch + begins, change
            state, epoch = change.new, change.epoch
    assert state is scene.hosted.state
    assert epoch == scene.hosted.epoch
    failed = [failure.epoch for failure in scene.failures]
    assert sorted(dict.fromkeys(failed)) == failed
