"""The gate: every task waits here for its turn.

Trio has no hook that chooses the next task. But it tells an instrument of each new task
before that can run, and asks the task's coroutine for its next step through an attribute
that may be assigned, ``Task.coro``. So a stand-in takes the coroutine's place. When Trio
resumes the task, the stand-in keeps what it is sent and blocks the task again; when the
task's turn has come, it is rescheduled and the stand-in passes on what it has kept. A
task at the gate is what a task in Trio's own queue is: resumed already, with its result
fixed, and beyond cancellation's reach.
"""

from __future__ import annotations

import contextlib
import functools
import re
from typing import TYPE_CHECKING, Any, Final, cast, final

import trio
from outcome import Error, Outcome, Value

from .stacks import waits_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import CodeType, CoroutineType

    from .controller import Controller

__all__ = ["Gate", "GatedTask"]


def _refuse(_: Callable[[], Any]) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


# What blocks a task until it is rescheduled, and can not be cancelled: one message for
# all of them, since it holds nothing of a task.
_PARK: Final = trio.lowlevel.wait_task_rescheduled(_refuse).send(None)  # noqa: ASYNC105

# What a task says to Trio that could go on at once.
_PASS: Final = trio.lowlevel.cancel_shielded_checkpoint().send(None)  # noqa: ASYNC105

_QUALIFIED: Final = re.compile(r"[\w.<>]+")
_RUN_SYNC_SOON: Final = "run_sync_soon"


@final
class GatedTask:
    """Stands in for a task's coroutine."""

    __slots__ = (
        "_controller",
        "_coro",
        "_message",
        "children",
        "delivered",
        "key",
        "number",
        "outside",
        "parked",
        "task",
    )

    def __init__(
        self, controller: Controller, task: trio.lowlevel.Task, key: str, number: int
    ) -> None:
        self._controller = controller
        self._coro: Coroutine[Any, Any, Any] = task.coro
        self._message: Outcome[Any] | None = None
        self.task: Final = task
        self.key: Final = key
        """Its place in the tree of tasks."""
        self.number: Final = number
        """How many were spawned before it."""
        self.parked: bool = False
        self.delivered: bool = False
        """Whether the last thing it was sent was ``Cancelled``."""
        self.outside: bool = False
        """Whether it waits for something that no schedule controls."""
        self.children: dict[str, int] = {}

    def send(self, value: Any) -> Any:
        """Trio resumes the task: keep that, or, when it is the task's turn, pass it on."""
        controller = self._controller
        if not self.parked:
            self.outside = False
            return self._park(value)
        self.parked = False
        message, self._message = self._message, None
        if controller.watched:
            self.delivered = isinstance(message, Error) and isinstance(
                message.error, trio.Cancelled
            )
        try:
            if controller.given_up:
                self._end()
            if controller.tracer is not None:
                trap = controller.tracer.step(self, self._coro, message, controller.now)
            else:
                trap = self._coro.send(message)
        except BaseException:
            # StopIteration among them: the task is over.
            del controller.live[self.task]
            raise
        else:
            if trap is _PASS:
                # Trio would resume it in its next pass, and nothing can come between.
                return self._park(Value(None))
            outside = waits_outside(trap)
            if outside is not None:
                controller.fence(self, outside)
            return trap
        finally:
            if controller.watched:
                controller.stepped(self)

    def _park(self, message: Any) -> Any:
        self._message = message
        self.parked = True
        self._controller.arrived.append(self)
        return _PARK

    def _end(self) -> None:
        """Nothing else has ended the task: close its coroutine, and say that it is over."""
        # RuntimeError: it awaited again. There is no more that could be done.
        with contextlib.suppress(RuntimeError):
            self._coro.close()
        raise StopIteration

    def throw(self, *exc_info: Any) -> Any:
        """As the coroutine itself."""
        return self._coro.throw(*exc_info)

    def close(self) -> None:
        """As the coroutine itself."""
        self._coro.close()

    def __getattr__(self, name: str) -> Any:
        # cr_frame, cr_await and the like, for those who look at stacks.
        return getattr(self._coro, name)


@final
class SoonTask:
    """Stands in for the coroutine of Trio's task that runs what ``run_sync_soon()`` was given.

    It would go in the same pass as a step of the scenario, before or after it by chance.
    Now it always goes between two steps.
    """

    __slots__ = ("_coro", "_gate", "_parked", "_task")

    def __init__(self, gate: Gate, task: trio.lowlevel.Task) -> None:
        self._gate = gate
        self._task = task
        self._coro: Coroutine[Any, Any, Any] = task.coro
        self._parked: Outcome[Any] | None = None

    def send(self, value: Any) -> Any:
        """Trio resumes the task: keep that until the controller's turn."""
        parked = self._parked
        if parked is None and value is not None and self._gate.controller is not None:
            self._parked = value
            self._gate.soon = self._task
            return _PARK
        self._parked = None
        return self._coro.send(value if parked is None else parked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)


@final
class Gate(trio.abc.Instrument):
    """Puts a stand-in before every task of the scenario.

    System tasks that the code under test spawns are controlled as well. Not so Trio's own,
    and those that wait for the outside on the scenario's behalf.

    Args:
        main: the code of the function that a scenario's first task runs.
    """

    def __init__(self, main: CodeType) -> None:
        self.main: Final = main
        self.controller: Controller | None = None
        """Decides who goes next, while there is a schedule."""
        self.soon: trio.lowlevel.Task | None = None
        """Has something to do that was given to run_sync_soon()."""
        self.free: bool = False
        """Whether tasks spawned at this moment are none of the scenario's."""

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """A task has come to be, and has not run yet."""
        if self.free or task.parent_nursery is None:
            return
        if self.controller is None:
            if _RUN_SYNC_SOON in task.name:
                _replace(task, SoonTask(self, task))
            return
        try:
            self._admit(self.controller, task, task.parent_nursery.parent_task)
        except BaseException as error:  # noqa: ASYNC103 - nothing here is awaited
            # Trio would write it to a log and go on without this instrument.
            self.controller.crash(error)

    def _admit(
        self, controller: Controller, task: trio.lowlevel.Task, parent: trio.lowlevel.Task
    ) -> None:
        name = _short(task.name)
        above = controller.live.get(parent)
        if above is not None:
            key = _numbered(f"{above.key}/{name}", above.children)
        elif task.coro.cr_code is self.main:
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
