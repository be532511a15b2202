"""Where tasks wait, in words for people."""

from __future__ import annotations

import functools
import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import outcome
import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType

    from .task_gate import GatedTask

__all__ = ["is_kit", "is_ours", "place", "stacks", "waits_for_idle", "waits_outside"]


def _code(function: Any) -> CodeType:
    code: CodeType = function.__code__
    return code


_IDLE: Final = _code(trio.testing.wait_all_tasks_blocked)
_THREADS: Final = _code(trio.to_thread.run_sync).co_filename
_IO: Final = str(Path(_code(trio.lowlevel.checkpoint).co_filename).parent / "_io_")


def _folder(path: str | None) -> str:
    assert path is not None
    return str(Path(path).resolve().parent) + os.sep


_KIT: Final = _folder(__file__)
_NOT_OURS: Final = (
    _KIT,
    _folder(trio.__file__),
    _folder(outcome.__file__),
    "<",
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")),
)
_SHOWN: Final = 4
"""Frames shown of a task, innermost first: enough to see who called what waits."""


def is_ours(filename: str) -> bool:
    """Whether a file is part of the code under test: not Trio, Python or the kit."""
    return not filename.startswith(_NOT_OURS)


def is_kit(filename: str) -> bool:
    """Whether a file is part of the kit."""
    return filename.startswith(_KIT)


def place(filename: str, line: int) -> str:
    """A line of source, as short as a column of a table needs it."""
    return f"{Path(filename).name}:{line}"


def stacks(tasks: Iterable[GatedTask]) -> Iterator[str]:
    """A line for each task: where it waits, innermost first."""
    for gated in tasks:
        frames, ours = [], []
        for frame, line in gated.task.iter_await_frames():
            code = frame.f_code
            if code.co_filename.startswith(_KIT):
                continue
            text = f"{code.co_name} ({place(code.co_filename, line)})"
            frames.append(text)
            if is_ours(code.co_filename):
                ours.append(text)
        shown = (ours or frames)[-_SHOWN:]
        what = "could go on" if gated.parked else "waits"
        yield f"{gated.key} {what}: {' < '.join(reversed(shown)) or 'it has not begun'}"


def waits_for_idle(task: trio.lowlevel.Task) -> bool:
    """Whether a task waits until all others are blocked."""
    return any(frame.f_code is _IDLE for frame, _ in task.iter_await_frames())


def waits_outside(trap: object) -> str | None:
    """What a task that has just blocked waits for, if that is outside of Trio.

    Args:
        trap: what its coroutine has yielded: a message that says how to abort the wait, by
            a function that comes from the module that waits.
    """
    code = getattr(getattr(trap, "abort_func", None), "__code__", None)
    return None if code is None else _outside(code)


@functools.lru_cache(1000)
def _outside(code: CodeType) -> str | None:
    if code.co_filename == _THREADS:
        return "waits for a thread"
    return "waits for a descriptor" if code.co_filename.startswith(_IO) else None
