"""What can happen next besides the step of a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

CLOCK: Final = "<clock>"


class Option(ABC):
    """Something that can happen next and is no task.

    Args:
        key: its name, in angle brackets.
    """

    def __init__(self, key: str) -> None:
        self.key: Final[str] = key
        self.ready: bool = True
        """Whether it can happen now, and not only later."""

    @abstractmethod
    def go(self) -> None:
        """Let it happen."""


@final
class Deadline(Option):
    """The next deadline expires although tasks could run.

    Args:
        expire: moves the virtual time to that deadline.
    """

    def __init__(self, expire: Callable[[], None]) -> None:
        super().__init__(CLOCK)
        self._expire = expire

    def go(self) -> None:
        """Let the deadline expire."""
        self._expire()


@final
class Cancellable(Option):
    """A scope is cancelled that the scenario marked by ``cancellable()``.

    Args:
        scope: the scope.
        task: the name of the task that opened it.
        marked: all scopes that can be cancelled now; this one leaves it when it is chosen.
    """

    def __init__(self, scope: trio.CancelScope, task: str, marked: list[Cancellable]) -> None:
        super().__init__(f"<cancel {task}>")
        self._scope = scope
        self._marked = marked

    def go(self) -> None:
        """Cancel the scope."""
        self._marked.remove(self)
        self._scope.cancel()
