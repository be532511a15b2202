"""The parts of a known bug."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs
import trio

Scenario: TypeAlias = Callable[[], Awaitable[None]]


@attrs.frozen
class KnownBug:
    """A concurrency bug, and the same program with the bug fixed."""

    name: str
    bug: Scenario
    """Fails in some schedules, and not in the plain one."""
    fixed: Scenario
    """Fails in none."""
    timers: bool = False
    """Whether the bug needs a deadline that expires while tasks could run."""
    cancel: bool = False
    """Whether the bug needs a cancellation at the wrong moment."""
    fails_with: type[BaseException] | tuple[type[BaseException], ...] = AssertionError


async def steps(count: int) -> None:
    """Work for so many steps, between any of which other tasks may run."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()
