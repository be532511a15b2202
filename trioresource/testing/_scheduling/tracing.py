"""Which lines a schedule runs: for its table, in the one replay that a report is made from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, final

from .stacks import is_ours

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import FrameType

    from .task_gate import GatedTask

__all__ = ["Line", "Tracer"]

Line = tuple[str, int]
"""A file's name and a line's number."""

_MOST: Final = 1000
"""Lines kept of one step."""


@final
class Tracer:
    """Notes the lines of the code under test that each step begins.

    A debugger or a coverage tool that traces as well loses sight of these steps.
    """

    def __init__(self) -> None:
        self.lines: Final[list[tuple[str, float, list[Line]]]] = []
        """For each step of a task: its name, the virtual time, and the lines."""
        self._current: list[Line] = []

    def step(
        self, gated: GatedTask, coro: Coroutine[Any, Any, Any], message: Any, now: float
    ) -> Any:
        """Let a task go on until its next wait."""
        self._current = []
        self.lines.append((gated.key, now, self._current))
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            return coro.send(message)
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        return self._line if is_ours(frame.f_code.co_filename) else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and len(self._current) < _MOST:
            self._current.append((frame.f_code.co_filename, frame.f_lineno))
        return self._line
