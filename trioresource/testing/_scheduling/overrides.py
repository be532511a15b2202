"""What a test runner may set for the explorations of a test; it wins over what the test says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Final

import attrs


def _command(token: str) -> str:
    return f"replay(scenario, {token!r})"


@attrs.frozen(kw_only=True)
class Overrides:
    """Settings for the explorations of one test; ``None`` leaves what the test says."""

    schedules: int | None = None
    strategy: str | None = None
    seed: int | None = None
    jobs: int | None = None
    token: str | None = None
    """The one schedule to run."""
    failed_before: tuple[str, ...] = ()
    """The schedules to run first."""
    command: Callable[[str], str] = _command
    """Return the command that replays the schedule of a token."""
    explored: Callable[[str, str | None], object] = attrs.field(default=lambda summary, token: None)
    """Learn how an exploration ended: in words, and the token if it failed."""


_NONE: Final = Overrides()
_OVERRIDES: Final[ContextVar[Overrides | None]] = ContextVar("trioresource_overrides", default=None)


def overrides() -> Overrides:
    """Return the settings that apply here."""
    return _OVERRIDES.get() or _NONE


@contextlib.contextmanager
def overridden(by: Overrides) -> Iterator[None]:
    """Apply settings to the explorations of the body."""
    token = _OVERRIDES.set(by)
    try:
        yield
    finally:
        _OVERRIDES.reset(token)


@contextlib.contextmanager
def replayed_by(command: Callable[[str], str]) -> Iterator[None]:
    """Set the command that replays schedules of the body, unless a caller has set one.

    Args:
        command: returns the command for a token.
    """
    over = overrides()
    if over.command is not _command:
        yield
        return
    with overridden(attrs.evolve(over, command=command)):
        yield
