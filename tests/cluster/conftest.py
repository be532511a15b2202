from __future__ import annotations

import random
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, Final

import attrs
import pytest
import trio

from tests.hosting.delayed import open_delayed_monitor
from trioresource import (
    Cluster,
    Deadlines,
    FailureReport,
    GroupStateChange,
    OnlineScope,
    Properties,
    Resource,
    ResourceHandler,
    ResourceState,
    RestartAction,
    RestartPolicy,
    StateChange,
    dynamic,
    open_cluster,
    resource_type,
)
from trioresource._cluster.cluster import open_cluster_over
from trioresource._cluster.event_log import EventLog
from trioresource._model.states import GroupState, is_legal
from trioresource._util.nurseries import ungrouped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from contextlib import AbstractAsyncContextManager

    from trio.testing import MockClock

    from trioresource import ClusterEvent

RS: Final = ResourceState
NEVER: Final = RestartPolicy(action=RestartAction.NONE)


@attrs.define
class Script:
    """How a resource behaves; may be changed while it lives."""

    online: float = 0.0
    """Seconds that coming online takes."""
    offline: float = 0.0
    failures: int = 0
    """How many attempts fail to come online before one succeeds."""
    offline_error: bool = False
    crash_after: float = inf
    """After how many seconds online the first attempt crashes."""
    alive: bool = True
    stubborn: float = 0.0
    """Seconds for which a cancelled ``online`` goes on all the same."""
    trouble: BaseException | None = None
    """Raised by ``online``."""


@resource_type("part", trust_signals=False)
class Part(ResourceHandler[Any]):
    """Does what its script says, and writes down what it is asked for and when."""

    def __init__(self, script: Script, trace: list[tuple[str, str]]) -> None:
        self.script = script
        self.trace = trace
        self.scope: OnlineScope | None = None

    async def online(self, scope: OnlineScope) -> str:
        self.scope = scope
        self.note("online")
        if self.script.trouble is not None:
            raise self.script.trouble
        if self.script.stubborn:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.script.stubborn)
        await trio.sleep(self.script.online)
        if self.script.failures > 0:
            self.script.failures -= 1
            raise RuntimeError(f"{self.name} does not start")
        if self.script.crash_after < inf:
            scope.start_soon(self.crash, self.script.crash_after)
            self.script.crash_after = inf
        self.note("up")
        return f"{self.name} {scope.epoch}"

    async def crash(self, seconds: float) -> None:
        await trio.sleep(seconds)
        raise RuntimeError(f"{self.name} crashed")

    async def offline(self, scope: OnlineScope) -> None:
        self.note("offline")
        await trio.sleep(self.script.offline)
        if self.script.offline_error:
            raise RuntimeError(f"{self.name} does not stop")
        self.note("down")

    async def terminate(self) -> None:
        self.note("terminate")

    async def is_alive(self) -> bool:
        self.note("is_alive")
        return self.script.alive

    async def control(self, code: str, argument: Any = None) -> Any:
        if code == "echo":
            return argument
        return await super().control(code, argument)

    def note(self, what: str) -> None:
        self.trace.append((self.name, what))


class ServerProperties(Properties):
    port: int = 80
    size: Annotated[int, dynamic] = 1
    limit: Annotated[int, dynamic] = 1


class Server(ResourceHandler[ServerProperties]):
    """Notes the sizes it had and got; some it can not take."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    async def online(self, scope: OnlineScope) -> int:
        return self.properties.port

    def properties_changed(self, previous: ServerProperties) -> None:
        self.told.append((previous.size, self.properties.size))
        if self.properties.size == 13:
            raise ValueError("unlucky")


class Shop:
    """A cluster under virtual time, full of parts that write one common trace."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.trace: list[tuple[str, str]] = []
        self.scripts: dict[str, Script] = {}
        self.parts: dict[str, Part] = {}

    async def add(
        self,
        name: str,
        depends_on: str | None = None,
        *,
        group: str = "shop",
        restart: RestartPolicy | None = None,
        deadlines: Deadlines | None = None,
        drain_deadline: float = 10.0,
        **script: Any,
    ) -> Resource:
        self.scripts[name] = Script(**script)

        def make() -> Part:
            part = self.parts[name] = Part(self.scripts[name], self.trace)
            return part

        return await self.cluster.add(
            name,
            make,
            group=group,
            depends_on=depends_on,
            restart=restart,
            deadlines=deadlines,
            drain_deadline=drain_deadline,
        )

    def calls(self, name: str) -> list[str]:
        return [what for who, what in self.trace if who == name and what != "is_alive"]

    def place(self, name: str, what: str) -> int:
        """Where in the trace something last stands."""
        found = [place for place, one in enumerate(self.trace) if one == (name, what)]
        return found[-1]

    def states(self, name: str) -> list[ResourceState]:
        """The states a resource went through, as the cluster told."""
        return [
            one.new
            for one in self.cluster.history()
            if isinstance(one, StateChange) and one.resource == name
        ]

    def failures(self, name: str) -> list[FailureReport]:
        return [
            one
            for one in self.cluster.history()
            if isinstance(one, FailureReport) and one.resource == name
        ]


def check_events(events: Iterable[ClusterEvent]) -> None:
    """What is told of a run fits together, and every transition is legal."""
    states: dict[str, ResourceState] = {}
    groups: dict[str, GroupState] = {}
    epochs: dict[str, int] = {}
    for event in events:
        if isinstance(event, GroupStateChange):
            assert event.old is groups.get(event.group, GroupState.OFFLINE), event
            assert event.new is not event.old
            groups[event.group] = event.new
        elif isinstance(event, StateChange):
            assert event.old is states.get(event.resource, RS.OFFLINE), event
            assert is_legal(event.old, event.new), event
            assert event.epoch >= epochs.get(event.resource, 0), event
            states[event.resource] = event.new
            epochs[event.resource] = event.epoch


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``any_hosted`` over each kind of hosting."""
    if "hosting" in metafunc.fixturenames:
        is_any = metafunc.definition.get_closest_marker("any_hosted") is not None
        kinds = ["local", "delayed", "far"] if is_any else ["local"]
        metafunc.parametrize("hosting", kinds, ids=kinds if is_any else [""])


LONGEST_DELAY: Final = {"delayed": 0.002, "far": 0.05}
"""Seconds that a command or a report takes at most to arrive."""


def open_any_cluster(hosting: str) -> AbstractAsyncContextManager[Cluster]:
    """A cluster over a monitor in this program, or over one that is far away."""
    log, generator = EventLog(100_000), random.Random(1)
    if hosting == "local":
        return open_cluster(history=100_000, random=generator)
    delays = random.Random(2)

    async def delay(way: str) -> None:
        await trio.sleep(delays.choice((0.0, delays.uniform(0, LONGEST_DELAY[hosting]))))

    return ungrouped(
        open_cluster_over(
            open_delayed_monitor(delay), log=log, random=generator, shutdown_deadline=1200.0
        )
    )


@pytest.fixture
async def shop(autojump_clock: MockClock, hosting: str) -> AsyncGenerator[Shop, None]:
    """A cluster that a test fills; whatever it told in the end was legal."""
    async with open_any_cluster(hosting) as cluster:
        shop = Shop(cluster)
        yield shop
    check_events(cluster.history())
    assert all(resource.state in (RS.OFFLINE, RS.FAILED) for resource in cluster.resources.values())
