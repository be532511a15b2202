"""Note which lines a schedule runs, in the one replay that a report is made from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, final

from .stacks import is_under_test

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import FrameType

Line = tuple[str, int]
"""A file's name and a line's number."""

_LINES_KEPT: Final = 1000
"""Lines kept of one step; a step that loops would fill the memory."""


@final
class Tracer:
    """Note the lines of the code under test that each step begins.

    During each step it takes the place of the trace function of a debugger or a coverage
    tool, which therefore misses the step; after the step that function is restored.
    """

    def __init__(self) -> None:
        self.lines: Final[list[tuple[str, float, list[Line]]]] = []
        """For each step of a task: the task's name, the virtual time, and the lines."""
        self._current: list[Line] = []

    def step(self, key: str, coro: Coroutine[Any, Any, Any], message: Any, now: float) -> Any:
        """Run a task until its next wait.

        Args:
            key: the task's name.
            coro: its coroutine.
            message: what the coroutine is sent.
            now: the virtual time.

        Returns:
            What the coroutine yielded.
        """
        self._current = []
        self.lines.append((key, now, self._current))
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            return coro.send(message)
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        return self._line if is_under_test(frame.f_code.co_filename) else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and len(self._current) < _LINES_KEPT:
            self._current.append((frame.f_code.co_filename, frame.f_lineno))
        return self._line
