"""The gate: put every task of the scenario under the controller's command.

Trio tells an instrument of each new task before that can run. That is when a ``GatedTask``
takes the place of its coroutine.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final, cast, final

import trio

from .gated_task import PARK, GatedTask

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import CodeType, CoroutineType

    from outcome import Outcome

    from .controller import Controller

_QUALIFIED: Final = re.compile(r"[\w.<>]+")
_RUN_SYNC_SOON: Final = "run_sync_soon"


@final
class SoonTask:
    """Take the place of the coroutine of Trio's task that runs what ``run_sync_soon()`` was given.

    Trio would run it in the same pass as a step of the scenario, before or after that by
    chance. With this, it always runs between two steps.
    """

    __slots__ = ("_coro", "_gate", "_parked", "_task")

    def __init__(self, gate: TaskGate, task: trio.lowlevel.Task) -> None:
        self._gate = gate
        self._task = task
        self._coro: Coroutine[Any, Any, Any] = task.coro
        self._parked: Outcome[Any] | None = None

    def send(self, value: Any) -> Any:
        """Keep what Trio sends until the controller's turn."""
        parked = self._parked
        if parked is None and value is not None and self._gate.controller is not None:
            self._parked = value
            self._gate.soon = self._task
            return PARK
        self._parked = None
        return self._coro.send(value if parked is None else parked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)


@final
class TaskGate(trio.abc.Instrument):
    """Replace the coroutine of every task of the scenario.

    System tasks that the code under test spawns are controlled as well. Trio's own are not,
    nor are those that wait for the outside on the scenario's behalf.

    Args:
        main: the code of the function that a scenario's first task runs.
    """

    def __init__(self, main: CodeType) -> None:
        self._main: Final = main
        self.controller: Controller | None = None
        """Decides what goes next, as soon as there is a schedule."""
        self.soon: trio.lowlevel.Task | None = None
        """Has something to do that was given to ``run_sync_soon()``."""

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """Put a new task, which has not run yet, under the controller's command."""
        if task.parent_nursery is None:
            return
        controller = self.controller
        if controller is None:
            if _RUN_SYNC_SOON in task.name:
                _replace(task, SoonTask(self, task))
            return
        if controller.external_waits.spawning:
            return
        try:
            self._admit(controller, task, task.parent_nursery.parent_task)
        except BaseException as error:  # noqa: ASYNC103 - nothing here is awaited
            # Trio would write it to a log and go on without this instrument.
            controller.crash(error)

    def _admit(
        self, controller: Controller, task: trio.lowlevel.Task, parent: trio.lowlevel.Task
    ) -> None:
        name = _short(task.name)
        above = controller.live.get(parent)
        if above is not None:
            key = _numbered(f"{above.key}/{name}", above.children)
        elif task.coro.cr_code is self._main:
            key = "main"
        elif controller.main is None or parent.parent_nursery or _RUN_SYNC_SOON in name:
            return
        else:
            controller.system_tasks = True
            key = _numbered(f"system/{name}", controller.system_children)
        gated = GatedTask(controller, task, key, controller.spawned)
        controller.spawned += 1
        controller.live[task] = gated
        if key == "main":
            controller.main = gated
        _replace(task, gated)


def _replace(task: trio.lowlevel.Task, by: GatedTask | SoonTask) -> None:
    task.coro = cast("CoroutineType[Any, Outcome[object], Any]", by)


@functools.lru_cache(1000)
def _short(name: str) -> str:
    if _QUALIFIED.fullmatch(name):
        name = name.rpartition(".")[2]
    return name.replace("/", "|")


def _numbered(stem: str, used: dict[str, int]) -> str:
    count = used.get(stem, 0)
    used[stem] = count + 1
    return stem if count == 0 else f"{stem}#{count}"
