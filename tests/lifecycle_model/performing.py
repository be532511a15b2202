"""Performs the operations of a workload, one after the other."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, final

import trio

from tests.lifecycle_model.observations import Ask
from tests.lifecycle_model.operations import (
    Behave,
    Do,
    Finish,
    Late,
    Operation,
    Renew,
    Say,
    Set,
    Wait,
)
from tests.lifecycle_model.requests import SAID

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tests.lifecycle_model.actor import Script
    from tests.lifecycle_model.driving import Driver
    from trioresource._handler import OnlineScope

__all__ = ["Performer"]


@final
class Performer:
    """Performs operations, on a monitor or on a cluster.

    Args:
        scripts: what is shared with the handlers, by the names of their resources.
        driver: is told of all that happens.
        do: asks for something and waits for the answer.
        at_once: does what needs no waiting.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script],
        driver: Driver[Any],
        do: Callable[[Do | Renew], Awaitable[None]],
        at_once: Callable[[Say | Set], None],
    ) -> None:
        self._scripts = scripts
        self._driver = driver
        self._do = do
        self._at_once = at_once
        for script in scripts.values():
            script.tell = driver.see
            script.progress = functools.partial(self._report, Ask.PROGRESS, script.name)

    async def perform(self, workload: Sequence[Operation]) -> None:
        """Do what the workload says, and wait until every request has been answered."""
        async with trio.open_nursery() as nursery:
            for operation in workload:
                if isinstance(operation, Wait):
                    await trio.sleep(operation.seconds)
                elif isinstance(operation, Do | Renew):
                    what = operation.what if isinstance(operation, Do) else Ask.REMOVE
                    name = f"{what.value} {operation.resource}"
                    nursery.start_soon(self._do, operation, name=name)
                else:
                    self._perform(operation, self._scripts[operation.resource])

    def _perform(self, operation: Say | Late | Finish | Behave | Set, script: Script) -> None:
        if isinstance(operation, Behave):
            script.manners[operation.entry] = operation
        elif isinstance(operation, Finish):
            script.ending = operation
            script.cue.set()
        elif isinstance(operation, Set) or operation.what is Ask.FAIL:
            assert not isinstance(operation, Late)
            self._at_once(operation)
        else:
            back = 2 if isinstance(operation, Late) else 1
            for scope in script.scopes[-back:][: len(script.scopes) - back + 1]:
                self._report(operation.what, operation.resource, scope)
                break

    def _report(self, what: Ask, name: str, scope: OnlineScope) -> None:
        say = scope.report_failure if what is Ask.REPORT else scope.report_progress
        call = functools.partial(say, SAID)
        self._driver.at_once(what, name, call, epoch=scope.epoch)
