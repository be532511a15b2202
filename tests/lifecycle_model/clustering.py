"""Runs a workload on a cluster of two resources, and the model beside it."""

from __future__ import annotations

import functools
import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, final

import trio

from tests.lifecycle_model.actor import CALLER, Actor, Script
from tests.lifecycle_model.cluster import ClusterModel, MemberModel
from tests.lifecycle_model.conduct import MONITOR
from tests.lifecycle_model.driving import Driver
from tests.lifecycle_model.hosting import POLL
from tests.lifecycle_model.observations import Ask, ClusterObservation
from tests.lifecycle_model.operations import Do, Operation, Say, Set
from tests.lifecycle_model.performing import Performer
from tests.lifecycle_model.resource import ResourceModel
from tests.lifecycle_model.tapping import Tap
from trioresource._cluster.cluster import open_cluster
from trioresource._model.policy import Deadlines, RestartAction, RestartPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from trioresource._cluster import Cluster

__all__ = ["CLUSTER_DEADLINES", "RESTART", "cluster_model", "run_on_cluster"]

CLUSTER_DEADLINES: Final = Deadlines(soft=0.3, pending=5.0, deadlock=6.0, terminate=10.0)
"""A workload can overrun them, but for the last: then nothing gets stuck."""
RESTART: Final = RestartPolicy(
    action=RestartAction.RESTART, threshold=1, period=4.0, delay=0.5, retry=6.0
)
"""A budget that is soon spent, and soon renewed."""
_GROUP: Final = "shop"
_PROVIDERS: Final = {"db": (), "web": ("db",)}
_PATIENCE: Final = 30.0
"""Seconds in which everything settles once there is no more trouble."""


def cluster_model(
    restart: RestartPolicy = RESTART, *, punctual: bool = True, now: float = 0.0
) -> ClusterModel:
    """What the cluster has to be like before the workload begins.

    Args:
        restart: the restart policy of both resources.
        punctual: whether deadlines are kept to the instant.
        now: when it begins.
    """
    members = tuple(
        MemberModel(
            ResourceModel(name, CLUSTER_DEADLINES, punctual=punctual, now=now), providers, restart
        )
        for name, providers in _PROVIDERS.items()
    )
    return ClusterModel(members, _GROUP, soft=CLUSTER_DEADLINES.soft, punctual=punctual, now=now)


async def run_on_cluster(
    workload: Sequence[Operation], *, punctual: bool = True, restart: RestartPolicy = RESTART
) -> tuple[ClusterObservation, ...]:
    """Run a workload on a cluster of two resources, and compare with the model.

    After the workload all trouble ends, and both must come to be as they were asked to be.

    Args:
        workload: what happens, in this order; the resources in it are named ``db`` and
            ``web``, which depends on ``db``.
        punctual: whether deadlines are kept to the instant. Not so where a schedule lets
            time pass while tasks could run: ``explore(..., timers=True)``.
        restart: the restart policy of both.

    Returns:
        All that was observed.

    Raises:
        Deviation: cluster and model do not agree.
    """
    CALLER.set(MONITOR)
    with ExitStack() as stack:
        async with open_cluster(random=random.Random(0)) as cluster:
            tap = Tap(cluster)
            scripts = {name: Script(name) for name in _PROVIDERS}
            try:
                await _fill(cluster, scripts, restart)
            except TimeoutError:
                if punctual:
                    raise
                # A slow computer: open() had no turn in time.
                return ()
            events = stack.enter_context(cluster.subscribe(buffer=100_000))
            model = cluster_model(restart, punctual=punctual, now=trio.current_time())
            driver = Driver(model, events.receive_nowait)
            tap.note = driver.see
            bench = _Bench(cluster, scripts, driver, punctual=punctual)
            with driver.scope:
                await bench.run(workload)
        driver.drain()
        driver.check(driver.model.at_rest)
    driver.end()
    return tuple(driver.seen)


async def _fill(cluster: Cluster, scripts: dict[str, Script], restart: RestartPolicy) -> None:
    for name, script in scripts.items():
        await cluster.add(
            name,
            functools.partial(Actor, script),
            group=_GROUP,
            depends_on=_PROVIDERS[name],
            restart=restart,
            deadlines=CLUSTER_DEADLINES,
            poll=POLL,
        )


@final
class _Bench:
    """A cluster and its model."""

    def __init__(
        self,
        cluster: Cluster,
        scripts: dict[str, Script],
        driver: Driver[ClusterModel],
        *,
        punctual: bool,
    ) -> None:
        self._punctual = punctual
        self._cluster = cluster
        self._scripts = scripts
        self._driver = driver
        self._performer = Performer(scripts, driver, self._do, self._at_once)
        for name, script in scripts.items():
            terminate = cluster.resource(name).terminate
            script.quit = functools.partial(driver.ask, Ask.TERMINATE, name, terminate)

    async def run(self, workload: Sequence[Operation]) -> None:
        CALLER.set("a caller")
        await self._performer.perform(workload)
        for script in self._scripts.values():
            script.manners.clear()
        driver = self._driver
        await trio.sleep(_PATIENCE)
        driver.drain()
        # Where time may pass while tasks could run, a schedule that lets them starve ends in
        # a Livelock here.
        while not (self._punctual or driver.model.is_at_rest):
            await trio.sleep(_PATIENCE)
            driver.drain()
        driver.check(driver.model.at_rest)
        driver.asked(Ask.CLOSE, _GROUP)

    async def _do(self, operation: Do) -> None:
        resource = self._cluster.resource(operation.resource)
        calls: dict[Ask, Callable[[], Awaitable[Any]]] = {
            Ask.ONLINE: resource.online,
            Ask.OFFLINE: resource.offline,
            Ask.TERMINATE: resource.terminate,
            Ask.CONTROL: functools.partial(resource.control, "code"),
        }
        call = calls[operation.what]
        await self._driver.ask(operation.what, resource.name, call, patience=operation.patience)

    def _at_once(self, operation: Say | Set) -> None:
        resource, driver = self._cluster.resource(operation.resource), self._driver
        if isinstance(operation, Say):
            driver.at_once(Ask.FAIL, resource.name, resource.fail)
