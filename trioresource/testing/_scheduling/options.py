"""What can go next, and is no task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    import trio

    from .controller import Controller

__all__ = ["CLOCK", "Cancellable", "Deadline", "Option"]

CLOCK: Final = "<clock>"


class Option(ABC):
    """Something that can go next, and is no task.

    Args:
        key: its name, in angle brackets.
    """

    def __init__(self, key: str) -> None:
        self.key: Final[str] = key
        self.ready: bool = True
        """Whether it can go at this moment, and not only later."""

    @abstractmethod
    def go(self) -> None:
        """Let it happen."""


@final
class Deadline(Option):
    """The next deadline expires, though tasks could run."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(CLOCK)
        self._controller = controller

    def go(self) -> None:
        """Let the time be when it expires."""
        self._controller.fire()


@final
class Cancellable(Option):
    """A scope is cancelled."""

    def __init__(self, controller: Controller, scope: trio.CancelScope, task: str) -> None:
        super().__init__(f"<cancel {task}>")
        self._controller = controller
        self._scope = scope

    def go(self) -> None:
        """Cancel it."""
        self._controller.cancellables.remove(self)
        self._scope.cancel()
