"""What is checked: a handler, its arguments, and how it can be broken from outside."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import attrs

from ..._handler import HandlerFactory
from .._leaks import child_processes
from .._scheduling.fake_process import running_fake_processes

Kill = Callable[[Any], object]
"""Break what a resource stands for, as if from outside, without blocking.

Called with what the resource provides, or ``None`` while it comes online. Returns ``False`` if
there is nothing to break."""

Surroundings = Callable[[], AbstractAsyncContextManager[object]]
"""Make what must be there before the handler, anew for each schedule."""

FAKE_SCHEDULES: Final = 40
"""For each check, so that all of them take a few seconds."""
REAL_SCHEDULES: Final = 3
"""For each check of a handler with real processes, where a schedule takes real time."""


@attrs.frozen(kw_only=True)
class Subject:
    """What is checked, and how."""

    handler: HandlerFactory
    properties: Mapping[str, Any] = attrs.field(factory=dict)
    failing: Mapping[str, Any] | None = None
    """Properties with which it cannot come online."""
    surroundings: Surroundings = contextlib.nullcontext
    kill: Kill | None = None
    real: bool = False
    """Whether it has real processes or threads, so that each schedule takes real time."""
    schedules: int = FAKE_SCHEDULES
    """For each check."""
    controlled: bool = True
    """Whether schedules decide all that it waits for."""

    def killer(self) -> Kill:
        """Return what breaks it; the child processes that exist now are left alone."""
        if self.kill is not None:
            return self.kill
        known = child_processes()
        return lambda value: _kill_processes(known)


def _kill_processes(known: list[int]) -> bool:
    """Kill every process that was started since, as ``kill -9`` does; say whether one was."""
    fakes = running_fake_processes()
    for fake in fakes:
        fake.kill()
    started = [child for child in child_processes() if child not in known]
    for child in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return bool(fakes or started)
