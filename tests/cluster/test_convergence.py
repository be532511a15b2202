"""Whatever happens to whatever resources: order is kept, and all comes to what is desired."""

from __future__ import annotations

import random
from math import inf
from typing import Any, Final

import attrs
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trioresource import (
    Cluster,
    Deadlines,
    Dependencies,
    DesiredState,
    FailureReport,
    OnlineScope,
    Resource,
    ResourceHandler,
    ResourceNotAvailable,
    ResourceState,
    RestartPolicy,
    StateChange,
    TrioResourceError,
    open_cluster,
)
from trioresource._model.states import is_legal

RS: Final = ResourceState
_POLICY: Final = RestartPolicy(threshold=2, delay=0.5, retry=20)
_DEADLINES: Final = Deadlines(pending=8, terminate=3)


@attrs.frozen
class Nature:
    """What a resource is like."""

    depends_on: Dependencies
    online: float
    offline: float
    failures: int
    """So many of its first attempts fail to come online."""
    crash_after: float
    hangs: bool
    """Its first attempt never comes online."""
    stubborn: bool
    """Its first attempt goes on for 5 s after it was cancelled."""
    offline_fails: bool
    """Its first offline raises."""
    used: bool
    """Somebody uses what it provides, as often as that is there."""


class Unreliable(ResourceHandler[Any]):
    """Behaves by its nature; ``up`` is shared by all, and checked at every step."""

    def __init__(self, nature: Nature, natures: dict[str, Nature], up: dict[str, str]) -> None:
        self.nature = nature
        self.natures = natures
        self.up = up
        self.attempts = 0
        self.offlines = 0

    async def online(self, scope: OnlineScope) -> str:
        assert self.name not in self.up, "two attempts at once"
        self.up[self.name] = "online"
        self.attempts += 1
        if self.attempts == 1 and self.nature.hangs:
            await trio.sleep_forever()
        if self.attempts == 1 and self.nature.stubborn:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
        await trio.sleep(self.nature.online)
        if self.attempts <= self.nature.failures:
            raise OSError("not yet")
        if self.attempts == 1 and self.nature.crash_after < inf:
            scope.start_soon(self.crash)
        return self.name

    async def crash(self) -> None:
        await trio.sleep(self.nature.crash_after)
        raise OSError("crashed")

    async def offline(self, scope: OnlineScope) -> None:
        # The rule that this test is about: nobody is left that needs it.
        for name, doing in self.up.items():
            clauses = self.natures[name].depends_on.clauses
            for clause in clauses:
                others = [one for one in clause if one != self.name and one in self.up]
                assert self.name not in clause or others, f"{name} ({doing}) needs {self.name}"
        self.up[self.name] = "offline"
        self.offlines += 1
        await trio.sleep(self.nature.offline)
        if self.offlines == 1 and self.nature.offline_fails:
            raise OSError("stays")
        del self.up[self.name]

    async def terminate(self) -> None:
        self.up.pop(self.name, None)
        await trio.lowlevel.checkpoint()


@st.composite
def dependencies(draw: st.DrawFn, above: int) -> Dependencies:
    if not above:
        return Dependencies()
    names: list[int] = draw(st.lists(st.integers(0, above - 1), unique=True, max_size=3))
    clauses: list[tuple[str, ...]] = []
    for name in names:
        alternative: bool = draw(st.booleans())
        if clauses and alternative:
            clauses[-1] += (str(name),)
        else:
            clauses.append((str(name),))
    return Dependencies(tuple(clauses))


@st.composite
def systems(draw: st.DrawFn) -> list[Nature]:
    rarely = st.sampled_from([False, False, False, True])
    return [
        Nature(
            depends_on=draw(dependencies(number)),
            online=draw(st.sampled_from([0.0, 0.0, 0.3, 1.0])),
            offline=draw(st.sampled_from([0.0, 0.0, 0.3, 1.0])),
            failures=draw(st.sampled_from([0, 0, 0, 1, 4])),
            crash_after=draw(st.sampled_from([inf, inf, 0.0, 0.5, 2.0])),
            hangs=draw(rarely),
            stubborn=draw(rarely),
            offline_fails=draw(rarely),
            used=draw(rarely),
        )
        for number in range(draw(st.integers(1, 6)))
    ]


_COMMANDS: Final = (
    *("online", "offline", "fail", "terminate", "all online", "all offline"),
    *("lock", "unlock", "maintain", "end maintenance", "pause", "drain", "resume"),
)
commands = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.1, 0.3, 0.5, 1.0, 5.0]),
        st.sampled_from(_COMMANDS),
        st.integers(0, 5),
    ),
    max_size=12,
)


async def carry_out(cluster: Cluster, command: str, resource: Resource) -> None:
    # As a program would: what is refused is refused.
    try:
        match command:
            case "online":
                await resource.online()
            case "offline":
                await resource.offline()
            case "fail":
                resource.fail()
            case "terminate":
                await resource.terminate()
            case "all online":
                await cluster.online()
            case "all offline":
                await cluster.offline()
            case "lock" | "unlock":
                resource.set_locked(command == "lock")
            case "maintain" | "end maintenance":
                resource.set_maintenance(command == "maintain")
            case "pause" | "drain":
                await cluster.pause(drain=command == "drain")
            case "resume":
                await cluster.resume()
    except TrioResourceError:
        return


async def keep_using(resource: Resource) -> None:
    while True:
        try:
            async with resource.available():
                await trio.sleep(3)
        except ResourceNotAvailable:
            await trio.sleep(0.7)


def check_dependencies(natures: dict[str, Nature], cluster: Cluster) -> None:
    """At rest, so between two steps of time, nothing stays online without its providers."""
    for name, resource in cluster.resources.items():
        if resource.state is RS.ONLINE or resource.statistics().state is RS.ONLINE_PENDING:
            online = [one for one in resource.providers if cluster.resource(one).state is RS.ONLINE]
            assert natures[name].depends_on.is_satisfied(online.__contains__), name


def check_outcome(natures: dict[str, Nature], cluster: Cluster) -> None:
    up: list[str] = []
    for name, resource in cluster.resources.items():
        wanted = resource.desired is DesiredState.ONLINE
        if wanted and natures[name].depends_on.is_satisfied(up.__contains__):
            up.append(name)
            assert resource.state is RS.ONLINE, (name, resource)
        elif wanted:
            assert resource.state in (RS.OFFLINE, RS.FAILED), (name, resource)
        else:
            assert resource.state in (RS.OFFLINE, RS.FAILED), (name, resource)
    for name in cluster.resources:
        assert (name in up) == (cluster.resource(name).state is RS.ONLINE)


def check_history(cluster: Cluster) -> None:
    states: dict[str, ResourceState] = {}
    failed: list[tuple[str, int]] = []
    for event in cluster.history():
        if isinstance(event, StateChange):
            assert event.old is states.get(event.resource, RS.OFFLINE), event
            assert is_legal(event.old, event.new), event
            states[event.resource] = event.new
        elif isinstance(event, FailureReport):
            failed.append((event.resource, event.epoch))
    assert len(set(failed)) == len(failed), "two failures of one attempt"


async def run(system: list[Nature], todo: list[tuple[float, str, int]], seed: int) -> None:
    natures = {str(number): nature for number, nature in enumerate(system)}
    up: dict[str, str] = {}
    async with trio.open_nursery() as nursery:
        async with open_cluster(history=1_000_000, random=random.Random(seed)) as cluster:
            for name, nature in natures.items():
                await cluster.add(
                    name,
                    lambda nature=nature: Unreliable(nature, natures, up),  # type: ignore[misc]
                    depends_on=nature.depends_on,
                    restart=_POLICY,
                    deadlines=_DEADLINES,
                    drain_deadline=2,
                )
                if nature.used:
                    nursery.start_soon(keep_using, cluster.resource(name))  # noqa: ASYNC111 - ends with the cluster, or after it

            async def watch() -> None:
                while True:
                    await trio.sleep(0.371)
                    check_dependencies(natures, cluster)

            async with trio.open_nursery() as watching:
                watching.start_soon(watch)
                await cluster.online()
                for pause, command, number in todo:
                    await trio.sleep(pause)
                    await carry_out(cluster, command, cluster.resource(str(number % len(system))))
                for resource in cluster.resources.values():
                    resource.set_locked(False)
                    resource.set_maintenance(False)
                await cluster.resume()
                await trio.sleep(30)
                watching.cancel_scope.cancel()
            await trio.sleep(200)
            check_outcome(natures, cluster)
        check_history(cluster)
        assert up == {}
        nursery.cancel_scope.cancel()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(systems(), commands, st.integers(0, 1000))
def test_any_system_converges(
    system: list[Nature], todo: list[tuple[float, str, int]], seed: int
) -> None:
    trio.run(run, system, todo, seed, clock=trio.testing.MockClock(autojump_threshold=0))
