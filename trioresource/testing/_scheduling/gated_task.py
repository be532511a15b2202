"""A task of the scenario, which goes on only when its turn comes.

Trio has no hook that chooses the next task. But it asks a task's coroutine for the next step
through an attribute that may be assigned, ``Task.coro``. So a ``GatedTask`` takes the
coroutine's place. When Trio resumes the task, the ``GatedTask`` keeps what it is sent and
blocks the task again. When the task's turn has come, the controller reschedules it, and the
``GatedTask`` passes on what it has kept. A task that waits for its turn is in the same state
as a task in Trio's own queue: it has been resumed, its result is fixed, and cancellation can
no longer reach it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import trio
from outcome import Error, Outcome, Value

from .stacks import waits_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .tracing import Tracer


def _refuse(_: Callable[[], Any]) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


PARK: Final = trio.lowlevel.wait_task_rescheduled(_refuse).send(None)  # noqa: ASYNC105
"""What blocks a task until it is rescheduled, and cannot be cancelled. One message serves all
tasks, since it holds nothing of a task."""

# What a task says to Trio that could go on at once.
_PASS: Final = trio.lowlevel.cancel_shielded_checkpoint().send(None)  # noqa: ASYNC105


class TurnKeeper(Protocol):
    """What a task needs of the controller of its schedule."""

    @property
    def live(self) -> dict[trio.lowlevel.Task, GatedTask]:
        """The tasks that have not ended."""
        ...

    @property
    def arrived(self) -> list[GatedTask]:
        """The tasks that have begun to wait for their turn since the last turn."""
        ...

    @property
    def watched(self) -> bool:
        """Whether ``stepped`` is to be called after each step."""
        ...

    @property
    def given_up(self) -> bool:
        """Whether tasks are to end now, without another step."""
        ...

    @property
    def tracer(self) -> Tracer | None:
        """What notes the lines of each step, if anything does."""
        ...

    @property
    def now(self) -> float:
        """The virtual time."""
        ...

    def refuse_wait(self, gated: GatedTask, what: str) -> None:
        """Learn that a task waits for something that no schedule controls."""
        ...

    def stepped(self, gated: GatedTask) -> None:
        """Learn that a task has run until its next wait, or its end."""
        ...


@final
class GatedTask:
    """Take the place of a task's coroutine.

    Args:
        controller: decides when it is the task's turn.
        task: the task, which has not run yet.
        key: its place in the tree of tasks.
        number: how many tasks were spawned before it.
    """

    # Without a dictionary: there is one of these for each task of each schedule.
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
        self, controller: TurnKeeper, task: trio.lowlevel.Task, key: str, number: int
    ) -> None:
        self._controller = controller
        self._coro: Coroutine[Any, Any, Any] = task.coro
        self._message: Outcome[Any] | None = None
        self.task: Final = task
        self.key: Final = key
        self.number: Final = number
        self.parked: bool = False
        """Whether it waits for its turn."""
        self.delivered: bool = False
        """Whether the last thing that it was sent was ``Cancelled``."""
        self.outside: bool = False
        """Whether it waits for something that no schedule controls."""
        self.children: dict[str, int] = {}
        """How many children of each name it has spawned."""

    def send(self, value: Any) -> Any:
        """Keep what Trio sends; when it is the task's turn, pass it on."""
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
                trap = controller.tracer.step(self.key, self._coro, message, controller.now)
            else:
                trap = self._coro.send(message)
        except BaseException:
            # Also StopIteration: the task is over.
            del controller.live[self.task]
            raise
        else:
            if trap is _PASS:
                # Trio would resume it in its next pass, and nothing can come between.
                return self._park(Value(None))
            outside = waits_outside(trap)
            if outside is not None:
                controller.refuse_wait(self, outside)
            return trap
        finally:
            if controller.watched:
                controller.stepped(self)

    def _park(self, message: Any) -> Any:
        self._message = message
        self.parked = True
        self._controller.arrived.append(self)
        return PARK

    def _end(self) -> None:
        """Close the coroutine of a task that nothing else has ended, and report its end."""
        # RuntimeError: it awaited once more. Nothing else could be done.
        with contextlib.suppress(RuntimeError):
            self._coro.close()
        raise StopIteration

    def throw(self, *exc_info: Any) -> Any:
        """Do as the coroutine does."""
        return self._coro.throw(*exc_info)

    def close(self) -> None:
        """Do as the coroutine does."""
        self._coro.close()

    def __getattr__(self, name: str) -> Any:
        # cr_frame, cr_await and the like, which code that walks stacks asks for.
        return getattr(self._coro, name)
