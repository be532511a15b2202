"""What is checked: a handler, what it is given, and how it can be broken from outside."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import attrs

from ..._handler import HandlerFactory
from .._scheduling.fake_process import living_fakes

__all__ = ["FAKE_SCHEDULES", "REAL_SCHEDULES", "Kill", "Subject", "Surroundings", "children"]

Kill = Callable[[Any], object]
"""Breaks what a resource stands for, as if from outside; does not block.

It is given what the resource provides, or ``None`` while that is coming online, and
returns ``False`` if there is nothing to break."""

Surroundings = Callable[[], AbstractAsyncContextManager[object]]
"""Makes what must be there before the handler, for each schedule anew."""

FAKE_SCHEDULES: Final = 40
"""For each check, so that all of them take a few seconds."""
REAL_SCHEDULES: Final = 3

_CHILDREN: Final = Path("/proc/self/task")


@attrs.frozen(kw_only=True)
class Subject:
    """What is checked, and in which way."""

    handler: HandlerFactory
    properties: Mapping[str, Any] = attrs.field(factory=dict)
    failing: Mapping[str, Any] | None = None
    """Properties with which it can not come online."""
    surroundings: Surroundings = contextlib.nullcontext
    kill: Kill | None = None
    real: bool = False
    """Whether it has real processes or threads, so that each schedule takes real time."""
    schedules: int = FAKE_SCHEDULES
    """For each check."""
    controlled: bool = True
    """Whether schedules decide all that it waits for."""

    def killer(self) -> Kill:
        """What breaks it; the children that this program has by now are left alone."""
        if self.kill is not None:
            return self.kill
        known = children()
        return lambda value: _kill_processes(known)


def children() -> list[int]:
    """The child processes of this program that have not been waited for."""
    found: list[int] = []
    if _CHILDREN.is_dir():
        for thread in sorted(_CHILDREN.iterdir()):
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _kill_processes(known: list[int]) -> bool:
    """End every process that was started since, as an operator with ``kill -9`` would."""
    fakes = [fake for fake in living_fakes() if fake.returncode is None]
    for fake in fakes:
        fake.kill()
    started = [child for child in children() if child not in known]
    for child in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return bool(fakes or started)
