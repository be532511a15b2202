"""Runs a workload on one resource in a monitor, and the model beside it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, final

import trio

from tests.lifecycle_model.actor import CALLER, Actor, Script, TrustedActor
from tests.lifecycle_model.conduct import MONITOR
from tests.lifecycle_model.driving import Driver
from tests.lifecycle_model.observations import Ask, ClusterObservation
from tests.lifecycle_model.operations import Do, Operation, Renew, Say, Set
from tests.lifecycle_model.performing import Performer
from tests.lifecycle_model.resource import ResourceModel, resource_model
from trioresource._model.policy import Deadlines, PollIntervals
from trioresource._monitor.monitor import open_monitor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from trioresource._monitor import HostedResource, ResourceMonitor

__all__ = ["DEADLINES", "POLL", "run_on_monitor"]

DEADLINES: Final = Deadlines(soft=0.3, pending=2.0, deadlock=3.0, terminate=1.0)
"""Short, so that a workload can overrun them."""
POLL: Final = PollIntervals(looks_alive=1.0, is_alive=4.0)
_NAME: Final = "r"
_STUCK: Final = "ResourceStuck"
_LONGEST: Final = 20.0
"""No single thing in a workload takes so many seconds."""


async def run_on_monitor(
    workload: Sequence[Operation],
    *,
    punctual: bool = True,
    trusting: bool = False,
    detecting: bool = False,
    deadlines: Deadlines = DEADLINES,
) -> tuple[ClusterObservation, ...]:
    """Run a workload on a resource in a monitor, and compare with the model.

    Args:
        workload: what happens, in this order; the resource in it is named ``r``.
        punctual: whether deadlines are kept to the instant. Not so where a schedule lets
            time pass while tasks could run: ``explore(..., timers=True)``.
        trusting: whether a reported failure counts at once.
        detecting: whether the handler has a failure source of its own.
        deadlines: those of the resource.

    Returns:
        All that was observed.

    Raises:
        Deviation: monitor and model do not agree.
    """
    CALLER.set(MONITOR)
    async with open_monitor() as monitor:
        script = Script(_NAME, detects=detecting)
        factory = functools.partial(TrustedActor if trusting else Actor, script)
        try:
            hosted = await monitor.host(_NAME, factory, deadlines=deadlines, poll=POLL)
        except TimeoutError:
            if punctual:
                raise
            # A slow computer: open() had no turn in time.
            return ()
        monitor.reports.receive_nowait()  # that it is offline now, and no longer initializing
        model = resource_model(
            _NAME,
            deadlines,
            punctual=punctual,
            trusting=trusting,
            detecting=detecting,
            now=trio.current_time(),
        )
        driver = Driver(model, monitor.reports.receive_nowait)
        bench = _Bench(monitor, hosted, script, driver)
        with driver.scope:
            await bench.run(workload)
    driver.end()
    return tuple(driver.seen)


@final
class _Bench:
    """One hosted resource and its model."""

    def __init__(
        self,
        monitor: ResourceMonitor,
        hosted: HostedResource,
        script: Script,
        driver: Driver[ResourceModel],
    ) -> None:
        self._monitor = monitor
        self._hosted = hosted
        self._driver = driver
        self._performer = Performer({_NAME: script}, driver, self._do, self._at_once)
        script.quit = functools.partial(driver.ask, Ask.QUIT, _NAME, hosted.terminate)

    async def run(self, workload: Sequence[Operation]) -> None:
        driver = self._driver
        CALLER.set("a caller")
        await self._performer.perform(workload)
        close = functools.partial(self._monitor.unhost, _NAME)
        answer = await driver.ask(Ask.CLOSE, _NAME, close)
        while answer == _STUCK:
            # It ends in the end.
            await trio.sleep(_LONGEST)
            answer = await driver.ask(Ask.CLOSE, _NAME, close)
        driver.drain()
        driver.check(lambda: driver.model.at_rest(trio.current_time()))

    async def _do(self, operation: Do | Renew) -> None:
        assert isinstance(operation, Do)
        hosted = self._hosted
        calls: dict[Ask, Callable[[], Awaitable[Any]]] = {
            Ask.ONLINE: hosted.online,
            Ask.OFFLINE: hosted.offline,
            Ask.TERMINATE: hosted.terminate,
            Ask.CONTROL: functools.partial(hosted.control, "code"),
        }
        call = calls[operation.what]
        await self._driver.ask(operation.what, _NAME, call, patience=operation.patience)

    def _at_once(self, operation: Say | Set) -> None:
        hosted, driver = self._hosted, self._driver
        if isinstance(operation, Say):
            driver.at_once(Ask.FAIL, _NAME, hosted.fail)
        else:
            stored = {"value": operation.value}
            store = functools.partial(hosted.store_properties, stored)
            driver.at_once(Ask.CHANGE, _NAME, store, value=operation.value)
