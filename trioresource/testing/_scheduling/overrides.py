"""What a test runner may say of the explorations in a test, over the test's own words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Final

import attrs

__all__ = ["Overrides", "overridden", "overrides", "replayed_by"]


def _command(token: str) -> str:
    return f"replay(scenario, {token!r})"


@attrs.frozen(kw_only=True)
class Overrides:
    """What holds for the explorations of one test; ``None`` for what the test says."""

    schedules: int | None = None
    strategy: str | None = None
    seed: int | None = None
    jobs: int | None = None
    token: str | None = None
    """Only this schedule is to run."""
    failed_before: tuple[str, ...] = ()
    """These schedules are to run first."""
    command: Callable[[str], str] = _command
    """Says how the schedule of a token is replayed."""
    explored: Callable[[str, str | None], object] = attrs.field(default=lambda summary, token: None)
    """Is told how an exploration ended: in words, and the token if it failed."""


_NONE: Final = Overrides()
_OVERRIDES: Final[ContextVar[Overrides | None]] = ContextVar("trioresource_overrides", default=None)


def overrides() -> Overrides:
    """What holds here."""
    return _OVERRIDES.get() or _NONE


@contextlib.contextmanager
def overridden(by: Overrides) -> Iterator[None]:
    """Let this hold for the explorations of the body."""
    token = _OVERRIDES.set(by)
    try:
        yield
    finally:
        _OVERRIDES.reset(token)


@contextlib.contextmanager
def replayed_by(command: Callable[[str], str]) -> Iterator[None]:
    """Say how the schedules of the body's explorations are replayed, unless a caller has said.

    Args:
        command: is given a token.
    """
    over = overrides()
    if over.command is not _command:
        yield
        return
    with overridden(attrs.evolve(over, command=command)):
        yield
