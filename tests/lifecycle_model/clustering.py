"""Runs a workload on a cluster of a few resources, and the model beside it."""

from __future__ import annotations

import functools
import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Literal, final

import trio

from tests.lifecycle_model.actor import CALLER, Actor, Script
from tests.lifecycle_model.cluster import ClusterModel, Needs
from tests.lifecycle_model.conduct import MONITOR
from tests.lifecycle_model.delaying import delayed
from tests.lifecycle_model.driving import Driver
from tests.lifecycle_model.hosting import POLL
from tests.lifecycle_model.observations import Ask, ClusterObservation
from tests.lifecycle_model.operations import Do, Operation, Renew, Say, Set
from tests.lifecycle_model.performing import Performer
from tests.lifecycle_model.requests import DONE
from tests.lifecycle_model.tapping import Tap
from trioresource._cluster.cluster import open_cluster_over
from trioresource._cluster.event_log import EventLog
from trioresource._model.policy import Deadlines, RestartAction, RestartPolicy
from trioresource._monitor.monitor import open_monitor_below
from trioresource._util.nurseries import ungrouped
from trioresource.testing import choose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from trioresource._cluster import Cluster
    from trioresource._cluster.hosting import Monitor, OpenMonitor
    from trioresource._model.reports import Report

__all__ = [
    "CLUSTER_DEADLINES",
    "EITHER",
    "PAIR",
    "RESTART",
    "Hosting",
    "cluster_model",
    "run_on_cluster",
]

Hosting = Literal["local", "delayed"]
"""Where the monitor is: beside the cluster, or far away."""

CLUSTER_DEADLINES: Final = Deadlines(soft=0.3, pending=5.0, deadlock=6.0, terminate=10.0)
"""A workload can overrun them, but for the last: then nothing gets stuck."""
RESTART: Final = RestartPolicy(
    action=RestartAction.RESTART, threshold=1, period=4.0, delay=0.5, retry=6.0
)
"""A budget that is soon spent, and soon renewed."""
DELAYS: Final = (0.0, 0.0, 0.01, 0.2, 0.7)
"""Seconds that a command or a report may travel; the plain schedule takes the first."""
_GROUP: Final = "shop"
PAIR: Final = {"db": Needs(), "web": Needs(("db",))}
"""``web`` depends on ``db``."""
EITHER: Final = {"db": Needs(), "web": Needs(), "app": Needs(("db", "web"), all_of_them=False)}
"""``app`` depends on ``db`` or ``web``."""
_PATIENCE: Final = 30.0
"""Seconds in which everything settles once there is no more trouble."""


def cluster_model(
    restart: RestartPolicy = RESTART,
    *,
    layout: Mapping[str, Needs] = PAIR,
    punctual: bool = True,
    now: float = 0.0,
) -> ClusterModel:
    """What the cluster has to be like before anything is in it.

    Args:
        restart: the restart policy of all resources.
        layout: what they depend on.
        punctual: whether deadlines are kept to the instant.
        now: when it begins.
    """
    return ClusterModel(
        (),
        _GROUP,
        now=now,
        layout=layout,
        restart=restart,
        deadlines=CLUSTER_DEADLINES,
        punctual=punctual,
    )


async def run_on_cluster(
    workload: Sequence[Operation],
    *,
    punctual: bool = True,
    restart: RestartPolicy = RESTART,
    layout: Mapping[str, Needs] = PAIR,
    hosting: Hosting = "local",
) -> tuple[ClusterObservation, ...]:
    """Run a workload on a cluster of a few resources, and compare with the model.

    After the workload all trouble ends, and all must come to be as they were asked to be.

    Args:
        workload: what happens, in this order.
        punctual: whether deadlines are kept to the instant. Not so where a schedule lets
            time pass while tasks could run: ``explore(..., timers=True)``.
        restart: the restart policy of all.
        layout: the resources, by their names, and what they depend on.
        hosting: whether commands and reports travel, each for as long as the schedule chooses.

    Returns:
        All that was observed.

    Raises:
        Deviation: cluster and model do not agree.
    """
    CALLER.set(MONITOR)
    log = EventLog(1000)
    with ExitStack() as stack:
        events = stack.enter_context(log.subscribe(100_000))
        model = cluster_model(restart, layout=layout, punctual=punctual, now=trio.current_time())
        driver = Driver(model, events.receive_nowait)
        tap = Tap(driver.see)
        trio.lowlevel.add_instrument(tap)
        stack.callback(trio.lowlevel.remove_instrument, tap)
        open_monitor: OpenMonitor = tap.at_monitor(_open_local_monitor)
        if hosting == "delayed":
            open_monitor = delayed(open_monitor, _travel)
        manager = open_cluster_over(
            tap.at_engine(open_monitor),
            log=log,
            random=random.Random(0),
            shutdown_deadline=1200.0,
            open_channel=tap.open_channel,
        )
        async with ungrouped(manager) as cluster:
            bench = _Bench(cluster, driver, restart, layout, punctual=punctual)
            try:
                await bench.fill()
            except TimeoutError:
                if punctual:
                    raise
                # A slow computer: open() had no turn in time.
                return ()
            with driver.scope:
                await bench.run(workload)
        driver.drain()
        driver.check(driver.model.at_rest)
    driver.end()
    return tuple(driver.seen)


def _open_local_monitor(
    reports: trio.MemorySendChannel[Report],
) -> AbstractAsyncContextManager[Monitor]:
    return open_monitor_below(reports)


async def _travel() -> None:
    """Wait as long as a command or a report travels."""
    seconds = choose(DELAYS)
    if seconds:
        await trio.sleep(seconds)


@final
class _Bench:
    """A cluster and its model."""

    def __init__(
        self,
        cluster: Cluster,
        driver: Driver[ClusterModel],
        restart: RestartPolicy,
        layout: Mapping[str, Needs],
        *,
        punctual: bool,
    ) -> None:
        self._punctual = punctual
        self._restart = restart
        self._layout = layout
        self._cluster = cluster
        self._driver = driver
        self._scripts = {name: Script(name) for name in layout}
        self._performer = Performer(self._scripts, driver, self._do, self._at_once)
        for name, script in self._scripts.items():
            script.quit = functools.partial(self._quit, name)

    async def fill(self) -> None:
        """Add the resources."""
        for name in self._scripts:
            await self._add(name)

    async def run(self, workload: Sequence[Operation]) -> None:
        """Run a workload, and what comes after it."""
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

    async def _add(self, name: str) -> None:
        needs = self._layout[name]
        joined = (" and " if needs.all_of_them else " or ").join(
            f"[{provider}]" for provider in needs.providers
        )
        await self._cluster.add(
            name,
            functools.partial(Actor, self._scripts[name]),
            group=_GROUP,
            depends_on=joined or None,
            restart=self._restart,
            deadlines=CLUSTER_DEADLINES,
            poll=POLL,
        )

    async def _quit(self, name: str) -> None:
        await self._driver.ask(Ask.QUIT, name, self._cluster.resource(name).terminate)

    async def _do(self, operation: Do | Renew) -> None:
        name = operation.resource
        if name not in self._cluster.resources:
            # It has been removed, and is not back yet.
            return
        if isinstance(operation, Renew):
            remove = functools.partial(self._cluster.remove, name)
            if await self._driver.ask(Ask.REMOVE, name, remove) == DONE:
                # What is said through the scopes of the old one is said of the old one.
                self._scripts[name].scopes.clear()
                try:
                    await self._add(name)
                except TimeoutError:
                    # A slow computer: open() had no turn in time, and it is not back.
                    if self._punctual:
                        raise
            return
        resource = self._cluster.resource(name)
        calls: dict[Ask, Callable[[], Awaitable[Any]]] = {
            Ask.ONLINE: resource.online,
            Ask.OFFLINE: resource.offline,
            Ask.TERMINATE: resource.terminate,
            Ask.CONTROL: functools.partial(resource.control, "code"),
        }
        call = calls[operation.what]
        await self._driver.ask(operation.what, name, call, patience=operation.patience)

    def _at_once(self, operation: Say | Set) -> None:
        name, driver = operation.resource, self._driver
        if isinstance(operation, Say) and name in self._cluster.resources:
            driver.at_once(Ask.FAIL, name, self._cluster.resource(name).fail)
