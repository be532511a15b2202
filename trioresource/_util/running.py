"""Which resource a task works for.

Each task that a monitor starts notes this in its own context before it runs any code of a
handler. So it is known for every task below it, and can be read from another thread.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, Protocol

import trio


class RunningResource(Protocol):
    """A resource as its own tasks, and those who look for it, know it."""

    @property
    def name(self) -> str:
        """The name of the resource."""
        ...

    @property
    def instance(self) -> int:
        """The number of this instance in its process."""
        ...

    def is_current_task_within(self) -> bool:
        """Whether the current task belongs to the attempt that runs, so it cannot join it."""
        ...

    def is_current_task_at_entry_point(self) -> bool:
        """Whether the current task runs an entry point, or a task that has to end before it."""
        ...

    def blocked_the_loop(self, detail: str) -> None:
        """Let the attempt fail: code of the handler kept the event loop from turning."""


RUNNING_RESOURCE: Final[ContextVar[RunningResource | None]] = ContextVar(
    "trioresource_running", default=None
)
"""The resource that the task works for; None outside of a monitor's tasks."""


def is_task_of(instance: int) -> bool:
    """Whether the current task belongs to the attempt of a resource, at any remove.

    Args:
        instance: the number of the resource's instance.
    """
    resource = RUNNING_RESOURCE.get()
    return (
        resource is not None and resource.instance == instance and resource.is_current_task_within()
    )


def is_token_of_this_run(token: trio.lowlevel.TrioToken) -> bool:
    """Whether the caller runs in the Trio run of a token, and not in another thread.

    ``trio.lowlevel.in_trio_run()`` does not tell: it is also true in a second run, in another
    thread.

    Args:
        token: the token of a run.
    """
    try:
        return trio.lowlevel.current_trio_token() is token
    except RuntimeError:
        return False


def is_entry_point_of(instance: int) -> bool:
    """Whether the current task runs an entry point of a resource, or is awaited by one.

    Such a task cannot wait for its turn at another entry point, nor for a change that comes
    when the entry point has returned: it would wait for itself. A task of ``scope.start_soon``
    can, and so can a task of ``scope.start`` once it has called ``started``.

    Args:
        instance: the number of the resource's instance.
    """
    resource = RUNNING_RESOURCE.get()
    return (
        resource is not None
        and resource.instance == instance
        and resource.is_current_task_at_entry_point()
    )
