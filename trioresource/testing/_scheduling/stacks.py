"""Say in words where tasks wait, and tell the code under test from all other code."""

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
    from types import CodeType


def _code(function: Any) -> CodeType:
    code: CodeType = function.__code__
    return code


_IDLE: Final = _code(trio.testing.wait_all_tasks_blocked)
_THREADS: Final = _code(trio.to_thread.run_sync).co_filename
_IO: Final = str(Path(_code(trio.lowlevel.checkpoint).co_filename).parent / "_io_")


def _folder(path: str | None) -> str:
    assert path is not None
    return str(Path(path).resolve().parent) + os.sep


# The whole kit, trioresource/testing/, with the other packages beside this one.
_KIT: Final = _folder(_folder(__file__))
_NOT_UNDER_TEST: Final = (
    _KIT,
    _folder(trio.__file__),
    _folder(outcome.__file__),
    "<",
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")),
)
_FRAMES_SHOWN: Final = 4
"""Frames shown of a task, innermost first: enough to see which call led to the wait."""


def is_under_test(filename: str) -> bool:
    """Say whether a file is part of the code under test: not Trio, Python or the kit."""
    return not filename.startswith(_NOT_UNDER_TEST)


def is_kit(filename: str) -> bool:
    """Say whether a file is part of the kit."""
    return filename.startswith(_KIT)


def place(filename: str, line: int) -> str:
    """Name a line of source briefly enough for a column of a table."""
    return f"{Path(filename).name}:{line}"


def describe_wait(key: str, task: trio.lowlevel.Task, *, runnable: bool) -> str:
    """Say in one line where a task waits, innermost frame first.

    Args:
        key: the task's name.
        task: the task.
        runnable: whether it could go on, and only waits for its turn.
    """
    frames, under_test = [], []
    for frame, line in task.iter_await_frames():
        code = frame.f_code
        if is_kit(code.co_filename):
            continue
        text = f"{code.co_name} ({place(code.co_filename, line)})"
        frames.append(text)
        if is_under_test(code.co_filename):
            under_test.append(text)
    shown = (under_test or frames)[-_FRAMES_SHOWN:]
    what = "could go on" if runnable else "waits"
    return f"{key} {what}: {' < '.join(reversed(shown)) or 'it has not begun'}"


def waits_for_idle(task: trio.lowlevel.Task) -> bool:
    """Say whether a task waits until all others are blocked."""
    return any(frame.f_code is _IDLE for frame, _ in task.iter_await_frames())


def waits_outside(trap: object) -> str | None:
    """Say what a task that has just blocked waits for, if that is outside of Trio.

    Args:
        trap: what its coroutine has yielded. It holds the function that aborts the wait,
            and that function's code belongs to the module that waits.
    """
    code = getattr(getattr(trap, "abort_func", None), "__code__", None)
    return None if code is None else _outside(code)


@functools.lru_cache(1000)
def _outside(code: CodeType) -> str | None:
    if code.co_filename == _THREADS:
        return "waits for a thread"
    return "waits for a descriptor" if code.co_filename.startswith(_IO) else None
