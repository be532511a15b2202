from __future__ import annotations

import random
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, Final

import attrs
import pytest
import trio

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
from trioresource._model.states import GroupState, is_legal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

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


@pytest.fixture
async def shop(autojump_clock: MockClock) -> AsyncGenerator[Shop, None]:
    """A cluster that a test fills; whatever it told in the end was legal."""
    async with open_cluster(history=100_000, random=random.Random(1)) as cluster:
        shop = Shop(cluster)
        yield shop
    check_events(cluster.history())
    assert all(one.state in (RS.OFFLINE, RS.FAILED) for one in cluster.resources.values())
